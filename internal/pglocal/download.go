//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// downloadable is the release that is downloaded for a major version.
func downloadable(major int) (embeddedpostgres.PostgresVersion, error) {
	switch major {
	case 15:
		return embeddedpostgres.V15, nil
	case 16:
		return embeddedpostgres.V16, nil
	case 17:
		return embeddedpostgres.V17, nil
	case 18, anyMajor:
		return embeddedpostgres.V18, nil
	}

	return "", fmt.Errorf("there is no download for Postgres %d", major)
}

// download returns the binaries in the cache, fetching them first when they are
// not there. They are unpacked aside and renamed: a killed download leaves
// nothing that looks whole.
func (f finder) download(ctx context.Context, major int) (Binaries, error) {
	version, err := downloadable(major)
	if err != nil {
		return Binaries{}, err
	}

	cache, err := f.cache()
	if err != nil {
		return Binaries{}, fmt.Errorf("download: %w", err)
	}

	home := filepath.Join(cache, "postgres-"+string(version))

	if found, err := probe(ctx, f.runner, filepath.Join(home, "bin")); err == nil {
		return found, nil
	}

	if err := makeDir(cache); err != nil {
		return Binaries{}, fmt.Errorf("download: make the cache directory: %w", err)
	}

	// One download at a time per cache: the second one finds the first one's.
	held, err := acquireWaiting(ctx, filepath.Join(cache, "download.lock"), cache)
	if err != nil {
		return Binaries{}, fmt.Errorf("download: %w", err)
	}
	defer held.release()

	if found, err := probe(ctx, f.runner, filepath.Join(home, "bin")); err == nil {
		return found, nil
	}

	f.logger.Info("downloading Postgres, once", "version", string(version), "into", home)

	if err := f.fetch(ctx, version, cache, home); err != nil {
		return Binaries{}, fmt.Errorf("download Postgres %s into %s: %w", version, cache, err)
	}

	found, err := probe(ctx, f.runner, filepath.Join(home, "bin"))
	if err != nil {
		return Binaries{}, fmt.Errorf("downloaded Postgres %s in %s: %w", version, home, err)
	}

	return found, nil
}

func (f finder) fetch(ctx context.Context, version embeddedpostgres.PostgresVersion, cache, home string) error {
	work, err := os.MkdirTemp(cache, "unpack-*")
	if err != nil {
		return err
	}

	// The library knows only "start", which fetches and unpacks first. It is
	// shown a data directory of the right version that holds nothing else: it
	// then leaves initdb out, and its server ends at once for want of a cluster.
	// What counts is what it has unpacked.
	data := filepath.Join(work, "data")
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(version), 0o600)); err != nil {
		return errors.Join(err, os.RemoveAll(work))
	}

	port, err := freePort(ctx) // the library insists on one
	if err != nil {
		return errors.Join(err, os.RemoveAll(work))
	}

	config := embeddedpostgres.DefaultConfig().
		Version(version).
		Port(uint32(port)).
		CachePath(filepath.Join(work, "archive")).
		BinariesPath(filepath.Join(work, "unpacked")).
		RuntimePath(filepath.Join(work, "runtime")).
		DataPath(data).
		Logger(io.Discard)

	if f.repository != "" {
		config = config.BinaryRepositoryURL(f.repository)
	}

	finished := make(chan error, 1)

	go func() {
		defer os.RemoveAll(work)

		finished <- install(config, filepath.Join(work, "unpacked"), home)
	}()

	select {
	case err := <-finished:
		return err
	case <-ctx.Done():
		// The library cannot be interrupted; it ends by itself, and what it made
		// is removed or is a whole installation.
		return ctx.Err()
	}
}

// install runs the library and moves what it unpacked to its place.
func install(config embeddedpostgres.Config, unpacked, home string) error {
	server := embeddedpostgres.NewDatabase(config)

	startErr := server.Start()
	if startErr == nil {
		_ = server.Stop()
	}

	if _, err := os.Stat(filepath.Join(unpacked, "bin", "initdb")); err != nil {
		return errors.Join(startErr, err)
	}

	if err := openToAll(unpacked); err != nil {
		return err
	}

	if err := os.RemoveAll(home); err != nil { // an earlier one that does not run
		return err
	}

	return os.Rename(unpacked, home)
}

// openToAll lets everybody read and run an installation: it holds no secrets,
// and the account that runs it is not always the one that fetched it.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}

		info, err := entry.Info()
		if err != nil {
			return err
		}

		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}

		return os.Chmod(path, mode) //nolint:gosec // a directory that we have just made and that only we can write to
	})
}

// cache is where downloads are kept.
func (f finder) cache() (string, error) {
	if f.cacheDir != "" {
		return filepath.Abs(f.cacheDir)
	}

	if os.Geteuid() == 0 {
		return "/var/cache/meridian", nil // root's home is closed to the account that runs the server
	}

	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for Postgres's binaries: %w", err)
	}

	return filepath.Join(dir, "meridian"), nil
}
