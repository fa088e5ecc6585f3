package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// cut is one business date's end.
type cut struct {
	date     string // MMDD before it
	next     string // MMDD from it on
	at       string // UTC
	length   time.Duration
	local    string // wall clock in the zone, MMDDhhmm: where the zone puts it
	valueDay string // empty: not looked at
}

// TestDecisionInstants: a sale is cancelled one nanosecond before its cutoff, at
// it, and one nanosecond after it, where clocks are strange and where they are not.
func TestDecisionInstants(t *testing.T) {
	for _, test := range []struct {
		name, zone, cutoff string
		seed               string
		cuts               []cut
	}{
		{"an ordinary day", "Asia/Shanghai", "23:00", "", []cut{
			{"0310", "0311", "2026-03-10T15:00:00Z", 24 * time.Hour, "03102300", ""},
		}},
		// The wall clock goes from 02:00 to 03:00: there is no 02:30 on the 29th.
		{"a wall clock that does not exist", "Europe/Berlin", "02:30", "", []cut{
			{"0328", "0329", "2026-03-28T01:30:00Z", 24 * time.Hour, "03280230", ""},
			{"0329", "0330", "2026-03-29T01:30:00Z", 24 * time.Hour, "03290330", ""},
			{"0330", "0331", "2026-03-30T00:30:00Z", 23 * time.Hour, "03300230", ""},
		}},
		// It goes from 03:00 to 02:00: the first 02:30 counts, the second is past it.
		{"a wall clock that exists twice", "Europe/Berlin", "02:30", "", []cut{
			{"1024", "1025", "2026-10-24T00:30:00Z", 24 * time.Hour, "10240230", ""},
			{"1025", "1026", "2026-10-25T00:30:00Z", 24 * time.Hour, "10250230", ""},
			{"1026", "1027", "2026-10-26T01:30:00Z", 25 * time.Hour, "10260230", ""},
		}},
		{"a day that is short before its cutoff", "America/New_York", "17:00", "", []cut{
			{"0308", "0309", "2026-03-08T21:00:00Z", 23 * time.Hour, "03081700", ""},
		}},
		{"a leap day", "Asia/Shanghai", "23:00", "", []cut{
			{"0228", "0229", "2028-02-28T15:00:00Z", 24 * time.Hour, "02282300", ""},
			{"0229", "0301", "2028-02-29T15:00:00Z", 24 * time.Hour, "02292300", ""},
		}},
		// The terminal's clock still shows the old year when its new one has begun.
		{"the end of a year", "Asia/Shanghai", "23:00", "", []cut{
			{"1231", "0101", "2026-12-31T15:00:00Z", 24 * time.Hour, "12312300", ""},
		}},
		// Banks are closed on the 11th and 12th: the money is worth later, and the
		// business date ends when it always does.
		{"a holiday", "Asia/Shanghai", "23:00", `INSERT INTO calendar_holidays (calendar_id, holiday, name)
			VALUES (1, '2026-03-11', 'one'), (1, '2026-03-12', 'two')`, []cut{
			{"0310", "0311", "2026-03-10T15:00:00Z", 24 * time.Hour, "03102300", "2026-03-13"},
			{"0311", "0312", "2026-03-11T15:00:00Z", 24 * time.Hour, "03112300", "2026-03-13"},
			{"0312", "0313", "2026-03-12T15:00:00Z", 24 * time.Hour, "03122300", "2026-03-13"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			first := instant(t, test.cuts[0].at)
			w := newDecisionTown(t, func(w *town) {
				w.sql(`UPDATE calendars SET time_zone = $1, cutoff = $2::text::time, first_date = '2026-01-01' WHERE calendar_id = 1`, test.zone, test.cutoff)
				if test.seed != "" {
					w.sql(test.seed)
				}
				w.beginAt(first.Add(-2 * time.Hour))
			})
			zone, err := time.LoadLocation(test.zone)
			w.must(err)
			tills := []*terminal{w.terminal("nac", till, shop), w.terminal("ascii", till, shop)}
			for _, c := range test.cuts {
				w.aroundTheCutoff(tills, zone, c)
			}
			if test.name == "a wall clock that exists twice" {
				w.theSecondOccurrence()
			}
		})
	}
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

// sells for 10.00 to the everyday card, in a business date.
func (x *terminal) sells(day string) *sent {
	x.t.Helper()
	s := x.just("00", "0200", amount(10_00), typed(everyday))
	x.w.posted(s, day)
	return s
}

func (w *town) posted(s *sent, day string) {
	w.t.Helper()
	if got := s.answer.Get(15); got != day {
		w.t.Fatalf("at %s posted on %s, want %s", w.clock.Now().Format(time.RFC3339Nano), got, day)
	}
}

// cancels a sale of 10.00 and expects what became of it, and where it was posted.
func (x *terminal) cancels(sale *sent, text, day string) *sent {
	x.t.Helper()
	available := x.w.available(everyday)
	s := x.do("00", "0200", asCancel, refTo(sale))
	x.w.says(s, text)
	x.w.posted(s, day)
	if gave := x.w.available(everyday) - available; gave != 10_00 {
		x.t.Fatalf("%s gave %d", text, gave)
	}
	return s
}

// aroundTheCutoff is one business date's end as two terminals see it.
func (w *town) aroundTheCutoff(tills []*terminal, zone *time.Location, c cut) {
	w.t.Helper()
	end := instant(w.t, c.at)
	if local := end.In(zone).Format("01021504"); local != c.local {
		w.t.Fatalf("the cutoff is at %s in %s, want %s", local, zone, c.local)
	}
	w.clock.set(end.Add(-time.Hour))
	w.catchUp()
	w.dayInDatabase(end, c)
	type day struct{ first, second, third, late, early, void *sent }
	days := make([]day, len(tills))
	each := func(at time.Duration, do func(x *terminal, d *day)) {
		w.clock.set(end.Add(at))
		for i, x := range tills {
			do(x, &days[i])
		}
	}
	each(-time.Hour, func(x *terminal, d *day) {
		d.first, d.second, d.third = x.sells(c.date), x.sells(c.date), x.sells(c.date)
	})
	each(-time.Nanosecond, func(x *terminal, d *day) {
		d.late = x.sells(c.date)
		w.previewed(d.first, "VOID", 16, &end)
		d.void = x.cancels(d.first, "VOID R16", c.date)
		w.decided(d.void, "from the cutoff at "+c.at+" on: REFUND R29", false)
	})
	each(0, func(x *terminal, d *day) {
		d.early = x.sells(c.next)
		w.previewed(d.second, "REFUND", 29, nil)
		refund := x.cancels(d.second, "REFUND R29", c.next)
		w.decided(refund, "before the cutoff at "+c.at+": VOID R16", true)
		x.cancels(d.late, "REFUND R29", c.next)
		if x.dialect == "nac" && refund.answer.Get(13) != c.local[:4] {
			w.t.Fatalf("F13 is %s, want %s", refund.answer.Get(13), c.local[:4])
		}
	})
	each(time.Nanosecond, func(x *terminal, d *day) {
		x.cancels(d.third, "REFUND R29", c.next)
		x.cancels(d.early, "VOID R16", c.next)
	})
	w.catchUp()
	for i, x := range tills { // across the cutoff: the stored answer, and no second effect
		x.repeat(days[i].void)
	}
}

// dayInDatabase compares a business date with its cut.
func (w *town) dayInDatabase(end time.Time, c cut) {
	w.t.Helper()
	w.database(func(ctx context.Context, conn *pgx.Conn) error {
		var date, opens, closes, value time.Time
		err := conn.QueryRow(ctx, `SELECT business_date, opens_at, closes_at, value_date FROM business_days
			WHERE calendar_id = 1 AND closes_at > $1 ORDER BY closes_at LIMIT 1`, end.Add(-time.Hour)).Scan(&date, &opens, &closes, &value)
		if err != nil {
			return err
		}
		if !closes.Equal(end) || date.Format("0102") != c.date || closes.Sub(opens) != c.length ||
			c.valueDay != "" && value.Format(time.DateOnly) != c.valueDay {
			return fmt.Errorf("%s is from %s to %s with value on %s, want until %s, %s", date, opens, closes, value, end, c.length)
		}
		return nil
	})
}

// previewed is what people are told before the cancel comes.
func (w *town) previewed(sale *sent, verdict string, rule switching.Rule, until *time.Time) {
	w.t.Helper()
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		p, err := switching.PreviewCancel(ctx, c, w.clock.Now(), w.rrnOf(sale.rrn()))
		if err != nil {
			return err
		}
		if p.Verdict != verdict || p.Rule != rule || p.AmountMinor != 10_00 || (p.VoidableUntil == nil) != (until == nil) ||
			until != nil && !p.VoidableUntil.Equal(*until) {
			return fmt.Errorf("preview %+v, want %s by %s", p, verdict, rule)
		}
		return nil
	})
}

// decided looks at the stored counterfactual.
func (w *town) decided(s *sent, otherwise string, settled bool) {
	w.t.Helper()
	if e := w.evidence(w.inspect(s.rrn())); e.Counterfactual != otherwise || e.Settled != settled || !e.DecidedAt.Equal(w.clock.Now()) {
		w.t.Fatalf("decided at %s, settled %t, otherwise %q; want %q", e.DecidedAt, e.Settled, e.Counterfactual, otherwise)
	}
}

// theSecondOccurrence of 02:30 ends nothing.
func (w *town) theSecondOccurrence() {
	w.t.Helper()
	if n := one[int](w, `SELECT count(*) FROM business_days WHERE closes_at = '2026-10-25T01:30:00Z'`); n != 0 {
		w.t.Fatal("a business date ends at the second 02:30")
	}
}

// TestDecisionAfterMidnight: the till's calendar date is not the business date.
// At 00:30, a sale of 23:30 is today's, and a sale of 22:30 is yesterday's.
func TestDecisionAfterMidnight(t *testing.T) {
	w := newDecisionTown(t)
	for _, x := range []*terminal{w.terminal("nac", till, shop), w.terminal("ascii", till, shop)} {
		midnight := dayOf(w.clock.Now()).Time().Add(16 * time.Hour) // 00:00 in Shanghai
		before, same := mmdd(dayOf(w.clock.Now())), mmdd(dayOf(w.clock.Now())+1)
		w.clock.set(midnight.Add(-90 * time.Minute))
		old := x.sells(before)
		w.clock.set(midnight.Add(-30 * time.Minute))
		recent := x.sells(same)
		w.clock.set(midnight.Add(30 * time.Minute))
		x.cancels(recent, "VOID R16", same)
		x.cancels(old, "REFUND R29", same)
	}
}

// TestDecisionAtTheYearsEnd: a sale of 31 December is cancelled on 1 January by
// references that have no year.
func TestDecisionAtTheYearsEnd(t *testing.T) {
	w := newDecisionTown(t, func(w *town) { w.beginAt(time.Date(2026, 12, 31, 4, 0, 0, 0, time.UTC)) })
	tills := []*terminal{w.terminal("nac", till, shop), w.terminal("ascii", till, shop)}
	sales := map[string][]*sent{}
	for _, x := range tills {
		sales[x.dialect] = []*sent{x.sells("1231"), x.sells("1231")}
	}
	w.clock.set(time.Date(2026, 12, 31, 14, 59, 59, 999_999_999, time.UTC))
	for _, x := range tills {
		x.cancels(sales[x.dialect][0], "VOID R16", "1231")
	}
	w.clock.set(time.Date(2026, 12, 31, 16, 30, 0, 0, time.UTC)) // 00:30 on 1 January
	for _, x := range tills {
		sale := sales[x.dialect][1]
		refund := x.do("00", "0200", asCancel, fields{13: "1231", 90: sale.originalData()})
		w.says(refund, "REFUND R29")
		w.posted(refund, "0101")
		if i := w.inspect(refund.rrn()); i.BusinessDate.String() != "2027-01-01" || i.OriginalRRN != sale.rrn() {
			t.Fatalf("posted on %s for %s", i.BusinessDate, i.OriginalRRN)
		}
		w.catchUp()
		x.repeat(refund)
	}
}

// TestDecisionRefundWindow: day 180 is the last one, to its last nanosecond.
func TestDecisionRefundWindow(t *testing.T) {
	t.Parallel()
	w := newDecisionTown(t)
	tills := []*terminal{w.terminal("nac", till, shop), w.terminal("ascii", till, shop)}
	day := dayOf(w.clock.Now())
	sales := map[string][]*sent{}
	for _, x := range tills {
		sales[x.dialect] = []*sent{x.sells(mmdd(day)), x.sells(mmdd(day))}
	}
	last := cutoffOf(day + 180)
	w.clock.set(last.Add(-time.Nanosecond))
	w.catchUp()
	for _, x := range tills {
		x.cancels(sales[x.dialect][0], "REFUND R29", mmdd(day+180))
	}
	w.clock.set(last)
	for _, x := range tills {
		late := x.do("22", "0200", asRefund, refTo(sales[x.dialect][1]))
		w.says(late, "DECLINE R23")
		w.posted(late, mmdd(day+181))
		w.says(x.do("22", "0200", asCancel, refTo(sales[x.dialect][1])), "DECLINE R23")
	}
}

// TestDecisionAfterALongSilence: the first request past every business date that
// was made ahead begins its own.
func TestDecisionAfterALongSilence(t *testing.T) {
	w := newDecisionTown(t)
	x := w.terminal("nac", till, shop)
	day := dayOf(w.clock.Now())
	sale := x.sells(mmdd(day))
	w.clock.set(w.clock.Now().AddDate(0, 0, 25))
	x.cancels(sale, "REFUND R29", mmdd(day+25))
}
