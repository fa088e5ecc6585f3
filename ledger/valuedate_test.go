package ledger_test

import (
	"testing"
	"time"

	"meridian/ledger"
)

func date(t *testing.T, s string) ledger.Date {
	t.Helper()
	d, err := ledger.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestValueDates(t *testing.T) {
	weekend := []int16{6, 7}
	for _, c := range []struct {
		name, region string
		weekend      []int16
		explicit     func(*ledger.BankingCalendar)
		ends, want   string
	}{
		{"a weekday", "", weekend, nil, "2026-03-10", "2026-03-11"},
		{"over the weekend", "", weekend, nil, "2026-03-13", "2026-03-16"},
		{"ends on a Saturday", "", weekend, nil, "2026-03-14", "2026-03-16"},
		{"a week without weekend", "", nil, nil, "2026-03-13", "2026-03-14"},
		{"weekend on Friday and Saturday", "", []int16{5, 6}, nil, "2026-03-12", "2026-03-15"},
		{"Good Friday to Easter Monday in Germany", "de", weekend, nil, "2026-04-02", "2026-04-07"},
		{"the same in the United States, where banks work", "us", weekend, nil, "2026-04-02", "2026-04-03"},
		{"Thanksgiving", "us", weekend, nil, "2026-11-25", "2026-11-27"},
		{"the end of the year in Germany", "de", weekend, nil, "2026-12-31", "2027-01-04"},
		{"Christmas on Friday, Boxing Day observed on Monday", "gb", weekend, nil, "2026-12-24", "2026-12-29"},
		{"Independence Day on a Saturday, observed on Friday", "us", weekend, nil, "2026-07-02", "2026-07-06"},
		{"TARGET days", "ecb", weekend, nil, "2026-04-30", "2026-05-04"},
		{"leap day is a banking day", "", weekend, nil, "2028-02-28", "2028-02-29"},
		{"after a leap day", "", weekend, nil, "2028-02-29", "2028-03-01"},
		{"China's National Day by explicit dates, with a make-up Saturday", "", weekend, func(b *ledger.BankingCalendar) {
			for d := ledger.MakeDate(2026, 10, 1); d <= ledger.MakeDate(2026, 10, 9); d++ {
				b.Close(d, "National Day")
			}
			b.Open(ledger.MakeDate(2026, 10, 10), "working Saturday")
		}, "2026-09-30", "2026-10-10"},
		{"an explicitly open public holiday", "de", weekend, func(b *ledger.BankingCalendar) {
			b.Open(ledger.MakeDate(2026, 10, 3), "open all the same")
		}, "2026-10-02", "2026-10-03"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := ledger.NewBankingCalendar(c.region, c.weekend)
			if err != nil {
				t.Fatal(err)
			}
			if c.explicit != nil {
				c.explicit(b)
			}
			got, err := b.ValueDate(date(t, c.ends))
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != c.want {
				t.Errorf("value date of a day that ends on %s is %s, want %s", c.ends, got, c.want)
			}
			for _, closure := range b.Closures(date(t, c.ends), got) {
				if closure.Name == "" {
					t.Errorf("%s is closed without a reason", closure.Date)
				}
			}
		})
	}
}

func TestValueDateNeedsABankingDay(t *testing.T) {
	b, err := ledger.NewBankingCalendar("", []int16{1, 2, 3, 4, 5, 6, 7})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := b.ValueDate(date(t, "2026-03-10")); err == nil {
		t.Fatalf("found %s in a place whose banks never open", d)
	}
	if _, err := ledger.NewBankingCalendar("xx", nil); err == nil {
		t.Fatal("took an unknown region")
	}
	if _, err := ledger.NewBankingCalendar("", []int16{0}); err == nil {
		t.Fatal("took weekday 0")
	}
	for _, region := range ledger.HolidayRegions() {
		b, err := ledger.NewBankingCalendar(region, []int16{6, 7})
		if err != nil {
			t.Fatal(err)
		}
		if why, closed := b.Closed(ledger.MakeDate(2024, time.December, 25)); !closed && region != "jp" {
			t.Errorf("%s: banks are open on Christmas Day (%s)", region, why)
		}
	}
}
