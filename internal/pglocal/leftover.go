//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// A server left behind gets this long for a fast shutdown, whose checkpoint
	// saves the next start a recovery, then for an immediate one, then it is
	// killed. Whichever it is, nothing committed is lost.
	leftoverFastTimeout      = 10 * time.Second
	leftoverImmediateTimeout = 5 * time.Second
	leftoverKillTimeout      = 5 * time.Second

	// exitPoll is how often a process that is not our child is looked at; such
	// processes tell nobody when they end.
	exitPoll = 10 * time.Millisecond
)

// stopLeftover ends the server that a dead owner left running on the cluster, and
// removes the stale postmaster.pid of one that died. The caller holds the lock, so
// whatever runs has no owner.
func stopLeftover(ctx context.Context, cluster string, logger *slog.Logger) error {
	path := filepath.Join(cluster, "postmaster.pid")

	text, err := readState(path)
	if err != nil {
		return fmt.Errorf("read postmaster.pid: %w", err)
	}

	if text == "" {
		return nil
	}

	if pid := leadingPID(text); serves(ctx, pid, cluster) {
		logger.Warn("stopping a Postgres server whose owner died", "pid", pid, "cluster", cluster)

		if err := stopStranger(ctx, pid, cluster); err != nil {
			return fmt.Errorf("stop the Postgres server %d that a dead owner left on %s: %w", pid, cluster, err)
		}
	}

	// Its process is gone, or its id belongs to another program by now; Postgres
	// would take that program for a server and refuse. That nothing is attached
	// to the cluster's shared memory it checks for itself.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a stale postmaster.pid: %w", err)
	}

	return nil
}

// leadingPID is the process id on the first line; 0 when there is none. Neither
// init nor a group is an answer.
func leadingPID(text string) int {
	line, _, _ := strings.Cut(text, "\n")

	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 {
		return 0
	}

	return pid
}

// alive reports whether a process runs; one that has ended and whose parent has
// not asked yet has no arguments any more.
func alive(ctx context.Context, pid int) bool {
	args := arguments(ctx, pid)

	return len(args) > 0 && args[0] != ""
}

// serves reports whether the process is a Postgres server of the cluster. The
// id alone would not tell: ids are used again.
func serves(ctx context.Context, pid int, cluster string) bool {
	if pid == 0 {
		return false
	}

	args := arguments(ctx, pid)
	if len(args) == 0 || filepath.Base(args[0]) != "postgres" {
		return false
	}

	return strings.HasSuffix(strings.TrimSpace(strings.Join(args, " ")), " -D "+cluster)
}

func stopStranger(ctx context.Context, pid int, cluster string) error {
	steps := []struct {
		signal  syscall.Signal // pg_ctl's fast and immediate modes, then the end
		timeout time.Duration
	}{
		{syscall.SIGINT, leftoverFastTimeout},
		{syscall.SIGQUIT, leftoverImmediateTimeout},
		{syscall.SIGKILL, leftoverKillTimeout},
	}

	for _, step := range steps {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal it: %w", err)
		}

		ended, err := awaitStranger(ctx, pid, cluster, step.timeout)
		if ended || err != nil {
			return err
		}
	}

	return errors.New("it does not end")
}

func awaitStranger(ctx context.Context, pid int, cluster string, timeout time.Duration) (ended bool, err error) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()

	tick := time.NewTicker(exitPoll)
	defer tick.Stop()

	for serves(ctx, pid, cluster) {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline.C:
			return false, nil
		case <-tick.C:
		}
	}

	return true, nil
}
