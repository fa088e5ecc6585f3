package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// StoredCalendar is a calendar as people see it.
type StoredCalendar struct {
	Name     string `json:"name"`
	TimeZone string `json:"time_zone"`
	Cutoff   string `json:"cutoff"` // wall clock in the zone
	// FirstDate: there is no business date before it.
	FirstDate ledger.Date `json:"first_date"`
	// Region of the public holidays, empty for none.
	Region string `json:"holidays"`
	// Weekend are ISO weekdays: 1 is Monday.
	Weekend   []int16 `json:"weekend"`
	Merchants int     `json:"merchants"`
	// Days of its own, by date.
	Days []BankDay `json:"days"`
}

// WeekendNames are the weekdays on which banks are closed, for people.
func (c *StoredCalendar) WeekendNames() string { return weekdays(c.Weekend) }

// StoredCalendars lists the calendars by name.
func StoredCalendars(ctx context.Context, db ledger.TxBeginner) ([]*StoredCalendar, error) {
	var list []*StoredCalendar
	err := inSnapshot(ctx, db, func(tx pgx.Tx) (err error) {
		byID := map[int16]*StoredCalendar{}
		if list, err = readCalendars(ctx, tx, byID); err != nil {
			return err
		}
		return readBankDays(ctx, tx, byID)
	})
	if err != nil {
		return nil, fmt.Errorf("list calendars: %w", err)
	}
	return list, nil
}

// ErrNoCalendar: there is no calendar of that name.
var ErrNoCalendar = errors.New("no calendar of that name")

// FindCalendar returns one calendar, or [ErrNoCalendar].
func FindCalendar(ctx context.Context, db ledger.TxBeginner, name string) (*StoredCalendar, error) {
	list, err := StoredCalendars(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("calendar %q: %w", name, ErrNoCalendar)
}

func readCalendars(ctx context.Context, tx pgx.Tx, byID map[int16]*StoredCalendar) ([]*StoredCalendar, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.calendar_id, c.name, c.time_zone, c.cutoff::text, c.first_date, c.holiday_region, c.weekend_days,
			(SELECT count(*) FROM merchants m WHERE m.calendar_id = c.calendar_id)
		FROM calendars c ORDER BY c.name`)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by StoredCalendars
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*StoredCalendar, error) { //nolint:wrapcheck // as above
		c := &StoredCalendar{Days: []BankDay{}}
		var id int16
		var cutoff string
		var first time.Time
		if err := row.Scan(&id, &c.Name, &c.TimeZone, &cutoff, &first, &c.Region, &c.Weekend, &c.Merchants); err != nil {
			return nil, err //nolint:wrapcheck // as above
		}
		at, err := ledger.ParseTimeOfDay(cutoff)
		if err != nil {
			return nil, fmt.Errorf("calendar %s: %w", c.Name, err)
		}
		c.Cutoff, c.FirstDate = at.String(), ledger.DateOf(first)
		byID[id] = c
		return c, nil
	})
}

func readBankDays(ctx context.Context, tx pgx.Tx, byID map[int16]*StoredCalendar) error {
	rows, err := tx.Query(ctx, `SELECT calendar_id, holiday, name, open FROM calendar_holidays ORDER BY calendar_id, holiday`)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by StoredCalendars
	}
	var id int16
	var at time.Time
	var day BankDay
	_, err = pgx.ForEachRow(rows, []any{&id, &at, &day.Name, &day.Open}, func() error {
		day.Date = ledger.DateOf(at)
		byID[id].Days = append(byID[id].Days, day)
		return nil
	})
	return err //nolint:wrapcheck // as above
}
