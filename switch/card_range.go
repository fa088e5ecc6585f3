package switching

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// CardRange leads the cards from one number to another to a route. No card number
// is in two of them.
type CardRange struct {
	// Low is padded with 0 and High with 9, to the 19 digits that a card number has
	// at most.
	Low     string `json:"low"`
	High    string `json:"high"`
	Network string `json:"network"`
	Route   string `json:"route"`
}

// binDigits are what a settlement knows of a card number ([ledger.Terms.Network]).
const binDigits = 6

// panDigits is the length of the longest card number (ISO/IEC 7812-1).
const panDigits = 19

// prefixDigits are what a range may say of its numbers: issuers' own ranges need no
// more, and more would be cards.
const prefixDigits = 11

// routes that a range can lead to. On-us is the ledger itself.
var routes = []string{"onus"}

var rangePrefix = regexp.MustCompile(fmt.Sprintf(`^[0-9]{1,%d}$`, prefixDigits))

// NewCardRange makes a range of the first digits of its lowest and its highest
// number; an empty high is the same as low. Errors: [FieldError].
func NewCardRange(low, high, network, route string) (CardRange, error) {
	if high == "" {
		high = low
	}
	r := CardRange{Network: network, Route: route}
	for _, end := range []struct {
		field, digits, padding string
		into                   *string
	}{{"low", low, "0", &r.Low}, {"high", high, "9", &r.High}} {
		if !rangePrefix.MatchString(end.digits) {
			return r, wrong(end.field, "%q: the first 1 to %d digits of card numbers", shortened(end.digits), prefixDigits)
		}
		*end.into = end.digits + strings.Repeat(end.padding, panDigits-len(end.digits))
	}
	if r.Low > r.High {
		return r, wrong("high", "%s is below %s", high, low)
	}
	return r, nil
}

// shortened keeps a card number that was entered by mistake out of the error.
func shortened(digits string) string {
	if len(digits) > prefixDigits {
		return digits[:binDigits] + "…"
	}
	return digits
}

// String is the range in digits.
func (r *CardRange) String() string { return r.Low + " to " + r.High }

// CardRanges lists the ranges by number.
func CardRanges(ctx context.Context, db ledger.Querier) ([]CardRange, error) {
	rows, err := db.Query(ctx, `SELECT low, high, network, route FROM bin_ranges ORDER BY low, high`)
	if err != nil {
		return nil, fmt.Errorf("list card ranges: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[CardRange])
	if err != nil {
		return nil, fmt.Errorf("list card ranges: %w", err)
	}
	return list, nil
}

// AddCardRange adds a range. It returns the network whose discounts count for its
// cards where that is another one: settlements know the first six digits alone, and
// of ranges that share them the lowest says the network. Errors: [FieldError].
func AddCardRange(ctx context.Context, db ledger.TxBeginner, r CardRange, who, why string) (discountsOf string, err error) {
	if !networkName.MatchString(r.Network) {
		return "", wrong("network", "%q is no name: small letters, digits and lines, such as visa", r.Network)
	}
	if !slices.Contains(routes, r.Route) {
		return "", wrong("route", "%q leads nowhere: there is %s", r.Route, strings.Join(routes, ", "))
	}
	c := PolicyChange{Who: who, Why: why, What: fmt.Sprintf("card range %s: %s by %s", &r, r.Network, r.Route), Kind: "range_added"}
	err = changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) {
		discountsOf, err = r.store(ctx, tx)
		return "", err
	})
	return discountsOf, err
}

func (r *CardRange) store(ctx context.Context, tx pgx.Tx) (discountsOf string, err error) {
	list, err := CardRanges(ctx, tx)
	if err != nil {
		return "", err
	}
	for i := range list {
		if other := &list[i]; other.Low <= r.High && r.Low <= other.High {
			return "", taken("low", "the range overlaps with the one of %s from %s", other.Network, other)
		}
	}
	before, err := ledger.LoadTerms(ctx, tx)
	if err != nil {
		return "", fmt.Errorf("before: %w", err)
	}
	if err := execute(ctx, tx, `INSERT INTO bin_ranges (low, high, network, route) VALUES ($1, $2, $3, $4)`, r.Low, r.High, r.Network, r.Route); err != nil {
		return "", err
	}
	after, err := ledger.LoadTerms(ctx, tx)
	if err != nil {
		return "", fmt.Errorf("after: %w", err)
	}
	for _, bin := range []string{r.Low[:binDigits], r.High[:binDigits]} { // those between are the range's alone
		was, is := before.Network(bin), after.Network(bin)
		if was != "" && was != is {
			return "", notNow("low", "discounts go by the first six digits: those of %s on cards that begin with %s would become those of %s", was, bin, is)
		}
		if is != r.Network {
			discountsOf = is
		}
	}
	return discountsOf, nil
}

// RemoveCardRange removes a range: its cards are declined from then on, and their
// transactions of before stay what they are. One whose network has discounts of its
// own stays: what was taken by them is given back by them. Errors: [FieldError].
func RemoveCardRange(ctx context.Context, db ledger.TxBeginner, r CardRange, who, why string) error {
	c := PolicyChange{Who: who, Why: why, What: "card range " + r.String(), Kind: "range_removed"}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) {
		var network string
		var discounted bool
		err := tx.QueryRow(ctx, `
			DELETE FROM bin_ranges r WHERE low = $1 AND high = $2
			RETURNING network, EXISTS (SELECT FROM discount_terms d WHERE d.network = r.network)`, r.Low, r.High).Scan(&network, &discounted)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return "", missing("low", "there is no card range from %s", &r)
		case err != nil:
			return "", fmt.Errorf("remove: %w", err)
		case discounted:
			return "", notNow("low", "%s has discounts of its own, by which what they took is given back with refunds: the range stays", network)
		}
		return fmt.Sprintf("card range %s: %s", &r, network), nil
	})
}
