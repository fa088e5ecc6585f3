package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// WindowState is how far a bucket's business date has come.
type WindowState uint8

const (
	// WindowOpen takes new work until its instant.
	WindowOpen WindowState = 1
	// WindowCutting waits for what is in flight.
	WindowCutting WindowState = 2
	// WindowClosed is sealed.
	WindowClosed WindowState = 3
)

// Window is a bucket's own copy of a business day.
type Window struct {
	BusinessDay
	State WindowState `json:"state"`
}

// Accepts tells whether new work at the instant now belongs to this window.
func (w *Window) Accepts(now time.Time) bool {
	return w.State == WindowOpen && now.Before(w.ClosesAt)
}

const (
	// daysAhead are made before they are needed: an outage of the job over a
	// long weekend must not stop a terminal.
	daysAhead = 10
	// daysMissedMax bounds what one call makes up for: a host that was down
	// over a year of cutoffs catches up in a few calls, not in one transaction.
	daysMissedMax = 400
)

// EnsureWindows makes business days with their value dates, their windows in
// every bucket and the partitions below them, from the last known day (or the day of now) to ten
// days past now. Days that exist are never recomputed. Any number of hosts may
// run it at once.
func EnsureWindows(ctx context.Context, db TxBeginner, cals []*Calendar, now time.Time) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for _, c := range cals {
			if err := ensureCalendar(ctx, tx, c, now); err != nil {
				return fmt.Errorf("calendar %s: %w", c.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ensure windows: %w", err)
	}
	return nil
}

func ensureCalendar(ctx context.Context, tx pgx.Tx, c *Calendar, now time.Time) error {
	last := c.DateAt(now).AddDays(daysAhead)
	first, opensAt, err := firstMissingDay(ctx, tx, c, now)
	if err != nil {
		return err
	}
	last = min(last, first.AddDays(daysMissedMax))
	if first <= last {
		if _, err := tx.Exec(ctx, `SELECT meridian_ensure_partitions($1, $2)`, first.Time(), last.Time()); err != nil {
			return fmt.Errorf("partitions %s to %s: %w", first, last, err)
		}
		banking, err := LoadBankingCalendar(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		days, opens, closes, values := []time.Time{}, []time.Time{}, []time.Time{}, []time.Time{}
		for d := first; d <= last; d++ {
			day := c.Day(d)
			if d > first {
				opensAt = day.OpensAt
			}
			value, err := banking.ValueDate(c.endsOn(day.ClosesAt))
			if err != nil {
				return err
			}
			days, opens, closes = append(days, d.Time()), append(opens, opensAt), append(closes, day.ClosesAt)
			values = append(values, value.Time())
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO business_days (calendar_id, business_date, opens_at, closes_at, value_date)
			SELECT $1, d, o, c, v FROM unnest($2::date[], $3::timestamptz[], $4::timestamptz[], $5::date[]) AS u(d, o, c, v)
			ON CONFLICT DO NOTHING`, c.ID, days, opens, closes, values); err != nil {
			return fmt.Errorf("business days: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO windows (bucket, calendar_id, business_date)
		SELECT b.bucket, d.calendar_id, d.business_date
		FROM buckets b, business_days d
		WHERE d.calendar_id = $1 AND NOT EXISTS (
			SELECT FROM windows w
			WHERE w.bucket = b.bucket AND w.calendar_id = d.calendar_id AND w.business_date = d.business_date)
		ON CONFLICT DO NOTHING`, c.ID); err != nil {
		return fmt.Errorf("windows: %w", err)
	}
	return nil
}

// firstMissingDay is the day after the last one made, with the instant at
// which that one closes: days stay gapless even when zone data changed between.
func firstMissingDay(ctx context.Context, tx pgx.Tx, c *Calendar, now time.Time) (Date, time.Time, error) {
	var lastMade *time.Time
	var closesAt *time.Time
	err := tx.QueryRow(ctx, `
		SELECT business_date, closes_at FROM business_days
		WHERE calendar_id = $1 ORDER BY business_date DESC LIMIT 1`, c.ID).Scan(&lastMade, &closesAt)
	switch {
	case err == nil:
		return DateOf(*lastMade).AddDays(1), *closesAt, nil
	case err == pgx.ErrNoRows: //nolint:errorlint // QueryRow returns it bare
		first := max(c.FirstDate, c.DateAt(now).AddDays(-1))
		return first, c.Day(first).OpensAt, nil
	default:
		return 0, time.Time{}, fmt.Errorf("last business day: %w", err)
	}
}
