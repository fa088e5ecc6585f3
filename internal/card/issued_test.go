package card_test

import (
	"testing"

	"meridian/internal/card"
)

func TestIssued(t *testing.T) {
	for digits, want := range map[string]bool{
		"4111111111111111":    true,
		"4222222222222":       false, // no more
		"378282246310005":     true,
		"5500005555555559":    true,
		"2223003122003222":    true,
		"6212345678900000003": true,
		"30569309025904":      true,
		"4111111111111112":    false, // fails the check
		"104110000000002":     false, // passes it, and begins as merchants' numbers do
		"411111111111116":     false, // passes it, and nobody's are of 15 digits
		"2600000000000000":    true,  // of F53, which therefore has a form of its own
		"0000000000000000":    false,
		"411111111111111a":    false,
		"":                    false,
	} {
		if got := card.Issued(digits); got != want {
			t.Errorf("%q: %t, want %t", digits, got, want)
		}
	}
}
