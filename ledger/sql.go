package ledger

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/money"
	"meridian/internal/postgres"
)

// TxBeginner is a pool or a connection.
type TxBeginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// This file is the package's SQL for units of work. Each Queue function adds
// one statement to a pipeline; every statement is for one bucket.

func newTransfer() *postgres.RowType {
	return &postgres.RowType{Name: "new_transfer", Columns: []uint32{
		pgtype.DateOID, pgtype.UUIDOID, pgtype.Int2OID, pgtype.Int2OID, pgtype.Int2OID, pgtype.Int2OID,
		pgtype.Int8OID, pgtype.Int8OID, pgtype.Int8OID, pgtype.UUIDOID,
	}}
}

// Anchored on the bucket's row, so that a distributed database keeps the whole
// insert on one shard and commits it in one phase.
const insertTransfersSQL = `
INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor, hold_id)
SELECT b.bucket, u.business_date, u.journal_id, u.leg, u.kind, u.phase, u.currency, u.debit_account, u.credit_account, u.amount_minor, u.hold_id
FROM buckets b, unnest($2::new_transfer[]) AS u
WHERE b.bucket = $1`

const copyTransfersSQL = `
COPY transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor, hold_id)
FROM STDIN (FORMAT binary)`

// QueueTransfers appends transfers.
func QueueTransfers(b *pgx.Batch, bucket int16, transfers []Transfer) {
	if len(transfers) == 0 {
		return
	}
	rows := postgres.NewRows(newTransfer(), len(transfers), 128).CopiedBy(copyTransfersSQL, bucket)
	for i := range transfers {
		t := &transfers[i]
		rows.Begin()
		rows.Date(int32(t.BusinessDate))
		rows.UUID(t.JournalID)
		rows.Int16(t.Leg)
		rows.Int16(int16(t.Kind))
		rows.Int16(int16(t.Phase))
		rows.Int16(int16(t.Currency))
		rows.Int64(int64(t.Debit))
		rows.Int64(int64(t.Credit))
		rows.Int64(t.AmountMinor)
		if t.Phase == Posted {
			rows.Null()
		} else {
			rows.UUID(t.HoldID)
		}
		rows.End()
	}
	b.Queue(insertTransfersSQL, rows.Known(), bucket, rows)
}

const insertHoldsSQL = `
INSERT INTO holds (bucket, hold_id, business_date, merchant_id, card_id, currency, amount_minor, captured_minor, state, expires_at)
SELECT b.bucket, u.hold_id, u.business_date, u.merchant_id, u.card_id, u.currency, u.amount_minor, u.captured_minor, u.state, u.expires_at
FROM buckets b, unnest($2::uuid[], $3::date[], $4::int[], $5::bigint[], $6::smallint[], $7::bigint[], $8::bigint[], $9::smallint[], $10::timestamptz[])
	AS u(hold_id, business_date, merchant_id, card_id, currency, amount_minor, captured_minor, state, expires_at)
WHERE b.bucket = $1`

// QueueNewHolds inserts holds.
func QueueNewHolds(b *pgx.Batch, bucket int16, holds []*Hold) {
	if len(holds) == 0 {
		return
	}
	n := len(holds)
	var (
		ids               = make([][16]byte, n)
		dates, expires    = make([]time.Time, n), make([]time.Time, n)
		merchants         = make([]int32, n)
		cards             = make([]int64, n)
		currencies, state = make([]int16, n), make([]int16, n)
		amounts, captured = make([]int64, n), make([]int64, n)
	)
	for i, h := range holds {
		ids[i], dates[i], expires[i] = h.ID, h.BusinessDate.Time(), h.ExpiresAt
		merchants[i], cards[i], currencies[i] = h.MerchantID, h.CardID, int16(h.Currency)
		state[i], amounts[i], captured[i] = int16(h.State), h.AmountMinor, h.CapturedMinor
	}
	b.Queue(insertHoldsSQL, bucket, ids, dates, merchants, cards, currencies, amounts, captured, state, expires)
}

// In the array's order, which is that of the holds' ids, as lockHoldsSQL's is.
const updateHoldsSQL = `
WITH changed AS (
	UPDATE holds h SET amount_minor = u.amount_minor, captured_minor = u.captured_minor, state = u.state
	FROM unnest($2::hold_step[]) AS u
	WHERE h.bucket = $1 AND h.hold_id = u.hold_id AND h.amount_minor = u.read_amount_minor
		AND h.captured_minor = u.read_captured_minor AND h.state = u.read_state
	RETURNING 1)
SELECT meridian_presumed(count(*), $3) FROM changed`

// QueueHoldChanges stores holds that this transaction has locked, or that it presumes.
// It fails with an error of which the constraint is meridian_presumed where one is not
// as it was read.
func QueueHoldChanges(b *pgx.Batch, bucket int16, holds []*Hold) {
	if len(holds) == 0 {
		return
	}
	slices.SortFunc(holds, func(a, b *Hold) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	rows := postgres.NewRows(holdStep(), len(holds), 100)
	for _, h := range holds {
		rows.Begin()
		rows.UUID(h.ID)
		rows.Int64(h.AmountMinor)
		rows.Int64(h.CapturedMinor)
		rows.Int16(int16(h.State))
		rows.Int64(h.read.amountMinor)
		rows.Int64(h.read.capturedMinor)
		rows.Int16(int16(h.read.state))
		rows.End()
	}
	b.Queue(updateHoldsSQL, rows.Known(), bucket, rows, len(holds))
}

func holdStep() *postgres.RowType {
	return &postgres.RowType{Name: "hold_step", Columns: []uint32{
		pgtype.UUIDOID, pgtype.Int8OID, pgtype.Int8OID, pgtype.Int2OID, pgtype.Int8OID, pgtype.Int8OID, pgtype.Int2OID,
	}}
}

const (
	readHoldsSQL = `
SELECT hold_id, business_date, merchant_id, card_id, currency, amount_minor, captured_minor, state, expires_at
FROM holds WHERE bucket = $1 AND hold_id = ANY($2::uuid[])`
	lockHoldsSQL = readHoldsSQL + ` ORDER BY hold_id FOR UPDATE`
)

// QueueLockHolds locks holds by id and hands each to found.
func QueueLockHolds(b *pgx.Batch, bucket int16, ids [][16]byte, found func(*Hold)) {
	queueHolds(b, lockHoldsSQL, bucket, ids, found)
}

// QueueReadHolds does so without locking them.
func QueueReadHolds(b *pgx.Batch, bucket int16, ids [][16]byte, found func(*Hold)) {
	queueHolds(b, readHoldsSQL, bucket, ids, found)
}

func queueHolds(b *pgx.Batch, sql string, bucket int16, ids [][16]byte, found func(*Hold)) {
	if len(ids) == 0 {
		return
	}
	b.Queue(sql, bucket, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var h Hold
			if err := scanHold(rows, &h); err != nil {
				return err
			}
			found(&h)
		}
		return rows.Err()
	})
}

func scanHold(rows pgx.Rows, h *Hold) error {
	var id [16]byte
	var date time.Time
	if err := rows.Scan(&id, &date, &h.MerchantID, &h.CardID, &h.Currency, &h.AmountMinor, &h.CapturedMinor, &h.State, &h.ExpiresAt); err != nil {
		return fmt.Errorf("scan hold: %w", err)
	}
	h.ID, h.BusinessDate = uuid.UUID(id), DateOf(date)
	h.read = h.current()
	return nil
}

// The row locks are what a close waits for. The common case finds exactly the
// window of now; a bucket whose window is already cutting takes the next one
// through nextWindowSQL.
//
// The day is looked up by its end, one row of an index, and the window by its
// whole key: left to join as it likes, Postgres may look at every date that a
// bucket has ever had. Windows are locked in the array's order.
const shareWindowsSQL = `
SELECT w.calendar_id, w.business_date, w.state, d.opens_at, d.closes_at
FROM unnest($2::smallint[]) AS u(calendar_id)
CROSS JOIN LATERAL (
	SELECT e.business_date, e.opens_at, e.closes_at FROM business_days e
	WHERE e.calendar_id = u.calendar_id AND e.closes_at > $3
	ORDER BY e.closes_at LIMIT 1) d
CROSS JOIN LATERAL (
	SELECT s.calendar_id, s.business_date, s.state FROM windows s
	WHERE s.bucket = $1 AND s.calendar_id = u.calendar_id AND s.business_date = d.business_date AND d.opens_at <= $3
	FOR SHARE) w`

// QueueShareWindows share-locks the windows that the instant now falls in.
func QueueShareWindows(b *pgx.Batch, bucket int16, calendars []int16, now time.Time, found func(Window)) {
	b.Queue(shareWindowsSQL, bucket, slices.Sorted(slices.Values(calendars)), now).Query(func(rows pgx.Rows) error { return scanWindows(rows, found) })
}

// Windows of one bucket that are held without having been read: first the gate, then
// those that are open. Each row of windows needs the gate's row, which is locked by then.
const holdWindowsSQL = `
SELECT meridian_presumed(count(*), $3)
FROM (SELECT g.bucket FROM buckets g WHERE g.bucket = $1 FOR SHARE) AS gate
CROSS JOIN unnest($2::presumed_window[]) AS u
CROSS JOIN LATERAL (
	SELECT FROM windows s
	WHERE s.bucket = gate.bucket AND s.calendar_id = u.calendar_id AND s.business_date = u.business_date AND s.state = 1
	FOR SHARE) w`

// QueueHoldWindows share-locks a bucket's gate and windows, by calendar, that are
// presumed to be open. It fails where one is not, with an error of which the constraint
// is meridian_presumed.
func QueueHoldWindows(b *pgx.Batch, bucket int16, windows map[int16]Window) {
	rows := postgres.NewRows(presumedWindow(), len(windows), 20)
	for _, calendar := range slices.Sorted(maps.Keys(windows)) {
		rows.Begin()
		rows.Int16(calendar)
		rows.Date(int32(windows[calendar].Date))
		rows.End()
	}
	b.Queue(holdWindowsSQL, rows.Known(), bucket, rows, len(windows))
}

func presumedWindow() *postgres.RowType {
	return &postgres.RowType{Name: "presumed_window", Columns: []uint32{pgtype.Int2OID, pgtype.DateOID}}
}

const nextWindowSQL = `
SELECT w.calendar_id, w.business_date, w.state, d.opens_at, d.closes_at
FROM windows w JOIN business_days d USING (calendar_id, business_date)
WHERE w.bucket = $1 AND w.calendar_id = $2 AND d.closes_at > $3 AND w.state = 1
ORDER BY w.business_date LIMIT 1 FOR SHARE OF w`

// QueueNextWindow share-locks the first window of a calendar that takes work
// at or after now.
func QueueNextWindow(b *pgx.Batch, bucket, calendar int16, now time.Time, found func(Window)) {
	b.Queue(nextWindowSQL, bucket, calendar, now).Query(func(rows pgx.Rows) error { return scanWindows(rows, found) })
}

func scanWindows(rows pgx.Rows, found func(Window)) error {
	for rows.Next() {
		var w Window
		var date time.Time
		if err := rows.Scan(&w.CalendarID, &date, &w.State, &w.OpensAt, &w.ClosesAt); err != nil {
			return fmt.Errorf("scan window: %w", err)
		}
		w.Date = DateOf(date)
		found(w)
	}
	return rows.Err() //nolint:wrapcheck // wrapped by the pipeline's reader
}

// TransfersOf returns the transfers of one journal in the order of their legs.
func TransfersOf(ctx context.Context, db Querier, bucket int16, date Date, journal uuid.UUID) ([]Transfer, error) {
	rows, err := db.Query(ctx, `
		SELECT leg, kind, phase, currency, debit_account, credit_account, amount_minor, hold_id
		FROM transfers WHERE bucket = $1 AND business_date = $2 AND journal_id = $3 ORDER BY leg`,
		bucket, date.Time(), [16]byte(journal))
	if err != nil {
		return nil, fmt.Errorf("transfers of %s: %w", journal, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Transfer, error) {
		t := Transfer{BusinessDate: date, JournalID: journal}
		var hold *[16]byte
		err := row.Scan(&t.Leg, &t.Kind, &t.Phase, &t.Currency, &t.Debit, &t.Credit, &t.AmountMinor, &hold)
		if hold != nil {
			t.HoldID = uuid.UUID(*hold)
		}
		return t, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("transfers of %s: %w", journal, err)
	}
	return list, nil
}

// Calendars reads every calendar.
func Calendars(ctx context.Context, db Querier) ([]*Calendar, error) {
	rows, err := db.Query(ctx, `
		SELECT calendar_id, name, time_zone, cutoff::text, first_date FROM calendars ORDER BY calendar_id`)
	if err != nil {
		return nil, fmt.Errorf("read calendars: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Calendar, error) {
		var c Calendar
		var zone, cutoff string
		var first time.Time
		if err := row.Scan(&c.ID, &c.Name, &zone, &cutoff, &first); err != nil {
			return nil, err //nolint:wrapcheck // wrapped below
		}
		c.FirstDate = DateOf(first)
		var err error
		if c.Zone, err = time.LoadLocation(zone); err != nil {
			return nil, fmt.Errorf("calendar %s: %w", c.Name, err)
		}
		if c.Cutoff, err = ParseTimeOfDay(cutoff); err != nil {
			return nil, fmt.Errorf("calendar %s: %w", c.Name, err)
		}
		return &c, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read calendars: %w", err)
	}
	return list, nil
}

// Position is an account's balance in one currency: what was posted and what
// is pending on either side.
type Position struct {
	Account             AccountID      `json:"-"`
	Code                string         `json:"account"`
	Side                string         `json:"side"`
	Currency            money.Currency `json:"currency"`
	DebitsPostedMinor   int64          `json:"debits_posted_minor"`
	CreditsPostedMinor  int64          `json:"credits_posted_minor"`
	DebitsPendingMinor  int64          `json:"debits_pending_minor"`
	CreditsPendingMinor int64          `json:"credits_pending_minor"`
}

// positionsSQL sums the transfers that the filter leaves by what else is to be told apart,
// account and currency. Transfers are read once; their sums for each pair of accounts are few.
func positionsSQL(keys, filter string) string {
	return fmt.Sprintf(`
WITH pairs AS MATERIALIZED (
	SELECT %[1]sdebit_account, credit_account, currency, phase, sum(amount_minor) AS minor
	FROM transfers WHERE %[2]s GROUP BY %[1]sdebit_account, credit_account, currency, phase
)
SELECT %[1]saccount, currency, sum(debit_posted)::bigint AS debits_posted_minor, sum(credit_posted)::bigint AS credits_posted_minor,
	sum(debit_pending)::bigint AS debits_pending_minor, sum(credit_pending)::bigint AS credits_pending_minor
FROM (
	SELECT %[1]sdebit_account AS account, currency,
		CASE WHEN phase IN (1, 3) THEN minor ELSE 0 END AS debit_posted, 0 AS credit_posted,
		CASE phase WHEN 2 THEN minor WHEN 1 THEN 0 ELSE -minor END AS debit_pending, 0 AS credit_pending
	FROM pairs
	UNION ALL
	SELECT %[1]scredit_account, currency, 0, CASE WHEN phase IN (1, 3) THEN minor ELSE 0 END,
		0, CASE phase WHEN 2 THEN minor WHEN 1 THEN 0 ELSE -minor END
	FROM pairs
) legs
GROUP BY %[1]saccount, currency`, keys, filter)
}

// Positions sums every transfer by account and currency, and what was carried forward
// from months that were retired: the trial balance.
func Positions(ctx context.Context, db Querier) ([]Position, error) {
	rows, err := db.Query(ctx, `
		SELECT account, currency, sum(debits_posted_minor)::bigint, sum(credits_posted_minor)::bigint,
			sum(debits_pending_minor)::bigint, sum(credits_pending_minor)::bigint
		FROM (
			SELECT account, currency, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor
			FROM (`+positionsSQL("", "true")+`) moved
			UNION ALL
			SELECT account, currency, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor FROM carried_positions
		) parts
		GROUP BY account, currency ORDER BY account, currency`)
	if err != nil {
		return nil, fmt.Errorf("sum transfers: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Position, error) {
		var p Position
		err := row.Scan(&p.Account, &p.Currency, &p.DebitsPostedMinor, &p.CreditsPostedMinor, &p.DebitsPendingMinor, &p.CreditsPendingMinor)
		p.Code, p.Side = p.Account.String(), string(rune(p.Account.Side()))
		return p, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("sum transfers: %w", err)
	}
	return list, nil
}
