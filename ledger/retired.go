package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// This file is what stays of months that were taken out of the ledger: what each
// account moved in them, and the seal over their transfers.

// KeptFromSQL is the first business date of which everything is in the ledger: the
// one behind the last month that was retired, -infinity without one.
const KeptFromSQL = `(SELECT coalesce((max(month) + interval '1 month')::date, '-infinity') FROM retired_months)`

// QuietFromSQL is the business date from which on nothing speaks of months that were
// retired, -infinity without one.
const QuietFromSQL = `(SELECT coalesce(max(quiet_from), '-infinity') FROM retired_months)`

// KeptFrom is the first business date of which everything is in the ledger; 0 while no
// month was retired.
func KeptFrom(ctx context.Context, db Querier) (Date, error) {
	var last *time.Time
	if err := db.QueryRow(ctx, `SELECT max(month) FROM retired_months`).Scan(&last); err != nil {
		return 0, fmt.Errorf("look for retired months: %w", err)
	}
	if last == nil {
		return 0, nil
	}
	return DateOf(last.AddDate(0, 1, 0)), nil
}

// RetiredMonth is a month that was taken out.
type RetiredMonth struct {
	Month         Date      `json:"month"` // its first day
	RetiredAt     time.Time `json:"retired_at"`
	Transactions  int64     `json:"transactions"`
	Transfers     int64     `json:"transfers"`
	TransferMinor string    `json:"transfer_minor"` // sum over all currencies
	Digest        string    `json:"digest"`         // sum over the transfers' digests, as in a window's seal
	CarriedDigest string    `json:"carried_digest"` // sum over the digests of all that is carried forward
	QuietFrom     Date      `json:"quiet_from"`     // nothing of this business date or a later one speaks of it
}

// carriedDigestSQL is the digest of one row of carried_positions, as a transfer's.
const carriedDigestSQL = `('x' || encode(substring(sha256(convert_to(concat_ws('|', bucket, account, currency,
	debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor), 'UTF8')) FROM 1 FOR 8), 'hex'))::bit(64)::bigint`

// carrySQL adds what the accounts moved from one date to another, exclusively, to what
// they moved before.
var carrySQL = `
INSERT INTO carried_positions AS c (bucket, account, currency, debits_posted_minor, credits_posted_minor, debits_pending_minor, credits_pending_minor)
` + positionsSQL("bucket, ", "business_date >= $1 AND business_date < $2") + `
ON CONFLICT (bucket, account, currency) DO UPDATE SET
	debits_posted_minor = c.debits_posted_minor + excluded.debits_posted_minor,
	credits_posted_minor = c.credits_posted_minor + excluded.credits_posted_minor,
	debits_pending_minor = c.debits_pending_minor + excluded.debits_pending_minor,
	credits_pending_minor = c.credits_pending_minor + excluded.credits_pending_minor`

// CarryForward keeps what the accounts moved in the month that begins on a date, of
// which all windows are closed, and seals it in m. Whoever calls it retires the month, and takes
// its transfers out, in the same transaction.
func CarryForward(ctx context.Context, tx pgx.Tx, m *RetiredMonth) error {
	first, next := m.Month.Time(), m.Month.Time().AddDate(0, 1, 0)
	if _, err := tx.Exec(ctx, carrySQL, first, next); err != nil {
		return fmt.Errorf("carry positions forward: %w", err)
	}
	if err := tx.QueryRow(ctx, `
		SELECT count(*), coalesce(sum(amount_minor), 0)::text, coalesce(sum(`+transferDigestSQL+`), 0)::text
		FROM transfers WHERE business_date >= $1 AND business_date < $2`, first, next).
		Scan(&m.Transfers, &m.TransferMinor, &m.Digest); err != nil {
		return fmt.Errorf("seal the month: %w", err)
	}
	if err := tx.QueryRow(ctx, `SELECT coalesce(sum(`+carriedDigestSQL+`), 0)::text FROM carried_positions`).Scan(&m.CarriedDigest); err != nil {
		return fmt.Errorf("seal what is carried forward: %w", err)
	}
	return nil
}

// RetireMonth stores that a month, which was carried forward, is not in the ledger any more.
func RetireMonth(ctx context.Context, tx pgx.Tx, m *RetiredMonth) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO retired_months (month, retired_at, transactions, transfers, transfer_minor, digest, carried_digest, quiet_from)
		VALUES ($1, $2, $3, $4, $5::text::numeric, $6::text::numeric, $7::text::numeric, $8)`,
		m.Month.Time(), m.RetiredAt, m.Transactions, m.Transfers, m.TransferMinor, m.Digest, m.CarriedDigest, m.QuietFrom.Time()); err != nil {
		return fmt.Errorf("store the month: %w", err)
	}
	return nil
}

// carriedChecks hold what was carried forward against its seal and what is kept of it
// elsewhere: a merchant's last statement before the first date that is in the ledger.
func carriedChecks() []Check {
	return []Check{
		{"what was carried forward is as it was sealed", `
		WITH carried AS (SELECT coalesce(sum(` + carriedDigestSQL + `), 0) AS digest FROM carried_positions),
		sealed AS (SELECT coalesce((SELECT carried_digest FROM retired_months ORDER BY month DESC LIMIT 1), 0) AS digest)
		SELECT 'positions', 'sealed ' || sealed.digest || ', now ' || carried.digest
		FROM carried, sealed WHERE sealed.digest <> carried.digest`},
		{"what has left is not in the ledger", `
		SELECT 'journal ' || journal_id, 'transfers on ' || business_date || ', and everything before ' || ` + KeptFromSQL + ` || ' has left'
		FROM transfers WHERE business_date < ` + KeptFromSQL},
		{"what was carried forward equals the statements", fmt.Sprintf(`
		WITH carried AS (
			SELECT bucket, (account & %[1]d)::integer AS merchant_id, currency,
				coalesce(sum(credits_posted_minor - debits_posted_minor) FILTER (WHERE (account >> %[2]d) = %[3]d), 0) AS pending,
				coalesce(sum(credits_posted_minor - debits_posted_minor) FILTER (WHERE (account >> %[2]d) = %[4]d), 0) AS payable,
				coalesce(sum(debits_posted_minor - credits_posted_minor) FILTER (WHERE (account >> %[2]d) = %[5]d), 0) AS receivable,
				coalesce(sum(credits_posted_minor - debits_posted_minor) FILTER (WHERE (account >> %[2]d) = %[6]d), 0) AS reserve
			FROM carried_positions WHERE (account >> %[2]d) IN (%[3]d, %[4]d, %[5]d, %[6]d) GROUP BY 1, 2, 3),
		closed AS (
			SELECT DISTINCT ON (bucket, merchant_id, currency) bucket, merchant_id, currency,
				closing_payable_minor, closing_receivable_minor, closing_reserve_minor
			FROM settlements WHERE business_date < %[7]s ORDER BY bucket, merchant_id, currency, business_date DESC)
		SELECT 'merchant ' || merchant_id || ' in currency ' || currency,
			'carried pending ' || coalesce(c.pending, 0) || ', payable ' || coalesce(c.payable, 0) || ', receivable ' || coalesce(c.receivable, 0) ||
			', reserve ' || coalesce(c.reserve, 0) || '; its last statement of then closed with ' || coalesce(s.closing_payable_minor, 0) || ', ' ||
			coalesce(s.closing_receivable_minor, 0) || ', ' || coalesce(s.closing_reserve_minor, 0)
		FROM carried c FULL JOIN closed s USING (bucket, merchant_id, currency)
		WHERE coalesce(c.pending, 0) <> 0 OR coalesce(c.payable, 0) <> coalesce(s.closing_payable_minor, 0)
			OR coalesce(c.receivable, 0) <> coalesce(s.closing_receivable_minor, 0)
			OR coalesce(c.reserve, 0) <> coalesce(s.closing_reserve_minor, 0)`,
			int64(1)<<ownerBits-1, ownerBits, RoleMerchantPending, RoleMerchantPayable, RoleMerchantReceivable, RoleMerchantReserve, KeptFromSQL)},
	}
}
