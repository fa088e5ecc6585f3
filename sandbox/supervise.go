//go:build unix

package sandbox

import (
	"context"
	"log/slog"
	"time"

	"meridian/internal/pglocal"
)

const (
	// firstRestartPause and lastRestartPause bound the pauses between attempts
	// to start Postgres again: at once after an accident, patient with a full disk.
	firstRestartPause = 100 * time.Millisecond
	lastRestartPause  = 5 * time.Second
)

// supervise starts the private Postgres again whenever it ends by itself, until
// ctx ends. The node rides it out: it answers 91 or 96 meanwhile.
func supervise(ctx context.Context, server *pglocal.Server, logger *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-server.Done():
		}
		logger.Error("Postgres ended by itself; starting it again")
		if !restart(ctx, server, logger) {
			return
		}
	}
}

// restart tries until it succeeds or ctx ends.
func restart(ctx context.Context, server *pglocal.Server, logger *slog.Logger) bool {
	for pause := firstRestartPause; ctx.Err() == nil; pause = min(2*pause, lastRestartPause) {
		err := server.Restart(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			break
		}
		logger.Error("cannot start Postgres again; trying on", "error", err, "pause", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return false
}
