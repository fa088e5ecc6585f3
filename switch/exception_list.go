package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// RaisedException is a stored [Exception]: something that the host answered or
// recorded and that a person has to look at.
type RaisedException struct {
	ID           uuid.UUID   `json:"exception_id"`
	Bucket       int16       `json:"bucket"`
	RaisedAt     time.Time   `json:"raised_at"`
	Kind         string      `json:"kind"`
	BusinessDate ledger.Date `json:"business_date"` // of the transaction
	// RRN and what follows are empty when the exception is about no transaction.
	RRN         string         `json:"rrn,omitempty"`
	MID         string         `json:"mid,omitempty"`
	TID         string         `json:"tid,omitempty"`
	Currency    money.Currency `json:"currency,omitzero"`
	AmountMinor int64          `json:"amount_minor,omitempty"`
	Detail      string         `json:"detail"`
}

// Exceptions lists the newest limit (1 to [MaxListed]) exceptions, the newest
// first.
func Exceptions(ctx context.Context, db ledger.Querier, limit int) ([]*RaisedException, error) {
	return ExceptionsFrom(ctx, db, limit, 0)
}

// ExceptionsFrom is [Exceptions] with so many of the newest passed over. What they
// are about is looked up for the page alone, however many there are.
func ExceptionsFrom(ctx context.Context, db ledger.Querier, limit, offset int) ([]*RaisedException, error) {
	// The limit stands in the statement: over one that it does not know, a generic plan reads every transaction.
	rows, err := db.Query(ctx, fmt.Sprintf(`
		SELECT e.exception_id, e.bucket, e.raised_at, e.kind, e.business_date, coalesce(lpad(t.rrn::text, 12, '0'), ''),
			coalesce(m.mid, ''), coalesce(te.tid, ''), coalesce(t.currency, 0), coalesce(t.amount_minor, 0), e.detail
		FROM (SELECT exception_id, bucket, raised_at, kind, business_date, transaction_id, detail
			FROM exceptions ORDER BY raised_at DESC, exception_id DESC LIMIT %d OFFSET $1) e
		LEFT JOIN transactions t ON t.bucket = e.bucket AND t.business_date = e.business_date AND t.transaction_id = e.transaction_id
		LEFT JOIN merchants m ON m.merchant_id = t.merchant_id
		LEFT JOIN terminals te ON te.terminal_id = t.terminal_id
		ORDER BY e.raised_at DESC, e.exception_id DESC`, max(1, min(limit, MaxListed))), max(offset, 0))
	if err != nil {
		return nil, fmt.Errorf("list exceptions: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*RaisedException, error) {
		var e RaisedException
		var date time.Time
		err := row.Scan(&e.ID, &e.Bucket, &e.RaisedAt, &e.Kind, &date, &e.RRN, &e.MID, &e.TID, &e.Currency, &e.AmountMinor, &e.Detail)
		e.RaisedAt, e.BusinessDate = e.RaisedAt.UTC(), ledger.DateOf(date)
		return &e, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("list exceptions: %w", err)
	}
	return list, nil
}
