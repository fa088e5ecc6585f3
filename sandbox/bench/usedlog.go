//go:build unix

package bench

import (
	"context"
	"fmt"
)

// usedLogMiB is what a run writes of Postgres's log between two checkpoints, and so
// min_wal_size, which is what is kept of it to be written again.
const usedLogMiB = 4096

const (
	// writeLogSQL writes so many times 1 MiB of nothing.
	writeLogSQL   = `SELECT count(pg_logical_emit_message(false, '', repeat(' ', 1 << 20))) FROM generate_series(1, $1::int)`
	checkpointSQL = `CHECKPOINT`
)

// useLog has a new server's log written once. In its first hours Postgres fills each
// new file of its log with zeros before it is used, and whoever commits waits for that:
// 40 ms for every 16 MB. From its first checkpoints on it writes files again
// that it does not need any more, as every server does that is not new.
func (r *run) useLog(ctx context.Context) error {
	for _, statement := range []struct {
		sql       string
		arguments []any
	}{{writeLogSQL, []any{usedLogMiB}}, {checkpointSQL, nil}} {
		if _, err := r.pool.Exec(ctx, statement.sql, statement.arguments...); err != nil {
			return fmt.Errorf("write the log once: %w", err)
		}
	}
	return nil
}
