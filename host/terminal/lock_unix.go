//go:build unix

package terminal

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock waits for an exclusive lock on a file of its own: the state file itself is
// replaced each time, and a lock on a replaced file holds nobody off. Holders keep
// it for one small read and write, and the kernel takes it from a process that dies.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("flock: %w", err)
	}
	return func() { _ = file.Close() }, nil
}
