package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// TerminalLock keeps a terminal out after too many wrong MACs, on every host and
// over their restarts.
type TerminalLock struct {
	TerminalID int32
	TID        string
	// Failures are the wrong MACs in a row that led to it.
	Failures  int
	At, Until time.Time
	// Detail says for the audit log where they came from.
	Detail string
}

// LockTerminal locks a terminal and writes it to the audit log. Of two hosts that
// lock it at once the longer lock holds.
func LockTerminal(ctx context.Context, db ledger.TxBeginner, l TerminalLock) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO terminal_locks AS l (bucket, terminal_id, locked_at, locked_until, failures)
			SELECT m.bucket, t.terminal_id, $2, $3, $4 FROM terminals t JOIN merchants m ON m.merchant_id = t.merchant_id
			WHERE t.terminal_id = $1
			ON CONFLICT (bucket, terminal_id) DO UPDATE SET
				locked_at = excluded.locked_at, failures = excluded.failures, unlocked_at = NULL,
				locked_until = CASE WHEN l.unlocked_at IS NULL THEN greatest(l.locked_until, excluded.locked_until) ELSE excluded.locked_until END`,
			l.TerminalID, l.At, l.Until, l.Failures); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		return AppendAudit(ctx, tx, AuditEntry{At: l.At, Kind: "terminal_locked", Subject: "terminal " + l.TID, Detail: l.Detail})
	})
	if err != nil {
		return fmt.Errorf("lock terminal %s: %w", l.TID, err)
	}
	return nil
}

// TerminalLocks are the terminals that are locked at now, and until when.
func TerminalLocks(ctx context.Context, db ledger.Querier, now time.Time) (map[int32]time.Time, error) {
	rows, err := db.Query(ctx, `SELECT terminal_id, locked_until FROM terminal_locks WHERE locked_until > $1 AND unlocked_at IS NULL`, now)
	if err != nil {
		return nil, fmt.Errorf("read terminal locks: %w", err)
	}
	locks := map[int32]time.Time{}
	var id int32
	var until time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &until}, func() error {
		locks[id] = until
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read terminal locks: %w", err)
	}
	return locks, nil
}

// ErrNotLocked: there is no such terminal, or it is not locked.
var ErrNotLocked = errors.New("no such terminal, or it is not locked")

// UnlockTerminal ends a terminal's lock at now, before its time. Hosts follow
// within seconds.
func UnlockTerminal(ctx context.Context, db ledger.TxBeginner, now time.Time, tid, who, why string) error {
	if who == "" || why == "" {
		return errors.New("unlock terminal: who does it and why must be said")
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE terminal_locks l SET unlocked_at = $2 FROM terminals t
			WHERE t.tid = $1 AND l.terminal_id = t.terminal_id AND l.unlocked_at IS NULL AND l.locked_until > $2`, tid, now)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return ErrNotLocked
		}
		return AppendAudit(ctx, tx, AuditEntry{At: now, Kind: "terminal_unlocked", Subject: "terminal " + tid, Detail: byWhom(who, why)})
	})
	if err != nil {
		return fmt.Errorf("unlock terminal %s: %w", tid, err)
	}
	return nil
}

// LockTerminal locks a terminal; see [LockTerminal].
func (s *Switch) LockTerminal(ctx context.Context, l TerminalLock) error {
	return LockTerminal(ctx, s.pool, l)
}

// TerminalLocks are the terminals that are locked at now; see [TerminalLocks].
func (s *Switch) TerminalLocks(ctx context.Context, now time.Time) (map[int32]time.Time, error) {
	return TerminalLocks(ctx, s.pool, now)
}
