package card_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

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

func TestZeroExpiry(t *testing.T) {
	var expiry card.Expiry
	if !expiry.IsZero() || expiry.String() != "" {
		t.Errorf("the zero expiry is %q", expiry)
	}
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
