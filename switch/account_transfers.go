package switching

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// AccountTransfer is a transfer with the transaction that it belongs to.
type AccountTransfer struct {
	BusinessDate ledger.Date      `json:"business_date"`
	JournalID    uuid.UUID        `json:"journal_id"`
	Leg          int16            `json:"leg"`
	RRN          string           `json:"rrn,omitempty"` // empty for what no transaction caused
	Kind         ledger.Kind      `json:"kind"`
	Phase        ledger.Phase     `json:"phase"`
	Debit        ledger.AccountID `json:"debit"`
	Credit       ledger.AccountID `json:"credit"`
	Currency     money.Currency   `json:"currency"`
	AmountMinor  int64            `json:"amount_minor"`
}

// TransferPage is one page of an account's transfers.
type TransferPage struct {
	Transfers []*AccountTransfer
	// Next is the place that the next page begins after; nil on the last one.
	Next *TransactionPlace
}

// AccountTransfers returns one page of an account's transfers, the newest business
// date first; after is the Next of the page before. A journal's legs stay on one
// page.
func AccountTransfers(
	ctx context.Context, db ledger.Querier, account ledger.AccountID, after *TransactionPlace, limit int,
) (*TransferPage, error) {
	limit = max(1, min(limit, maxListed))
	place := ""
	args := []any{int64(account), limit + 1}
	if after != nil {
		place = "AND (f.business_date, f.journal_id) < ($3::date, $4::uuid)"
		args = append(args, after.Date.Time(), [16]byte(after.ID))
	}
	// Only a merchant's own bucket names its accounts.
	buckets := "true"
	if account.OfMerchant() {
		args = append(args, account.Owner())
		buckets = fmt.Sprintf("b.bucket = (SELECT bucket FROM merchants WHERE merchant_id = $%d)", len(args))
	}
	columns := func(alias string) string {
		return alias + "." + strings.Join([]string{
			"business_date", "journal_id", "leg", "kind", "phase", "debit_account", "credit_account", "currency", "amount_minor",
		}, ", "+alias+".")
	}
	// Each bucket's key is walked back from its end.
	rows, err := db.Query(ctx, `
		SELECT `+columns("f")+`, t.rrn
		FROM (
			SELECT b.bucket, `+columns("f")+` FROM buckets b CROSS JOIN LATERAL (
				SELECT `+columns("f")+` FROM transfers f
				WHERE f.bucket = b.bucket AND (f.debit_account = $1 OR f.credit_account = $1) `+place+`
				ORDER BY f.business_date DESC, f.journal_id DESC, f.leg DESC LIMIT $2) f
			WHERE `+buckets+`
			ORDER BY f.business_date DESC, f.journal_id DESC, f.leg DESC LIMIT $2) f
		LEFT JOIN LATERAL (
			SELECT t.rrn FROM transactions t
			WHERE t.bucket = f.bucket AND t.business_date = f.business_date AND t.transaction_id = f.journal_id) t ON true
		ORDER BY f.business_date DESC, f.journal_id DESC, f.leg DESC`, args...)
	if err != nil {
		return nil, fmt.Errorf("list transfers of %s: %w", account, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*AccountTransfer, error) {
		var t AccountTransfer
		var date time.Time
		var journal [16]byte
		var rrn *int64
		err := row.Scan(&date, &journal, &t.Leg, &t.Kind, &t.Phase, &t.Debit, &t.Credit, &t.Currency, &t.AmountMinor, &rrn)
		t.BusinessDate, t.JournalID = ledger.DateOf(date), uuid.UUID(journal)
		if rrn != nil {
			t.RRN = rrnText(*rrn)
		}
		return &t, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("list transfers of %s: %w", account, err)
	}
	page := &TransferPage{Transfers: list}
	if len(list) > limit {
		// The last journal may go on behind the page's end: it begins the next one.
		end := limit
		for end > 1 && list[end-1].JournalID == list[limit].JournalID {
			end--
		}
		page.Transfers = list[:end]
		last := list[end-1]
		page.Next = &TransactionPlace{last.BusinessDate, last.JournalID}
	}
	return page, nil
}
