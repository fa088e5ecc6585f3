package pgtest

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

const (
	sharedMemory = "/dev/shm"

	// memoryWanted is what has to be free, of memory and of its file system, before a
	// slot goes there. All slots together take less than a tenth of it.
	memoryWanted = 8 << 30
)

// memoryDir is a file system in memory with room for slots, or nothing: making and
// dropping a database, fifteen hundred files, takes a quarter of the time there.
func memoryDir() string {
	var space syscall.Statfs_t
	if err := syscall.Statfs(sharedMemory, &space); err != nil || space.Bavail*uint64(space.Bsize) < memoryWanted {
		return ""
	}

	if availableMemory() < memoryWanted {
		return ""
	}

	return sharedMemory
}

// availableMemory is how many bytes can be had without swapping, 0 if that is not known.
func availableMemory() uint64 {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer file.Close()

	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "MemAvailable:"); found {
			var kibibytes uint64
			if _, err := fmt.Sscan(rest, &kibibytes); err != nil {
				return 0
			}

			return kibibytes << 10
		}
	}

	return 0
}
