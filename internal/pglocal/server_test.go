//go:build unix

package pglocal

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestStoppedServerKeepsItsDataAndAddress(t *testing.T) {
	t.Parallel()

	dir := openDir(t)
	first := start(t, Options{DataDir: dir, Settings: map[string]string{"work_mem": "5MB", "search_path": `"a'b\c", public`}})

	execute(t, first.URL(), "CREATE TABLE kept AS SELECT 42 AS answer")

	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
		"shared_buffers": "128MB", "max_connections": "100", "password_encryption": "scram-sha-256",
		"log_min_duration_statement": "-1", "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
		"TimeZone": "UTC", "server_encoding": "UTF8", "work_mem": "5MB", "search_path": `"a'b\c", public`,
	} {
		if got := query[string](t, first.AdminURL("postgres"), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}

	stop(t, first)
	stop(t, first) // does nothing

	second := start(t, Options{DataDir: dir})
	if second.URL() != first.URL() {
		t.Error("the address changed")
	}

	if got := query[int](t, second.URL(), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("read %d", got)
	}

	if got := query[string](t, second.URL(), "SHOW work_mem"); got == "5MB" {
		t.Error("a setting of the run before lingers")
	}
}

func TestOnlyThePasswordLetsIn(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	server := start(t, fast(dir))

	info, err := os.Stat(filepath.Join(dir, "postgres.password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v %v", info, err)
	}

	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}

	if password, _ := u.User.Password(); len(password) < 26 {
		t.Errorf("a password of %d characters", len(password))
	}

	for _, user := range []*url.Userinfo{url.User(superuser), url.UserPassword(superuser, "postgres"), url.UserPassword("nobody", "x")} {
		u.User = user

		conn, err := pgx.Connect(testContext(t), u.String())
		if err == nil {
			_ = conn.Close(testContext(t))
			t.Errorf("%s got in", user.Username())
		}
	}

	if bad := query[int](t, server.AdminURL("postgres"), "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256' OR type <> 'host' OR error IS NOT NULL"); bad != 0 {
		t.Errorf("%d access rules other than SCRAM", bad)
	}
}

func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()

	server := start(t, Options{DataDir: usedDir(t)})

	execute(t, server.URL(), "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")

	// A session in the middle of something, to be killed with it.
	busy, err := pgx.Connect(testContext(t), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close(testContext(t))

	pid, done, address := server.PID(), server.Done(), server.URL()

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}

	if err := busy.Ping(testContext(t)); err == nil {
		t.Error("a session outlived the server")
	}

	if err := server.Kill(); err != nil {
		t.Errorf("kill again: %v", err)
	}

	if err := server.Restart(testContext(t)); err != nil {
		t.Fatal(err)
	}

	select {
	case <-done:
		t.Error("a kill that was asked for counts as a failure")
	default:
	}

	if server.PID() == pid || server.URL() != address {
		t.Errorf("process %d then %d, or another address", pid, server.PID())
	}

	if got := query[int](t, address, "SELECT count(*) FROM kept"); got != 1000 {
		t.Errorf("%d rows left of 1000", got)
	}

	if err := server.Restart(testContext(t)); err == nil {
		t.Error("restarted while it runs")
	}
}

func TestRestartAfterStop(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	server := start(t, fast(dir))

	stop(t, server)

	if err := server.Restart(testContext(t)); err != nil {
		t.Fatal(err)
	}

	query[int](t, server.URL(), "SELECT 1")

	// The data directory is ours again.
	var inUse *InUseError
	if _, err := Start(testContext(t), fast(dir)); !errors.As(err, &inUse) {
		t.Errorf("a second owner: %v", err)
	}

	stop(t, server)

	// And was somebody else's in between.
	start(t, fast(dir))

	if err := server.Restart(testContext(t)); !errors.As(err, &inUse) {
		t.Errorf("restarted in somebody else's data directory: %v", err)
	}
}

func TestDoneTellsAnEndThatNobodyAskedFor(t *testing.T) {
	t.Parallel()

	server := start(t, fast(usedDir(t)))

	execute(t, server.URL(), "CREATE TABLE kept (n int)")

	done := server.Done()

	// The postmaster alone: its children notice by themselves.
	if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}

	select {
	case <-done:
	case <-testContext(t).Done():
		t.Fatal("nobody was told")
	}

	if err := server.Restart(testContext(t)); err != nil {
		t.Fatal(err)
	}

	if server.Done() == done {
		t.Error("the new run has the old run's channel")
	}

	query[int](t, server.URL(), "SELECT count(*) FROM kept")
}

func TestStopInNoTimeLosesNothing(t *testing.T) {
	t.Parallel()

	server := start(t, fast(usedDir(t)))

	execute(t, server.URL(), "CREATE TABLE kept (n int)")

	ended, cancel := context.WithCancel(t.Context())
	cancel()

	if err := server.Stop(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("stop: %v", err)
	}

	if err := server.Restart(testContext(t)); err != nil {
		t.Fatal(err)
	}

	query[int](t, server.URL(), "SELECT count(*) FROM kept")
}

func TestOneOwner(t *testing.T) {
	t.Parallel()

	dir := openDir(t)

	const owners = 4

	var (
		wg      sync.WaitGroup
		results = make([]error, owners)
		servers = make([]*Server, owners)
	)

	for i := range owners {
		wg.Go(func() { servers[i], results[i] = Start(testContext(t), fast(dir)) })
	}

	wg.Wait()

	won := 0

	for i, err := range results {
		if err == nil {
			won++

			t.Cleanup(func() { _ = servers[i].Destroy(testContext(t)) })

			continue
		}

		if _, inUse := errors.AsType[*InUseError](err); !inUse {
			t.Errorf("refused with %v", err)
		}
	}

	_, err := Start(testContext(t), fast(dir))

	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.Owner != strconv.Itoa(os.Getpid()) || !strings.Contains(err.Error(), inUse.Dir) {
		t.Errorf("the refusal does not name the owner and the directory: %v", err)
	}

	if won != 1 {
		t.Errorf("%d owners", won)
	}
}

func TestDestroyLeavesAnEmptyDataDirectory(t *testing.T) {
	t.Parallel()

	dir := openDir(t)
	server := start(t, fast(dir))

	if err := server.Destroy(testContext(t)); err != nil {
		t.Fatal(err)
	}

	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}

	if err := server.Restart(testContext(t)); err == nil {
		t.Error("restarted what was destroyed")
	}

	if err := Remove(testContext(t), filepath.Join(dir, "never")); err != nil || !missing(filepath.Join(dir, "never")) {
		t.Errorf("remove what is not there: %v", err)
	}
}

func TestRemoveRefusesALiveServer(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	server := start(t, fast(dir))

	var inUse *InUseError
	if err := Remove(testContext(t), dir); !errors.As(err, &inUse) {
		t.Errorf("removed under its owner: %v", err)
	}

	query[int](t, server.URL(), "SELECT 1")
	stop(t, server)

	if err := Remove(testContext(t), dir); err != nil || !missing(server.Dir()) {
		t.Errorf("remove: %v", err)
	}
}

func TestStartErrorQuotesTheServer(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)

	o := fast(dir)
	o.Settings = map[string]string{"work_mem": "a lot"}

	_, err := Start(testContext(t), o)
	if err == nil || !strings.Contains(err.Error(), "work_mem") || !strings.Contains(err.Error(), "postgres.log") {
		t.Errorf("the error is %v", err)
	}

	query[int](t, start(t, fast(dir)).URL(), "SELECT 1")
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()

	dir := openDir(t)

	ended, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := Start(ended, fast(dir)); !errors.Is(err, context.Canceled) {
		t.Errorf("start with an ended context: %v", err)
	}

	query[int](t, start(t, fast(dir)).URL(), "SELECT 1")
}

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()

	for _, settings := range []map[string]string{
		{"listen_addresses": "*"},
		{"port": "1"},
		{"hba_file": "/etc/hosts"},
		{"work_mem = 1\nfsync": "off"},
		{"Work Mem": "1"},
		{"work_mem": "1MB\nfsync = off"},
	} {
		o := fast(filepath.Join(t.TempDir(), "never"))
		o.Settings = settings

		if _, err := Start(t.Context(), o); err == nil || !missing(o.DataDir) {
			t.Errorf("%v: %v", settings, err)
		}
	}

	if _, err := Start(t.Context(), Options{}); err == nil {
		t.Error("started nowhere")
	}
}

// What somebody set for another Postgres is not for ours.
func TestEnvironmentOfOtherServersDoesNotCount(t *testing.T) {
	for name, value := range map[string]string{
		"PGOPTIONS": "-c fsync=off", "PGTARGETSESSIONATTRS": "standby", "PGDATA": "/nowhere", "PGPORT": "1",
		"PGHOST": "/nowhere", "PGUSER": "somebody", "PGPASSWORD": "wrong", "PGDATABASE": "other", "PGSSLMODE": "require",
		"LC_ALL": "xx_XX.UTF-8", "TZ": "Nowhere/Else",
	} {
		t.Setenv(name, value)
	}

	server, err := Start(testContext(t), fast(openDir(t)))
	if err != nil {
		t.Fatal(err)
	}

	if err := server.Destroy(testContext(t)); err != nil {
		t.Error(err)
	}
}
