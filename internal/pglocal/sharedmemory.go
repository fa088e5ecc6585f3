//go:build linux || darwin

package pglocal

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sharedMemoryLine of postmaster.pid holds the key and the id of the small System
// V segment by which Postgres notices a second server on a cluster.
const sharedMemoryLine = 7

// releaseSharedMemory gives back the segment of a server that did not end
// cleanly. The next start on the cluster would; when there is none the segment
// stays until the machine restarts, and machines have few.
func releaseSharedMemory(postmasterFile string) {
	text, err := readState(postmasterFile)
	if err != nil {
		return
	}

	lines := strings.Split(text, "\n")
	if len(lines) < sharedMemoryLine {
		return
	}

	fields := strings.Fields(lines[sharedMemoryLine-1])
	if len(fields) != 2 {
		return
	}

	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return
	}

	// Only a segment that nobody is attached to: the id may have another owner
	// by now.
	var info unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &info); err != nil || info.Nattch != 0 {
		return
	}

	_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
}
