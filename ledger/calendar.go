package ledger

import (
	"fmt"
	"time"
)

// TimeOfDay is a wall-clock time: seconds since midnight, zone not included.
type TimeOfDay int32

// ParseTimeOfDay reads HH:MM or HH:MM:SS.
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return TimeOfDay(t.Hour()*3600 + t.Minute()*60 + t.Second()), nil
		}
	}
	return 0, fmt.Errorf("time of day %q is not HH:MM", s)
}

// String is HH:MM, or HH:MM:SS where there are seconds.
func (t TimeOfDay) String() string {
	if t%60 != 0 {
		return fmt.Sprintf("%02d:%02d:%02d", t/3600, t/60%60, t%60)
	}
	return fmt.Sprintf("%02d:%02d", t/3600, t/60%60)
}

// Calendar turns dates into cutoff instants.
type Calendar struct {
	ID        int16
	Name      string
	Zone      *time.Location
	Cutoff    TimeOfDay
	FirstDate Date
}

// CutoffOf is the instant at which business date d ends: the cutoff's wall
// clock on that civil date. In a spring gap the wall clock does not exist and
// the instant is the gap's end plus the time into it, as [time.Date] has it; in
// an autumn overlap it exists twice and the first occurrence counts.
func (c *Calendar) CutoffOf(d Date) time.Time {
	day := d.Time()
	at := time.Date(day.Year(), day.Month(), day.Day(), int(c.Cutoff/3600), int(c.Cutoff/60%60), int(c.Cutoff%60), 0, c.Zone)
	// time.Date does not promise which of two equal wall clocks it returns. No
	// zone in use repeats more than three hours.
	for back := 30 * time.Minute; back <= 3*time.Hour; back += 30 * time.Minute {
		earlier := at.Add(-back)
		if sameWallClock(earlier, at) {
			return earlier.UTC()
		}
	}
	return at.UTC()
}

func sameWallClock(a, b time.Time) bool {
	return a.Hour() == b.Hour() && a.Minute() == b.Minute() && a.Second() == b.Second() && DateOf(a) == DateOf(b)
}

// BusinessDay is one business date with its half-open span of instants.
type BusinessDay struct {
	CalendarID int16     `json:"calendar_id"`
	Date       Date      `json:"business_date"`
	OpensAt    time.Time `json:"opens_at"`
	ClosesAt   time.Time `json:"closes_at"`
}

// Day computes business date d: [cutoff(d-1), cutoff(d)).
func (c *Calendar) Day(d Date) BusinessDay {
	return BusinessDay{CalendarID: c.ID, Date: d, OpensAt: c.CutoffOf(d.AddDays(-1)), ClosesAt: c.CutoffOf(d)}
}

// DateAt computes which business date the instant t falls in.
func (c *Calendar) DateAt(t time.Time) Date {
	// The civil date in the zone, or the next one when its cutoff has passed.
	// A cutoff that a gap pushed over midnight can shift it once more.
	d := DateOf(t.In(c.Zone)).AddDays(-1)
	for !t.Before(c.CutoffOf(d)) {
		d = d.AddDays(1)
	}
	return d
}
