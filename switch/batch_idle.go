package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/ledger"
)

// IdleBatch is a batch that its terminal has not settled, and has not used for long.
type IdleBatch struct {
	TID     string `json:"tid"`
	MID     string `json:"mid"`
	BatchNo int32  `json:"batch"`
	// Last is the business date of its newest transaction.
	Last ledger.Date `json:"last"`
}

// idleBatchesSQL goes from batches to their keys: those that have none are nobody's concern.
const idleBatchesSQL = `
SELECT t.tid, m.mid, b.batch_no, k.last
FROM batches b JOIN terminals t USING (terminal_id) JOIN merchants m USING (merchant_id)
CROSS JOIN LATERAL (
	SELECT max(k.business_date) AS last FROM idempotency_keys k
	WHERE k.bucket = b.bucket AND k.merchant_id = t.merchant_id AND k.terminal_id = b.terminal_id AND k.batch_no = b.batch_no) k
WHERE b.state < 5 AND k.last < $1
ORDER BY t.tid`

// IdleBatches are the current batches whose newest transaction is of a business date before
// the one given, in the order of their terminals.
func IdleBatches(ctx context.Context, db ledger.Querier, before ledger.Date) ([]*IdleBatch, error) {
	rows, err := db.Query(ctx, idleBatchesSQL, before.Time())
	if err != nil {
		return nil, fmt.Errorf("find idle batches: %w", err)
	}
	idle, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*IdleBatch, error) {
		var b IdleBatch
		var last time.Time
		err := row.Scan(&b.TID, &b.MID, &b.BatchNo, &last)
		b.Last = ledger.DateOf(last)
		return &b, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("find idle batches: %w", err)
	}
	return idle, nil
}

// errNotIdle: a terminal has used its batch, or ended it, since it was listed.
var errNotIdle = errors.New("the batch is in use")

// CloseIdleBatches closes what [IdleBatches] finds, one by one and each as [CloseBatch] does. A batch
// that is used again meanwhile is left. It returns those that it closed, after an error, too.
func CloseIdleBatches(ctx context.Context, pool *pgxpool.Pool, now time.Time, before ledger.Date, why PolicyChange) ([]*IdleBatch, error) {
	if why.Who == "" || why.Why == "" {
		return nil, errors.New("close batches: who closes them and why must be said")
	}
	dir, err := LoadDirectory(ctx, pool)
	if err != nil {
		return nil, err
	}
	idle, err := IdleBatches(ctx, pool, before)
	if err != nil {
		return nil, err
	}
	var closed []*IdleBatch
	for _, one := range idle {
		_, err := dir.closeBatch(ctx, pool, now, BatchClosing{TID: one.TID, Who: why.Who, Why: why.Why},
			func(tx pgx.Tx, bucket int16, t *Terminal, b *batch) error {
				return one.isStillIdle(ctx, tx, bucket, t, b, before)
			})
		if errors.Is(err, errNotIdle) || errors.Is(err, ErrNoBatch) {
			continue
		}
		if err != nil {
			return closed, err
		}
		closed = append(closed, one)
	}
	return closed, nil
}

// isStillIdle looks again, in the transaction that holds the bucket's gate alone.
func (i *IdleBatch) isStillIdle(ctx context.Context, tx pgx.Tx, bucket int16, t *Terminal, b *batch, before ledger.Date) error {
	if b.number != i.BatchNo {
		return errNotIdle
	}
	var used bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM idempotency_keys
			WHERE bucket = $1 AND merchant_id = $2 AND terminal_id = $3 AND batch_no = $4 AND business_date >= $5)`,
		bucket, t.MerchantID, t.ID, b.number, before.Time()).Scan(&used)
	if err != nil {
		return fmt.Errorf("look whether batch %06d is in use: %w", b.number, err)
	}
	if used {
		return errNotIdle
	}
	return nil
}
