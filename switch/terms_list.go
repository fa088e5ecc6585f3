package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// StoredTerms are the discounts and reserves that there are, each with those that
// it took the place of and those to come.
type StoredTerms struct {
	Discounts []Discount `json:"discounts"`
	Reserves  []Reserve  `json:"reserves"`
}

// termsListed bounds one listing of discounts, and of reserves.
const termsListed = 10_000

// ListTerms lists what counts for a merchant, everybody's included; with an empty
// MID, all. Errors: [ErrNoMerchant].
func ListTerms(ctx context.Context, db ledger.TxBeginner, mid string) (*StoredTerms, error) {
	terms := &StoredTerms{Discounts: []Discount{}, Reserves: []Reserve{}}
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		if mid != "" {
			if _, err := FindMerchant(ctx, tx, mid); err != nil {
				return err
			}
		}
		if err := terms.readDiscounts(ctx, tx, mid); err != nil {
			return err
		}
		return terms.readReserves(ctx, tx, mid)
	})
	if err != nil {
		return nil, fmt.Errorf("list terms: %w", err)
	}
	return terms, nil
}

func (t *StoredTerms) readDiscounts(ctx context.Context, tx pgx.Tx, mid string) error {
	rows, err := tx.Query(ctx, `
		SELECT coalesce(m.mid, ''), d.network, d.valid_from, d.rate_millionths, d.fixed_minor, d.returns_fee
		FROM discount_terms d LEFT JOIN merchants m USING (merchant_id)
		WHERE $1 = '' OR d.merchant_id = 0 OR m.mid = $1 ORDER BY coalesce(m.mid, ''), d.network, d.valid_from LIMIT $2`, mid, termsListed)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by ListTerms
	}
	var d Discount
	var from time.Time
	_, err = pgx.ForEachRow(rows, []any{&d.MID, &d.Network, &from, &d.RateMillionths, &d.FixedMinor, &d.ReturnsFee}, func() error {
		d.From = ledger.DateOf(from)
		t.Discounts = append(t.Discounts, d)
		return nil
	})
	return err //nolint:wrapcheck // as above
}

func (t *StoredTerms) readReserves(ctx context.Context, tx pgx.Tx, mid string) error {
	rows, err := tx.Query(ctx, `
		SELECT coalesce(m.mid, ''), r.valid_from, r.rate_millionths, r.release_days
		FROM reserve_terms r LEFT JOIN merchants m USING (merchant_id)
		WHERE $1 = '' OR r.merchant_id = 0 OR m.mid = $1 ORDER BY coalesce(m.mid, ''), r.valid_from LIMIT $2`, mid, termsListed)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by ListTerms
	}
	var r Reserve
	var from time.Time
	_, err = pgx.ForEachRow(rows, []any{&r.MID, &from, &r.RateMillionths, &r.ReleaseDays}, func() error {
		r.From = ledger.DateOf(from)
		t.Reserves = append(t.Reserves, r)
		return nil
	})
	return err //nolint:wrapcheck // as above
}
