//go:build unix

package pglocal

import (
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// privateDir is a directory that only root can enter, like root's home.
func privateDir(t *testing.T) string {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("the server of an ordinary user enters what that user can enter")
	}

	dir := filepath.Join(openDir(t), "home")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}

	return filepath.Join(dir, ".meridian")
}

func TestDataDirectoryThatTheServerCannotEnter(t *testing.T) {
	t.Parallel()

	dir := privateDir(t)
	first := start(t, fast(dir))

	if strings.HasPrefix(first.Dir(), dir) {
		t.Fatalf("the cluster is in %s", first.Dir())
	}

	recorded, err := readState(filepath.Join(dir, "postgres.location"))
	if err != nil || recorded != first.Dir() {
		t.Errorf("recorded %q %v", recorded, err)
	}

	execute(t, first.URL(), "CREATE TABLE kept AS SELECT 7 AS n")
	stop(t, first)

	// The record counts, not the path: the data directory may be moved.
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}

	second := start(t, fast(moved))
	if got := query[int](t, second.URL(), "SELECT n FROM kept"); got != 7 || second.Dir() != first.Dir() {
		t.Errorf("read %d in %s", got, second.Dir())
	}

	// A copy of the data directory names the same cluster, which has an owner.
	copyDir(t, moved, dir)

	if _, err := Start(testContext(t), fast(dir)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("two owners: %v", err)
	}

	if err := second.Destroy(testContext(t)); err != nil {
		t.Fatal(err)
	}

	if !missing(second.Dir()) || !missing(filepath.Dir(second.Dir())) {
		t.Errorf("left: %s", second.Dir())
	}
}

func TestDeletedDataDirectoryStartsAfresh(t *testing.T) {
	t.Parallel()

	dir := privateDir(t)
	owner := startOwner(t, dir)
	execute(t, owner.url(t), "CREATE TABLE old (n int)")
	owner.kill()

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}

	server := start(t, fast(dir))
	if query[bool](t, server.URL(), "SELECT to_regclass('old') IS NOT NULL") {
		t.Error("the deleted data is back")
	}

	if missing(server.Dir() + ".orphan") {
		t.Error("the old cluster was not set aside")
	}
}

func TestClusterKeepsItsAccount(t *testing.T) {
	t.Parallel()

	if os.Geteuid() != 0 {
		t.Skip("only root chooses an account")
	}

	const uid = 4321 // of nobody in particular: the server runs without a name too

	dir := usedDir(t)
	server := start(t, fast(dir))
	stop(t, server)

	for _, owner := range []int{uid, 0} { // 0: a cluster that root copied
		err := filepath.WalkDir(server.Dir(), func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}

			return os.Lchown(path, owner, owner)
		})
		if err != nil {
			t.Fatal(err)
		}

		again := start(t, fast(dir))
		query[int](t, again.URL(), "SELECT 1")

		if owner != 0 && again.place.runner.uid != owner {
			t.Errorf("it runs as %s", again.place.runner.name)
		}

		stop(t, again)
	}
}

func TestRootLeavesTheOwnerOfTheDirectoryWhatItCanUse(t *testing.T) {
	t.Parallel()

	if os.Geteuid() != 0 {
		t.Skip("only root writes in the directories of others")
	}

	nobody := other(anonymousID, anonymousID)

	dir := openDir(t)
	if err := makeDir(dir); err != nil {
		t.Fatal(err)
	}

	if err := nobody.own(dir); err != nil {
		t.Fatal(err)
	}

	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}

	server := start(t, fast(dir))

	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}

		info, err := entry.Info()
		if err != nil {
			return err
		}

		if uid, _ := ids(info); uid != anonymousID {
			t.Errorf("%s belongs to %s", path, accountName(uid))
		}

		return nil
	})
	if err != nil {
		t.Error(err)
	}

	query[int](t, server.URL(), "SELECT 1")
}

func TestPathsOfAllKinds(t *testing.T) {
	t.Parallel()

	base := openDir(t)

	long := filepath.Join(base, strings.Repeat("a long name of a directory ", 5), "it's [an] \"odd\" *one* \\ ünïcode $HOME %d")

	server := start(t, fast(long))
	query[int](t, server.URL(), "SELECT 1")
	stop(t, server)

	// By another name for the same directory.
	link := filepath.Join(base, "link")
	if err := os.Symlink(long, link); err != nil {
		t.Fatal(err)
	}

	again := start(t, fast(link))
	if again.Dir() != server.Dir() {
		t.Errorf("%s is not %s", again.Dir(), server.Dir())
	}
}

func TestDataDirectoriesThatCannotBe(t *testing.T) {
	t.Parallel()

	base := openDir(t)
	if err := makeDir(base); err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	foreign := filepath.Join(base, "foreign")
	if err := makeDir(filepath.Join(foreign, "postgres", "precious")); err != nil {
		t.Fatal(err)
	}

	spoilt := usedDir(t)

	if err := os.Remove(filepath.Join(spoilt, "postgres.password")); err != nil {
		t.Fatal(err)
	}

	for dir, want := range map[string]string{
		file:                          "not a directory",
		filepath.Join(file, "inside"): "not a directory",
		foreign:                       "not a Postgres cluster",
		spoilt:                        "postgres.password",
	} {
		if _, err := Start(testContext(t), fast(dir)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dir, err)
		}
	}

	if missing(filepath.Join(foreign, "postgres", "precious")) {
		t.Error("something that is not ours was removed")
	}

	if os.Geteuid() == 0 {
		return // root may write anywhere
	}

	closed := filepath.Join(base, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}

	for _, dir := range []string{closed, filepath.Join(closed, "inside")} {
		if _, err := Start(testContext(t), fast(dir)); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestOtherVersionsCluster(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	server := start(t, fast(dir))
	stop(t, server)

	path := filepath.Join(server.Dir(), "PG_VERSION")

	// No such version is installed, and none is downloaded.
	if err := writeState(path, "12\n", server.place.runner.uid, server.place.runner.gid); err != nil {
		t.Fatal(err)
	}

	_, err := Start(testContext(t), fast(dir))
	if err == nil || !strings.Contains(err.Error(), "was made by Postgres 12") || !strings.Contains(err.Error(), "Postgres "+server.binaries.Version+", not 12") {
		t.Errorf("the error is %v", err)
	}
}

func TestTakenPortIsChosenAgain(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	first := start(t, fast(dir))
	execute(t, first.URL(), "CREATE TABLE kept (n int)")
	stop(t, first)

	u, err := url.Parse(first.URL())
	if err != nil {
		t.Fatal(err)
	}

	taken, err := net.Listen("tcp4", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	// Its address is known to others, so a restart does not change it.
	if err := first.Restart(testContext(t)); err == nil || !strings.Contains(err.Error(), "could not bind") {
		t.Errorf("restart on a taken port: %v", err)
	}

	second := start(t, fast(dir))
	if second.URL() == first.URL() {
		t.Fatal("the same address")
	}

	query[int](t, second.URL(), "SELECT count(*) FROM kept")
	stop(t, second)

	// The new one is remembered.
	if third := start(t, fast(dir)); third.URL() != second.URL() {
		t.Error("the new port was forgotten")
	}
}

// Between looking at a port and binding it another program may take it.
func TestPortTakenAtTheLastMomentIsRecognised(t *testing.T) {
	t.Parallel()

	server := start(t, fast(usedDir(t)))
	stop(t, server)

	taken, err := net.Listen("tcp4", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	server.port = taken.Addr().(*net.TCPAddr).Port

	var failed *startError
	if err := server.launch(testContext(t)); !errors.As(err, &failed) || !failed.portTaken() {
		t.Errorf("the error is %v", err)
	}
}

func TestFailedRestartKeepsTheDataDirectory(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	server := start(t, fast(dir))

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}

	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}

	taken, err := net.Listen("tcp4", u.Host)
	if err != nil {
		t.Fatal(err)
	}

	restartErr := server.Restart(testContext(t))

	if err := taken.Close(); err != nil {
		t.Error(err)
	}

	if restartErr == nil || !strings.Contains(restartErr.Error(), "could not bind") {
		t.Errorf("restart on a taken port: %v", restartErr)
	}

	var inUse *InUseError
	if _, err := Start(testContext(t), fast(dir)); !errors.As(err, &inUse) {
		t.Errorf("it was given away: %v", err)
	}

	if err := server.Restart(testContext(t)); err != nil {
		t.Error(err)
	}
}
