//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// InUseError says that a live process already runs a server on the data
// directory.
type InUseError struct {
	Dir   string // what is in use
	Owner string // the owner's process id as it wrote it, empty when unknown
}

func (e *InUseError) Error() string {
	owner := "another process"
	if e.Owner != "" {
		owner = "process " + e.Owner
	}

	return fmt.Sprintf("the data directory %s is in use by %s: stop it, or use another data directory", e.Dir, owner)
}

// lock is a held flock: from Start to Stop it guarantees that no other live
// process starts, stops or initialises this cluster. The kernel releases it when
// the owner dies, and Go opens it close-on-exec, so that the server, which may
// outlive its owner for a moment, does not hold it.
type lock struct {
	file *os.File
}

// maxOwnerBytes bounds what is read of another owner's note: a process id.
const maxOwnerBytes = 32

// acquireAttempts bounds how often a lock file that was removed between opening
// and locking is opened again: only a server being destroyed does that.
const acquireAttempts = 10

func acquire(path, protects string) (*lock, error) {
	for range acquireAttempts {
		l, err := acquireOnce(path, protects)
		if err != nil {
			return nil, err
		}

		held, heldErr := l.file.Stat()
		named, namedErr := os.Stat(path)

		if heldErr == nil && namedErr == nil && os.SameFile(held, named) {
			return l, nil
		}

		l.release() // a lock on a file that nobody else will find protects nothing
	}

	return nil, fmt.Errorf("lock %s: the file is being removed again and again", path)
}

// lockPoll is how often a lock is asked for while another process works.
const lockPoll = 100 * time.Millisecond

// acquireWaiting waits for the lock until ctx ends.
func acquireWaiting(ctx context.Context, path, protects string) (*lock, error) {
	for {
		l, err := acquire(path, protects)

		var inUse *InUseError
		if !errors.As(err, &inUse) {
			return l, err
		}

		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

func acquireOnce(path, protects string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}

	if err := flock(file); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(file, maxOwnerBytes))
		_ = file.Close()

		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &InUseError{Dir: protects, Owner: strings.TrimSpace(string(owner))}
		}

		return nil, fmt.Errorf("lock %s: %w", path, err)
	}

	// The note is for people who read the error; the lock itself is the flock.
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}

	return &lock{file: file}, nil
}

func flock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func (l *lock) release() {
	if l != nil {
		_ = l.file.Close()
	}
}
