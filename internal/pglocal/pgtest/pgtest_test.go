//go:build unix

package pgtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"meridian/internal/pglocal/pgtest"
)

// leave makes this test binary one that leaves things behind.
const leave = "MERIDIAN_TEST_PGTEST_LEAVE"

func TestMain(m *testing.M) {
	if os.Getenv(leave) != "" {
		fmt.Println(leaveThings())
		os.Exit(1)
	}

	goleak.VerifyTestMain(pgtest.Wrap(m))
}

func connect(t testing.TB, address string) *pgx.Conn {
	t.Helper()

	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}

	t.Cleanup(func() { _ = conn.Close(context.Background()) })

	return conn
}

func databaseName(t testing.TB, address string) string {
	t.Helper()

	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}

	return strings.TrimPrefix(u.Path, "/")
}

// maintenance is the URL of the server's own database.
func maintenance(t testing.TB, address string) string {
	t.Helper()

	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}

	u.Path = "/postgres"

	return u.String()
}

func exists(t testing.TB, address, name string) bool {
	t.Helper()

	var found bool

	err := connect(t, address).QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&found)
	if err != nil {
		t.Fatal(err)
	}

	return found
}

// createTable is a migration that a careless author left a connection in.
func createTable(table string, runs *atomic.Int32) func(context.Context, string) error {
	return func(ctx context.Context, address string) error {
		runs.Add(1)

		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return err
		}

		_, err = conn.Exec(ctx, "CREATE TABLE "+pgx.Identifier{table}.Sanitize()+" (n int)")

		return err
	}
}

func TestEveryTestHasAFreshDatabase(t *testing.T) {
	t.Parallel()

	var (
		runs    atomic.Int32
		migrate = createTable("ours", &runs)
		mu      sync.Mutex
		names   = map[string]string{}
	)

	t.Run("tests", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()

				address := pgtest.Database(t, migrate)

				mu.Lock()
				names[databaseName(t, address)] = maintenance(t, address)
				mu.Unlock()

				conn := connect(t, address)

				var rows int
				if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM ours").Scan(&rows); err != nil || rows != 0 {
					t.Errorf("%d rows of another test: %v", rows, err)
				}

				if _, err := conn.Exec(t.Context(), "INSERT INTO ours VALUES (1)"); err != nil {
					t.Error(err)
				}
			})
		}
	})

	if n := runs.Load(); n != 1 {
		t.Errorf("migrated %d times", n)
	}

	if len(names) != 8 {
		t.Errorf("%d databases for 8 tests", len(names))
	}

	for name, address := range names {
		if exists(t, address, name) {
			t.Errorf("%s was not dropped", name)
		}
	}
}

func TestMigrationsAreToldApart(t *testing.T) {
	t.Parallel()

	var runs atomic.Int32

	// The same code, over different variables.
	for _, table := range []string{"one", "other"} {
		conn := connect(t, pgtest.Database(t, createTable(table, &runs)))

		var found bool
		if err := conn.QueryRow(t.Context(), "SELECT to_regclass($1) IS NOT NULL", table).Scan(&found); err != nil || !found {
			t.Errorf("the database for %s is another's: %v", table, err)
		}
	}

	conn := connect(t, pgtest.Database(t, nil))

	var tables int

	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables)
	if err != nil || tables != 0 {
		t.Errorf("%d tables without a migration: %v", tables, err)
	}
}

// recorder is a test that is expected to fail.
type recorder struct {
	testing.TB
	failure  string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Name() string     { return "recorder" }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)

	panic(r)
}

func (r *recorder) run(f func()) {
	defer func() {
		if caught := recover(); caught != nil && caught != any(r) {
			panic(caught)
		}
	}()

	f()
}

func TestFailedMigrationFailsEveryTest(t *testing.T) {
	t.Parallel()

	var runs atomic.Int32

	migrate := func(context.Context, string) error {
		runs.Add(1)
		return errors.New("the migration is wrong")
	}

	for range 2 {
		r := &recorder{}
		r.run(func() { pgtest.Database(r, migrate) })

		if !strings.Contains(r.failure, "the migration is wrong") || !strings.Contains(r.failure, "recorder") {
			t.Errorf("the failure is %q", r.failure)
		}
	}

	if n := runs.Load(); n != 1 {
		t.Errorf("tried %d times", n)
	}
}

func TestServerOfItsOwn(t *testing.T) {
	t.Parallel()

	server := pgtest.Server(t, pgtest.Durable(), pgtest.Setting("max_connections", "17"))
	conn := connect(t, server.URL())

	for setting, want := range map[string]string{"fsync": "on", "max_connections": "17"} {
		var got string
		if err := conn.QueryRow(t.Context(), "SHOW "+setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q: %v", setting, got, err)
		}
	}

	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept (n int)"); err != nil {
		t.Fatal(err)
	}

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}

	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}

	if _, err := connect(t, server.URL()).Exec(t.Context(), "SELECT FROM kept"); err != nil {
		t.Error(err)
	}
}

func TestPreparedServers(t *testing.T) {
	t.Parallel()

	var (
		runs    atomic.Int32
		prepare = createTable("prepared", &runs)
		seen    = map[string]bool{}
	)

	for range 2 {
		server := pgtest.Prepared(t, prepare, pgtest.Durable())
		conn := connect(t, server.URL())

		seen[server.URL()] = true

		var (
			fsync string
			rows  int
		)

		if err := conn.QueryRow(t.Context(), "SELECT current_setting('fsync'), (SELECT count(*) FROM prepared)").Scan(&fsync, &rows); err != nil || fsync != "on" || rows != 0 {
			t.Errorf("fsync %q, %d rows of another test: %v", fsync, rows, err)
		}

		if _, err := conn.Exec(t.Context(), "INSERT INTO prepared VALUES (1)"); err != nil {
			t.Error(err)
		}
	}

	if n := runs.Load(); n != 1 || len(seen) != 2 {
		t.Errorf("prepared %d times for %d servers, want once for 2", n, len(seen))
	}

	r := &recorder{}
	r.run(func() {
		pgtest.Prepared(r, func(context.Context, string) error { return errors.New("the schema is wrong") })
	})

	if !strings.Contains(r.failure, "the schema is wrong") {
		t.Errorf("the failure is %q", r.failure)
	}
}

// again runs tests of this binary in another process.
func again(t *testing.T, tests string, environment ...string) (output string, err error) {
	t.Helper()

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	cmd := exec.CommandContext(t.Context(), program, "-test.run=^("+tests+")$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), environment...)

	out, err := cmd.CombinedOutput()

	return string(out), err
}

// leaveThings is what a test binary does that is then killed: nothing is stopped
// or dropped. It finds nothing of the one before it.
func leaveThings() error {
	ctx := context.Background()

	r := &recorder{}

	var address string

	r.run(func() { address = pgtest.Database(r, nil) })

	if r.failure != "" {
		return errors.New(r.failure)
	}

	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}

	for _, sql := range []string{"CREATE ROLE left_role", "CREATE DATABASE left_database OWNER left_role"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}

	process, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}

	return errors.Join(process.Kill(), errors.New("alive after being killed"))
}

func TestTakenSlotIsWiped(t *testing.T) {
	t.Parallel()

	if os.Getenv("MERIDIAN_TEST_DATABASE_URL") != "" {
		t.Skip("the server of MERIDIAN_TEST_DATABASE_URL is not wiped")
	}

	// Slots of its own, so that it takes the same one each time.
	directory := shortDir(t)

	for range 2 {
		output, err := again(t, "none", leave+"=1", "TMPDIR="+directory)

		var killed *exec.ExitError
		if !errors.As(err, &killed) || killed.Exited() {
			t.Errorf("%v:\n%s", err, output)
		}
	}

	// And the server of the last run is stopped before its directory goes.
	if output, err := again(t, "TestServerOfItsOwn|TestMigrationsAreToldApart", "TMPDIR="+directory); err != nil {
		t.Errorf("%v:\n%s", err, output)
	}
}

// shortDir is a temporary directory that the account of the server can enter.
func shortDir(t *testing.T) string {
	t.Helper()

	dir, err := os.MkdirTemp("", "pgtest-*") //nolint:usetesting // t.TempDir is for this user alone
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})

	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}

	return dir
}

func TestServerOfOthers(t *testing.T) {
	t.Parallel()

	server := pgtest.Server(t)
	address := server.AdminURL("postgres")
	conn := connect(t, address)

	// Of a binary that died, of one that lives, and of somebody else.
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}

	config.RuntimeParams["application_name"] = "meridian_test_living"

	living, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close(context.Background())

	for _, name := range []string{"meridian_test_dead_1", "meridian_test_living_1", "meridian_tests"} {
		if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
			t.Fatal(err)
		}
	}

	output, err := again(t, "TestEveryTestHasAFreshDatabase|TestMigrationsAreToldApart|TestFailedMigrationFailsEveryTest",
		"MERIDIAN_TEST_DATABASE_URL="+address)
	if err != nil {
		t.Errorf("%v:\n%s", err, output)
	}

	rows, err := conn.Query(t.Context(), "SELECT datname FROM pg_database WHERE datname LIKE 'meridian\\_test%' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}

	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || fmt.Sprint(left) != "[meridian_test_living_1 meridian_tests]" {
		t.Errorf("left: %v %v", left, err)
	}
}
