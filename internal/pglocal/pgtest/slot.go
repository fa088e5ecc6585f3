//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"meridian/internal/pglocal"
)

const (
	// slots bounds how many test binaries of one user run at the same time;
	// go test runs as many as there are processors.
	slots = 64

	// abandonedAfter is the age from which a server directory without an owner is
	// taken for one that a killed test left. No test runs as long.
	abandonedAfter = 2 * time.Hour
)

// slotParent is where slots live: in memory where there is plenty, unless TMPDIR
// says where things go.
func slotParent() string {
	if os.Getenv("TMPDIR") == "" {
		if dir := memoryDir(); dir != "" {
			return dir
		}
	}

	return os.TempDir()
}

// baseDir is where this user's test servers live. Its name is known to everyone,
// so it counts only when it is ours; root's lets the account that runs Postgres
// pass.
func baseDir(parent string) (string, error) {
	dir := filepath.Join(parent, "meridian-pgtest-"+strconv.Itoa(os.Geteuid()))

	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make the directory of test servers: %w", err)
	}

	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at the directory of test servers: %w", err)
	}

	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(stat.Uid) != os.Geteuid() {
		return "", fmt.Errorf("%s is not a directory of this user: remove it", dir)
	}

	return dir, os.Chmod(dir, 0o711) // whatever the umask
}

// takeSlot starts the server of the first slot that nobody uses.
func takeSlot(ctx context.Context) (*pglocal.Server, error) {
	base, err := baseDir(slotParent())
	if err != nil {
		return nil, err
	}

	for n := range slots {
		dir := filepath.Join(base, "slot-"+strconv.Itoa(n))

		server, err := startSlot(ctx, dir)

		var inUse *pglocal.InUseError
		if err == nil || !errors.As(err, &inUse) {
			return server, err
		}
	}

	return nil, fmt.Errorf("all %d servers in %s are in use", slots, base)
}

// startSlot starts a slot's server and brings it back to the state after initdb.
// What a slot holds is worth nothing, so one that does not work is made anew.
func startSlot(ctx context.Context, dir string) (*pglocal.Server, error) {
	server, err := startClean(ctx, dir)

	var inUse *pglocal.InUseError
	if err == nil || errors.As(err, &inUse) || ctx.Err() != nil {
		return server, err
	}

	if removeErr := pglocal.Remove(ctx, dir); removeErr != nil {
		return nil, errors.Join(err, removeErr)
	}

	return startClean(ctx, dir)
}

func startClean(ctx context.Context, dir string) (*pglocal.Server, error) {
	server, err := pglocal.Start(ctx, pglocal.Options{
		DataDir:    dir,
		FastUnsafe: true,
		Settings: map[string]string{
			"max_connections": "300", // tests run in parallel, each with a pool or two
			// What stays behind stays in memory.
			"max_wal_size": "128MB", "min_wal_size": "32MB",
		},
	})
	if err != nil {
		return nil, err
	}

	for _, prepare := range []func(context.Context, *pglocal.Server) error{wipe, quickenPassword} {
		if err := prepare(ctx, server); err != nil {
			return nil, errors.Join(err, server.Stop(ctx))
		}
	}

	return server, nil
}

// removeAbandoned removes the servers of tests that were killed. What cannot be
// removed is left for the next time.
func removeAbandoned(ctx context.Context, base string) {
	dirs, err := filepath.Glob(filepath.Join(base, "own-*"))
	if err != nil {
		return
	}

	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < abandonedAfter {
			continue
		}

		if pglocal.Remove(ctx, filepath.Join(dir, "data")) == nil {
			_ = os.RemoveAll(dir)
		}
	}
}
