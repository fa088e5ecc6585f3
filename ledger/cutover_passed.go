package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// PassedCutoff is a business date that ended.
type PassedCutoff struct {
	Calendar     string    `json:"calendar"`
	BusinessDate Date      `json:"business_date"`
	ClosesAt     time.Time `json:"closes_at"`
	Closed       bool      `json:"closed"` // sealed in every bucket
}

// PassedCutoffs returns the business dates that ended after one instant and not
// after another, in their order; at most 2,000, which is some five calendars over
// the 400 days that one change of a sandbox's clock may skip.
func PassedCutoffs(ctx context.Context, db Querier, after, until time.Time) ([]PassedCutoff, error) {
	const most = 2000
	rows, err := db.Query(ctx, `
		SELECT c.name, d.business_date, d.closes_at, count(w.state) > 0 AND min(w.state) >= 3
		FROM business_days d JOIN calendars c USING (calendar_id) LEFT JOIN windows w USING (calendar_id, business_date)
		WHERE d.closes_at > $1 AND d.closes_at <= $2
		GROUP BY c.calendar_id, c.name, d.business_date, d.closes_at
		ORDER BY d.closes_at, c.calendar_id LIMIT $3`, after, until, most)
	if err != nil {
		return nil, fmt.Errorf("read the cutoffs: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (PassedCutoff, error) {
		var p PassedCutoff
		var date time.Time
		err := row.Scan(&p.Calendar, &date, &p.ClosesAt, &p.Closed)
		p.BusinessDate, p.ClosesAt = DateOf(date), p.ClosesAt.UTC()
		return p, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("read the cutoffs: %w", err)
	}
	return list, nil
}
