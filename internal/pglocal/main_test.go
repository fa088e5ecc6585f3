//go:build unix

package pglocal

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// ownerDir makes the test binary a process that owns a server in that data
// directory, to be killed by a test.
const ownerDir = "MERIDIAN_TEST_PGLOCAL_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDir); dir != "" {
		own(dir)
	}

	goleak.VerifyTestMain(runner{m})
}

// runner removes the seed when the tests are over.
type runner struct{ m *testing.M }

func (r runner) Run() int {
	code := r.m.Run()

	if dir, err := seed(); err == nil {
		_ = os.RemoveAll(filepath.Dir(dir))
	}

	return code
}

// seed is a data directory whose server was started and stopped once. Tests that
// are not about the first start copy it, which is quicker than initdb.
var seed = sync.OnceValues(func() (string, error) {
	parent, err := os.MkdirTemp("", "pglocal-seed-*")
	if err != nil {
		return "", err
	}

	if err := os.Chmod(parent, 0o711); err != nil {
		return "", err
	}

	dir := filepath.Join(parent, "data")

	server, err := Start(context.Background(), fast(dir))
	if err != nil {
		return "", err
	}

	return dir, server.Stop(context.Background())
})

// usedDir is a data directory that had a server before.
func usedDir(t testing.TB) string {
	t.Helper()

	from, err := seed()
	if err != nil {
		t.Fatalf("make the seed: %v", err)
	}

	dir := openDir(t)
	copyDir(t, from, dir)

	return dir
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()

	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v: %s", err, out)
	}

	// The copy gets a port of its own.
	if err := os.Remove(filepath.Join(to, "postgres.port")); err != nil {
		t.Fatal(err)
	}
}

// own starts a server, says its URL, and holds it until it is killed or its
// standard input ends.
func own(dir string) {
	server, err := Start(context.Background(), fast(dir))
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}

	fmt.Println(server.URL())

	_, _ = io.Copy(io.Discard, os.Stdin)

	os.Exit(0) // without stopping the server
}

// testTimeout bounds what a test waits for.
const testTimeout = 30 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)

	return ctx
}

// openDir is a temporary directory that the account of the server can enter.
func openDir(t testing.TB) string {
	t.Helper()

	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}

	return filepath.Join(dir, "data")
}

// start starts a server that is destroyed when the test ends.
func start(t testing.TB, o Options) *Server {
	t.Helper()

	server, err := Start(testContext(t), o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}

	t.Cleanup(func() {
		if err := server.Destroy(testContext(t)); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})

	return server
}

// fast are the options of tests for which durability is not the point.
func fast(dir string) Options { return Options{DataDir: dir, FastUnsafe: true} }

func stop(t testing.TB, server *Server) {
	t.Helper()

	if err := server.Stop(testContext(t)); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

func execute(t testing.TB, url, sql string) {
	t.Helper()

	if err := tryExecute(t, url, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func tryExecute(t testing.TB, url, sql string) error {
	t.Helper()

	ctx := testContext(t)

	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close(ctx)

	_, err = conn.Exec(ctx, sql)

	return err
}

func query[T any](t testing.TB, url, sql string) T {
	t.Helper()

	ctx := testContext(t)

	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close(ctx)

	var value T
	if err := conn.QueryRow(ctx, sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}

	return value
}

// eventually waits until a condition outside this process holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()

	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()

	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()

	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("in vain: %s", what)
		case <-tick.C:
		}
	}
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}
