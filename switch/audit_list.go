package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// AuditRow is a stored [AuditEntry].
type AuditRow struct {
	ID int64 `json:"audit_id"`
	// Sequence is its place in the chain; 0 if it was written past it.
	Sequence int64     `json:"sequence"`
	At       time.Time `json:"recorded_at"`
	Kind     string    `json:"kind"` // mac_failure, policy_changed, review_decided, ...
	Subject  string    `json:"subject"`
	Detail   string    `json:"detail"`
}

// MaxListed bounds what one listing of the audit log or of exceptions returns.
const MaxListed = 1000

// AuditLog lists the newest limit (1 to [MaxListed]) rows of the audit log, the
// newest first: those of a kind or, with an empty one, all.
func AuditLog(ctx context.Context, db ledger.Querier, kind string, limit int) ([]*AuditRow, error) {
	return AuditRows(ctx, db, AuditFilter{Kind: kind, Limit: limit})
}

// AuditFilter chooses rows of the audit log; zero values choose every one.
type AuditFilter struct {
	Kind string
	// Text that subject or detail has in it.
	Text string
	// Before is the last row of the page before.
	Before int64
	Limit  int // 1 to [MaxListed]
}

// AuditRows lists rows of the audit log, the newest first.
func AuditRows(ctx context.Context, db ledger.Querier, f AuditFilter) ([]*AuditRow, error) {
	rows, err := db.Query(ctx, `
		SELECT audit_id, coalesce(sequence, 0), recorded_at, kind, subject, detail FROM audit_log
		WHERE ($1 = '' OR kind = $1) AND ($3 = 0 OR audit_id < $3) AND ($4 = '' OR strpos(subject, $4) > 0 OR strpos(detail, $4) > 0)
		ORDER BY audit_id DESC LIMIT $2`, f.Kind, max(1, min(f.Limit, MaxListed)), f.Before, f.Text)
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*AuditRow, error) {
		var a AuditRow
		err := row.Scan(&a.ID, &a.Sequence, &a.At, &a.Kind, &a.Subject, &a.Detail)
		a.At = a.At.UTC()
		return &a, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	return list, nil
}
