package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// paidBackSQL lists the purchases of which a refund, the reversal of a refund
// or a late reversal paid back on the date: whose statement it is, the card, the
// purchase's date, what the discount was charged on, and what was paid back of
// the purchase before the date and with it. Kinds of transactions are as in
// standingSQL.
//
// A refund that was reviewed is stored under the date of its request. What stood
// when the purchase's date was closed is what stands now with what late
// reversals took since. What became of a purchase on later dates is theirs, as
// in standingSQL. A date before its purchase's has what a host whose clock is behind took
// at the cutoff. Each lateral part looks up few rows by an index, which the
// settings of prepare do not change.
func paidBackSQL() string {
	return fmt.Sprintf(`
		WITH legs AS MATERIALIZED (
			SELECT journal_id, currency, %[1]s AS merchant_id
			FROM transfers WHERE %[2]s AND kind IN (%[3]d, %[4]d, %[5]d)
			GROUP BY 1, 2, 3 HAVING sum(%[6]s) <> 0),
		purchases AS MATERIALIZED (
			SELECT DISTINCT l.merchant_id, l.currency, o.purchase_date, o.purchase_id
			FROM legs l
			JOIN merchants m ON m.merchant_id = l.merchant_id AND m.calendar_id = $3
			LEFT JOIN reviews r ON r.bucket = $1 AND r.review_id = l.journal_id
			CROSS JOIN LATERAL (
				SELECT original_date, original_id FROM transactions
				WHERE bucket = $1 AND business_date = coalesce(r.business_date, $2) AND transaction_id = l.journal_id OFFSET 0) c
			CROSS JOIN LATERAL (
				SELECT CASE kind WHEN 6 THEN original_date ELSE business_date END AS purchase_date,
					CASE kind WHEN 6 THEN original_id ELSE transaction_id END AS purchase_id
				FROM transactions
				WHERE bucket = $1 AND business_date = c.original_date AND transaction_id = c.original_id OFFSET 0) o
			WHERE o.purchase_id IS NOT NULL),
		contras AS MATERIALIZED (
			SELECT p.purchase_id, c.*
			FROM purchases p CROSS JOIN LATERAL (
				SELECT transaction_id, kind, business_date, coalesce(posted_date, business_date) AS moved_on FROM transactions
				WHERE bucket = $1 AND original_id = p.purchase_id AND business_date >= p.purchase_date - 1 AND kind IN (6, 8) OFFSET 0) c),
		movers AS MATERIALIZED (
			SELECT purchase_id, transaction_id, moved_on FROM contras
			UNION ALL -- reversals of refunds
			SELECT c.purchase_id, r.transaction_id, r.moved_on
			FROM contras c CROSS JOIN LATERAL (
				SELECT transaction_id, business_date AS moved_on FROM transactions
				WHERE bucket = $1 AND original_id = c.transaction_id AND business_date >= c.business_date - 1 AND kind = 8 OFFSET 0) r
			WHERE c.kind = 6),
		paid AS (
			SELECT m.purchase_id,
				coalesce(sum(t.minor) FILTER (WHERE m.moved_on < $2), 0) AS before,
				coalesce(sum(t.minor) FILTER (WHERE m.moved_on <= $2), 0) AS after,
				coalesce(sum(t.adjusted), 0) AS adjusted
			FROM movers m CROSS JOIN LATERAL (
				SELECT -sum(%[6]s) AS minor, -sum(%[6]s) FILTER (WHERE kind = %[5]d) AS adjusted FROM transfers
				WHERE bucket = $1 AND business_date = m.moved_on AND journal_id = m.transaction_id) t
			GROUP BY m.purchase_id)
		SELECT p.merchant_id, p.currency, o.bin, p.purchase_date,
			(o.captured_minor + d.adjusted - o.cashback_minor)::bigint, d.before::bigint, d.after::bigint
		FROM purchases p JOIN paid d USING (purchase_id)
		CROSS JOIN LATERAL (
			SELECT left(coalesce(pan_masked, ''), %[7]d) AS bin, captured_minor, cashback_minor FROM transactions
			WHERE bucket = $1 AND business_date = p.purchase_date AND transaction_id = p.purchase_id OFFSET 0) o`,
		merchantOfSQL(), ofBucketDay, KindRefund, KindReversal, KindAdjustment, movedSQL(RoleMerchantPayable), binDigits)
}

// giveBack sums what refunds return of the discount, where terms say so.
func (cl *closing) giveBack(ctx context.Context) error {
	if !cl.moved || !cl.terms.returns() {
		return nil
	}
	rows, err := cl.tx.Query(ctx, paidBackSQL(), cl.window.bucket, cl.window.date.Time(), cl.window.calendarID)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by run
	}
	var k statementKey
	var bin string
	var of time.Time
	var charged, before, after int64
	_, err = pgx.ForEachRow(rows, []any{&k.merchantID, &k.currency, &bin, &of, &charged, &before, &after}, func() error {
		returned, err := cl.terms.Discount(k.merchantID, cl.terms.Network(bin), DateOf(of)).Returned(charged, before, after)
		if err != nil {
			return err
		}
		return addTo(&cl.statement(k).DiscountReturnedMinor, returned)
	})
	return err //nolint:wrapcheck // wrapped by run
}
