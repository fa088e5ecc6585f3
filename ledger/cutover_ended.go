package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// EndedDate is a business date whose cutoff has come, over all buckets.
type EndedDate struct {
	CalendarID   int16     `json:"calendar_id"`
	Calendar     string    `json:"calendar"`
	BusinessDate Date      `json:"business_date"`
	ClosesAt     time.Time `json:"closes_at"`
	// Buckets that have the date, and those of them in which it is sealed.
	Buckets int `json:"buckets"`
	Sealed  int `json:"sealed"`
	// ClosedAt is when the last bucket was sealed, by the business clock; absent
	// while one of them is not.
	ClosedAt *time.Time `json:"closed_at,omitempty"`
	// Statements that were made, and transfers that were sealed.
	Statements int   `json:"statements"`
	Transfers  int64 `json:"transfers"`
}

// Late tells whether the date is not sealed everywhere.
func (d *EndedDate) Late() bool { return d.Sealed < d.Buckets }

// EndedDates returns the last n business dates of each calendar that had ended at
// the instant now, and every one that is not sealed since; those come first, then
// the newest.
func EndedDates(ctx context.Context, db Querier, now time.Time, n int) ([]EndedDate, error) {
	const most = 400 // a year in which nothing was closed
	rows, err := db.Query(ctx, `
		SELECT c.calendar_id, c.name, d.business_date, d.closes_at, count(w.state), count(*) FILTER (WHERE w.state = 3),
			max(t.closed_at), coalesce(sum(s.statements), 0), coalesce(sum(s.transfer_count), 0)::bigint
		FROM calendars c
		CROSS JOIN LATERAL (
			(SELECT e.business_date, e.closes_at FROM business_days e
			 WHERE e.calendar_id = c.calendar_id AND e.closes_at <= $1 ORDER BY e.business_date DESC LIMIT $2)
			UNION
			SELECT e.business_date, e.closes_at FROM buckets b
			JOIN windows w ON w.bucket = b.bucket AND w.calendar_id = c.calendar_id AND w.state < 3
			JOIN business_days e ON e.calendar_id = w.calendar_id AND e.business_date = w.business_date AND e.closes_at <= $1) d
		CROSS JOIN buckets b
		LEFT JOIN windows w ON w.bucket = b.bucket AND w.calendar_id = c.calendar_id AND w.business_date = d.business_date
		LEFT JOIN cutovers t ON t.bucket = b.bucket AND t.calendar_id = c.calendar_id AND t.business_date = d.business_date
		LEFT JOIN window_seals s ON s.bucket = b.bucket AND s.calendar_id = c.calendar_id AND s.business_date = d.business_date
		GROUP BY c.calendar_id, c.name, d.business_date, d.closes_at
		ORDER BY (count(*) FILTER (WHERE w.state < 3) > 0) DESC, d.closes_at DESC, c.calendar_id LIMIT $3`, now, n, most)
	if err != nil {
		return nil, fmt.Errorf("read the ended dates: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (EndedDate, error) {
		var d EndedDate
		var date time.Time
		err := row.Scan(&d.CalendarID, &d.Calendar, &date, &d.ClosesAt, &d.Buckets, &d.Sealed, &d.ClosedAt, &d.Statements, &d.Transfers)
		if d.BusinessDate = DateOf(date); d.Late() {
			d.ClosedAt = nil
		}
		return d, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("read the ended dates: %w", err)
	}
	return list, nil
}
