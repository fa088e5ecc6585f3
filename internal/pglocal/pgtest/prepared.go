//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"meridian/internal/pglocal"
)

// Prepared starts a server as [Server] does, whose database [pglocal.DatabaseName]
// prepare has filled. prepare runs once per test binary for each function value, on a
// server whose files the servers of tests are copied from: initdb and a schema take a
// second of a processor, and a copy a tenth.
func Prepared(t testing.TB, prepare func(ctx context.Context, url string) error, options ...Option) *pglocal.Server {
	t.Helper()

	source, err := clusters.of(prepare)
	if err != nil {
		t.Fatalf("pgtest: prepare a server to copy: %v", err)
	}

	return own(t, func(dataDir string) error { return copyCluster(source, dataDir) }, options)
}

// clusters are this test binary's stopped servers to copy.
var clusters clusterHolder //nolint:gochecknoglobals // as binary

type clusterHolder struct {
	mu   sync.Mutex
	made map[unsafe.Pointer]cluster
}

type cluster struct {
	prepare migration // kept, so that no other function gets its address
	dataDir string
	err     error // everybody's: the next try would fail too
}

// of makes the server of a function value, once, and returns its data directory.
func (h *clusterHolder) of(prepare migration) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()

	key := identity(prepare)

	made, known := h.made[key]
	if !known {
		made.prepare = prepare
		made.dataDir, made.err = makeCluster(prepare)

		if h.made == nil {
			h.made = map[unsafe.Pointer]cluster{}
		}

		h.made[key] = made
	}

	return made.dataDir, made.err
}

// remove removes all of them.
func (h *clusterHolder) remove() error {
	h.mu.Lock()
	defer h.mu.Unlock()

	var errs []error

	for _, made := range h.made {
		if made.dataDir != "" {
			errs = append(errs, os.RemoveAll(filepath.Dir(made.dataDir)))
		}
	}

	h.made = nil

	return errors.Join(errs...)
}

func makeCluster(prepare migration) (dataDir string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()

	base, err := baseDir(slotParent())
	if err != nil {
		return "", err
	}

	removeAbandoned(ctx, base)

	dir, err := os.MkdirTemp(base, "own-*")
	if err != nil {
		return "", fmt.Errorf("make a data directory: %w", err)
	}

	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()

	if err := os.Chmod(dir, 0o711); err != nil { // to be passed through, see baseDir
		return "", fmt.Errorf("open the data directory: %w", err)
	}

	dataDir = filepath.Join(dir, "data")

	server, err := pglocal.Start(ctx, pglocal.Options{DataDir: dataDir, FastUnsafe: true})
	if err != nil {
		return "", err
	}

	err = errors.Join(quickenPassword(ctx, server), prepare(ctx, server.URL()))
	if err := errors.Join(err, server.Stop(ctx)); err != nil {
		return "", err
	}

	if server.Dir() != filepath.Join(dataDir, "postgres") {
		return "", fmt.Errorf("the server's files are in %s, outside its data directory", server.Dir())
	}

	return dataDir, nil
}

// copyCluster makes a data directory with the files of another one's server and its
// password, owned by whom they were; the port is chosen anew.
func copyCluster(source, dataDir string) error {
	if err := os.Mkdir(dataDir, 0o711); err != nil {
		return err
	}

	for _, name := range []string{"postgres", "postgres.password"} {
		// cp knows how to keep owners, modes and what a file system can share.
		command := exec.Command("cp", "-a", filepath.Join(source, name), filepath.Join(dataDir, name))
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("copy the server's %s: %w: %s", name, err, output)
		}
	}

	return nil
}
