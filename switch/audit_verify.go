package switching

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// AuditVerification is what walking the audit log from its first row to its last found.
type AuditVerification struct {
	// Rows that fit; all of them when there is no problem.
	Rows int64     `json:"rows"`
	Head AuditHead `json:"head"`
	// HeldAt is the number of the row whose hash was held outside; 0 when none was
	// asked for, or what is held is the hash before the first row.
	HeldAt int64 `json:"held_at,omitempty"`
	// Problem is the first row that does not fit; nil when all do.
	Problem *AuditProblem `json:"problem,omitempty"`
}

// AuditProblem is a row that does not fit the chain.
type AuditProblem struct {
	// Row as people find it: "row 42 (audit_id 57)".
	Row string `json:"row"`
	// Fault is missing, changed, out of order, cut off, not chained, or not the one
	// that was held.
	Fault  string `json:"fault"`
	Detail string `json:"detail"`
}

// String says which row and what is wrong with it.
func (p *AuditProblem) String() string { return fmt.Sprintf("%s: %s: %s", p.Row, p.Fault, p.Detail) }

// auditCheck names the verification of the audit log among those of the ledger.
const auditCheck = "the audit log is a chain"

// errAuditBroken ends the walk at the first row that does not fit.
var errAuditBroken = errors.New("the chain is broken")

// VerifyAudit walks the audit log in one snapshot, beside working hosts. held is
// the hash of an end of the chain that was noted outside of the database: it has
// to be in the chain still; nil asks for none.
func VerifyAudit(ctx context.Context, db ledger.TxBeginner, held *AuditHash) (*AuditVerification, error) {
	var v *AuditVerification
	err := inSnapshot(ctx, db, func(tx pgx.Tx) (err error) {
		v, err = verifyAudit(ctx, tx, held)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify the audit log: %w", err)
	}
	return v, nil
}

// verifyAudit is VerifyAudit inside a snapshot.
func verifyAudit(ctx context.Context, tx pgx.Tx, held *AuditHash) (*AuditVerification, error) {
	w := &auditWalk{held: held, v: &AuditVerification{}}
	var hash []byte
	switch err := tx.QueryRow(ctx, `SELECT sequence, hash FROM audit_head`).Scan(&w.v.Head.Sequence, &hash); {
	case errors.Is(err, pgx.ErrNoRows):
		_ = w.broken("the head", "missing", "audit_head has no row")
		return w.v, nil
	case err != nil:
		return nil, fmt.Errorf("read the head: %w", err)
	}
	copy(w.v.Head.Hash[:], hash)
	w.found = held == nil || *held == AuditHash{}

	rows, err := tx.Query(ctx, `
		SELECT audit_id, coalesce(sequence, 0), recorded_at, kind, subject, detail, previous_hash, hash
		FROM audit_log ORDER BY sequence NULLS LAST, audit_id`)
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	var r auditRow
	_, err = pgx.ForEachRow(rows, []any{&r.id, &r.sequence, &r.At, &r.Kind, &r.Subject, &r.Detail, &r.previous, &r.hash},
		func() error { return w.step(&r) })
	if errors.Is(err, errAuditBroken) {
		return w.v, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	w.end()
	return w.v, nil
}

// auditRow is a row as it is stored.
type auditRow struct {
	AuditEntry

	id, sequence   int64 // sequence 0: not chained
	previous, hash []byte
}

// auditWalk goes along the chain.
type auditWalk struct {
	v     *AuditVerification
	last  AuditHead // of the rows so far
	held  *AuditHash
	found bool // held was passed, or is not asked for
}

func (w *auditWalk) broken(row, fault, detail string) error {
	w.v.Problem = &AuditProblem{Row: row, Fault: fault, Detail: detail}
	return errAuditBroken
}

// step holds the next row against the one before it.
func (w *auditWalk) step(r *auditRow) error {
	name := fmt.Sprintf("row %d (audit_id %d)", r.sequence, r.id)
	next := w.last.Sequence + 1
	switch {
	case r.sequence == 0:
		if w.last != w.v.Head { // what is missing before it says more
			w.end()
			return errAuditBroken
		}
		return w.broken(fmt.Sprintf("audit_id %d", r.id), "not chained", fmt.Sprintf(
			"it was written past the chain: by a host of an earlier version (meridian audit adopt takes it in), or by a stranger; recorded %s",
			r.At.UTC().Format("2006-01-02 15:04:05Z")))
	case r.sequence != next:
		return w.broken(fmt.Sprintf("row %d", next), "missing", fmt.Sprintf("after row %d comes row %d (audit_id %d)", w.last.Sequence, r.sequence, r.id))
	}
	var previous AuditHash
	copy(previous[:], r.previous)
	own := auditHash(r.sequence, &r.AuditEntry, previous)
	switch {
	case !bytes.Equal(r.hash, own[:]):
		return w.broken(name, "changed", "its content does not have its hash")
	case w.last.Hash != previous:
		return w.broken(name, "out of order", fmt.Sprintf("it was written after another row than the one at %d", w.last.Sequence))
	case r.sequence > w.v.Head.Sequence:
		return w.broken(name, "out of order", fmt.Sprintf("the head says that row %d is the last", w.v.Head.Sequence))
	}
	w.last = AuditHead{Sequence: r.sequence, Hash: own}
	w.v.Rows++
	if w.held != nil && *w.held == own {
		w.found, w.v.HeldAt = true, r.sequence
	}
	return nil
}

// end holds the last row against the head.
func (w *auditWalk) end() {
	switch {
	case w.last.Sequence < w.v.Head.Sequence:
		_ = w.broken(fmt.Sprintf("row %d", w.last.Sequence+1), "cut off",
			fmt.Sprintf("the log ends with row %d, the head says %d", w.last.Sequence, w.v.Head.Sequence))
	case w.last.Hash != w.v.Head.Hash:
		_ = w.broken(fmt.Sprintf("row %d", w.last.Sequence), "changed", "the head has another hash for it")
	case !w.found:
		_ = w.broken("the chain", "not the one that was held", fmt.Sprintf("no row has the hash %s: rows were cut off, or written anew", w.held))
	}
}
