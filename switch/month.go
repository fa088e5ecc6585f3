package switching

import (
	"slices"
	"strings"
	"time"

	"meridian/ledger"
)

// month of business dates: how transactions are partitioned. A generic plan is made for all
// partitions that a statement might touch, and made again whenever one of them is analyzed:
// with years of months, what a unit of work looks up by date would cost a tenth of everything.
// A statement that has its month in its text, as a constant, is planned for that month alone.
type month struct{ first, last ledger.Date }

// theMonth is where a statement's text wants its month, behind t.business_date BETWEEN.
const theMonth = "{month}"

func monthOf(d ledger.Date) month {
	y, m, _ := d.Time().Date()
	return month{ledger.MakeDate(y, m, 1), ledger.MakeDate(y, m+1, 0)}
}

// in is the statement for this month.
func (m month) in(sql string) string {
	return strings.Replace(sql, theMonth, "DATE '"+m.first.String()+"' AND DATE '"+m.last.String()+"'", 1)
}

// rrnMonths are the one or two months that a transaction of this RRN is in, none where the
// RRN's digits are no day. It looks for the latest day of these digits: they come again after
// ten years. A sandbox's clock that went far back leaves transactions elsewhere.
func rrnMonths(rrn int64, now time.Time) []month {
	// Of the day on which it is accepted, in UTC, to its business date: a day before or after in
	// the zone of its calendar, a day after a cutoff, another while a window is being closed.
	const before, after = 2, 4
	day, ok := rrnDate(rrn, now)
	if !ok {
		return nil
	}
	first, last := monthOf(day.AddDays(-before)), monthOf(day.AddDays(after))
	if first == last {
		return []month{first}
	}
	return []month{first, last}
}

// byMonth is values by the month that each is of.
type byMonth[T any] map[month][]T

func (b byMonth[T]) add(m month, v T) { b[m] = append(b[m], v) }

// newestFirst are the months in the order in which units lock what is in them.
func (b byMonth[T]) newestFirst() []month {
	list := make([]month, 0, len(b))
	for m := range b {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b month) int { return int(b.first) - int(a.first) })
	return list
}
