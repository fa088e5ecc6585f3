package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rickar/cal/v2"
)

// BankingCalendar says on which civil dates banks of a calendar's place are
// open: not on its weekend, not on its region's public holidays, not on its
// explicit ones, and whatever else says so, on its explicitly open dates. It is
// not for concurrent use.
type BankingCalendar struct {
	weekend  [7]bool // by time.Weekday
	public   *cal.BusinessCalendar
	explicit map[Date]explicitDate
}

type explicitDate struct {
	name string
	open bool
}

// Closure is a date on which banks are closed, and why.
type Closure struct {
	Date Date   `json:"date"`
	Name string `json:"name"`
}

// valueDateSearch bounds the way to the next banking day. The longest known
// closure, China's Spring Festival, takes nine days; a year of explicit dates
// is a mistake that should be told.
const valueDateSearch = 366

// NewBankingCalendar returns the calendar of a region (” for none) whose banks
// are closed on the ISO weekdays given, 1 for Monday to 7 for Sunday.
func NewBankingCalendar(region string, weekend []int16) (*BankingCalendar, error) {
	b := &BankingCalendar{public: cal.NewBusinessCalendar(), explicit: map[Date]explicitDate{}}
	for _, d := range weekend {
		if d < 1 || d > 7 {
			return nil, fmt.Errorf("weekend day %d is not 1 (Monday) to 7 (Sunday)", d)
		}
		b.weekend[d%7] = true
	}
	if region == "" {
		return b, nil
	}
	holidays, ok := publicHolidays(region)
	if !ok {
		return nil, fmt.Errorf("no public calendar for region %q; there are: %s", region, strings.Join(HolidayRegions(), ", "))
	}
	b.public.AddHoliday(holidays...)
	return b, nil
}

// Close makes a date a holiday.
func (b *BankingCalendar) Close(d Date, name string) { b.explicit[d] = explicitDate{name: name} }

// Open makes a date a banking day, whatever its weekday or the public calendar says.
func (b *BankingCalendar) Open(d Date, name string) {
	b.explicit[d] = explicitDate{name: name, open: true}
}

// Closed tells whether banks are closed on a civil date, and why: the holiday's
// name, or the weekday's.
func (b *BankingCalendar) Closed(d Date) (why string, closed bool) {
	if e, ok := b.explicit[d]; ok {
		return e.name, !e.open
	}
	day := d.Time()
	// A holiday is kept on the day it is observed: the Monday after, where the
	// place has it so.
	if _, observed, h := b.public.IsHoliday(day); observed {
		return h.Name, true
	}
	if b.weekend[day.Weekday()] {
		return day.Weekday().String(), true
	}
	return "", false
}

// ValueDate is the first banking day after the civil date on which a business
// date ends, both in the calendar's zone. A business date that ends at 23:00 on
// Friday has the value of Monday; one that ends at 02:30 on Friday too, although
// most of it was Thursday: what counts is when the day is cut.
func (b *BankingCalendar) ValueDate(ends Date) (Date, error) {
	for d := ends + 1; d <= ends+valueDateSearch; d++ {
		if _, closed := b.Closed(d); !closed {
			return d, nil
		}
	}
	return 0, fmt.Errorf("no banking day in the %d days after %s", valueDateSearch, ends)
}

// Closures lists why banks are closed between two dates, both excluded.
func (b *BankingCalendar) Closures(after, before Date) []Closure {
	list := []Closure{}
	for d := after + 1; d < before && len(list) < valueDateSearch; d++ {
		if why, closed := b.Closed(d); closed {
			list = append(list, Closure{Date: d, Name: why})
		}
	}
	return list
}

// endsOn is the civil date in the calendar's zone on which a business date
// ends: the date itself, but for a cutoff that a gap pushed over midnight.
func (c *Calendar) endsOn(closesAt time.Time) Date { return DateOf(closesAt.In(c.Zone)) }

// LoadBankingCalendar reads the banking days of one calendar.
func LoadBankingCalendar(ctx context.Context, db Querier, calendarID int16) (*BankingCalendar, error) {
	var region string
	var weekend []int16
	if err := db.QueryRow(ctx, `SELECT holiday_region, weekend_days FROM calendars WHERE calendar_id = $1`, calendarID).
		Scan(&region, &weekend); err != nil {
		return nil, fmt.Errorf("read banking days of calendar %d: %w", calendarID, err)
	}
	b, err := NewBankingCalendar(region, weekend)
	if err != nil {
		return nil, fmt.Errorf("calendar %d: %w", calendarID, err)
	}
	rows, err := db.Query(ctx, `SELECT holiday, name, open FROM calendar_holidays WHERE calendar_id = $1`, calendarID)
	if err != nil {
		return nil, fmt.Errorf("read holidays of calendar %d: %w", calendarID, err)
	}
	var day time.Time
	var e explicitDate
	if _, err := pgx.ForEachRow(rows, []any{&day, &e.name, &e.open}, func() error {
		b.explicit[DateOf(day)] = e
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read holidays of calendar %d: %w", calendarID, err)
	}
	return b, nil
}

// HolidayRegions are the regions that have a public calendar.
func HolidayRegions() []string {
	var names []string
	for _, r := range regions() {
		names = append(names, r.code)
	}
	slices.Sort(names)
	return names
}
