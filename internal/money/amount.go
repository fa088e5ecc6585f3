package money

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrAmount is in the chain of every error about an amount that cannot be read.
var ErrAmount = errors.New("not an amount")

// Amount is a number of minor units in a currency: {1234, EUR} is 12.34 EUR.
// Amounts are comparable with ==.
type Amount struct {
	Minor    int64    `json:"minor"`
	Currency Currency `json:"currency"`
}

// String returns the amount with its decimals and alphabetic code, "12.34 EUR".
func (a Amount) String() string {
	return FormatMinor(a.Minor, a.Currency) + " " + a.Currency.Alpha()
}

// FormatMinor writes minor units with the currency's decimals and a point:
// 1234 EUR is "12.34", 1234 JPY "1234", -5 KWD "-0.005". There is no grouping:
// the text is for machines and operators alike, and [ParseMinor] reads it back.
func FormatMinor(minor int64, currency Currency) string {
	exponent := currency.Exponent()
	digits := strconv.FormatInt(minor, 10)
	if exponent == 0 {
		return digits
	}
	sign := ""
	if minor < 0 {
		sign, digits = "-", digits[1:]
	}
	if missing := exponent + 1 - len(digits); missing > 0 {
		digits = "0000"[:missing] + digits // missing ≤ exponent ≤ 4, the largest in ISO 4217
	}
	point := len(digits) - exponent
	return sign + digits[:point] + "." + digits[point:]
}

// ParseAmount reads a decimal amount of the currency; see [ParseMinor].
func ParseAmount(s string, currency Currency) (Amount, error) {
	minor, err := ParseMinor(s, currency)
	if err != nil {
		return Amount{}, err
	}
	return Amount{Minor: minor, Currency: currency}, nil
}

// ParseMinor reads a decimal amount of the currency into minor units: "12.34",
// "12.3" and "12" in EUR are 1234, 1230 and 1200. It takes an optional minus,
// at least one digit before the point, and at most as many after it as the
// currency has: it never rounds. Errors wrap [ErrAmount], [ErrCurrency] or
// [ErrOverflow].
func ParseMinor(s string, currency Currency) (int64, error) {
	if !currency.Valid() {
		return 0, fmt.Errorf("amount in currency %s: %w", currency.Numeric(), ErrCurrency)
	}
	unsigned, negative := strings.CutPrefix(s, "-")
	whole, fraction, hasPoint := strings.Cut(unsigned, ".")
	if whole == "" || (hasPoint && fraction == "") {
		return 0, fmt.Errorf("amount %s: %w: digits are needed before the point and after it", quoteShort(s), ErrAmount)
	}
	exponent := currency.Exponent()
	if len(fraction) > exponent {
		return 0, fmt.Errorf("amount %s: %w: %s has %d decimals", quoteShort(s), ErrAmount, currency, exponent)
	}

	// Summed towards the negative side, which reaches one further than the
	// positive one: every int64 that FormatMinor can write is read back.
	var minor int64
	take := func(digit byte) error {
		if !isDigit(digit) {
			return fmt.Errorf("amount %s: %w: only digits, one point and a leading minus are allowed", quoteShort(s), ErrAmount)
		}
		next, ok := Mul(minor, 10)
		if ok {
			next, ok = Sub(next, int64(digit-'0'))
		}
		if !ok {
			return fmt.Errorf("amount %s: %w", quoteShort(s), ErrOverflow)
		}
		minor = next
		return nil
	}
	for _, digits := range [...]string{whole, fraction, "0000"[:exponent-len(fraction)]} {
		for i := range len(digits) {
			if err := take(digits[i]); err != nil {
				return 0, err
			}
		}
	}
	if negative {
		return minor, nil
	}
	positive, ok := Neg(minor)
	if !ok {
		return 0, fmt.Errorf("amount %s: %w", quoteShort(s), ErrOverflow)
	}
	return positive, nil
}
