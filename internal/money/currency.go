package money

import (
	"errors"
	"fmt"
)

// ErrCurrency is in the chain of every error about a currency code.
var ErrCurrency = errors.New("not an active ISO 4217 currency")

// Currency is an ISO 4217 numeric code, 1 to 999. The zero value is "no
// currency" and is not valid.
type Currency uint16

// numericCodes is the size of the space of three-digit numeric codes.
const numericCodes = 1000

// Both indexes are built once at start and only read afterwards.
var (
	byNumeric = indexByNumeric()
	byAlpha   = indexByAlpha()
)

func indexByNumeric() *[numericCodes]iso4217 {
	var index [numericCodes]iso4217
	for _, code := range &activeCodes {
		index[numericValue(code.numeric)] = code
	}
	return &index
}

func indexByAlpha() map[string]Currency {
	index := make(map[string]Currency, len(activeCodes))
	for _, code := range &activeCodes {
		index[code.alpha] = Currency(numericValue(code.numeric))
	}
	return index
}

// numericValue reads three digits; the caller has checked that they are.
func numericValue(digits string) int {
	return int(digits[0]-'0')*100 + int(digits[1]-'0')*10 + int(digits[2]-'0')
}

// ParseCurrency reads an alphabetic code in capitals ("CNY") or a numeric code
// of exactly three digits ("156"). Both forms are what field 49 carries in one
// dialect or another. The error wraps [ErrCurrency].
func ParseCurrency(s string) (Currency, error) {
	if currency, ok := byAlpha[s]; ok {
		return currency, nil
	}
	if len(s) == 3 && isDigit(s[0]) && isDigit(s[1]) && isDigit(s[2]) {
		if currency := Currency(numericValue(s)); currency.Valid() {
			return currency, nil
		}
	}
	return 0, fmt.Errorf("currency %s: %w, such as EUR or 978", quoteShort(s), ErrCurrency)
}

// quoteShort quotes s for an error, cut to a length that cannot flood a log.
func quoteShort(s string) string {
	const maxBytes = 32 // an amount of any currency fits
	if len(s) > maxBytes {
		return fmt.Sprintf("%q... (%d bytes)", s[:maxBytes], len(s))
	}
	return fmt.Sprintf("%q", s)
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// Valid reports whether c is on ISO 4217's active list and has a minor unit.
func (c Currency) Valid() bool { return c.row().alpha != "" }

func (c Currency) row() iso4217 {
	if int(c) >= numericCodes {
		return iso4217{}
	}
	return byNumeric[c]
}

// Alpha returns the alphabetic code, "CNY". For a code that is not active it
// returns the three-digit number, so that a row stored before a currency was
// withdrawn can still be shown.
func (c Currency) Alpha() string {
	if row := c.row(); row.alpha != "" {
		return row.alpha
	}
	return c.Numeric()
}

// Numeric returns the numeric code as three digits, "156".
func (c Currency) Numeric() string {
	if row := c.row(); row.numeric != "" {
		return row.numeric
	}
	return fmt.Sprintf("%03d", uint16(c))
}

// Exponent returns the number of decimals of the minor unit: 0, 2, 3 or 4. For
// a currency that is not [Currency.Valid] it is 0, so that an amount prints as
// its bare minor units and not as a guess.
func (c Currency) Exponent() int { return int(c.row().exponent) }

// String returns [Currency.Alpha].
func (c Currency) String() string { return c.Alpha() }

// MarshalText writes the alphabetic code, and nothing for the zero Currency. A
// currency that is not valid is an error: it must not reach a file or a peer.
func (c Currency) MarshalText() ([]byte, error) {
	if c == 0 {
		return []byte{}, nil
	}
	if !c.Valid() {
		return nil, fmt.Errorf("currency %s: %w", c.Numeric(), ErrCurrency)
	}
	return []byte(c.Alpha()), nil
}

// UnmarshalText reads what [ParseCurrency] reads; empty text is the zero
// Currency, as [Currency.MarshalText] writes it.
func (c *Currency) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = 0
		return nil
	}
	currency, err := ParseCurrency(string(text))
	if err != nil {
		return err
	}
	*c = currency
	return nil
}
