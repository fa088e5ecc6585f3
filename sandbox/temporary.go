//go:build unix

package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"meridian/internal/pglocal"
)

// temporaryPrefix begins the names of ephemeral data directories.
const temporaryPrefix = "meridian-sandbox-"

// removeAbandoned removes what ephemeral sandboxes left that were killed. Only
// directories of this user whose lock nobody holds are abandoned.
func removeAbandoned(ctx context.Context, logger *slog.Logger) {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), temporaryPrefix+"*"))
	if err != nil {
		return // the temporary directory's name is a pattern: nothing is found there
	}
	for _, dir := range found {
		if !isOwn(dir) {
			continue
		}
		// Without a lock file it is just being made.
		h := &home{dir: dir}
		if err := h.acquire(0); err != nil {
			continue
		}
		err := errors.Join(pglocal.Remove(ctx, dir), os.RemoveAll(dir), h.release())
		if err != nil {
			logger.Warn("cannot remove what a killed sandbox left", "dir", dir, "error", err)
			continue
		}
		logger.Info("removed what a killed sandbox left", "dir", dir)
	}
}

// isOwn tells directories of this user from what others may have put into a
// temporary directory that all share.
func isOwn(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode()&fs.ModeSymlink != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
