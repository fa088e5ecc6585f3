package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// CutoverState is where one bucket's dates of a calendar are.
type CutoverState struct {
	CalendarID int16  `json:"calendar_id"`
	Calendar   string `json:"calendar"`
	Bucket     int16  `json:"bucket"`
	// OpenDate takes new work until ClosesAt; absent when no day is made that far.
	OpenDate *Date      `json:"open_date,omitempty"`
	ClosesAt *time.Time `json:"closes_at,omitempty"`
	// CuttingDate waits for its close.
	CuttingDate *Date `json:"cutting_date,omitempty"`
	// LastClosed is sealed, as is every date before it.
	LastClosed   *Date      `json:"last_closed,omitempty"`
	LastClosedAt *time.Time `json:"last_closed_at,omitempty"`
	// Due dates have passed their instant and are not closed; Lag is how long
	// the oldest of them has.
	Due        int           `json:"due"`
	OldestDue  *Date         `json:"oldest_due,omitempty"`
	Lag        time.Duration `json:"-"`
	LagSeconds int64         `json:"lag_seconds"`
}

// CutoverStates tells of every calendar and bucket where its dates are at the
// instant now.
func CutoverStates(ctx context.Context, db Querier, now time.Time) ([]CutoverState, error) {
	rows, err := db.Query(ctx, `
		SELECT c.calendar_id, c.name, b.bucket, o.business_date, o.closes_at, k.business_date, l.business_date, l.closed_at,
			u.due, u.oldest, u.since
		FROM calendars c CROSS JOIN buckets b
		LEFT JOIN LATERAL (
			SELECT w.business_date, d.closes_at FROM windows w JOIN business_days d USING (calendar_id, business_date)
			WHERE w.bucket = b.bucket AND w.calendar_id = c.calendar_id AND w.state = 1 AND d.closes_at > $1
			ORDER BY w.business_date LIMIT 1) o ON true
		LEFT JOIN LATERAL (
			SELECT w.business_date FROM windows w
			WHERE w.bucket = b.bucket AND w.calendar_id = c.calendar_id AND w.state = 2
			ORDER BY w.business_date LIMIT 1) k ON true
		LEFT JOIN LATERAL (
			SELECT w.business_date, t.closed_at FROM windows w LEFT JOIN cutovers t USING (bucket, calendar_id, business_date)
			WHERE w.bucket = b.bucket AND w.calendar_id = c.calendar_id AND w.state = 3
			ORDER BY w.business_date DESC LIMIT 1) l ON true
		CROSS JOIN LATERAL (
			SELECT count(*) AS due, min(w.business_date) AS oldest, min(d.closes_at) AS since
			FROM windows w JOIN business_days d USING (calendar_id, business_date)
			WHERE w.bucket = b.bucket AND w.calendar_id = c.calendar_id AND w.state < 3 AND d.closes_at <= $1) u
		ORDER BY c.calendar_id, b.bucket`, now)
	if err != nil {
		return nil, fmt.Errorf("read cutover states: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (CutoverState, error) {
		var s CutoverState
		var open, cutting, last, oldest, since *time.Time
		if err := row.Scan(&s.CalendarID, &s.Calendar, &s.Bucket, &open, &s.ClosesAt, &cutting, &last, &s.LastClosedAt,
			&s.Due, &oldest, &since); err != nil {
			return s, err //nolint:wrapcheck // wrapped below
		}
		s.OpenDate, s.CuttingDate, s.LastClosed, s.OldestDue = dateOf(open), dateOf(cutting), dateOf(last), dateOf(oldest)
		if since != nil {
			s.Lag = now.Sub(*since)
			s.LagSeconds = int64(s.Lag / time.Second)
		}
		return s, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read cutover states: %w", err)
	}
	return list, nil
}

func dateOf(t *time.Time) *Date {
	if t == nil {
		return nil
	}
	d := DateOf(*t)
	return &d
}

// Cutoff is one business date as it will be cut.
type Cutoff struct {
	Calendar     string    `json:"calendar"`
	TimeZone     string    `json:"time_zone"`
	BusinessDate Date      `json:"business_date"`
	OpensAt      time.Time `json:"opens_at"`
	ClosesAt     time.Time `json:"closes_at"`
	// ClosesLocal is the wall clock in the calendar's zone, with its offset.
	ClosesLocal   time.Time `json:"closes_local"`
	LengthSeconds int64     `json:"length_seconds"`
	ValueDate     Date      `json:"value_date"`
	// Closures are the days without banks between the date's end and its value date.
	Closures []Closure `json:"closures"`
	// Made days are stored: neither zone data nor holidays change them any more.
	Made bool `json:"made"`
}

// Length of the business date: 23, 24 or 25 hours in most zones.
func (c *Cutoff) Length() time.Duration { return c.ClosesAt.Sub(c.OpensAt) }

// CutoffsMax bounds a preview to a little over a year.
const CutoffsMax = 400

// NextCutoffs returns the next n cutoffs of a calendar that are still to come at
// the instant now. A date that is sealed takes nothing any more: where a sandbox's
// clock went back behind its cutoff, that cutoff does not come again.
func NextCutoffs(ctx context.Context, db Querier, c *Calendar, now time.Time, n int) ([]Cutoff, error) {
	var sealed *time.Time
	err := db.QueryRow(ctx, `
		SELECT max(d.closes_at) FROM business_days d
		WHERE d.calendar_id = $1 AND d.closes_at > $2 AND NOT EXISTS (
			SELECT FROM buckets b LEFT JOIN windows w
				ON w.bucket = b.bucket AND w.calendar_id = d.calendar_id AND w.business_date = d.business_date
			WHERE coalesce(w.state, 1) < 3)`, c.ID, now).Scan(&sealed)
	if err != nil {
		return nil, fmt.Errorf("read the last sealed date: %w", err)
	}
	if sealed != nil {
		now = *sealed
	}
	return cutoffsAfter(ctx, db, c, now, n)
}

// cutoffsAfter returns the n cutoffs of a calendar after the instant from:
// as they are stored where the day is made, as they would be made otherwise.
func cutoffsAfter(ctx context.Context, db Querier, c *Calendar, from time.Time, n int) ([]Cutoff, error) {
	n = max(0, min(n, CutoffsMax))
	banking, err := LoadBankingCalendar(ctx, db, c.ID)
	if err != nil {
		return nil, err
	}
	made, err := madeDays(ctx, db, c.ID, from, n)
	if err != nil {
		return nil, err
	}
	list := []Cutoff{}
	for _, day := range made {
		cutoff, err := c.preview(banking, day.BusinessDay, day.value)
		if err != nil {
			return nil, err
		}
		cutoff.Made = true
		list = append(list, cutoff)
	}
	next := max(c.FirstDate, c.DateAt(from))
	if len(made) > 0 {
		next = made[len(made)-1].Date.AddDays(1)
	}
	for len(list) < n {
		day := c.Day(next)
		if len(list) > 0 {
			day.OpensAt = list[len(list)-1].ClosesAt // days stay gapless
		}
		cutoff, err := c.preview(banking, day, nil)
		if err != nil {
			return nil, err
		}
		list = append(list, cutoff)
		next++
	}
	return list, nil
}

func (c *Calendar) preview(banking *BankingCalendar, day BusinessDay, stored *time.Time) (Cutoff, error) {
	ends := c.endsOn(day.ClosesAt)
	var value Date
	if stored != nil {
		value = DateOf(*stored)
	} else {
		var err error
		if value, err = banking.ValueDate(ends); err != nil {
			return Cutoff{}, fmt.Errorf("calendar %s: %w", c.Name, err)
		}
	}
	return Cutoff{
		Calendar: c.Name, TimeZone: c.Zone.String(), BusinessDate: day.Date,
		OpensAt: day.OpensAt.UTC(), ClosesAt: day.ClosesAt.UTC(), ClosesLocal: day.ClosesAt.In(c.Zone),
		LengthSeconds: int64(day.ClosesAt.Sub(day.OpensAt) / time.Second),
		ValueDate:     value, Closures: banking.Closures(ends, value),
	}, nil
}

type madeDay struct {
	BusinessDay

	value *time.Time
}

func madeDays(ctx context.Context, db Querier, calendarID int16, from time.Time, n int) ([]madeDay, error) {
	rows, err := db.Query(ctx, `
		SELECT calendar_id, business_date, opens_at, closes_at, value_date FROM business_days
		WHERE calendar_id = $1 AND closes_at > $2 ORDER BY business_date LIMIT $3`, calendarID, from, n)
	if err != nil {
		return nil, fmt.Errorf("read business days: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (madeDay, error) {
		var d madeDay
		var date time.Time
		err := row.Scan(&d.CalendarID, &date, &d.OpensAt, &d.ClosesAt, &d.value)
		d.Date = DateOf(date)
		return d, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("read business days: %w", err)
	}
	return list, nil
}
