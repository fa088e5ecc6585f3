//go:build unix

package pglocal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// maxStateBytes bounds the small files this package reads back: a path, a port,
// a password, a postmaster.pid.
const maxStateBytes = 16 << 10

// readState reads a small file; a missing one is the empty string.
func readState(path string) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}

	if err != nil {
		return "", err
	}
	defer file.Close()

	data, err := io.ReadAll(io.LimitReader(file, maxStateBytes))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}

	return strings.TrimSpace(string(data)), nil
}

// writeState replaces a small file: after a crash it has the old or the new
// content, never a part.
func writeState(path, content string, uid, gid int) error {
	staged, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(staged.Name())

	_, err = staged.WriteString(content)
	if err == nil {
		err = give(staged.Name(), uid, gid)
	}

	if err == nil {
		err = staged.Sync()
	}

	if closeErr := staged.Close(); err == nil {
		err = closeErr
	}

	if err == nil {
		err = os.Rename(staged.Name(), path)
	}

	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}

	return syncDir(filepath.Dir(path))
}

// give hands path to another user when we may; nobody but root ever needs to.
func give(path string, uid, gid int) error {
	if os.Geteuid() != 0 || uid == 0 {
		return nil
	}

	return os.Lchown(path, uid, gid)
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()

	// Some file systems cannot sync a directory and say so; theirs are durable
	// without it.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("sync %s: %w", dir, err)
	}

	return nil
}

func readInt(path string) (int, error) {
	text, err := readState(path)
	if err != nil || text == "" {
		return 0, err
	}

	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, nil //nolint:nilerr // a spoilt number is chosen again, like a missing one
	}

	return n, nil
}

// makeDir makes dir and its parents. Root's must be passable (0711: entered, not
// listed) for the account that runs the server, whatever the umask says; an
// ordinary user's stay private.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}

	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}

	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}

	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}

	return os.Chmod(dir, mode)
}

// randomText has 130 bits: nobody guesses it as a password, and two are never
// the same as a name.
func randomText() string { return strings.ToLower(rand.Text()) }
