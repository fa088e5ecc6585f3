package switching

import (
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// owedRoles are those of the accounts that what a merchant is owed is the sum of.
var owedRoles = [...]ledger.Role{ledger.RoleMerchantPending, ledger.RoleMerchantPayable, ledger.RoleMerchantReceivable}

// owedSQL is what a merchant is owed: payable less receivable at its last close, with
// everything that moved pending, payable or receivable since. Transfers have no index by
// account, and a bucket's day has those of all its merchants: this merchant's are found by
// way of what can have caused them. These are the keys of batches that its terminals have, or
// have ended since (or on the date of the close: who ended one may have had the cutoff before
// it yet, while another host sold behind it); reversals, whose keys may be in a batch that ended
// before; and refunds that a person has approved since. Whoever asks has the merchant's guard: a
// statement that waited for a lock itself would sum up what it had seen before the wait.
const owedSQL = `
WITH last AS (
	SELECT s.business_date, s.closing_payable_minor - s.closing_receivable_minor AS owed
	FROM settlements s WHERE s.bucket = $1 AND s.merchant_id = $2 AND s.currency = $3
	ORDER BY s.business_date DESC LIMIT 1),
journals AS (
	SELECT k.business_date, k.transaction_id
	FROM terminals e
	CROSS JOIN LATERAL (
		SELECT b.batch_no FROM batches b WHERE b.bucket = $1 AND b.terminal_id = e.terminal_id AND b.state < 5
		UNION ALL
		SELECT b.batch_no FROM batches b
		WHERE b.bucket = $1 AND b.terminal_id = e.terminal_id AND b.state = 5
			AND b.closed_date >= coalesce((SELECT business_date FROM last), '-infinity')) n
	CROSS JOIN LATERAL (
		SELECT i.business_date, i.transaction_id FROM idempotency_keys i
		WHERE i.bucket = $1 AND i.merchant_id = $2 AND i.terminal_id = e.terminal_id AND i.batch_no = n.batch_no
			AND i.business_date > coalesce((SELECT business_date FROM last), '-infinity')
		OFFSET 0) k
	WHERE e.merchant_id = $2
	UNION
	SELECT r.business_date, r.transaction_id
	FROM terminals e
	CROSS JOIN LATERAL (
		SELECT t.business_date, t.transaction_id FROM transactions t
		WHERE t.bucket = $1 AND t.terminal_id = e.terminal_id AND t.asked = 8
			AND t.business_date > coalesce((SELECT business_date FROM last), '-infinity')
		OFFSET 0) r
	WHERE e.merchant_id = $2
	UNION
	SELECT p.posted_date, v.review_id
	FROM reviews v
	CROSS JOIN LATERAL (
		SELECT t.posted_date FROM transactions t
		WHERE t.bucket = $1 AND t.business_date = v.business_date AND t.transaction_id = v.review_id
			AND t.posted_date > coalesce((SELECT business_date FROM last), '-infinity')
		OFFSET 0) p
	WHERE v.bucket = $1 AND v.merchant_id = $2 AND v.state = 2)
SELECT coalesce((SELECT owed FROM last), 0) + coalesce(sum(f.minor), 0)::bigint
FROM journals j
CROSS JOIN LATERAL (
	SELECT CASE WHEN t.credit_account = ANY($4::bigint[]) THEN t.amount_minor ELSE 0 END
		- CASE WHEN t.debit_account = ANY($4::bigint[]) THEN t.amount_minor ELSE 0 END AS minor
	FROM transfers t
	WHERE t.bucket = $1 AND t.business_date = j.business_date AND t.journal_id = j.transaction_id AND t.currency = $3 AND t.phase IN (1, 3)
	OFFSET 0) f`

// mayRefund tells whether a cancel may become a refund, which a minimum is for: a void may
// where the host chooses.
func mayRefund(r *Request) bool {
	return r.Kind.Cancels() && (r.Kind != KindVoid || r.merchant.Policy.CancelMode == CancelAuto)
}

// queueOwed asks what a merchant is owed in minor units, today's included.
func queueOwed(b *pgx.Batch, bucket int16, merchantID int32, currency money.Currency, found func(minor int64)) {
	var accounts []int64
	for _, role := range owedRoles {
		accounts = append(accounts, int64(ledger.Account(role, int64(merchantID))))
	}
	b.Queue(owedSQL, bucket, merchantID, int16(currency), accounts).QueryRow(func(row pgx.Row) error {
		var minor int64
		if err := row.Scan(&minor); err != nil {
			return fmt.Errorf("scan what a merchant is owed: %w", err)
		}
		found(minor)
		return nil
	})
}

// owe keeps what merchants are owed up to what the unit moves.
func (f *Facts) owe(transfers []ledger.Transfer) {
	if len(f.balances) == 0 {
		return
	}
	move := func(account ledger.AccountID, minor int64) {
		merchant := int32(account.Owner())
		if owed, limited := f.balances[merchant]; limited && slices.Contains(owedRoles[:], account.Role()) {
			f.balances[merchant] = owed + minor
		}
	}
	for _, t := range transfers {
		if t.Phase == ledger.Posted || t.Phase == ledger.PostPending {
			move(t.Credit, t.AmountMinor)
			move(t.Debit, -t.AmountMinor)
		}
	}
}
