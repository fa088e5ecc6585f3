package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
)

// DiscountTerm is what a merchant pays for a purchase: a rate of its amount,
// rounded half to even for each transaction, and a fixed part.
type DiscountTerm struct {
	ValidFrom      Date
	RateMillionths int64
	FixedMinor     int64
	// ReturnsFee gives the rate's part back with a refund or a late reversal,
	// by the terms of the day on which it was taken. The fixed part stays.
	ReturnsFee bool
}

// Fee of one purchase of amountMinor > 0.
func (t DiscountTerm) Fee(amountMinor int64) (int64, error) {
	rate, err := money.MulRateHalfEven(amountMinor, t.RateMillionths)
	if err != nil {
		return 0, fmt.Errorf("discount: %w", err)
	}
	fee, ok := money.Add(rate, t.FixedMinor)
	if !ok {
		return 0, fmt.Errorf("discount: %w", money.ErrOverflow)
	}
	return fee, nil
}

// Returned is what comes back of a purchase's fee on a date that ends with
// afterMinor of it paid back, beforeMinor of which were on earlier dates; it is
// negative when the reversal of a refund takes some away again. It is the
// difference of the fee's rate part on either, so that everything that comes
// back of a fee adds up to no more than the fee on chargedMinor, however many
// refunds there are. What was charged nothing, cash handed out, returns nothing.
func (t DiscountTerm) Returned(chargedMinor, beforeMinor, afterMinor int64) (int64, error) {
	if !t.ReturnsFee {
		return 0, nil
	}
	var parts [2]int64
	for i, minor := range []int64{beforeMinor, afterMinor} {
		part, err := money.MulRateHalfEven(max(0, min(minor, chargedMinor)), t.RateMillionths)
		if err != nil {
			return 0, fmt.Errorf("discount return: %w", err)
		}
		parts[i] = part
	}
	return parts[1] - parts[0], nil // both are 0 or more
}

// ReserveTerm is how much of a day's net is held back, and for how many days.
type ReserveTerm struct {
	ValidFrom      Date
	RateMillionths int64
	ReleaseDays    int
}

// Terms are every merchant's conditions, and the card networks they may depend on.
type Terms struct {
	discounts map[discountKey][]DiscountTerm // the newest first
	reserves  map[int32][]ReserveTerm        // by merchant, 0 for every one; the newest first
	networks  []networkRange
	ofBIN     map[string]string
}

type discountKey struct {
	merchantID int32
	network    string
}

type networkRange struct{ low, high, network string }

// binDigits are what a transaction shows of its card number in front.
const binDigits = 6

// Discount of a merchant for a card network on a business date. The most
// particular entry that is valid counts: merchant and network, the merchant's,
// the network's, everybody's. Without any there is no discount.
func (t *Terms) Discount(merchantID int32, network string, d Date) DiscountTerm {
	for _, key := range []discountKey{{merchantID, network}, {merchantID, ""}, {0, network}, {0, ""}} {
		for _, term := range t.discounts[key] {
			if term.ValidFrom <= d {
				return term
			}
		}
	}
	return DiscountTerm{}
}

// Reserve of a merchant on a business date: its own, or everybody's.
func (t *Terms) Reserve(merchantID int32, d Date) ReserveTerm {
	for _, id := range []int32{merchantID, 0} {
		for _, term := range t.reserves[id] {
			if term.ValidFrom <= d {
				return term
			}
		}
	}
	return ReserveTerm{}
}

// Network of a card by the first six digits of its number. Where ranges of
// several networks share them, the one that holds the lowest such number counts.
func (t *Terms) Network(bin string) string {
	if network, known := t.ofBIN[bin]; known {
		return network
	}
	network := ""
	if len(bin) == binDigits {
		low, high := bin+strings.Repeat("0", 19-binDigits), bin+strings.Repeat("9", 19-binDigits)
		for _, r := range t.networks { // ordered by low
			if r.low <= high && r.high >= low {
				network = r.network
				break
			}
		}
	}
	t.ofBIN[bin] = network
	return network
}

// charges tells whether anybody pays a discount at all.
func (t *Terms) charges() bool { return len(t.discounts) > 0 }

// returns tells whether anybody gets some of it back.
func (t *Terms) returns() bool {
	for _, list := range t.discounts {
		if slices.ContainsFunc(list, func(d DiscountTerm) bool { return d.ReturnsFee }) {
			return true
		}
	}
	return false
}

// LoadTerms reads all terms.
func LoadTerms(ctx context.Context, db Querier) (*Terms, error) {
	t := &Terms{discounts: map[discountKey][]DiscountTerm{}, reserves: map[int32][]ReserveTerm{}, ofBIN: map[string]string{}}
	for _, read := range []func(context.Context, Querier) error{t.readDiscounts, t.readReserves, t.readNetworks} {
		if err := read(ctx, db); err != nil {
			return nil, fmt.Errorf("read terms: %w", err)
		}
	}
	return t, nil
}

func (t *Terms) readDiscounts(ctx context.Context, db Querier) error {
	rows, err := db.Query(ctx, `
		SELECT merchant_id, network, valid_from, rate_millionths, fixed_minor, returns_fee
		FROM discount_terms ORDER BY merchant_id, network, valid_from DESC`)
	if err != nil {
		return fmt.Errorf("discounts: %w", err)
	}
	var key discountKey
	var term DiscountTerm
	var from time.Time
	into := []any{&key.merchantID, &key.network, &from, &term.RateMillionths, &term.FixedMinor, &term.ReturnsFee}
	_, err = pgx.ForEachRow(rows, into, func() error {
		term.ValidFrom = DateOf(from)
		t.discounts[key] = append(t.discounts[key], term)
		return nil
	})
	if err != nil {
		return fmt.Errorf("discounts: %w", err)
	}
	return nil
}

func (t *Terms) readReserves(ctx context.Context, db Querier) error {
	rows, err := db.Query(ctx, `
		SELECT merchant_id, valid_from, rate_millionths, release_days FROM reserve_terms ORDER BY merchant_id, valid_from DESC`)
	if err != nil {
		return fmt.Errorf("reserves: %w", err)
	}
	var id int32
	var term ReserveTerm
	var from time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &from, &term.RateMillionths, &term.ReleaseDays}, func() error {
		term.ValidFrom = DateOf(from)
		t.reserves[id] = append(t.reserves[id], term)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reserves: %w", err)
	}
	return nil
}

func (t *Terms) readNetworks(ctx context.Context, db Querier) error {
	rows, err := db.Query(ctx, `SELECT low, high, network FROM bin_ranges ORDER BY low, high`)
	if err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	var r networkRange
	_, err = pgx.ForEachRow(rows, []any{&r.low, &r.high, &r.network}, func() error {
		t.networks = append(t.networks, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	return nil
}
