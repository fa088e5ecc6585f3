package ledger

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
)

// owedSQL is what a merchant is owed: payable less receivable at its last close,
// with everything that moved pending, payable or receivable since. It reads the
// open dates' transfers of the bucket, which is why it is asked for merchants
// with a minimum only. Whoever asks has the merchant's guard: a statement that
// waited for a lock itself would sum up what it had seen before the wait.
const owedSQL = `
WITH last AS (
	SELECT business_date, closing_payable_minor - closing_receivable_minor AS owed
	FROM settlements WHERE bucket = $1 AND merchant_id = $2 AND currency = $3
	ORDER BY business_date DESC LIMIT 1)
SELECT coalesce((SELECT owed FROM last), 0) + coalesce((
	SELECT sum(CASE WHEN t.credit_account = ANY($4::bigint[]) THEN t.amount_minor ELSE 0 END
		- CASE WHEN t.debit_account = ANY($4::bigint[]) THEN t.amount_minor ELSE 0 END)
	FROM transfers t
	WHERE t.bucket = $1 AND t.business_date > coalesce((SELECT business_date FROM last), '-infinity'::date)
		AND t.currency = $3 AND t.phase IN (1, 3)
		AND (t.credit_account = ANY($4::bigint[]) OR t.debit_account = ANY($4::bigint[]))), 0)::bigint`

// QueueOwed asks what a merchant is owed in minor units, today's included.
func QueueOwed(b *pgx.Batch, bucket int16, merchantID int32, currency money.Currency, found func(minor int64)) {
	accounts := []int64{
		int64(Account(RoleMerchantPending, int64(merchantID))),
		int64(Account(RoleMerchantPayable, int64(merchantID))),
		int64(Account(RoleMerchantReceivable, int64(merchantID))),
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
