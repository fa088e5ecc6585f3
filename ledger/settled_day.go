package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// SettledDay is a merchant's business date, and when it was settled and sealed.
type SettledDay struct {
	BusinessDay

	ClosedAt *time.Time // nil before that
}

// BusinessDayOf returns a merchant's business date as its own bucket has it; nil
// where the merchant is not known or the date was not made.
func BusinessDayOf(ctx context.Context, db Querier, mid string, d Date) (*SettledDay, error) {
	day := SettledDay{BusinessDay: BusinessDay{Date: d}}
	err := db.QueryRow(ctx, `
		SELECT b.calendar_id, b.opens_at, b.closes_at, c.closed_at
		FROM merchants m
		JOIN business_days b ON b.calendar_id = m.calendar_id AND b.business_date = $2
		LEFT JOIN cutovers c ON c.bucket = m.bucket AND c.calendar_id = m.calendar_id AND c.business_date = b.business_date
		WHERE m.mid = $1`, mid, d.Time()).Scan(&day.CalendarID, &day.OpensAt, &day.ClosesAt, &day.ClosedAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // as said above
	case err != nil:
		return nil, fmt.Errorf("look at %s of merchant %s: %w", d, mid, err)
	}
	day.OpensAt, day.ClosesAt = day.OpensAt.UTC(), day.ClosesAt.UTC()
	if day.ClosedAt != nil {
		at := day.ClosedAt.UTC()
		day.ClosedAt = &at
	}
	return &day, nil
}
