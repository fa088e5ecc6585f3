package switching

import (
	"testing"
	"time"
	_ "time/tzdata" // zones also where the machine has none

	"meridian/ledger"
)

// A card is good through the last day of its month on the merchant's calendar, which is what the cardholder sees.
func TestExpired(t *testing.T) {
	for _, c := range []struct{ expiry, zone, goodUntil string }{
		{"2612", "UTC", "2026-12-31T23:59:59.999999999"},
		{"2612", "Asia/Shanghai", "2026-12-31T23:59:59.999999999"},
		{"2402", "Europe/Berlin", "2024-02-29T23:59:59.999999999"}, // a leap day
		{"2502", "Europe/Berlin", "2025-02-28T23:59:59.999999999"},
		{"2604", "America/New_York", "2026-04-30T23:59:59.999999999"},
		{"2610", "Europe/Berlin", "2026-10-31T23:59:59.999999999"}, // ends after summer time did
		{"4912", "UTC", "2049-12-31T23:59:59.999999999"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		last, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", c.goodUntil, zone)
		if err != nil {
			t.Fatal(err)
		}
		end := ledger.Expiry([]byte(c.expiry))
		for moment, want := range map[time.Time]bool{
			last: false, last.AddDate(-1, 0, 0): false, last.AddDate(-20, 0, 0): false,
			last.Add(time.Nanosecond): true, last.AddDate(0, 0, 1): true, last.AddDate(20, 0, 0): true,
		} {
			if got := expired(end, moment); got != want {
				t.Errorf("%s in %s at %s: expired %t", c.expiry, c.zone, moment, got)
			}
		}
	}
}
