package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// BatchClosing is a person's order to close a terminal's batch.
type BatchClosing struct {
	TID string
	// Who closes it and why, for the audit log. Both are needed.
	Who, Why string
	// Next is the number that the next batch gets; 0 takes the one that follows.
	// A terminal that was replaced counts from another one.
	Next int32
}

// ErrNoBatch: the terminal has no such batch.
var ErrNoBatch = errors.New("the terminal has no such batch")

// ErrBatchNumberUsed: a terminal's batch numbers are used once.
var ErrBatchNumberUsed = errors.New("the terminal has had a batch of that number")

// CloseBatch closes a terminal's current batch, open or waiting for an upload,
// with the host's totals, and opens the next one. It returns the number of the
// batch that it closed.
func CloseBatch(ctx context.Context, db ledger.TxBeginner, now time.Time, closing BatchClosing) (closed int32, err error) {
	if closing.Who == "" || closing.Why == "" {
		return 0, errors.New("close batch: who closes it and why must be said")
	}
	if closing.Next < 0 || closing.Next > maxBatchNo {
		return 0, fmt.Errorf("close batch: number %d: it is 1 to %d", closing.Next, maxBatchNo)
	}
	dir, err := LoadDirectory(ctx, db)
	if err != nil {
		return 0, err
	}
	return dir.closeBatch(ctx, db, now, closing, nil)
}

// closeBatch closes one, unless a last look at it, which may be nil and is taken when nobody can
// change the batch any more, gives an error.
func (d *Directory) closeBatch(ctx context.Context, db ledger.TxBeginner, now time.Time, closing BatchClosing,
	look func(tx pgx.Tx, bucket int16, t *Terminal, b *batch) error,
) (closed int32, err error) {
	t := d.Terminal(closing.TID)
	if t == nil {
		return 0, fmt.Errorf("close batch: %w: no terminal %s", ErrNoBatch, closing.TID)
	}
	m := d.Merchant(t.MID)
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		facts := newFacts(m.Bucket, now, d, 1)
		list, err := lockBatches(ctx, tx, facts, []int16{m.CalendarID}, []int32{t.ID})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return ErrNoBatch
		}
		b := facts.batches[t.ID]
		if look != nil {
			if err := look(tx, m.Bucket, t, b); err != nil {
				return err
			}
		}
		if closing.Next != 0 {
			b.next = closing.Next
			if err := numberIsFree(ctx, tx, m.Bucket, t.ID, closing.Next); err != nil {
				return err
			}
		}
		closed = b.number
		facts.change(b, t.ID, batchChange{to: BatchClosed, by: ClosedByPerson, number: b.number}, nil, facts.windows[m.CalendarID].Date)
		return storeClosed(ctx, tx, facts, &closing, closed)
	})
	if err != nil {
		return 0, fmt.Errorf("close batch of terminal %s: %w", closing.TID, err)
	}
	return closed, nil
}

// lockBatches locks what a unit that settles locks, in its order: the gate, then
// windows; and loads batches with their totals. It returns the terminals that
// have a batch.
func lockBatches(ctx context.Context, tx pgx.Tx, f *Facts, calendars []int16, terminals []int32) ([]int32, error) {
	l := loader{conn: tx.Conn(), facts: f}
	if _, err := tx.Exec(ctx, closeGateSQL, f.Bucket); err != nil {
		return nil, fmt.Errorf("close the gate: %w", err)
	}
	if err := l.lockWindows(ctx, calendars); err != nil {
		return nil, err
	}
	var found []int32
	b := &pgx.Batch{}
	queueBatches(b, f.Bucket, terminals, f.Now, func(terminalID int32, one *batch) {
		f.batches[terminalID] = one
		found = append(found, terminalID)
	})
	queueBatchTotals(b, f.Bucket, terminals, f.addSums)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("lock batches: %w", err)
	}
	return found, nil
}

func numberIsFree(ctx context.Context, tx pgx.Tx, bucket int16, terminalID, number int32) error {
	var used bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM batches WHERE bucket = $1 AND terminal_id = $2 AND batch_no = $3)`,
		bucket, terminalID, number).Scan(&used); err != nil {
		return fmt.Errorf("look for batch %d: %w", number, err)
	}
	if used {
		return fmt.Errorf("%w: %d", ErrBatchNumberUsed, number)
	}
	return nil
}

func storeClosed(ctx context.Context, tx pgx.Tx, f *Facts, closing *BatchClosing, closed int32) error {
	b := &pgx.Batch{}
	queueStore(b, f.Bucket, f)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if closing == nil {
		return nil
	}
	return AppendAudit(ctx, tx, AuditEntry{
		At: f.Now, Kind: "batch_closed", Subject: fmt.Sprintf("terminal %s batch %06d", closing.TID, closed),
		Detail: byWhom(closing.Who, closing.Why),
	})
}

// closeChunk is how many batches one transaction closes at the cutoff. It holds
// the gate alone, and no sale of the bucket gets through meanwhile: so few that
// it takes hardly longer than a unit of sales. With 8 of 350 transactions each,
// a sale in a hundred took six times as long as otherwise.
const closeChunk = 2

// CloseDueBatches closes, with the host's totals, the batches that hold
// transactions of business dates which are over, where the policy says so. A
// terminal's first request of the new date does the same for its own batch, so
// that none of the new date gets into it; this is for terminals that are silent.
func (s *Switch) CloseDueBatches(ctx context.Context) error {
	dir := s.directory.Load()
	if !dir.closesBatches() {
		return nil
	}
	for _, bucket := range dir.Buckets() {
		for after := int32(0); ; {
			last, n, err := s.closeDue(ctx, dir, bucket, after)
			if err != nil {
				return fmt.Errorf("close batches of bucket %d: %w", bucket, err)
			}
			if n < closeChunk {
				break
			}
			after = last
		}
	}
	return nil
}

// closesBatches tells whether any merchant's batches are closed at the cutoff.
func (d *Directory) closesBatches() bool {
	for _, m := range d.merchants {
		if m.Policy.AutoCloseBatch {
			return true
		}
	}
	return false
}

const dueBatchesSQL = `
SELECT b.terminal_id, m.calendar_id
FROM batches b
JOIN terminals t ON t.terminal_id = b.terminal_id
JOIN merchants m ON m.merchant_id = t.merchant_id
JOIN policies p ON p.policy_id = m.policy_id
JOIN business_days d ON d.calendar_id = m.calendar_id AND d.business_date = b.opened_date
WHERE b.bucket = $1 AND b.state < 4 AND b.terminal_id > $2 AND p.auto_close_batch AND d.closes_at <= $3
ORDER BY b.terminal_id LIMIT $4`

// closeDue closes the next chunk of batches, looking at each again under its lock.
func (s *Switch) closeDue(ctx context.Context, dir *Directory, bucket int16, after int32) (last int32, n int, err error) {
	now := s.now()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, dueBatchesSQL, bucket, after, now, closeChunk)
		if err != nil {
			return fmt.Errorf("find due batches: %w", err)
		}
		due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d dueTerminal, err error) {
			err = row.Scan(&d.terminalID, &d.calendarID)
			return d, err //nolint:wrapcheck // wrapped below
		})
		if err != nil {
			return fmt.Errorf("find due batches: %w", err)
		}
		if n = len(due); n == 0 {
			return nil
		}
		last = due[n-1].terminalID
		terminals := make([]int32, n)
		for i := range due {
			terminals[i] = due[i].terminalID
		}
		facts := newFacts(bucket, now, dir, 1)
		if _, err := lockBatches(ctx, tx, facts, calendarIDs(dir), terminals); err != nil {
			return err
		}
		facts.rollOver(due)
		return storeClosed(ctx, tx, facts, nil, 0)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("close due batches: %w", err)
	}
	return last, n, nil
}
