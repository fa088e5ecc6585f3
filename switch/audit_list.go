package switching

import (
	"context"
	"fmt"
	"strings"
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
	// Subject as it stands there, such as "terminal 10000001".
	Subject string
	// TID of the terminal that rows are about, however their subject says it: its batch,
	// a key of it, a change of it. Not together with Subject.
	TID string
	// Text that subject or detail has in it. What has it not is passed over row by
	// row: one that few rows have reads far back.
	Text string
	// Before is the last row of the page before.
	Before int64
	Limit  int // 1 to [MaxListed]
}

// auditTerminal is the TID that a subject has in it, as the index audit_log_terminal
// has it: without the colon that may follow.
const auditTerminal = `rtrim(substring(subject FROM '^(?:[a-z-]+ [a-z]+ of )?terminal ([^ ]+)'), ':')`

// AuditRows lists rows of the audit log, the newest first.
func AuditRows(ctx context.Context, db ledger.Querier, f AuditFilter) ([]*AuditRow, error) {
	// Of what is not asked for nothing stands in the statement, so that a generic plan has the index of what is.
	q := searchQuery{args: []any{max(1, min(f.Limit, MaxListed))}}
	order := "audit_id DESC"
	switch {
	case f.Subject != "":
		order = q.walkedBack("subject", f.Subject)
	case f.TID != "":
		order = q.walkedBack(auditTerminal, strings.TrimRight(f.TID, ":"))
	case f.Kind != "":
		order = q.walkedBack("kind", f.Kind)
	}
	if f.Kind != "" && (f.Subject != "" || f.TID != "") {
		q.where("kind = " + q.arg(f.Kind))
	}
	if f.Text != "" {
		text := q.arg(f.Text)
		q.where("(strpos(subject, " + text + ") > 0 OR strpos(detail, " + text + ") > 0)")
	}
	if f.Before != 0 {
		q.where("audit_id < " + q.arg(f.Before))
	}
	rows, err := db.Query(ctx, `
		SELECT audit_id, coalesce(sequence, 0), recorded_at, kind, subject, detail FROM audit_log
		WHERE `+allOf(q.rows)+` ORDER BY `+order+` LIMIT $1`, q.args...)
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

// walkedBack chooses the rows with a value of a column or expression in a way that leaves its index
// as the only one with their order: given an equality, the planner takes a rare value
// for an average one, and reads the newest rows of all until it has met enough.
func (q *searchQuery) walkedBack(column, value string) (order string) {
	place := q.arg(value)
	q.where(column + " BETWEEN " + place + " AND " + place)
	return column + " DESC, audit_id DESC"
}
