package switching

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/ledger"
)

// This file is the SQL of batches in units of work.

// Statements of every unit look things up one by one: OFFSET 0 keeps a lookup
// from being turned into a join, which a plan made while tables were small would
// do by reading all of a bucket.

// A unit holds its bucket's gate: FOR SHARE, or alone when it ends a batch. No
// batch of the bucket ends while another unit puts a transaction into it, and
// what is read after the gate is current. The gate comes before every other lock.
const (
	shareGateSQL = `SELECT gate FROM buckets WHERE bucket = $1 FOR SHARE`
	closeGateSQL = `SELECT gate FROM buckets WHERE bucket = $1 FOR NO KEY UPDATE`
)

// queueGate calls passed once the gate is ours.
func queueGate(b *pgx.Batch, bucket int16, alone bool, passed func()) {
	sql := shareGateSQL
	if alone {
		sql = closeGateSQL
	}
	b.Queue(sql, bucket).Exec(func(pgconn.CommandTag) error {
		passed()
		return nil
	})
}

// recentSQL lists the batches before c, the current one, of which the oldest ended
// no earlier than $3, the latest first: NULL for none. No more than 256, which are some
// 3 µs each: more than a terminal fills in the time in which it repeats, unless somebody
// sends recordings of its messages and ends its batches meanwhile.
const recentSQL = `CASE WHEN c.opened_at > $3 AND c.previous_no IS NOT NULL THEN
	CASE WHEN c.filled_no <> c.previous_no THEN ARRAY[c.previous_no] ELSE '{}' END || (
	WITH RECURSIVE earlier AS (
		SELECT coalesce(c.filled_no, c.previous_no) AS batch_no, 1 AS steps
		UNION ALL
		SELECT e.batch_no, s.steps + 1 FROM earlier s CROSS JOIN LATERAL (
			SELECT coalesce(e.filled_no, e.previous_no) AS batch_no FROM batches e
			WHERE e.bucket = $1 AND e.terminal_id = c.terminal_id AND e.batch_no = s.batch_no AND e.opened_at > $3
			OFFSET 0) e
		WHERE s.steps < 256)
	SELECT array_agg(batch_no ORDER BY steps) FILTER (WHERE batch_no > 0) FROM earlier) END`

const currentBatchesSQL = `
SELECT b.terminal_id, b.batch_no, b.state, b.opened_at, b.opened_date, b.filled_no, b.recent
FROM unnest($2::int[]) AS u(terminal_id)
CROSS JOIN LATERAL (
	SELECT c.terminal_id, c.batch_no, c.state, c.opened_at, c.opened_date, coalesce(c.filled_no, c.previous_no, 0) AS filled_no, ` + recentSQL + ` AS recent
	FROM batches c WHERE c.bucket = $1 AND c.terminal_id = u.terminal_id AND c.state < 5 OFFSET 0) b`

func queueBatches(b *pgx.Batch, bucket int16, terminals []int32, now time.Time, found func(terminalID int32, one *batch)) {
	b.Queue(currentBatchesSQL, bucket, terminals, now.Add(-rolloverReversal)).Query(func(rows pgx.Rows) error {
		var terminalID int32
		var one batch
		var opened *time.Time
		_, err := pgx.ForEachRow(rows, []any{&terminalID, &one.number, &one.state, &one.openedAt, &opened, &one.filledBefore, &one.recent}, func() error {
			current := one
			if opened != nil {
				current.openedDate = ledger.DateOf(*opened)
			}
			current.next = batchAfter(current.number)
			opened, one.recent = nil, nil
			found(terminalID, &current)
			return nil
		})
		return err //nolint:wrapcheck // wrapped by first
	})
}

// Totals of current batches, gross, and the number that follows each: a number
// is used once, so after 999999 the first free one is taken. A voided sale is
// found by its void, which has its amount; the sale's own row has nothing left.
// A batch's transactions are found by their keys. (EXISTS, for the number or the
// keys, would be looked up in a table of all of the bucket's, read for the purpose.)
const batchTotalsSQL = `
SELECT c.terminal_id, c.batch_no, c.stated_form, coalesce(c.stated_sale_count, 0), coalesce(c.stated_sale_minor, 0),
	coalesce(c.stated_refund_count, 0), coalesce(c.stated_refund_minor, 0), s.sale_count, s.sale_minor, s.void_count, s.void_minor, s.refund_count, s.refund_minor,
	CASE WHEN (SELECT n.batch_no FROM batches n WHERE n.bucket = $1 AND n.terminal_id = c.terminal_id AND n.batch_no = c.batch_no % 999999 + 1) IS NULL
		THEN c.batch_no % 999999 + 1
		ELSE (SELECT min(f.batch_no) + 1 FROM batches f
			WHERE f.bucket = $1 AND f.terminal_id = c.terminal_id AND f.batch_no > c.batch_no % 999999 AND NOT EXISTS (
				SELECT FROM batches n WHERE n.bucket = $1 AND n.terminal_id = f.terminal_id AND n.batch_no = f.batch_no + 1)) END,
	(SELECT k.class FROM idempotency_keys k
		WHERE k.bucket = $1 AND k.merchant_id = c.merchant_id AND k.terminal_id = c.terminal_id AND k.batch_no = c.batch_no AND k.class = 1
		LIMIT 1) IS NOT NULL
FROM unnest($2::int[]) AS u(terminal_id)
CROSS JOIN LATERAL (
	SELECT b.terminal_id, (SELECT e.merchant_id FROM terminals e WHERE e.terminal_id = b.terminal_id) AS merchant_id, b.batch_no,
		b.stated_form, b.stated_sale_count, b.stated_sale_minor, b.stated_refund_count, b.stated_refund_minor
	FROM batches b WHERE b.bucket = $1 AND b.terminal_id = u.terminal_id AND b.state < 5 OFFSET 0) c
CROSS JOIN LATERAL (
	SELECT count(*) FILTER (WHERE t.kind IN (2, 3, 4) OR t.kind = 5 AND o.terminal_id = c.terminal_id AND o.batch_no = c.batch_no) AS sale_count,
		coalesce(sum(CASE WHEN t.kind IN (2, 3, 4) THEN t.captured_minor
			WHEN t.kind = 5 AND o.terminal_id = c.terminal_id AND o.batch_no = c.batch_no THEN t.amount_minor END), 0)::bigint AS sale_minor,
		count(*) FILTER (WHERE t.kind = 5 AND o.kind IS NOT NULL) AS void_count,
		coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 5 AND o.kind IS NOT NULL), 0)::bigint AS void_minor,
		count(*) FILTER (WHERE t.kind = 6) AS refund_count,
		coalesce(sum(t.amount_minor) FILTER (WHERE t.kind = 6), 0)::bigint AS refund_minor
	FROM (
		SELECT r.kind, r.amount_minor, r.captured_minor, r.original_date, r.original_id
		FROM idempotency_keys k CROSS JOIN LATERAL (
			SELECT p.kind, p.amount_minor, p.captured_minor, p.original_date, p.original_id
			FROM transactions p WHERE p.bucket = $1 AND p.business_date = k.business_date AND p.transaction_id = k.transaction_id
				AND p.batch_no = k.batch_no AND p.kind BETWEEN 2 AND 6 AND p.state = 2 AND p.posted_date IS NULL
			OFFSET 0) r
		WHERE k.bucket = $1 AND k.merchant_id = c.merchant_id AND k.terminal_id = c.terminal_id AND k.batch_no = c.batch_no
			AND k.class = 1 AND NOT k.tombstone
		OFFSET 0) t
	LEFT JOIN LATERAL (
		SELECT v.kind, v.terminal_id, v.batch_no FROM transactions v
		WHERE t.kind = 5 AND v.bucket = $1 AND v.business_date = t.original_date AND v.transaction_id = t.original_id AND v.kind IN (2, 3, 4)
		OFFSET 0) o ON true) s`

// batchSums is what a current batch has come to, and what its terminal last said
// that it has.
type batchSums struct {
	terminalID, batchNo int32
	totals              Totals
	stated              *StatedTotals
	next                int32
	filled              bool
}

func queueBatchTotals(b *pgx.Batch, bucket int16, terminals []int32, found func(*batchSums)) {
	if len(terminals) == 0 {
		return
	}
	b.Queue(batchTotalsSQL, bucket, terminals).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var s batchSums
			var form *TotalsForm
			var stated StatedTotals
			t := &s.totals
			if err := rows.Scan(&s.terminalID, &s.batchNo,
				&form, &stated.SaleCount, &stated.SaleMinor, &stated.RefundCount, &stated.RefundMinor,
				&t.SaleCount, &t.SaleMinor, &t.VoidCount, &t.VoidMinor, &t.RefundCount, &t.RefundMinor, &s.next, &s.filled); err != nil {
				return fmt.Errorf("scan totals: %w", err)
			}
			if form != nil {
				stated.Form = *form
				s.stated = &stated
			}
			found(&s)
		}
		return rows.Err()
	})
}

// addSums gives a current batch what was loaded of it.
func (f *Facts) addSums(s *batchSums) {
	if current := f.batches[s.terminalID]; current != nil && current.number == s.batchNo {
		current.totals, current.stated, current.next = s.totals, s.stated, s.next
		current.filled = s.filled
	}
}

// Ended batches that settlements name, and the ones before the current.
const endedBatchesSQL = `
SELECT b.terminal_id, b.batch_no, coalesce(b.closed_by, 0), b.settlement_date, b.settlement_id,
	coalesce(b.sale_count, 0), coalesce(b.sale_minor, 0), coalesce(b.void_count, 0), coalesce(b.void_minor, 0),
	coalesce(b.refund_count, 0), coalesce(b.refund_minor, 0),
	b.stated_form, coalesce(b.stated_sale_count, 0), coalesce(b.stated_sale_minor, 0),
	coalesce(b.stated_refund_count, 0), coalesce(b.stated_refund_minor, 0)
FROM unnest($2::int[], $3::int[]) AS u(terminal_id, batch_no)
CROSS JOIN LATERAL (
	SELECT u.batch_no
	UNION SELECT c.previous_no FROM batches c WHERE c.bucket = $1 AND c.terminal_id = u.terminal_id AND c.state < 5) AS n(batch_no)
CROSS JOIN LATERAL (
	SELECT e.terminal_id, e.batch_no, e.closed_by, e.settlement_date, e.settlement_id,
		e.sale_count, e.sale_minor, e.void_count, e.void_minor, e.refund_count, e.refund_minor,
		e.stated_form, e.stated_sale_count, e.stated_sale_minor, e.stated_refund_count, e.stated_refund_minor
	FROM batches e WHERE e.bucket = $1 AND e.terminal_id = u.terminal_id AND e.batch_no = n.batch_no AND e.state = 5
	OFFSET 0) b`

func queueEndedBatches(b *pgx.Batch, bucket int16, terminals, numbers []int32, found func(batchKey, *batch, located)) {
	if len(terminals) == 0 {
		return
	}
	b.Queue(endedBatchesSQL, bucket, terminals, numbers).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			one := &batch{state: BatchClosed}
			var key batchKey
			var date *time.Time
			var id *[16]byte
			var form *TotalsForm
			var stated StatedTotals
			t := &one.totals
			if err := rows.Scan(&key.terminalID, &key.batchNo, &one.closedBy, &date, &id,
				&t.SaleCount, &t.SaleMinor, &t.VoidCount, &t.VoidMinor, &t.RefundCount, &t.RefundMinor,
				&form, &stated.SaleCount, &stated.SaleMinor, &stated.RefundCount, &stated.RefundMinor); err != nil {
				return fmt.Errorf("scan batch: %w", err)
			}
			one.number = key.batchNo
			if form != nil {
				stated.Form = *form
				one.stated = &stated
			}
			var settlement located
			if date != nil && id != nil {
				settlement = located{ledger.DateOf(*date), uuid.UUID(*id)}
			}
			found(key, one, settlement)
		}
		return rows.Err()
	})
}

// Keys of the batches that a request means: the stated one; or (0) the current
// one, those of the day before it, and, where this unit may begin it ($4), the
// one after it, which a reversal may have named already. Each number is looked up
// by itself: with batch_no = ANY(…) Postgres may read all of the terminal's keys,
// and filter them.
const keysSQL = `
SELECT u.merchant_id, u.terminal_id, k.batch_no, u.stan, u.class, k.tombstone, k.business_date, k.transaction_id
FROM unnest($2::key_probe[]) AS u
CROSS JOIN LATERAL unnest(CASE WHEN u.batch_no > 0 THEN ARRAY[u.batch_no] ELSE (
	SELECT ARRAY[c.batch_no, CASE WHEN $4 THEN c.batch_no % 999999 + 1 END] || ` + recentSQL + `
	FROM batches c WHERE c.bucket = $1 AND c.terminal_id = u.terminal_id AND c.state < 5) END) AS n(batch_no)
CROSS JOIN LATERAL (
	SELECT i.batch_no, i.tombstone, i.business_date, i.transaction_id
	FROM idempotency_keys i
	WHERE i.bucket = $1 AND i.merchant_id = u.merchant_id AND i.terminal_id = u.terminal_id AND i.stan = u.stan AND i.batch_no = n.batch_no
		AND i.class = u.class
	OFFSET 0) k`

// Which keys of batches that have ended are unconfirmed: the host closed the batch
// and its terminal has not settled it since, or the terminal did not show the
// transaction in its upload.
const unconfirmedSQL = `
SELECT u.place
FROM unnest($2::int[], $3::int[], $4::int[]) WITH ORDINALITY AS u(terminal_id, batch_no, stan, place)
CROSS JOIN LATERAL (
	SELECT b.closed_by, b.settlement_id FROM batches b
	WHERE b.bucket = $1 AND b.terminal_id = u.terminal_id AND b.batch_no = u.batch_no AND b.state = 5
	OFFSET 0) e
WHERE e.closed_by IN (3, 4) AND e.settlement_id IS NULL OR (
	SELECT true FROM batch_differences d
	WHERE d.bucket = $1 AND d.terminal_id = u.terminal_id AND d.batch_no = u.batch_no AND d.kind = 'missing_from_terminal' AND d.stan = u.stan)`

// Keys in any batch, for references that name a STAN and no batch: one look at each batch
// that the terminal has had, because a key has its batch before its STAN.
const keysInAnyBatchSQL = `
SELECT u.merchant_id, u.terminal_id, k.batch_no, u.stan, u.class, k.tombstone, k.business_date, k.transaction_id
FROM unnest($2::key_probe[]) AS u
CROSS JOIN LATERAL (
	SELECT b.batch_no FROM batches b WHERE b.bucket = $1 AND b.terminal_id = u.terminal_id OFFSET 0) n
CROSS JOIN LATERAL (
	SELECT i.batch_no, i.tombstone, i.business_date, i.transaction_id
	FROM idempotency_keys i
	WHERE i.bucket = $1 AND i.merchant_id = u.merchant_id AND i.terminal_id = u.terminal_id AND i.stan = u.stan AND i.batch_no = n.batch_no
		AND i.class = u.class
	OFFSET 0) k`

const insertBatchesSQL = `
INSERT INTO batches (bucket, terminal_id, batch_no, opened_at, opened_date)
SELECT b.bucket, u.terminal_id, u.batch_no, $4, u.opened_date
FROM buckets b, unnest($2::int[], $3::int[], $5::date[]) AS u(terminal_id, batch_no, opened_date)
WHERE b.bucket = $1`

func queueNewBatches(b *pgx.Batch, bucket int16, batches map[int32]newBatch, now time.Time) {
	if len(batches) == 0 {
		return
	}
	var terminals, numbers []int32
	var dates []time.Time
	// In their order: the first transactions of two terminals may come to two hosts at once.
	for _, terminalID := range slices.Sorted(maps.Keys(batches)) {
		opened := batches[terminalID]
		terminals, numbers = append(terminals, terminalID), append(numbers, opened.number)
		dates = append(dates, opened.date.Time())
	}
	b.Queue(insertBatchesSQL, bucket, terminals, numbers, now, dates)
}

const (
	uploadBatchSQL = `
UPDATE batches SET state = $4, stated_form = $5, stated_sale_count = $6, stated_sale_minor = $7, stated_refund_count = $8, stated_refund_minor = $9
WHERE bucket = $1 AND terminal_id = $2 AND batch_no = $3`

	redateBatchSQL = `UPDATE batches SET opened_date = $4 WHERE bucket = $1 AND terminal_id = $2 AND batch_no = $3`

	settleEndedSQL = `
UPDATE batches SET settlement_date = $4, settlement_id = $5,
	stated_form = $6, stated_sale_count = $7, stated_sale_minor = $8, stated_refund_count = $9, stated_refund_minor = $10
WHERE bucket = $1 AND terminal_id = $2 AND batch_no = $3`

	closeBatchSQL = `
UPDATE batches SET state = 5, closed_at = $4, closed_date = $5, closed_by = $6, settlement_date = $7, settlement_id = $8,
	sale_count = $9, sale_minor = $10, void_count = $11, void_minor = $12, refund_count = $13, refund_minor = $14,
	stated_form = coalesce($15, stated_form), stated_sale_count = coalesce($16, stated_sale_count), stated_sale_minor = coalesce($17, stated_sale_minor),
	stated_refund_count = coalesce($18, stated_refund_count), stated_refund_minor = coalesce($19, stated_refund_minor)
WHERE bucket = $1 AND terminal_id = $2 AND batch_no = $3`

	openNextBatchSQL = `
INSERT INTO batches (bucket, terminal_id, batch_no, opened_at, opened_date, previous_no, filled_no)
SELECT b.bucket, $2, $3, $4, $5, $6, $7 FROM buckets b WHERE b.bucket = $1`

	// Once an upload has ended: what stands with the host and was not shown. A
	// void is missing where its sale was shown or lies in another batch: a
	// terminal that takes voids off its sales shows neither of the two.
	missingSQL = `
WITH kept AS MATERIALIZED (
	SELECT t.bucket, t.kind, t.state, t.stan, t.terminal_id, t.batch_no, t.amount_minor, t.captured_minor, t.posted_date, t.business_date,
		t.transaction_id, t.original_date, t.original_id
	FROM idempotency_keys k CROSS JOIN LATERAL (
		SELECT p.bucket, p.kind, p.state, p.stan, p.terminal_id, p.batch_no, p.amount_minor, p.captured_minor, p.posted_date, p.business_date,
			p.transaction_id, p.original_date, p.original_id
		FROM transactions p WHERE p.bucket = $1 AND p.business_date = k.business_date AND p.transaction_id = k.transaction_id AND p.batch_no = k.batch_no
		OFFSET 0) t
	WHERE k.bucket = $1 AND k.merchant_id = (SELECT e.merchant_id FROM terminals e WHERE e.terminal_id = $2) AND k.terminal_id = $2
		AND k.batch_no = $3 AND k.class IN (1, 5) AND NOT k.tombstone),
shown AS MATERIALIZED (
	SELECT s.original_id AS transaction_id FROM kept s WHERE s.kind = 21 AND s.original_id IS NOT NULL
	UNION ALL
	SELECT i.transaction_id FROM upload_items i WHERE i.bucket = $1 AND i.terminal_id = $2 AND i.batch_no = $3)
INSERT INTO batch_differences (bucket, terminal_id, batch_no, kind, stan, raised_at, host_minor, business_date, transaction_id)
SELECT t.bucket, t.terminal_id, t.batch_no, 'missing_from_terminal', t.stan, $4,
	CASE WHEN t.kind IN (2, 3, 4) THEN t.captured_minor ELSE t.amount_minor END, t.business_date, t.transaction_id
FROM kept t
LEFT JOIN LATERAL (
	SELECT v.kind, v.terminal_id, v.batch_no, v.transaction_id FROM transactions v
	WHERE t.kind = 5 AND v.bucket = $1 AND v.business_date = t.original_date AND v.transaction_id = t.original_id
	OFFSET 0) o ON true
WHERE t.state = 2
	AND (t.kind IN (2, 3, 4) OR t.kind = 6 AND t.posted_date IS NULL
		OR t.kind = 5 AND o.kind IN (2, 3, 4) AND (o.terminal_id <> t.terminal_id OR o.batch_no <> t.batch_no OR EXISTS (
			SELECT FROM shown WHERE shown.transaction_id = o.transaction_id)))
	AND NOT EXISTS (SELECT FROM shown WHERE shown.transaction_id = t.transaction_id)
ON CONFLICT DO NOTHING`

	insertDifferencesSQL = `
INSERT INTO batch_differences (bucket, terminal_id, batch_no, kind, stan, raised_at, terminal_minor, host_minor, business_date, transaction_id)
SELECT b.bucket, u.terminal_id, u.batch_no, u.kind, u.stan, $2, u.terminal_minor, u.host_minor, u.business_date, u.transaction_id
FROM buckets b, unnest($3::int[], $4::int[], $5::text[], $6::int[], $7::bigint[], $8::bigint[], $9::date[], $10::uuid[])
	AS u(terminal_id, batch_no, kind, stan, terminal_minor, host_minor, business_date, transaction_id)
WHERE b.bucket = $1
ON CONFLICT DO NOTHING`
)

// queueBatchWrites stores what became of batches, in the order in which it did:
// there is one current batch at any time.
func queueBatchWrites(b *pgx.Batch, bucket int16, writes []batchWrite, now time.Time) {
	for i := range writes {
		w := &writes[i]
		switch {
		case w.next != nil:
			queueClose(b, bucket, w, now)
		case w.change.to == BatchClosed:
			b.Queue(settleEndedSQL, append([]any{bucket, w.terminalID, w.batchNo, w.settlement.BusinessDate.Time(), [16]byte(w.settlement.ID)},
				w.change.stated.columns()...)...)
		case w.change.to == BatchOpen:
			b.Queue(redateBatchSQL, bucket, w.terminalID, w.batchNo, w.closedDate.Time())
		default:
			b.Queue(uploadBatchSQL, append([]any{bucket, w.terminalID, w.batchNo, int16(w.change.to)}, w.change.stated.columns()...)...)
		}
	}
}

func queueClose(b *pgx.Batch, bucket int16, w *batchWrite, now time.Time) {
	var settledOn *time.Time
	var settledBy *[16]byte
	if w.settlement != nil {
		on, id := w.settlement.BusinessDate.Time(), [16]byte(w.settlement.ID)
		settledOn, settledBy = &on, &id
	}
	t := &w.totals
	b.Queue(closeBatchSQL, append([]any{
		bucket, w.terminalID, w.batchNo, now, w.closedDate.Time(), int16(w.change.by), settledOn, settledBy,
		t.SaleCount, t.SaleMinor, t.VoidCount, t.VoidMinor, t.RefundCount, t.RefundMinor,
	}, w.change.stated.columns()...)...)
	b.Queue(openNextBatchSQL, bucket, w.terminalID, w.next.number, now, w.next.openedDate.Time(), w.batchNo, w.next.filledBefore)
	if w.change.upload {
		b.Queue(missingSQL, bucket, w.terminalID, w.batchNo, now)
	}
}

// columns of stated totals: form, sales, refunds; NULLs without any.
func (s *StatedTotals) columns() []any {
	if s == nil {
		return []any{(*int16)(nil), (*int32)(nil), (*int64)(nil), (*int32)(nil), (*int64)(nil)}
	}
	return []any{int16(s.Form), s.SaleCount, s.SaleMinor, s.RefundCount, s.RefundMinor}
}

const insertShownSQL = `
INSERT INTO upload_items (bucket, terminal_id, batch_no, transaction_id)
SELECT b.bucket, u.terminal_id, u.batch_no, u.transaction_id
FROM buckets b, unnest($2::int[], $3::int[], $4::uuid[]) AS u(terminal_id, batch_no, transaction_id)
WHERE b.bucket = $1
ON CONFLICT DO NOTHING`

func queueShown(b *pgx.Batch, bucket int16, shown []*Record) {
	if len(shown) == 0 {
		return
	}
	var terminals, numbers []int32
	var ids [][16]byte
	for _, o := range shown {
		terminals, numbers, ids = append(terminals, o.TerminalID), append(numbers, o.BatchNo), append(ids, [16]byte(o.ID))
	}
	b.Queue(insertShownSQL, bucket, terminals, numbers, ids)
}

func queueDifferences(b *pgx.Batch, bucket int16, list []batchDifference, now time.Time) {
	if len(list) == 0 {
		return
	}
	var terminals, numbers, stans []int32
	var kinds []string
	var terminalMinor, hostMinor []*int64
	var dates []*time.Time
	var ids []*[16]byte
	for _, one := range list {
		number := one.upload.BatchNo
		var date *time.Time
		var id *[16]byte
		if o := one.Record; o != nil {
			number = o.BatchNo
			on, transaction := o.BusinessDate.Time(), [16]byte(o.ID)
			date, id = &on, &transaction
		}
		terminals, numbers, stans = append(terminals, one.upload.TerminalID), append(numbers, number), append(stans, one.STAN)
		kinds = append(kinds, one.Kind)
		terminalMinor, hostMinor = append(terminalMinor, one.TerminalMinor), append(hostMinor, one.HostMinor)
		dates, ids = append(dates, date), append(ids, id)
	}
	b.Queue(insertDifferencesSQL, bucket, now, terminals, numbers, kinds, stans, terminalMinor, hostMinor, dates, ids)
}
