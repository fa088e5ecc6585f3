//go:build unix

package bench

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond of /proc's processor times: Linux shows them to programs in
// hundredths, whatever the kernel counts in (proc(5), sysconf(_SC_CLK_TCK)).
const ticksPerSecond = 100

// process is one line of /proc/PID/stat.
type process struct {
	pid, parent int
	own, waited time.Duration // processor time: its own, and of children that ended
}

// processes reads every process; nil where there is no /proc.
func processes() map[int]process {
	all := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if p, ok := parseStat(string(text)); ok {
			all[p.pid] = p
		}
	}
	return all
}

// parseStat reads proc(5): pid (name) state ppid … utime stime cutime cstime;
// the name may hold anything, so fields are counted from its last bracket.
func parseStat(text string) (process, bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text[:open]))
	fields := strings.Fields(text[end+1:])
	const state, utime, enough = 0, 11, 15
	if err != nil || len(fields) < enough {
		return process{}, false
	}
	number := func(i int) int64 {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	ticks := func(i int) time.Duration { return time.Duration(number(i)) * time.Second / ticksPerSecond }
	return process{
		pid: pid, parent: int(number(state + 1)), own: ticks(utime) + ticks(utime+1), waited: ticks(utime+2) + ticks(utime+3),
	}, true
}

// processorTime of a process and all its descendants, those that ended
// included. It grows only.
func processorTime(all map[int]process, root int) time.Duration {
	var sum time.Duration
	for pid, p := range all {
		if within(all, pid, root) {
			sum += p.own + p.waited
		}
	}
	return sum
}

func within(all map[int]process, pid, root int) bool {
	for range 64 { // no tree is deeper, and a table read while it changes may have a circle
		if pid == root {
			return true
		}
		p, ok := all[pid]
		if !ok || p.parent == pid {
			return false
		}
		pid = p.parent
	}
	return false
}
