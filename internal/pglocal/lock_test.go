//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// held is a lock file with a note of its own, locked through another open file,
// as by another process.
func held(t *testing.T, note string) (path string, l *lock) {
	t.Helper()

	path = filepath.Join(t.TempDir(), "lock")

	l, err := acquire(testContext(t), path, "it")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(l.release)

	if err := os.WriteFile(path, []byte(note), 0o600); err != nil {
		t.Fatal(err)
	}

	return path, l
}

func TestLockOfALiveOwnerIsRefusedAtOnce(t *testing.T) {
	t.Parallel()

	path, _ := held(t, fmt.Sprintln(os.Getpid()))

	var inUse *InUseError
	if _, err := acquire(testContext(t), path, "it"); !errors.As(err, &inUse) || inUse.Owner != fmt.Sprint(os.Getpid()) {
		t.Errorf("the error is %v", err)
	}
}

// A child that a live owner is about to make has its files open, too: what is given up is free.
func TestReleasedLockIsFreeWhoeverHasItsFileOpen(t *testing.T) {
	t.Parallel()

	path, l := held(t, fmt.Sprintln(os.Getpid()))

	child, err := syscall.Dup(int(l.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = syscall.Close(child) }()

	l.release()

	mine, err := acquire(testContext(t), path, "it")
	if err != nil {
		t.Fatal(err)
	}

	mine.release()
}

// A child that a killed owner was about to make holds the lock for a moment more.
func TestLockOfADeadOwnerIsWaitedFor(t *testing.T) {
	t.Parallel()

	for _, note := range []string{fmt.Sprintln(spentPID(t)), "", "x"} {
		path, l := held(t, note)

		got := make(chan error)

		go func() {
			mine, err := acquire(testContext(t), path, "it")
			mine.release()

			got <- err
		}()

		if _, err := acquireOnce(testContext(t), path, "it"); !errors.Is(err, errLockMoves) {
			t.Errorf("noted %q: the lock is not held: %v", note, err)
		}

		l.release()

		if err := <-got; err != nil {
			t.Errorf("noted %q: %v", note, err)
		}
	}
}

func TestLockWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()

	path, _ := held(t, fmt.Sprintln(spentPID(t)))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	for name, take := range map[string]func(context.Context, string, string) (*lock, error){
		"acquire": acquire, "acquireWaiting": acquireWaiting,
	} {
		if l, err := take(ctx, path, "it"); !errors.Is(err, context.Canceled) {
			l.release()
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLockOnARemovedFileDoesNotCount(t *testing.T) {
	t.Parallel()

	path, l := held(t, fmt.Sprintln(os.Getpid()))

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}

	mine, err := acquire(testContext(t), path, "it")
	if err != nil {
		t.Fatal(err)
	}

	defer mine.release()
	l.release()

	var inUse *InUseError
	if _, err := acquire(testContext(t), path, "it"); !errors.As(err, &inUse) {
		t.Errorf("two locks on one name: %v", err)
	}
}
