package ledger

import (
	"fmt"
	"time"
)

// Date is a civil date: days since 1970-01-01. It has no zone; a calendar
// gives it instants.
type Date int32

const dateLayout = "2006-01-02"

// DateOf returns the civil date that t has in its own location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return MakeDate(y, m, d)
}

// MakeDate returns the civil date; values out of range carry over as in [time.Date].
func MakeDate(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(dateLayout, s)
	if err != nil {
		return 0, fmt.Errorf("date %q is not YYYY-MM-DD: %w", s, err)
	}
	return DateOf(t), nil
}

// Time is the date's midnight in UTC, which is how the database carries it.
func (d Date) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// AddDays moves by whole days.
func (d Date) AddDays(n int) Date { return d + Date(n) }

// String is YYYY-MM-DD.
func (d Date) String() string { return d.Time().Format(dateLayout) }

// MarshalText is YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Date) UnmarshalText(b []byte) error {
	v, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}
