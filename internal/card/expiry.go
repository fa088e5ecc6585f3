package card

import (
	"errors"
	"fmt"
	"time"
)

// ErrExpiry is in the chain of every error about an expiry date.
var ErrExpiry = errors.New("not an expiry date")

// centuryPivot splits the two-digit years as EMV Book 4 does for card
// dates: 00 to 49 are 2000 to 2049, 50 to 99 are 1950 to 1999. No clock is
// asked, so a stored message always reads the same.
const centuryPivot = 50

// Expiry is the last month in which a card may be used. The zero value is "no
// expiry date". Expiries are comparable with ==.
type Expiry struct {
	Year  int // four digits
	Month time.Month
}

// ParseExpiry reads YYMM as in field 14 and on track 2. The error wraps
// [ErrExpiry] and does not contain the value.
func ParseExpiry(s string) (Expiry, error) {
	const layout = "YYMM"
	if len(s) != len(layout) {
		return Expiry{}, fmt.Errorf("%w: %d characters, want %s", ErrExpiry, len(s), layout)
	}
	if i := firstNonDigit(s); i >= 0 {
		return Expiry{}, fmt.Errorf("%w: the character at offset %d is not a digit", ErrExpiry, i)
	}
	year, month := twoDigits(s[:2]), time.Month(twoDigits(s[2:]))
	if month < time.January || month > time.December {
		return Expiry{}, fmt.Errorf("%w: the month is not 01 to 12", ErrExpiry)
	}
	if year >= centuryPivot {
		return Expiry{Year: 1900 + year, Month: month}, nil
	}
	return Expiry{Year: 2000 + year, Month: month}, nil
}

func twoDigits(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

// IsZero reports whether there is no expiry date.
func (e Expiry) IsZero() bool { return e == Expiry{} }

// String returns YYMM, "" for the zero Expiry.
func (e Expiry) String() string {
	if e.IsZero() {
		return ""
	}
	return fmt.Sprintf("%02d%02d", e.Year%100, int(e.Month))
}

// MarshalText returns YYMM.
func (e Expiry) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads YYMM; empty text is the zero Expiry.
func (e *Expiry) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*e = Expiry{}
		return nil
	}
	expiry, err := ParseExpiry(string(text))
	if err != nil {
		return err
	}
	*e = expiry
	return nil
}
