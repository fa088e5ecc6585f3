package switching

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// MerchantState is a merchant as people see it.
type MerchantState struct {
	MID  string `json:"mid"`
	Name string `json:"name"`
	// Number is what its accounts are called by: merchant:7:payable.
	Number   int32          `json:"number"`
	Bucket   int16          `json:"bucket"`
	Currency money.Currency `json:"currency"`
	Calendar string         `json:"calendar"`
	TimeZone string         `json:"time_zone"`
	Cutoff   string         `json:"cutoff"`
	Policy   string         `json:"policy"`
	// Active is false while a person has suspended it.
	Active bool `json:"active"`
	// AllowVoid and AllowRefund can be suspended below the policy.
	AllowVoid   bool `json:"allow_void"`
	AllowRefund bool `json:"allow_refund"`
	// ReviewRefunds: it is flagged, and every refund is reviewed.
	ReviewRefunds bool `json:"review_refunds"`
	Terminals     int  `json:"terminals"`
}

// MerchantsListed bounds one listing: some 4 MB of JSON.
const MerchantsListed = 10_000

// MerchantFilter chooses merchants; zero values choose every one.
type MerchantFilter struct {
	// Search is in the MID or, in whatever case, in the name.
	Search string
	// Suspended ones alone.
	Suspended bool
	// After an MID is where a listing goes on.
	After string
}

// Merchants lists merchants by their MIDs, at most [MerchantsListed].
func Merchants(ctx context.Context, db ledger.Querier, f MerchantFilter) ([]*MerchantState, error) {
	return merchantStates(ctx, db, `
		($1 = '' OR strpos(m.mid, $1) > 0 OR strpos(lower(m.name), lower($1)) > 0) AND (NOT $2 OR NOT m.active) AND m.mid > $3`,
		f.Search, f.Suspended, f.After)
}

// FindMerchant is one merchant, or [ErrNoMerchant].
func FindMerchant(ctx context.Context, db ledger.Querier, mid string) (*MerchantState, error) {
	list, err := merchantStates(ctx, db, `m.mid = $1`, mid)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNoMerchant
	}
	return list[0], nil
}

func merchantStates(ctx context.Context, db ledger.Querier, where string, arguments ...any) ([]*MerchantState, error) {
	rows, err := db.Query(ctx, fmt.Sprintf(`
		SELECT m.mid, m.name, m.merchant_id, m.bucket, m.currency, c.name, c.time_zone, c.cutoff::text, p.name,
			m.active, m.allow_void, m.allow_refund, m.review_refunds,
			(SELECT count(*) FROM terminals t WHERE t.merchant_id = m.merchant_id)
		FROM merchants m JOIN calendars c USING (calendar_id) JOIN policies p USING (policy_id)
		WHERE %s ORDER BY m.mid LIMIT %d`, where, MerchantsListed), arguments...)
	if err != nil {
		return nil, fmt.Errorf("list merchants: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*MerchantState, error) {
		var m MerchantState
		var cutoff string
		if err := row.Scan(&m.MID, &m.Name, &m.Number, &m.Bucket, &m.Currency, &m.Calendar, &m.TimeZone, &cutoff, &m.Policy,
			&m.Active, &m.AllowVoid, &m.AllowRefund, &m.ReviewRefunds, &m.Terminals); err != nil {
			return nil, err //nolint:wrapcheck // wrapped below
		}
		at, err := ledger.ParseTimeOfDay(cutoff)
		m.Cutoff = at.String()
		return &m, err
	})
	if err != nil {
		return nil, fmt.Errorf("list merchants: %w", err)
	}
	return list, nil
}
