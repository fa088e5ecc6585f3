//go:build unix && !linux

package pglocal

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
)

// arguments are the command line of a live process; nil when there is none. ps
// gives one line, so an argument with spaces comes in pieces.
func arguments(ctx context.Context, pid int) []string {
	out, err := exec.CommandContext(ctx, "ps", "-o", "args=", "-ww", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return nil
	}

	return strings.Split(strings.TrimSpace(string(out)), " ")
}

// children are the live processes whose parent is pid.
func children(ctx context.Context, pid int) []int {
	out, err := exec.CommandContext(ctx, "ps", "-axo", "pid=,ppid=").Output()
	if err != nil {
		return nil
	}

	var found []int

	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}

		if child, err := strconv.Atoi(fields[0]); err == nil {
			found = append(found, child)
		}
	}

	return found
}
