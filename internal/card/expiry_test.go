package card_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
	_ "time/tzdata" // zones also where the machine has none

	"pgregory.net/rapid"

	"meridian/internal/card"
)

func TestParseExpiry(t *testing.T) {
	for text, want := range map[string]card.Expiry{
		"3012": {Year: 2030, Month: time.December},
		"2601": {Year: 2026, Month: time.January},
		"0001": {Year: 2000, Month: time.January},
		"4912": {Year: 2049, Month: time.December},
		"5001": {Year: 1950, Month: time.January},
		"9912": {Year: 1999, Month: time.December},
	} {
		got, err := card.ParseExpiry(text)
		if err != nil || got != want || got.String() != text || got.IsZero() {
			t.Errorf("ParseExpiry(%s) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "301", "30123", "3000", "3013", "3099", "30-1", "3 12", "1A12", "٣٠"} {
		if got, err := card.ParseExpiry(text); !errors.Is(err, card.ErrExpiry) || !got.IsZero() {
			t.Errorf("ParseExpiry(%q) = %+v, %v; want ErrExpiry", text, got, err)
		}
	}
}

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return loc
}

func TestExpiredAt(t *testing.T) {
	for _, test := range []struct{ expiry, zone, validUntil string }{
		{"2612", "UTC", "2026-12-31T23:59:59.999999999"},
		{"2601", "Asia/Shanghai", "2026-01-31T23:59:59.999999999"},
		{"2402", "Europe/Berlin", "2024-02-29T23:59:59.999999999"}, // a leap day
		{"2502", "Europe/Berlin", "2025-02-28T23:59:59.999999999"},
		{"2604", "America/New_York", "2026-04-30T23:59:59.999999999"},
		{"2610", "Europe/Berlin", "2026-10-31T23:59:59.999999999"}, // ends after summer time did
		{"0002", "UTC", "2000-02-29T23:59:59.999999999"},
		{"4912", "UTC", "2049-12-31T23:59:59.999999999"},
		{"2609", "America/Santiago", "2026-09-30T23:59:59.999999999"},
	} {
		t.Run(test.expiry+" "+test.zone, func(t *testing.T) {
			loc := zone(t, test.zone)
			last, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", test.validUntil, loc)
			if err != nil {
				t.Fatal(err)
			}
			expiry, err := card.ParseExpiry(test.expiry)
			if err != nil {
				t.Fatal(err)
			}
			for _, moment := range []time.Time{last, last.UTC(), last.AddDate(-1, 0, 0), last.AddDate(-30, 0, 0)} {
				if expiry.ExpiredAt(moment, loc) {
					t.Errorf("expired at %s", moment)
				}
			}
			first := last.Add(time.Nanosecond)
			for _, moment := range []time.Time{first, first.UTC(), first.AddDate(0, 1, 0), first.AddDate(30, 0, 0)} {
				if !expiry.ExpiredAt(moment, loc) {
					t.Errorf("still valid at %s", moment)
				}
			}
		})
	}
}

func TestExpiredAtDependsOnTheZone(t *testing.T) {
	expiry, err := card.ParseExpiry("2612")
	if err != nil {
		t.Fatal(err)
	}
	newYearInShanghai := time.Date(2027, time.January, 1, 0, 0, 0, 0, zone(t, "Asia/Shanghai"))
	if !expiry.ExpiredAt(newYearInShanghai, zone(t, "Asia/Shanghai")) {
		t.Error("valid in Shanghai in January")
	}
	if expiry.ExpiredAt(newYearInShanghai, zone(t, "America/New_York")) || expiry.ExpiredAt(newYearInShanghai, nil) {
		t.Error("expired where it is still December")
	}
}

func TestZeroExpiry(t *testing.T) {
	var expiry card.Expiry
	if !expiry.IsZero() || expiry.String() != "" || expiry.ExpiredAt(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC) {
		t.Errorf("the zero expiry is %q", expiry)
	}
}

// TestExpiredAtProperty compares with the definition: expired from the first
// instant whose local date is in a later month.
func TestExpiredAtProperty(t *testing.T) {
	var zones []*time.Location
	for _, name := range []string{"UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Pacific/Apia", "America/Asuncion", "Asia/Beirut"} {
		zones = append(zones, zone(t, name))
	}
	rapid.Check(t, func(t *rapid.T) {
		expiry := card.Expiry{Year: rapid.IntRange(1950, 2049).Draw(t, "year"), Month: time.Month(rapid.IntRange(1, 12).Draw(t, "month"))}
		loc := rapid.SampledFrom(zones).Draw(t, "zone")
		around := time.Date(expiry.Year, expiry.Month+1, 1, 0, 0, 0, 0, time.UTC)
		moment := around.Add(time.Duration(rapid.Int64Range(-int64(72*time.Hour), int64(72*time.Hour)).Draw(t, "offset")))
		local := moment.In(loc).Format("200601")
		want := local > time.Date(expiry.Year, expiry.Month, 1, 0, 0, 0, 0, time.UTC).Format("200601")
		if got := expiry.ExpiredAt(moment, loc); got != want {
			t.Fatalf("%s at %s: expired %t, want %t", expiry, moment.In(loc), got, want)
		}
	})
}

func TestExpiryText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := card.Expiry{Year: rapid.IntRange(1950, 2049).Draw(t, "year"), Month: time.Month(rapid.IntRange(1, 12).Draw(t, "month"))}
		if rapid.Bool().Draw(t, "zero") {
			want = card.Expiry{}
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got card.Expiry
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	})
	var got card.Expiry
	if err := json.Unmarshal([]byte(`"3013"`), &got); !errors.Is(err, card.ErrExpiry) {
		t.Errorf("Unmarshal of month 13: %v", err)
	}
}
