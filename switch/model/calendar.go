package model

import "time"

// Date is a civil date: days since 1970-01-01.
type Date int

// DateOn is the civil date of a year, month and day.
func DateOn(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

// String is YYYY-MM-DD.
func (d Date) String() string { return d.midnight().Format(time.DateOnly) }

// midnight of the date as if its zone were UTC.
func (d Date) midnight() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

const secondsPerDay = 24 * 60 * 60

// Calendar ends a business date at a wall-clock time in a zone.
type Calendar struct {
	Zone   *time.Location
	Cutoff time.Duration // since midnight on the wall's clock
}

// CutoffOf is the instant at which business date d ends. It looks at what the
// wall clock means under each offset the zone has around that day: the earliest
// instant that really shows it. In a gap none does, and the offset from before
// the gap counts, which moves the instant past the gap.
func (c Calendar) CutoffOf(d Date) time.Time {
	wall := d.midnight().Add(c.Cutoff)
	before, after := c.offset(wall.Add(-36*time.Hour)), c.offset(wall.Add(36*time.Hour))
	first := time.Time{}
	for _, offset := range []time.Duration{before, after} {
		instant := wall.Add(-offset)
		if c.offset(instant) == offset && (first.IsZero() || instant.Before(first)) {
			first = instant
		}
	}
	if first.IsZero() {
		return wall.Add(-before)
	}
	return first
}

func (c Calendar) offset(instant time.Time) time.Duration {
	_, seconds := instant.In(c.Zone).Zone()
	return time.Duration(seconds) * time.Second
}

// DateAt is the business date of an instant: cutoff(D-1) ≤ t < cutoff(D).
func (c Calendar) DateAt(t time.Time) Date {
	d := Date(t.Unix()/secondsPerDay) - 2
	for !t.Before(c.CutoffOf(d)) {
		d++
	}
	return d
}
