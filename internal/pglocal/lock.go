//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
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

const (
	// lockPoll is how often a lock is asked for again.
	lockPoll = 20 * time.Millisecond

	// lockGrace is for a lock whose owner is dead: a child that it was about to
	// make when it was killed holds its files until it runs its program. Or the
	// file is being removed, or the new owner has not yet written its note.
	lockGrace = 5 * time.Second
)

// errLockMoves means that the lock is neither held by a live owner nor free.
var errLockMoves = errors.New("the lock is changing hands")

// acquire takes the lock, or says who has it.
func acquire(ctx context.Context, path, protects string) (*lock, error) {
	patience := time.NewTimer(lockGrace)
	defer patience.Stop()

	for {
		l, err := acquireOnce(ctx, path, protects)
		if !errors.Is(err, errLockMoves) {
			return l, err
		}

		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience.C:
			return nil, &InUseError{Dir: protects}
		case <-time.After(lockPoll):
		}
	}
}

// acquireWaiting waits for the lock until ctx ends.
func acquireWaiting(ctx context.Context, path, protects string) (*lock, error) {
	for {
		l, err := acquire(ctx, path, protects)

		if _, inUse := errors.AsType[*InUseError](err); !inUse {
			return l, err
		}

		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

func acquireOnce(ctx context.Context, path, protects string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}

	if err := flock(file); err != nil {
		defer file.Close()

		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}

		note, _ := io.ReadAll(io.LimitReader(file, maxOwnerBytes))
		if pid := leadingPID(string(note)); pid != 0 && alive(ctx, pid) {
			return nil, &InUseError{Dir: protects, Owner: strconv.Itoa(pid)}
		}

		return nil, errLockMoves
	}

	held, heldErr := file.Stat()
	named, namedErr := os.Stat(path)

	if heldErr != nil || namedErr != nil || !os.SameFile(held, named) {
		_ = file.Close() // a lock on a file that nobody else will find protects nothing

		return nil, errLockMoves
	}

	// The note is for people who read the error, and tells a dead owner; the lock
	// itself is the flock.
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}

	return &lock{file: file}, nil
}

func flock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err //nolint:wrapcheck // the caller asks which it is
		}
	}
}

// release gives the lock up, whoever else has the file open: a child that is being made
// this moment holds its maker's files until it runs its program.
func (l *lock) release() {
	if l != nil {
		_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
		_ = l.file.Close()
	}
}
