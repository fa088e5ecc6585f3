package switching

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// This file is the package's SQL for units of work. Every statement is for one
// bucket and names its columns.

const (
	byRRNSQL = `
SELECT t.rrn, t.business_date, t.transaction_id FROM transactions t
WHERE t.bucket = $1 AND t.rrn = ANY($2::bigint[]) AND t.business_date BETWEEN {month}`

	// Where its digits did not lead to an RRN.
	byRRNAnywhereSQL = `
SELECT rrn, business_date, transaction_id FROM transactions WHERE bucket = $1 AND rrn = ANY($2::bigint[])`
)

const byInvoiceSQL = `
SELECT t.business_date, t.transaction_id
FROM unnest($2::int[], $3::text[]) AS u(terminal_id, invoice)
JOIN transactions t ON t.bucket = $1 AND t.terminal_id = u.terminal_id AND t.invoice = u.invoice`

const byAuthCodeSQL = `
SELECT t.business_date, t.transaction_id
FROM unnest($2::int[], $3::text[]) AS u(merchant_id, auth_code)
CROSS JOIN LATERAL (
	SELECT a.business_date, a.transaction_id FROM transactions a
	WHERE a.bucket = $1 AND a.merchant_id = u.merchant_id AND a.auth_code = u.auth_code AND a.kind = 1
	OFFSET 0) t`

const recordColumns = `t.business_date, t.transaction_id, t.accepted_at, t.rrn, coalesce(t.card_id, 0), t.amount_minor, t.cashback_minor,
	t.captured_minor, t.refunded_minor, t.refund_count, t.merchant_id, t.terminal_id, t.batch_no, t.stan, t.calendar_id, t.currency,
	t.asked, t.kind, t.state, t.reason, t.rule, t.digest, coalesce(t.auth_code, ''), t.pan_token, coalesce(t.pan_masked, ''),
	coalesce(t.invoice, ''), t.echo, t.balance_minor, t.original_date, t.original_id, t.decision,
	t.reviewed_minor, t.posted_date, coalesce(t.operator_no, ''), t.told_by, coalesce(t.remark, ''), coalesce(t.previous_minor, 0),
	(SELECT d.closes_at FROM business_days d WHERE d.calendar_id = t.calendar_id AND d.business_date = t.business_date),
	coalesce((SELECT b.state = 5 FROM batches b WHERE b.bucket = t.bucket AND b.terminal_id = t.terminal_id AND b.batch_no = t.batch_no), false)`

const lockRecordsSQL = `
SELECT ` + recordColumns + `
FROM unnest($2::date[], $3::uuid[]) AS u(on_date, id)
JOIN transactions t ON t.bucket = $1 AND t.business_date = u.on_date AND t.transaction_id = u.id
WHERE t.business_date BETWEEN {month}
ORDER BY t.transaction_id DESC FOR UPDATE OF t`

func scanRecord(row pgx.CollectableRow) (*Record, error) { return scanRecordAfter(row) }

// scanRecordAfter scans recordColumns, which follow the columns before.
func scanRecordAfter(row pgx.CollectableRow, before ...any) (*Record, error) {
	var r Record
	var date time.Time
	var originalDate, postedDate, closesAt *time.Time
	var id [16]byte
	var originalID *[16]byte
	var token, digest []byte
	var balance *int64
	if err := row.Scan(append(before, &date, &id, &r.AcceptedAt, &r.RRN, &r.CardID, &r.AmountMinor, &r.CashbackMinor,
		&r.CapturedMinor, &r.RefundedMinor, &r.RefundCount, &r.MerchantID, &r.TerminalID, &r.BatchNo, &r.STAN, &r.CalendarID, &r.Currency,
		&r.Asked, &r.Kind, &r.State, &r.Reason, &r.Rule, &digest, &r.AuthCode, &token, &r.Masked,
		&r.Invoice, &r.Echo, &balance, &originalDate, &originalID, &r.Decision,
		&r.ReviewedMinor, &postedDate, &r.OperatorNo, &r.ToldBy, &r.Remark, &r.PreviousMinor, &closesAt, &r.BatchClosed)...); err != nil {
		return nil, fmt.Errorf("scan transaction: %w", err)
	}
	r.BusinessDate, r.ID = ledger.DateOf(date), uuid.UUID(id)
	copy(r.Token[:], token)
	copy(r.Digest[:], digest)
	if balance != nil {
		r.BalanceMinor, r.HasBalance = *balance, true
	}
	if originalID != nil && originalDate != nil {
		r.OriginalID, r.OriginalDate = uuid.UUID(*originalID), ledger.DateOf(*originalDate)
	}
	if postedDate != nil {
		r.PostedDate = ledger.DateOf(*postedDate)
	}
	if closesAt != nil {
		r.WindowClosesAt = *closesAt
	}
	r.read = r.current()
	return &r, nil
}

const insertRecordsSQL = `
INSERT INTO transactions (bucket, business_date, transaction_id, accepted_at, rrn, card_id, amount_minor, cashback_minor,
	captured_minor, refunded_minor, refund_count, merchant_id, terminal_id, batch_no, stan, calendar_id, currency,
	asked, kind, state, reason, rule, digest, auth_code, pan_token, pan_masked, invoice, echo, balance_minor,
	original_date, original_id, decision, operator_no, remark, previous_minor)
SELECT b.bucket, u.business_date, u.transaction_id, u.accepted_at, u.rrn, u.card_id, u.amount_minor, u.cashback_minor,
	u.captured_minor, u.refunded_minor, u.refund_count, u.merchant_id, u.terminal_id, u.batch_no, u.stan, u.calendar_id, u.currency,
	u.asked, u.kind, u.state, u.reason, u.rule, u.digest, u.auth_code, u.pan_token, u.pan_masked,
	u.invoice, u.echo, u.balance_minor, u.original_date, u.original_id, u.decision, u.operator_no,
	u.remark, u.previous_minor
FROM buckets b, unnest($2::new_transaction[]) AS u
WHERE b.bucket = $1`

const copyRecordsSQL = `
COPY transactions (bucket, business_date, transaction_id, accepted_at, rrn, card_id, amount_minor, cashback_minor,
	captured_minor, refunded_minor, refund_count, merchant_id, terminal_id, batch_no, stan, calendar_id, currency,
	asked, kind, state, reason, rule, digest, auth_code, pan_token, pan_masked, invoice, echo, balance_minor,
	original_date, original_id, decision, operator_no, remark, previous_minor) FROM STDIN (FORMAT binary)`

func newTransaction() *postgres.RowType {
	const date, id, text, data = pgtype.DateOID, pgtype.UUIDOID, pgtype.TextOID, pgtype.ByteaOID
	const small, integer, big = pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID
	return &postgres.RowType{Name: "new_transaction", Columns: []uint32{
		date, id, pgtype.TimestamptzOID, big, big, big, big, big, big, small, integer, integer, integer, integer, small, small,
		small, small, small, small, small, data, text, data, text, text, data, big, date, id, pgtype.JSONBOID, text, text, big,
	}}
}

func optional[T any](present bool, v T) *T {
	if !present {
		return nil
	}
	return &v
}

func queueRecords(b *pgx.Batch, bucket int16, records []*Record) {
	if len(records) == 0 {
		return
	}
	rows := postgres.NewRows(newTransaction(), len(records), 400).CopiedBy(copyRecordsSQL, bucket)
	for _, r := range records {
		appendRecord(rows, r)
	}
	b.Queue(insertRecordsSQL, rows.Known(), bucket, rows)
}

func appendRecord(rows *postgres.Rows, r *Record) {
	rows.Begin()
	rows.Date(int32(r.BusinessDate))
	rows.UUID(r.ID)
	rows.Time(r.AcceptedAt)
	rows.Int64(r.RRN)
	optionalInt64(rows, r.CardID != 0, r.CardID)
	for _, minor := range []int64{r.AmountMinor, r.CashbackMinor, r.CapturedMinor, r.RefundedMinor} {
		rows.Int64(minor)
	}
	rows.Int16(r.RefundCount)
	for _, number := range []int32{r.MerchantID, r.TerminalID, r.BatchNo, r.STAN} {
		rows.Int32(number)
	}
	for _, number := range []int16{
		r.CalendarID, int16(r.Currency), int16(r.Asked), int16(r.Kind), int16(r.State), int16(r.Reason), int16(r.Rule),
	} {
		rows.Int16(number)
	}
	rows.Bytes(r.Digest[:])
	rows.Text(r.AuthCode)
	if r.Token == [16]byte{} {
		rows.Null()
	} else {
		rows.Bytes(r.Token[:])
	}
	rows.Text(r.Masked)
	rows.Text(r.Invoice)
	rows.Bytes(r.Echo)
	optionalInt64(rows, r.HasBalance, r.BalanceMinor)
	if r.OriginalID == uuid.Nil {
		rows.Null()
		rows.Null()
	} else {
		rows.Date(int32(r.OriginalDate))
		rows.UUID(r.OriginalID)
	}
	rows.JSON(r.Decision)
	rows.Text(r.OperatorNo)
	rows.Text(r.Remark)
	optionalInt64(rows, r.Kind == KindAdjustment, r.PreviousMinor)
	rows.End()
}

func optionalInt64(rows *postgres.Rows, present bool, v int64) {
	if present {
		rows.Int64(v)
	} else {
		rows.Null()
	}
}

// A plain insert, so that a key which another host took meanwhile ends the
// unit (23505); run again, it finds that key's stored answer.
const insertKeysSQL = `
INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, tombstone, business_date, transaction_id)
SELECT b.bucket, u.merchant_id, u.terminal_id, u.batch_no, u.stan, u.class, u.tombstone, u.business_date, u.transaction_id
FROM buckets b, unnest($2::new_key[]) AS u
WHERE b.bucket = $1`

const copyKeysSQL = `
COPY idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, tombstone, business_date, transaction_id)
FROM STDIN (FORMAT binary)`

// Only a tombstone is ever replaced, by the late original that it declined.
const replaceTombstonesSQL = `
UPDATE idempotency_keys k SET tombstone = u.tombstone, business_date = u.business_date, transaction_id = u.transaction_id
FROM unnest($2::new_key[]) AS u
WHERE k.bucket = $1 AND k.merchant_id = u.merchant_id AND k.terminal_id = u.terminal_id AND k.batch_no = u.batch_no
	AND k.stan = u.stan AND k.class = u.class AND k.tombstone`

// queueKeyChanges writes each key once, as the unit's last verdict left it: in their order,
// because the same keys may come to two hosts at once, and who writes one waits for the other.
func queueKeyChanges(b *pgx.Batch, bucket int16, changes []keyChange) {
	last, inserted := make(map[Key]keyChange, len(changes)), make(map[Key]bool, len(changes))
	order := make([]Key, 0, len(changes))
	for _, c := range changes {
		if _, seen := last[c.key]; !seen {
			order = append(order, c.key)
			inserted[c.key] = !c.replaces
		}
		last[c.key] = c
	}
	slices.SortFunc(order, Key.compare)
	for _, statement := range []struct {
		sql    string
		insert bool
	}{{insertKeysSQL, true}, {replaceTombstonesSQL, false}} {
		n := 0
		for _, k := range order {
			if inserted[k] == statement.insert {
				n++
			}
		}
		if n == 0 {
			continue
		}
		rows := postgres.NewRows(newKey(), n, 96)
		if statement.insert {
			rows.CopiedBy(copyKeysSQL, bucket)
		}
		for _, k := range order {
			if inserted[k] == statement.insert {
				appendKey(rows, k, last[k])
			}
		}
		b.Queue(statement.sql, rows.Known(), bucket, rows)
	}
}

func newKey() *postgres.RowType {
	return &postgres.RowType{Name: "new_key", Columns: []uint32{
		pgtype.Int4OID, pgtype.Int4OID, pgtype.Int4OID, pgtype.Int4OID, pgtype.Int2OID, pgtype.BoolOID, pgtype.DateOID, pgtype.UUIDOID,
	}}
}

func appendKey(rows *postgres.Rows, k Key, c keyChange) {
	rows.Begin()
	for _, number := range []int32{k.MerchantID, k.TerminalID, k.BatchNo, k.STAN} {
		rows.Int32(number)
	}
	rows.Int16(int16(k.Class))
	rows.Bool(c.tombstone)
	rows.Date(int32(c.record.BusinessDate))
	rows.UUID(c.record.ID)
	rows.End()
}

// In the array's order, the newest first, as lockRecordsSQL has it, and the newest month before
// others: what speaks of an original is locked before that, whether a unit has found the one by
// the other or knows both, and two units do not wait for each other. What was read under lock is as it was read.
const updateRecordsSQL = `
WITH changed AS (
	UPDATE transactions t SET state = u.state, captured_minor = u.captured_minor, refunded_minor = u.refunded_minor,
		refund_count = u.refund_count, reviewed_minor = u.reviewed_minor, told_by = u.told_by
	FROM unnest($2::record_step[]) AS u
	WHERE t.bucket = $1 AND t.business_date = u.business_date AND t.transaction_id = u.transaction_id AND t.business_date BETWEEN {month}
		AND t.state = u.read_state AND t.captured_minor = u.read_captured_minor AND t.refunded_minor = u.read_refunded_minor
		AND t.refund_count = u.read_refund_count AND t.reviewed_minor = u.read_reviewed_minor
		AND t.told_by IS NOT DISTINCT FROM u.read_told_by
	RETURNING 1)
SELECT meridian_presumed(count(*), $3) FROM changed`

// queueRecordChanges stores what became of records. It fails with an error of which the
// constraint is meridian_presumed where one is not as it was decided over.
func queueRecordChanges(b *pgx.Batch, bucket int16, records []*Record) {
	months := byMonth[*Record]{}
	for _, r := range records {
		months.add(monthOf(r.BusinessDate), r)
	}
	for _, m := range months.newestFirst() {
		of := months[m]
		slices.SortFunc(of, func(a, b *Record) int { return bytes.Compare(b.ID[:], a.ID[:]) })
		rows := postgres.NewRows(recordStep(), len(of), 160)
		for _, r := range of {
			appendRecordStep(rows, r)
		}
		b.Queue(m.in(updateRecordsSQL), rows.Known(), bucket, rows, len(of))
	}
}

func appendRecordStep(rows *postgres.Rows, r *Record) {
	rows.Begin()
	rows.Date(int32(r.BusinessDate))
	rows.UUID(r.ID)
	for _, state := range []recordState{r.current(), r.read} {
		rows.Int16(int16(state.state))
		rows.Int64(state.capturedMinor)
		rows.Int64(state.refundedMinor)
		rows.Int16(state.refundCount)
		rows.Int64(state.reviewedMinor)
		rows.UUIDs(state.toldBy)
	}
	rows.End()
}

func recordStep() *postgres.RowType {
	const small, big, ids = pgtype.Int2OID, pgtype.Int8OID, pgtype.UUIDArrayOID
	return &postgres.RowType{Name: "record_step", Columns: []uint32{
		pgtype.DateOID, pgtype.UUIDOID, small, big, big, small, big, ids, small, big, big, small, big, ids,
	}}
}

const insertExceptionsSQL = `
INSERT INTO exceptions (bucket, exception_id, raised_at, kind, business_date, transaction_id, detail)
SELECT b.bucket, u.exception_id, $2, u.kind, u.business_date, u.transaction_id, u.detail
FROM buckets b, unnest($3::uuid[], $4::text[], $5::date[], $6::uuid[], $7::text[])
	AS u(exception_id, kind, business_date, transaction_id, detail)
WHERE b.bucket = $1`

func queueExceptions(b *pgx.Batch, bucket int16, list []Exception, now time.Time) {
	if len(list) == 0 {
		return
	}
	var ids, transactions [][16]byte
	var kinds, details []string
	var dates []time.Time
	for _, e := range list {
		ids, transactions = append(ids, e.ID), append(transactions, e.Record.ID)
		kinds, details = append(kinds, e.Kind), append(details, e.Detail)
		dates = append(dates, e.Record.BusinessDate.Time())
	}
	b.Queue(insertExceptionsSQL, bucket, now, ids, kinds, dates, transactions, details)
}

const insertReviewsSQL = `
INSERT INTO reviews (bucket, review_id, business_date, merchant_id, raised_at, cause)
SELECT b.bucket, u.review_id, u.business_date, u.merchant_id, $2, u.cause
FROM buckets b, unnest($3::uuid[], $4::date[], $5::int[], $6::text[]) AS u(review_id, business_date, merchant_id, cause)
WHERE b.bucket = $1`

func queueReviews(b *pgx.Batch, bucket int16, list []newReview, now time.Time) {
	if len(list) == 0 {
		return
	}
	var ids [][16]byte
	var dates []time.Time
	var merchants []int32
	var causes []string
	for _, r := range list {
		ids, dates = append(ids, r.record.ID), append(dates, r.record.BusinessDate.Time())
		merchants, causes = append(merchants, r.record.MerchantID), append(causes, r.cause)
	}
	b.Queue(insertReviewsSQL, bucket, now, ids, dates, merchants, causes)
}

const (
	withdrawRefundSQL = `
UPDATE transactions t SET state = $4, reason = $5, posted_date = $6
WHERE t.bucket = $1 AND t.business_date = $2 AND t.transaction_id = $3 AND t.business_date BETWEEN {month}`

	withdrawReviewSQL = `
UPDATE reviews SET state = 3, decided_at = $3, decided_by = 'terminal', decided_why = 'the refund was reversed'
WHERE bucket = $1 AND review_id = $2 AND state = 1`
)

// queueWithdrawn ends reviews whose refunds were reversed, one at a time: there
// are few. The refunds' rows are locked, or new.
func queueWithdrawn(b *pgx.Batch, bucket int16, list []withdrawal, now time.Time) {
	for _, w := range list {
		id := [16]byte(w.record.ID)
		b.Queue(monthOf(w.record.BusinessDate).in(withdrawRefundSQL), bucket, w.record.BusinessDate.Time(), id, int16(w.record.State), int16(w.record.Reason), w.date.Time())
		b.Queue(withdrawReviewSQL, bucket, id, now)
	}
}

const voidsTodaySQL = `
SELECT t.terminal_id, count(*), coalesce(sum(t.amount_minor), 0)::bigint
FROM transactions t
WHERE t.bucket = $1 AND t.business_date = $2 AND t.terminal_id = ANY($3::int[]) AND t.kind = 5 AND t.state = 2 AND t.business_date BETWEEN {month}
GROUP BY t.terminal_id`

// guardSQL takes the guards by changing them; a row is the lock.
const guardSQL = `
INSERT INTO merchant_guards AS g (bucket, merchant_id, guarded_at)
SELECT b.bucket, u.merchant_id, $3 FROM buckets b, unnest($2::int[]) AS u(merchant_id) WHERE b.bucket = $1
ORDER BY u.merchant_id
ON CONFLICT (bucket, merchant_id) DO UPDATE SET guarded_at = excluded.guarded_at`

const lockTombstoneSQL = `
SELECT tombstone, business_date, transaction_id FROM idempotency_keys
WHERE bucket = $1 AND merchant_id = $2 AND terminal_id = $3 AND stan = $4 AND batch_no = $5 AND class = $6
FOR UPDATE`

// sessionsSQL tells who is signed on at terminals, with the rights of now: a host that has not
// read yet that an operator was disabled may have signed it on since.
const sessionsSQL = `
SELECT s.terminal_id, s.operator_no, s.supervisor AND o.supervisor
FROM terminal_sessions s
JOIN terminals t ON t.terminal_id = s.terminal_id
JOIN operators o ON o.merchant_id = t.merchant_id AND o.operator_no = s.operator_no AND o.active
WHERE s.bucket = $1 AND s.terminal_id = ANY($2::int[])`

// rrnBlockSQL hands out a block of $3 sequence numbers of the day $1 of year $2.
const rrnBlockSQL = `
INSERT INTO rrn_days AS d (rrn_day, year, next) VALUES ($1, $2, $3)
ON CONFLICT (rrn_day) DO UPDATE SET
	next = CASE WHEN d.year = excluded.year THEN d.next + excluded.next ELSE excluded.next END, year = excluded.year
RETURNING next - $3`
