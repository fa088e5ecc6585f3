//go:build unix

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"meridian/sandbox/story"
)

const lockName = "sandbox.lock"

// InUseError: a live sandbox holds the data directory.
type InUseError struct {
	Dir   string
	Owner string // its process id, empty when unknown
}

func (e *InUseError) Error() string {
	owner := "another process"
	if e.Owner != "" {
		owner = "process " + e.Owner
	}
	return fmt.Sprintf("a sandbox already runs on %s (%s): stop it, or give this one another --data-dir or --ephemeral", e.Dir, owner)
}

// home is a directory that this process holds against other sandboxes. The
// kernel gives the lock back however the process ends.
type home struct {
	dir      string // absolute
	lock     *os.File
	uid, gid int      // whose directory it is: root leaves behind what that user can use
	made     []string // directories that were not there, the outermost first
	// temporary: the directory is ours with all that is in it.
	temporary bool
}

// claim makes the directory if it is missing and locks it.
func claim(dir string) (*home, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	h := &home{dir: absolute}
	if h.made, err = makeDirectory(absolute); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := h.acquire(os.O_CREATE); err != nil {
		h.removeMade()
		return nil, err
	}
	return h, nil
}

// claimTemporary makes a new directory for an ephemeral sandbox.
func claimTemporary() (*home, error) {
	dir, err := os.MkdirTemp("", temporaryPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a temporary data directory: %w", err)
	}
	if err := os.Chmod(dir, directoryMode()); err != nil {
		return nil, errors.Join(fmt.Errorf("temporary data directory: %w", err), os.Remove(dir))
	}
	h := &home{dir: dir, temporary: true}
	if err := h.acquire(os.O_CREATE); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return h, nil
}

// directoryMode lets the account that runs Postgres for root enter, and nobody
// list; an ordinary user's directories stay private.
func directoryMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// makeDirectory makes dir and what is missing above it, and says which.
func makeDirectory(dir string) (made []string, err error) {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return nil, fmt.Errorf("%s is not a directory", dir)
		}
		return nil, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if parent := filepath.Dir(dir); parent != dir {
		if made, err = makeDirectory(parent); err != nil {
			return nil, err
		}
	}
	err = os.Mkdir(dir, directoryMode())
	if errors.Is(err, fs.ErrExist) {
		return made, nil
	}
	if err != nil {
		return nil, err
	}
	// The umask may have taken what the mode gave.
	return append(made, dir), os.Chmod(dir, directoryMode())
}

// maxOwnerBytes bounds what is read of the note in a lock file: a process id.
const maxOwnerBytes = 32

// acquireAttempts: each failed attempt means that an ephemeral sandbox removed
// its lock file between our opening and locking it.
const acquireAttempts = 10

func (h *home) acquire(flags int) error {
	path := h.path(lockName)
	for range acquireAttempts {
		file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|flags, 0o600)
		if err != nil {
			return fmt.Errorf("lock the data directory: %w", err)
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			owner, _ := io.ReadAll(io.LimitReader(file, maxOwnerBytes)) // for people only
			closing := file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return &InUseError{Dir: h.dir, Owner: strings.TrimSpace(string(owner))}
			}
			return errors.Join(fmt.Errorf("lock %s: %w", path, err), closing)
		}
		held, heldErr := file.Stat()
		named, namedErr := os.Stat(path)
		if heldErr != nil || namedErr != nil || !os.SameFile(held, named) {
			_ = file.Close() // a lock on a file that nobody else will find protects nothing
			continue
		}
		h.lock = file
		return h.sign()
	}
	return fmt.Errorf("lock %s: the file is being removed again and again", path)
}

// sign notes who holds the lock, for the error of the next one to try.
func (h *home) sign() error {
	info, err := os.Stat(h.dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	h.uid, h.gid = os.Geteuid(), os.Getegid()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		h.uid, h.gid = int(stat.Uid), int(stat.Gid)
	}
	if err := h.lock.Truncate(0); err != nil {
		return fmt.Errorf("sign the lock: %w", err)
	}
	if _, err := h.lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("sign the lock: %w", err)
	}
	return h.give(h.path(lockName))
}

// give hands a file to the directory's owner, when root works in the directory
// of somebody else.
func (h *home) give(path string) error {
	if os.Geteuid() != 0 || h.uid == 0 {
		return nil
	}
	if err := os.Lchown(path, h.uid, h.gid); err != nil {
		return fmt.Errorf("hand %s to the data directory's owner: %w", path, err)
	}
	return nil
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// release gives the directory free.
func (h *home) release() error {
	if err := h.lock.Close(); err != nil {
		return fmt.Errorf("unlock the data directory: %w", err)
	}
	return nil
}

// remove takes away what this package and its users put there, the directories
// that claim made if nothing else is in them by then, and gives the rest free.
func (h *home) remove() error {
	if h.temporary {
		return errors.Join(os.RemoveAll(h.dir), h.release())
	}
	var errs []error
	if len(h.made) > 0 {
		errs = append(errs, h.removeFiles(terminalPattern), h.removeFiles(story.KeptPattern))
	}
	// The lock last, and while it is held: see acquire.
	errs = append(errs, os.Remove(h.path(lockName)))
	h.removeMade()
	return errors.Join(append(errs, h.release())...)
}

// terminalPattern finds what test terminals remember of a sandbox; see package
// host/terminal. Of one that is gone there is nothing to remember.
const terminalPattern = "terminal-*.json*"

// removeFiles removes the files of the directory that a pattern finds.
func (h *home) removeFiles(pattern string) error {
	found, err := fs.Glob(os.DirFS(h.dir), pattern)
	errs := []error{err}
	for _, name := range found {
		if err := os.Remove(h.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (h *home) removeMade() {
	for _, dir := range slices.Backward(h.made) {
		_ = os.Remove(dir) // somebody put something there: it is theirs
	}
}
