package switching

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// Terms are what merchants pay, and what is held back of what they are owed
// ([ledger.Terms]). They count from a business date on. One that has begun is part
// of how closed dates were settled, and is followed by another one, never changed.

// Discount is the merchant discount from a business date on. The most particular
// one counts: for merchant and network, the merchant's, the network's, everybody's.
type Discount struct {
	// MID of the merchant; empty for every one.
	MID string `json:"mid"`
	// Network of the card; empty for every one.
	Network string      `json:"network"`
	From    ledger.Date `json:"from"`
	// RateMillionths of each purchase, rounded half to even; 12000 is 1.2 %.
	RateMillionths int64 `json:"rate_millionths"`
	// FixedMinor is added to each, in minor units of its currency.
	FixedMinor int64 `json:"fixed_minor"`
	// ReturnsFee gives the rate's part back with a refund.
	ReturnsFee bool `json:"returns_fee"`
}

// Reserve is the rolling reserve from a business date on: a part of each day's net
// is held back for some days.
type Reserve struct {
	// MID of the merchant; empty for every one, which one's own takes the place of.
	MID            string      `json:"mid"`
	From           ledger.Date `json:"from"`
	RateMillionths int64       `json:"rate_millionths"`
	ReleaseDays    int         `json:"release_days"`
}

// Bounds of the columns.
const (
	maxRateMillionths = 1_000_000
	maxFixedMinor     = 1_000_000_000
	maxReleaseDays    = 3650
)

// networkName is what card networks are called: answers to UnionPay terminals know
// theirs by it.
var networkName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// networkText names a network for people.
func networkText(network string) string {
	if network == "" {
		return "every card network"
	}
	return network
}

// merchantText names a merchant for people.
func merchantText(mid string) string {
	if mid == "" {
		return "every merchant"
	}
	return "merchant " + mid
}

// percentText is a rate in millionths as people write it, without rounding.
func percentText(millionths int64) string {
	text := fmt.Sprintf("%d.%04d", millionths/10_000, millionths%10_000)
	for text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	if text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	return text + " %"
}

// String is the discount without whose and since when.
func (d *Discount) String() string {
	text := fmt.Sprintf("discount of %s for %s", percentText(d.RateMillionths), networkText(d.Network))
	if d.FixedMinor > 0 {
		text += fmt.Sprintf(" and %d in minor units", d.FixedMinor)
	}
	if d.ReturnsFee {
		text += ", returned with refunds"
	}
	return text
}

// String is the reserve without whose and since when.
func (r *Reserve) String() string {
	return fmt.Sprintf("reserve of %s for %d days", percentText(r.RateMillionths), r.ReleaseDays)
}

func (d *Discount) check() error {
	switch {
	case d.Network != "" && !networkName.MatchString(d.Network):
		return wrong("network", "%q is no name: small letters, digits and lines, such as visa", d.Network)
	case d.RateMillionths < 0 || d.RateMillionths > maxRateMillionths:
		return wrong("rate", "%s is not from 0 to 100 %%", percentText(d.RateMillionths))
	case d.FixedMinor < 0 || d.FixedMinor > maxFixedMinor:
		return wrong("fixed-minor", "%d is not from 0 to %d minor units", d.FixedMinor, maxFixedMinor)
	}
	return nil
}

// store adds the discount of a merchant (0 for every one), or writes over the one
// that begins on the same date.
func (d *Discount) store(ctx context.Context, tx pgx.Tx, merchantID int32) error {
	if d.Network != "" {
		var known bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM bin_ranges WHERE network = $1)`, d.Network).Scan(&known); err != nil {
			return fmt.Errorf("look for network: %w", err)
		}
		if !known {
			return missing("network", "no card range is of network %q, so the discount would never count", d.Network)
		}
	}
	return execute(ctx, tx, `
		INSERT INTO discount_terms (merchant_id, network, valid_from, rate_millionths, fixed_minor, returns_fee)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (merchant_id, network, valid_from) DO UPDATE SET
			rate_millionths = excluded.rate_millionths, fixed_minor = excluded.fixed_minor, returns_fee = excluded.returns_fee`,
		merchantID, d.Network, d.From.Time(), d.RateMillionths, d.FixedMinor, d.ReturnsFee)
}

// SetDiscount has a discount count from a business date on. Without a date (0) it is
// the one after those that are open now, so that nothing that is sold already
// becomes dearer; the earliest is the open one. It returns the date. Errors:
// [FieldError].
func SetDiscount(ctx context.Context, db ledger.TxBeginner, d Discount, now time.Time, who, why string) (ledger.Date, error) {
	if err := d.check(); err != nil {
		return 0, err
	}
	err := changeTerms(ctx, db, d.MID, &d.From, now, who, why, func(ctx context.Context, tx pgx.Tx, merchantID int32) (string, error) {
		return d.String(), d.store(ctx, tx, merchantID)
	})
	return d.From, err
}

// SetReserve is [SetDiscount] for a rolling reserve.
func SetReserve(ctx context.Context, db ledger.TxBeginner, r Reserve, now time.Time, who, why string) (ledger.Date, error) {
	switch {
	case r.RateMillionths < 0 || r.RateMillionths > maxRateMillionths:
		return 0, wrong("rate", "%s is not from 0 to 100 %%", percentText(r.RateMillionths))
	case r.ReleaseDays < 1 || r.ReleaseDays > maxReleaseDays:
		return 0, wrong("days", "%d is not from 1 to %d", r.ReleaseDays, maxReleaseDays)
	}
	err := changeTerms(ctx, db, r.MID, &r.From, now, who, why, func(ctx context.Context, tx pgx.Tx, merchantID int32) (string, error) {
		return r.String(), execute(ctx, tx, `
			INSERT INTO reserve_terms (merchant_id, valid_from, rate_millionths, release_days) VALUES ($1, $2, $3, $4)
			ON CONFLICT (merchant_id, valid_from) DO UPDATE SET
				rate_millionths = excluded.rate_millionths, release_days = excluded.release_days`,
			merchantID, r.From.Time(), r.RateMillionths, r.ReleaseDays)
	})
	return r.From, err
}

// RemoveDiscount takes a discount back that has not begun to count: the one of d's
// merchant and network from d's date on. Errors: [FieldError].
func RemoveDiscount(ctx context.Context, db ledger.TxBeginner, d Discount, now time.Time, who, why string) error {
	return removeTerms(ctx, db, d.MID, d.From, now, who, why, "discount for "+networkText(d.Network), func(ctx context.Context, tx pgx.Tx, merchantID int32) error {
		return execute(ctx, tx, `DELETE FROM discount_terms WHERE merchant_id = $1 AND network = $2 AND valid_from = $3`,
			merchantID, d.Network, d.From.Time())
	})
}

// RemoveReserve is [RemoveDiscount] for a rolling reserve.
func RemoveReserve(ctx context.Context, db ledger.TxBeginner, r Reserve, now time.Time, who, why string) error {
	return removeTerms(ctx, db, r.MID, r.From, now, who, why, "reserve", func(ctx context.Context, tx pgx.Tx, merchantID int32) error {
		return execute(ctx, tx, `DELETE FROM reserve_terms WHERE merchant_id = $1 AND valid_from = $2`, merchantID, r.From.Time())
	})
}

func removeTerms(
	ctx context.Context, db ledger.TxBeginner, mid string, from ledger.Date, now time.Time, who, why, what string,
	remove func(context.Context, pgx.Tx, int32) error,
) error {
	if from == 0 {
		return wrong("from", "is missing: terms are told apart by the business date they count from")
	}
	return changeTerms(ctx, db, mid, &from, now, who, why, func(ctx context.Context, tx pgx.Tx, merchantID int32) (string, error) {
		first, err := firstTermDate(ctx, tx, merchantID, now)
		switch {
		case err != nil:
			return "", err
		case from == first: // what was sold today was sold under it
			return "", notNow("from", "%s is open, so the terms count already: enter those that follow them", from)
		}
		err = remove(ctx, tx, merchantID)
		if errors.Is(err, ErrNothingChanged) {
			return "", missing("from", "there is no %s of %s from %s on", what, merchantText(mid), from)
		}
		return what + " removed", err
	})
}

// changeTerms changes terms of a merchant that count from a date on, or from the
// first one that nothing is sold on yet.
func changeTerms(
	ctx context.Context, db ledger.TxBeginner, mid string, from *ledger.Date, now time.Time, who, why string,
	change func(ctx context.Context, tx pgx.Tx, merchantID int32) (what string, err error),
) error {
	c := PolicyChange{Who: who, Why: why, What: "terms of " + merchantText(mid), Kind: "terms_changed"}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) {
		merchantID := int32(0)
		if mid != "" {
			err := tx.QueryRow(ctx, `SELECT merchant_id FROM merchants WHERE mid = $1`, mid).Scan(&merchantID)
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return "", missing("mid", "there is no merchant %s", mid)
			case err != nil:
				return "", fmt.Errorf("find merchant: %w", err)
			}
		}
		first, err := firstTermDate(ctx, tx, merchantID, now)
		switch {
		case err != nil:
			return "", err
		case *from == 0:
			*from = first.AddDays(1)
		case *from < first:
			return "", notNow("from", "%s is over: terms count from %s on at the earliest, which is open", *from, first)
		}
		what, err := change(ctx, tx, merchantID)
		return fmt.Sprintf("%s from %s on: %s", merchantText(mid), *from, what), err
	})
}

// firstTermDate is the earliest business date that terms of a merchant (0 for
// everybody's) may still count from: the one that is open in its calendar, and none
// that is cut already. Of several calendars it is the latest of theirs.
func firstTermDate(ctx context.Context, tx pgx.Tx, merchantID int32, now time.Time) (ledger.Date, error) {
	calendars, err := ledger.Calendars(ctx, tx)
	if err != nil {
		return 0, err
	}
	var own int16
	if merchantID != 0 {
		if err := tx.QueryRow(ctx, `SELECT calendar_id FROM merchants WHERE merchant_id = $1`, merchantID).Scan(&own); err != nil {
			return 0, fmt.Errorf("calendar of merchant: %w", err)
		}
	}
	var first ledger.Date
	if len(calendars) == 0 {
		first = ledger.DateOf(now.UTC())
	}
	for _, c := range calendars {
		if own == 0 || c.ID == own {
			first = max(first, c.DateAt(now))
		}
	}
	// The sandbox's clock can be set back, behind dates that were closed.
	var cut *time.Time
	if err := tx.QueryRow(ctx, `SELECT max(business_date) FROM windows WHERE state > 1 AND ($1 = 0 OR calendar_id = $1)`, own).Scan(&cut); err != nil {
		return 0, fmt.Errorf("dates that are cut: %w", err)
	}
	if cut != nil {
		first = max(first, ledger.DateOf(*cut).AddDays(1))
	}
	return first, nil
}
