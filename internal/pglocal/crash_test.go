//go:build unix

package pglocal

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// owner is another process that owns a server.
type owner struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Reader
}

func startOwner(t *testing.T, dir string) *owner {
	t.Helper()

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), ownerDir+"="+dir)
	cmd.Stderr = os.Stderr

	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}

	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	o := &owner{cmd: cmd, stdin: stdin, lines: bufio.NewReader(stdout)}
	t.Cleanup(func() { o.kill() })

	return o
}

// url waits until the server is ready.
func (o *owner) url(t *testing.T) string {
	t.Helper()

	line, err := o.lines.ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error:") {
		t.Fatalf("the owner: %v %s", err, line)
	}

	return strings.TrimSpace(line)
}

func (o *owner) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

func TestOwnerKilledLosesNothing(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	owner := startOwner(t, dir)
	address := owner.url(t)

	if _, err := Start(testContext(t), fast(dir)); err == nil || !strings.Contains(err.Error(), fmt.Sprint(owner.cmd.Process.Pid)) {
		t.Errorf("the refusal does not name the owner: %v", err)
	}

	execute(t, address, "CREATE TABLE kept AS SELECT 7 AS n")

	owner.kill()

	server := start(t, fast(dir)) // while the old server is still ending

	if got := query[int](t, server.URL(), "SELECT n FROM kept"); got != 7 {
		t.Errorf("read %d", got)
	}
}

func TestServerEndsWithItsOwner(t *testing.T) {
	t.Parallel()

	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a server that its owner died; elsewhere the next start stops it")
	}

	dir := usedDir(t)
	owner := startOwner(t, dir)
	owner.url(t)

	pidFile := filepath.Join(dir, "postgres", "postmaster.pid")
	if missing(pidFile) {
		t.Fatal("no postmaster.pid")
	}

	owner.kill()

	// Removed by a server that shut down cleanly.
	eventually(t, "the server ends", func() bool { return missing(pidFile) })

	start(t, fast(dir))
}

func TestFirstStartKilledAtAnyMoment(t *testing.T) {
	t.Parallel()

	for _, moment := range []string{
		"postgres.init-*",                        // initdb begins
		"postgres.init-*/data/global/pg_control", // is in the middle
		"postgres",                               // the cluster is in place
	} {
		t.Run(filepath.Base(moment), func(t *testing.T) {
			dir := openDir(t)
			owner := startOwner(t, dir)

			eventually(t, moment+" is there", func() bool {
				found, err := filepath.Glob(filepath.Join(dir, moment))
				return err == nil && len(found) > 0
			})

			owner.kill()

			server := start(t, fast(dir))
			query[int](t, server.URL(), "SELECT 1")

			if left, err := filepath.Glob(filepath.Join(dir, "postgres.init-*")); err != nil || len(left) != 0 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

func TestUnfinishedClusterIsNotUsed(t *testing.T) {
	t.Parallel()

	dir := openDir(t)

	half := filepath.Join(dir, "postgres.init-123", "data")
	if err := makeDir(half); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	server := start(t, fast(dir))
	query[int](t, server.URL(), "SELECT 1")

	if !missing(filepath.Dir(half)) {
		t.Error("it is still there")
	}
}

// A server that outlived its owner, as all do where the kernel does not tell them.
func TestServerWithoutOwnerIsStopped(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	first := start(t, fast(dir))

	execute(t, first.URL(), "CREATE TABLE kept AS SELECT 7 AS n")
	stop(t, first)

	stray := exec.Command(first.binaries.postgres(), "-D", first.Dir())
	stray.Dir = "/"
	stray.Env = cleanEnvironment()
	stray.SysProcAttr = &syscall.SysProcAttr{Credential: first.place.runner.credential, Setsid: true}

	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}

	pidFile := filepath.Join(first.Dir(), "postmaster.pid")

	eventually(t, "the stray server is up", func() bool {
		text, err := readState(pidFile)
		return err == nil && strings.HasSuffix(text, "ready")
	})

	second := start(t, fast(dir))

	if err := stray.Wait(); err != nil {
		t.Errorf("it was not shut down cleanly: %v", err)
	}

	if second.URL() != first.URL() {
		t.Error("the address changed")
	}

	if got := query[int](t, second.URL(), "SELECT n FROM kept"); got != 7 {
		t.Errorf("read %d", got)
	}
}

func TestStalePostmasterFile(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	server := start(t, fast(dir))

	for name, pid := range map[string]int{
		"its process is gone":            spentPID(t),
		"its id has another program now": os.Getpid(),
		"it names a group":               -1,
		"it names init":                  1,
	} {
		t.Run(name, func(t *testing.T) {
			stop(t, server)

			stale := fmt.Sprintf("%d\n%s\n1700000000\n5432\n\n127.0.0.1\n  1 99999999\nready\n", pid, server.Dir())
			path := filepath.Join(server.Dir(), "postmaster.pid")

			if err := writeState(path, stale, server.place.runner.uid, server.place.runner.gid); err != nil {
				t.Fatal(err)
			}

			if err := server.Restart(testContext(t)); err != nil {
				t.Fatal(err)
			}

			query[int](t, server.URL(), "SELECT 1")
		})
	}

	t.Run("it is garbage", func(t *testing.T) {
		stop(t, server)

		if err := writeState(filepath.Join(server.Dir(), "postmaster.pid"), "\x00\xff x", server.place.runner.uid, server.place.runner.gid); err != nil {
			t.Fatal(err)
		}

		if err := server.Restart(testContext(t)); err != nil {
			t.Fatal(err)
		}
	})
}

// spentPID is the id of a process that has ended.
func spentPID(t *testing.T) int {
	t.Helper()

	cmd := exec.Command("/bin/sh", "-c", ":")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}

	return cmd.Process.Pid
}

func TestServesKnowsItsOwn(t *testing.T) {
	t.Parallel()

	server := start(t, fast(usedDir(t)))
	ctx := testContext(t)

	if !serves(ctx, server.PID(), server.Dir()) {
		t.Error("it does not know the server")
	}

	if serves(ctx, server.PID(), filepath.Dir(server.Dir())) || serves(ctx, os.Getpid(), server.Dir()) || serves(ctx, 0, server.Dir()) {
		t.Error("it takes another for the server")
	}

	if len(children(ctx, server.PID())) == 0 {
		t.Error("the server has no children")
	}

	for _, pid := range children(ctx, server.PID()) {
		if serves(ctx, pid, server.Dir()) {
			t.Errorf("it takes the child %d for the server", pid)
		}
	}
}
