package switching

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// NewCalendar is when the business dates of its merchants end, and when their
// banks are open. Zone and cutoff never change: dates are made of them ahead.
type NewCalendar struct {
	Name   string
	Zone   string // IANA
	Cutoff string // wall clock in the zone, HH:MM
	// Region whose public holidays move value dates ([ledger.HolidayRegions]); empty
	// for none.
	Region string
	// Weekend are the ISO weekdays on which banks are closed: 1 is Monday.
	Weekend []int16
}

// AddCalendar adds a calendar, and makes its first business dates from the one
// before that of now. Errors: [FieldError].
func AddCalendar(ctx context.Context, db ledger.TxBeginner, n NewCalendar, now time.Time, who, why string) error {
	made, err := n.check(now)
	if err != nil {
		return err
	}
	c := PolicyChange{Who: who, Why: why, What: "calendar " + n.Name, Kind: "calendar_added"}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) {
		id, err := nextNumber(ctx, tx, "calendars", "calendar_id", math.MaxInt16)
		if err != nil {
			return "", err
		}
		made.ID = int16(id)
		tag, err := tx.Exec(ctx, `
			INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date, holiday_region, weekend_days)
			VALUES ($1, $2, $3, $4::text::time, $5, $6, $7) ON CONFLICT (name) DO NOTHING`,
			made.ID, n.Name, n.Zone, made.Cutoff.String(), made.FirstDate.Time(), n.Region, n.Weekend)
		switch {
		case err != nil:
			return "", fmt.Errorf("store: %w", err)
		case tag.RowsAffected() == 0:
			return "", taken("name", "there is a calendar %q already", n.Name)
		}
		if err := ledger.EnsureWindows(ctx, tx, []*ledger.Calendar{made}, now); err != nil {
			return "", fmt.Errorf("first dates: %w", err)
		}
		return fmt.Sprintf("calendar %s: %s in %s, holidays %s, weekend %s", n.Name, made.Cutoff, n.Zone, valueOrNone(n.Region),
			weekdays(n.Weekend)), nil
	})
}

// check makes the calendar that is asked for, without a number.
func (n *NewCalendar) check(now time.Time) (*ledger.Calendar, error) {
	if err := checkName(n.Name); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(n.Zone)
	if n.Zone == "" || n.Zone == "Local" || err != nil {
		return nil, wrong("time-zone", "%q is no zone of the IANA database, such as Europe/Berlin", n.Zone)
	}
	cutoff, err := ledger.ParseTimeOfDay(n.Cutoff)
	if err != nil {
		return nil, wrong("cutoff", "%q is no time of day, HH:MM from 00:00 to 23:59", n.Cutoff)
	}
	slices.Sort(n.Weekend)
	n.Weekend = slices.Compact(n.Weekend)
	if len(n.Weekend) == 0 {
		n.Weekend = []int16{} // an empty list, not NULL
	}
	if len(n.Weekend) >= 7 {
		return nil, wrong("weekend", "banks have to be open on one day of the week")
	}
	if _, err := ledger.NewBankingCalendar("", n.Weekend); err != nil {
		return nil, wrong("weekend", "%s", err)
	}
	if _, err := ledger.NewBankingCalendar(n.Region, n.Weekend); err != nil {
		return nil, wrong("holidays", "%s", err)
	}
	c := &ledger.Calendar{Name: n.Name, Zone: zone, Cutoff: cutoff}
	c.FirstDate = c.DateAt(now).AddDays(-1)
	return c, nil
}

// weekdays names ISO weekdays.
func weekdays(days []int16) string {
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = time.Weekday(d % 7).String()[:3]
	}
	return valueOrNone(strings.Join(names, ", "))
}

// BankDay is a date that a public calendar does not have, or has otherwise.
type BankDay struct {
	Date ledger.Date `json:"date"`
	Name string      `json:"name"`
	// Open makes it a banking day, whatever weekday or holiday it is.
	Open bool `json:"open"`
}

// maxDayLetters is what the column takes.
const maxDayLetters = 200

// SetBankDay makes a date a holiday of a calendar's banks, or a banking day.
// Value dates that are made stay as they are, so the date has to come after them.
// Errors: [FieldError].
func SetBankDay(ctx context.Context, db ledger.TxBeginner, calendar string, day BankDay, who, why string) error {
	if strings.TrimSpace(day.Name) == "" || utf8.RuneCountInString(day.Name) > maxDayLetters {
		return wrong("name", "a bank's day has a name of up to %d letters, which statements show", maxDayLetters)
	}
	if holdsCard(day.Name) {
		return wrong("name", heldCard)
	}
	is := map[bool]string{false: "holiday", true: "banking day"}[day.Open]
	return changeBankDays(ctx, db, calendar, day.Date, is+" "+day.Name, who, why, func(ctx context.Context, tx pgx.Tx, id int16) error {
		return execute(ctx, tx, `
			INSERT INTO calendar_holidays (calendar_id, holiday, name, open) VALUES ($1, $2, $3, $4)
			ON CONFLICT (calendar_id, holiday) DO UPDATE SET name = excluded.name, open = excluded.open`,
			id, day.Date.Time(), day.Name, day.Open)
	})
}

// RemoveBankDay leaves a date to the weekend and the public holidays again.
// Errors: [FieldError].
func RemoveBankDay(ctx context.Context, db ledger.TxBeginner, calendar string, date ledger.Date, who, why string) error {
	return changeBankDays(ctx, db, calendar, date, "as every year", who, why, func(ctx context.Context, tx pgx.Tx, id int16) error {
		err := execute(ctx, tx, `DELETE FROM calendar_holidays WHERE calendar_id = $1 AND holiday = $2`, id, date.Time())
		if errors.Is(err, ErrNothingChanged) {
			return missing("date", "the calendar has no day of its own on %s", date)
		}
		return err
	})
}

func changeBankDays(
	ctx context.Context, db ledger.TxBeginner, calendar string, date ledger.Date, becomes, who, why string,
	change func(context.Context, pgx.Tx, int16) error,
) error {
	what := fmt.Sprintf("calendar %s: %s is %s", calendar, date, becomes)
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what, Kind: "calendar_changed"},
		func(ctx context.Context, tx pgx.Tx) (string, error) {
			var id int16
			var made *time.Time
			err := tx.QueryRow(ctx, `
				SELECT c.calendar_id, (SELECT max(d.business_date) FROM business_days d WHERE d.calendar_id = c.calendar_id)
				FROM calendars c WHERE c.name = $1`, calendar).Scan(&id, &made)
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return "", missing("calendar", "there is no calendar %q", calendar)
			case err != nil:
				return "", fmt.Errorf("find calendar: %w", err)
			}
			// The next date to be made has its value on the second day after the last one made, at the earliest.
			if made != nil && date < ledger.DateOf(*made).AddDays(2) {
				return "", notNow("date", "value dates are made up to the business date %s and stay: the first day that still counts is %s",
					ledger.DateOf(*made), ledger.DateOf(*made).AddDays(2))
			}
			return "", change(ctx, tx, id)
		})
}
