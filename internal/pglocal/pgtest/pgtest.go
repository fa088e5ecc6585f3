//go:build unix

package pgtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meridian/internal/pglocal"
)

// stepTimeout bounds every step on the server: creating or dropping a database,
// starting, stopping. Far above what any takes on a machine busy with tests.
const stepTimeout = 2 * time.Minute

// Database returns the superuser's URL of a new database that migrate has
// prepared, and drops the database when the test ends, whoever is still
// connected. A nil migrate leaves it empty.
//
// migrate runs once per test binary for each function value, on a template that
// the databases are copied from: it must not keep connections open. A function
// literal that captures variables is another value each time it is evaluated.
func Database(t testing.TB, migrate func(ctx context.Context, url string) error) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()

	home, err := binary.home(ctx)
	if err != nil {
		t.Fatalf("pgtest: no Postgres for tests: %v", err)
	}

	name, err := home.create(ctx, migrate)
	if err != nil {
		t.Fatalf("pgtest: make a database for %s: %v", t.Name(), err)
	}

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
		defer cancel()

		if err := home.drop(ctx, name); err != nil {
			t.Errorf("pgtest: drop the database of %s: %v", t.Name(), err)
		}
	})

	return home.url(name)
}

// Option changes the server that [Server] starts.
type Option func(*pglocal.Options)

// Durable makes commits survive a crash of the machine, as in production, at the
// price of waiting for the disk. They survive Kill without it too.
func Durable() Option {
	return func(o *pglocal.Options) { o.FastUnsafe = false }
}

// Setting sets a Postgres setting.
func Setting(name, value string) Option {
	return func(o *pglocal.Options) { o.Settings[name] = value }
}

// Server starts a server for this test alone, to stop, kill and restart, and
// removes it when the test ends. MERIDIAN_TEST_DATABASE_URL does not matter here:
// that server is not ours to kill.
func Server(t testing.TB, options ...Option) *pglocal.Server {
	t.Helper()

	return own(t, func(string) error { return nil }, options)
}

// own starts a server for one test; prepare may fill its data directory, which is
// not there yet.
func own(t testing.TB, prepare func(dataDir string) error, options []Option) *pglocal.Server {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()

	o := pglocal.Options{FastUnsafe: true, Settings: map[string]string{}}
	for _, option := range options {
		option(&o)
	}

	parent := os.TempDir() // a disk
	if o.FastUnsafe {
		parent = slotParent()
	}

	base, err := baseDir(parent)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}

	removeAbandoned(ctx, base)

	dir, err := os.MkdirTemp(base, "own-*") //nolint:usetesting // where a killed test's is found and removed
	if err != nil {
		t.Fatalf("pgtest: make a data directory: %v", err)
	}

	o.DataDir = filepath.Join(dir, "data")

	// To be passed through, see baseDir.
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatalf("pgtest: open the data directory: %v", err)
	}

	if err := prepare(o.DataDir); err != nil {
		_ = os.RemoveAll(dir)

		t.Fatalf("pgtest: prepare the data directory: %v", err)
	}

	server, err := pglocal.Start(ctx, o)
	if err != nil {
		_ = os.RemoveAll(dir)

		t.Fatalf("pgtest: %v", err)
	}

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
		defer cancel()

		if err := server.Destroy(ctx); err != nil {
			t.Errorf("pgtest: %v", err)
		}

		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("pgtest: remove the data directory: %v", err)
		}
	})

	return server
}

// Main runs the tests and stops the shared server; the result is for os.Exit.
// Packages whose TestMain does not use it, or that have none, leave the stopping
// to the end of the process.
func Main(m *testing.M) int { return Wrap(m).Run() }

// Runner is what goleak.VerifyTestMain takes.
type Runner interface{ Run() int }

// Wrap is [Main] for goleak, which sees the shared server's goroutines as leaks
// unless the server is stopped first:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }
func Wrap(m *testing.M) Runner { return runner{m: m} }

type runner struct{ m *testing.M }

func (r runner) Run() int {
	code := r.m.Run()

	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()

	if err := errors.Join(binary.close(ctx), clusters.remove()); err != nil {
		_, _ = os.Stderr.WriteString("pgtest: stop the shared Postgres: " + err.Error() + "\n")

		return max(code, 1)
	}

	return code
}
