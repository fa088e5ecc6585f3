package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// adoptAtOnce bounds what one adoption takes in: some 1,000 letters a row.
const adoptAtOnce = 10_000

// AdoptAudit takes rows into the chain that were written past it by hosts of a
// version before the chain, in the order they were written, and says so in the
// log. Their number; at most 10,000, so that 0 means that none is left. It needs
// the owner's privileges: a host cannot change a row.
func AdoptAudit(ctx context.Context, db ledger.TxBeginner, who, why string) (int, error) {
	if who == "" || why == "" {
		return 0, errors.New("adopt audit rows: who does it and why must be said")
	}
	var n int
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		n, err = adoptAudit(ctx, tx, who, why)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("adopt audit rows: %w", err)
	}
	return n, nil
}

func adoptAudit(ctx context.Context, tx pgx.Tx, who, why string) (int, error) {
	head, err := lockAuditHead(ctx, tx)
	if err != nil {
		return 0, err
	}
	var ids []int64
	var links auditLinks
	var id int64
	var e AuditEntry
	rows, err := tx.Query(ctx, `
		SELECT audit_id, recorded_at, kind, subject, detail FROM audit_log WHERE sequence IS NULL ORDER BY audit_id LIMIT $1`, adoptAtOnce)
	if err != nil {
		return 0, fmt.Errorf("read rows: %w", err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&id, &e.At, &e.Kind, &e.Subject, &e.Detail}, func() error {
		ids = append(ids, id)
		head = links.add(head, &e)
		return nil
	}); err != nil {
		return 0, fmt.Errorf("read rows: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	b := &pgx.Batch{}
	b.Queue(`
		UPDATE audit_log a SET sequence = u.sequence, previous_hash = u.previous_hash, hash = u.hash
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[]) AS u(audit_id, sequence, previous_hash, hash)
		WHERE a.audit_id = u.audit_id AND a.sequence IS NULL`, ids, links.sequences, links.previous, links.hashes)
	queueAuditHead(b, head)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, fmt.Errorf("chain rows: %w", err)
	}
	return len(ids), AppendAudit(ctx, tx, AuditEntry{
		At: time.Now(), Kind: "audit_adopted", Subject: fmt.Sprintf("audit_id %d to %d", ids[0], ids[len(ids)-1]),
		Detail: fmt.Sprintf("%d rows, %s", len(ids), byWhom(who, why)),
	})
}
