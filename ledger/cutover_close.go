package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/internal/money"
)

// closing is the close of one window, in one transaction.
type closing struct {
	*cutover

	tx     pgx.Tx
	window dueWindow
	closed *ClosedWindow

	moved      bool // by transfers of the date, in this bucket
	terms      *Terms
	valueDate  Date
	statements map[statementKey]*Statement
	order      []statementKey
}

type statementKey struct {
	merchantID int32
	currency   money.Currency
}

// run is the close from top to bottom; false means that another host is at it
// or has done it.
func (cl *closing) run(ctx context.Context) (bool, error) {
	mine, err := cl.lock(ctx)
	if err != nil || !mine {
		return false, err
	}
	cl.statements = map[statementKey]*Statement{}
	for _, s := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"prepare", cl.prepare},
		{"sum up", cl.sumUp},
		{"find due reserves", cl.dueReserves},
		{"carry balances", cl.carry},
		{"read terms", cl.readTerms},
		{"charge discounts", cl.charge},
		{"return discounts", cl.giveBack},
		{"post and store", cl.postAndStore},
		{"seal", cl.seal},
	} {
		if err := cl.step(s.name); err != nil {
			return false, err
		}
		if err := s.do(ctx); err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return true, cl.step("commit")
}

// lock takes the window's cutover, so that no other host closes it meanwhile.
func (cl *closing) lock(ctx context.Context) (bool, error) {
	w := &cl.window
	var done bool
	err := cl.tx.QueryRow(ctx, `
		SELECT closed_at IS NOT NULL FROM cutovers
		WHERE bucket = $1 AND calendar_id = $2 AND business_date = $3
		FOR UPDATE SKIP LOCKED`, w.bucket, w.calendarID, w.date.Time()).Scan(&done)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("lock: %w", err)
	}
	return !done, nil
}

// closeSettingsSQL is for a day's sums, which profit from memory and from plans of
// their own. The newest partition's statistics may say that it is empty, and the
// planner must not take from that to look at all of its rows for each of its rows,
// as it does in a loop or in a merge over the bucket alone: joins are by hash. One
// processor is enough: with parallel workers a close takes as many as there are,
// and new sales wait for them.
const closeSettingsSQL = `
SET LOCAL work_mem = '64MB'; SET LOCAL plan_cache_mode = 'auto';
SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; SET LOCAL max_parallel_workers_per_gather = 0`

func (cl *closing) prepare(ctx context.Context) error {
	if _, err := cl.tx.Exec(ctx, closeSettingsSQL); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	err := cl.tx.QueryRow(ctx, movedAtAllSQL, cl.window.bucket, cl.window.date.Time()).Scan(&cl.moved)
	if err != nil {
		return fmt.Errorf("look for transfers: %w", err)
	}
	if cl.window.value != nil {
		cl.valueDate = DateOf(*cl.window.value)
		return nil
	}
	// A day that was made before value dates were kept.
	cl.valueDate, err = valueDateOf(ctx, cl.tx, cl.window.calendarID, cl.window.closesAt)
	return err
}

func valueDateOf(ctx context.Context, db Querier, calendarID int16, closesAt time.Time) (Date, error) {
	var zone string
	if err := db.QueryRow(ctx, `SELECT time_zone FROM calendars WHERE calendar_id = $1`, calendarID).Scan(&zone); err != nil {
		return 0, fmt.Errorf("read calendar %d: %w", calendarID, err)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return 0, fmt.Errorf("calendar %d: %w", calendarID, err)
	}
	banking, err := LoadBankingCalendar(ctx, db, calendarID)
	if err != nil {
		return 0, err
	}
	return banking.ValueDate((&Calendar{Zone: location}).endsOn(closesAt))
}

// statement of a merchant, begun when it is first needed.
func (cl *closing) statement(k statementKey) *Statement {
	s := cl.statements[k]
	if s == nil {
		s = &Statement{
			MerchantID: k.merchantID, Currency: k.currency, Bucket: cl.window.bucket, CalendarID: cl.window.calendarID,
			BusinessDate: cl.window.date, ValueDate: cl.valueDate, SettledAt: cl.now,
		}
		cl.statements[k] = s
		cl.order = append(cl.order, k)
	}
	return s
}

// ofBucketDay leaves one bucket's transfers of one business date.
const ofBucketDay = "bucket = $1 AND business_date = $2"

// movedAtAllSQL looks at the first row of a date in the key. The order says so to the planner: for EXISTS it goes
// through all rows of the date, or of the month.
const movedAtAllSQL = `
SELECT count(*) > 0 FROM (SELECT FROM transfers WHERE ` + ofBucketDay + ` ORDER BY journal_id LIMIT 1) AS first`

// sumUp begins a statement for every merchant of the calendar that the date's
// transfers name.
func (cl *closing) sumUp(ctx context.Context) error {
	if !cl.moved {
		return nil // nor is there a discount to charge or to return: planning the sums takes longer than all else
	}
	var columns strings.Builder
	for _, m := range movements() {
		columns.WriteString(", m." + m.column)
	}
	rows, err := cl.tx.Query(ctx, `
		SELECT m.merchant_id, m.currency, m.receivable_moved, m.reserve_moved`+columns.String()+`
		FROM (`+movementsSQL(ofBucketDay)+`) m JOIN merchants c USING (merchant_id)
		WHERE c.calendar_id = $3 ORDER BY m.merchant_id, m.currency`,
		cl.window.bucket, cl.window.date.Time(), cl.window.calendarID)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by run
	}
	defer rows.Close()
	for rows.Next() {
		var s Statement
		into := []any{&s.MerchantID, &s.Currency, &s.otherReceivableMinor, &s.otherReserveMinor}
		for _, f := range s.moved() {
			into = append(into, f.value)
		}
		if err := rows.Scan(into...); err != nil {
			return err //nolint:wrapcheck // wrapped by run
		}
		begun := cl.statement(statementKey{s.MerchantID, s.Currency})
		s.Bucket, s.CalendarID, s.SettledAt = begun.Bucket, begun.CalendarID, begun.SettledAt
		s.BusinessDate, s.ValueDate = begun.BusinessDate, begun.ValueDate
		*begun = s
	}
	return rows.Err() //nolint:wrapcheck // wrapped by run
}

// carry brings the balances that each merchant's last statement closed with.
func (cl *closing) carry(ctx context.Context) error {
	if len(cl.order) == 0 {
		return nil
	}
	merchants, currencies := make([]int32, len(cl.order)), make([]int16, len(cl.order))
	for i, k := range cl.order {
		merchants[i], currencies[i] = k.merchantID, int16(k.currency)
	}
	rows, err := cl.tx.Query(ctx, `
		SELECT u.merchant_id, u.currency, l.closing_payable_minor, l.closing_receivable_minor, l.closing_reserve_minor
		FROM unnest($3::int[], $4::smallint[]) AS u(merchant_id, currency)
		CROSS JOIN LATERAL (
			SELECT s.closing_payable_minor, s.closing_receivable_minor, s.closing_reserve_minor FROM settlements s
			WHERE s.bucket = $1 AND s.merchant_id = u.merchant_id AND s.currency = u.currency AND s.business_date < $2
			ORDER BY s.business_date DESC LIMIT 1) l`,
		cl.window.bucket, cl.window.date.Time(), merchants, currencies)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by run
	}
	var k statementKey
	var b Balances
	_, err = pgx.ForEachRow(rows, []any{&k.merchantID, &k.currency, &b.PayableMinor, &b.ReceivableMinor, &b.ReserveMinor}, func() error {
		cl.statement(k).Opening = b
		return nil
	})
	return err //nolint:wrapcheck // wrapped by run
}

// readTerms reads what statements are made by.
func (cl *closing) readTerms(ctx context.Context) (err error) {
	if len(cl.order) > 0 || cl.moved {
		cl.terms, err = LoadTerms(ctx, cl.tx)
	}
	return err
}

// standingSQL lists what purchases of the date came to, by merchant, card and
// amount: what was captured less what a void or reversal undid of it, without
// cash handed out. A contra or a change of the amount leads to its purchase
// through its transaction, and the reversal of one through that one's. Kinds of
// transactions, as package switching stores them: 2 sale, 3 completion,
// 4 advice, 5 void, 6 refund, 8 reversal, 17 adjustment.
//
// Only transfers of the date count: what became of a purchase on later dates is
// theirs, whenever this date is closed.
func standingSQL() string {
	return fmt.Sprintf(`
		WITH legs AS (
			SELECT journal_id, currency, %[1]s AS merchant_id,
				sum(%[2]s) AS net, coalesce(sum(amount_minor) FILTER (WHERE kind = %[3]d), 0) AS cashback
			FROM transfers
			WHERE %[4]s AND phase IN (%[5]d, %[6]d) AND kind <> %[7]d
				AND ((debit_account >> %[8]d) = %[9]d OR (credit_account >> %[8]d) = %[9]d)
			GROUP BY 1, 2, 3),
		rooted AS (
			SELECT l.merchant_id, l.currency, l.net, l.cashback, left(coalesce(t.pan_masked, ''), %[10]d) AS bin, CASE
				WHEN t.kind = 8 AND o.kind IN (5, 17) THEN o.original_id
				WHEN t.kind IN (5, 8, 17) THEN t.original_id
				ELSE l.journal_id END AS root
			FROM legs l
			JOIN transactions t ON t.bucket = $1 AND t.business_date = $2 AND t.transaction_id = l.journal_id
			LEFT JOIN LATERAL ( -- looked up by key: joined, it would be all that the bucket ever had
				SELECT kind, original_id FROM transactions
				WHERE t.kind = 8 AND bucket = $1 AND business_date = t.original_date AND transaction_id = t.original_id OFFSET 0) o ON true),
		standing AS ( -- a void and a reversal are of the purchase's card
			SELECT root, merchant_id, currency, max(bin) AS bin, (sum(net) - sum(cashback))::bigint AS minor
			FROM rooted GROUP BY 1, 2, 3 HAVING sum(net) > sum(cashback))
		SELECT s.merchant_id, s.currency, s.bin, s.minor, count(*)
		FROM standing s JOIN merchants c ON c.merchant_id = s.merchant_id AND c.calendar_id = $3
		GROUP BY 1, 2, 3, 4`,
		merchantOfSQL(), movedSQL(RoleMerchantPending), KindCashback, ofBucketDay, Posted, PostPending, KindSettlement,
		ownerBits, RoleMerchantPending, binDigits)
}

// charge sums the discount over every purchase that stands.
func (cl *closing) charge(ctx context.Context) error {
	if !cl.moved || !cl.terms.charges() {
		return nil
	}
	rows, err := cl.tx.Query(ctx, standingSQL(), cl.window.bucket, cl.window.date.Time(), cl.window.calendarID)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by run
	}
	var k statementKey
	var bin string
	var minor, count int64
	_, err = pgx.ForEachRow(rows, []any{&k.merchantID, &k.currency, &bin, &minor, &count}, func() error {
		fee, err := cl.terms.Discount(k.merchantID, cl.terms.Network(bin), cl.window.date).Fee(minor)
		if err != nil {
			return err
		}
		return addTimes(&cl.statement(k).DiscountMinor, fee, count)
	})
	return err //nolint:wrapcheck // wrapped by run
}

// settlementColumns are those of the table that are not figures, with their types.
var settlementColumns = []struct{ name, kind string }{
	{"merchant_id", "integer"},
	{"currency", "smallint"},
	{"business_date", "date"},
	{"calendar_id", "smallint"},
	{"value_date", "date"},
	{"settled_at", "timestamptz"},
	{"journal_id", "uuid"},
	{"reserve_release_on", "date"},
}

// insertSettlementsSQL stores statements with the seals of their transfers, the
// close's own among them. Statements come as JSON, whose integers are exact.
func insertSettlementsSQL() string {
	var columns, values, types []string
	add := func(name, kind string) {
		columns, values, types = append(columns, name), append(values, "u."+name), append(types, name+" "+kind)
	}
	for _, c := range settlementColumns {
		add(c.name, c.kind)
	}
	for _, f := range (&Statement{}).figures() {
		add(f.column, "bigint")
	}
	return fmt.Sprintf(`
		INSERT INTO settlements (bucket, %s, transfer_count, transfer_minor, digest)
		SELECT b.bucket, %s, z.transfer_count, z.transfer_minor, z.digest
		FROM buckets b, jsonb_to_recordset($3) AS u(%s)
		LEFT JOIN (%s) z USING (merchant_id, currency)
		WHERE b.bucket = $1`,
		strings.Join(columns, ", "), strings.Join(values, ", "), strings.Join(types, ", "), sealsSQL(ofBucketDay))
}

// row is the statement as insertSettlementsSQL takes it.
func (s *Statement) row() map[string]any {
	row := map[string]any{
		"merchant_id": s.MerchantID, "currency": uint16(s.Currency), "business_date": s.BusinessDate, "calendar_id": s.CalendarID,
		"value_date": s.ValueDate, "settled_at": s.SettledAt.UTC(), "journal_id": s.JournalID, "reserve_release_on": s.ReserveReleaseOn,
	}
	for _, f := range s.figures() {
		row[f.column] = *f.value
	}
	return row
}

// postAndStore settles merchant by merchant and writes everything in one
// pipeline.
func (cl *closing) postAndStore(ctx context.Context) error {
	slices.SortFunc(cl.order, func(a, b statementKey) int {
		if a.merchantID != b.merchantID {
			return int(a.merchantID) - int(b.merchantID)
		}
		return int(a.currency) - int(b.currency)
	})
	rows := make([]map[string]any, 0, len(cl.order))
	var transfers []Transfer
	for _, k := range cl.order {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("name a journal: %w", err)
		}
		s := cl.statements[k]
		journal, err := s.settle(id, cl.terms.Reserve(k.merchantID, cl.window.date))
		if err != nil {
			return fmt.Errorf("merchant %d: %w", k.merchantID, err)
		}
		transfers = append(transfers, journal.Transfers...)
		rows = append(rows, s.row())
	}
	cl.closed.Statements, cl.closed.Transfers = len(rows), len(transfers)
	if len(rows) == 0 {
		return nil
	}
	statements, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("encode statements: %w", err)
	}
	b := &pgx.Batch{}
	QueueTransfers(b, cl.window.bucket, transfers)
	b.Queue(insertSettlementsSQL(), cl.window.bucket, cl.window.date.Time(), string(statements))
	return cl.tx.SendBatch(ctx, b).Close()
}

// seal closes the window. Its row is taken last, for the time of the commit.
func (cl *closing) seal(ctx context.Context) error {
	w := &cl.window
	b := &pgx.Batch{}
	b.Queue(`
		INSERT INTO window_seals (bucket, calendar_id, business_date, sealed_at, statements, transfer_count, transfer_minor, digest)
		SELECT b.bucket, $2, $3, $4, s.statements, s.transfer_count, s.transfer_minor, s.digest
		FROM buckets b, (
			SELECT count(*) AS statements, coalesce(sum(transfer_count), 0) AS transfer_count,
				coalesce(sum(transfer_minor), 0) AS transfer_minor, coalesce(sum(digest), 0) AS digest
			FROM settlements WHERE bucket = $1 AND calendar_id = $2 AND business_date = $3) s
		WHERE b.bucket = $1`, w.bucket, w.calendarID, w.date.Time(), cl.now)
	b.Queue(`UPDATE cutovers SET closed_at = $4 WHERE bucket = $1 AND calendar_id = $2 AND business_date = $3`,
		w.bucket, w.calendarID, w.date.Time(), cl.now)
	changed := int64(0)
	b.Queue(`UPDATE windows SET state = 3 WHERE bucket = $1 AND calendar_id = $2 AND business_date = $3 AND state = 2`,
		w.bucket, w.calendarID, w.date.Time()).Exec(func(tag pgconn.CommandTag) error {
		changed = tag.RowsAffected()
		return nil
	})
	if err := cl.tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if changed != 1 {
		return errNotCutting
	}
	return nil
}

// errNotCutting means that a window's state does not agree with its cutover.
var errNotCutting = errors.New("the window is not being cut")

func addTimes(sum *int64, minor, count int64) error {
	product, ok := money.Mul(minor, count)
	if !ok {
		return money.ErrOverflow
	}
	return addTo(sum, product)
}

func addTo(sum *int64, minor int64) error {
	total, ok := money.Add(*sum, minor)
	if !ok {
		return money.ErrOverflow
	}
	*sum = total
	return nil
}
