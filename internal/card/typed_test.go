package card_test

import (
	"testing"

	"meridian/internal/card"
)

func TestHideTyped(t *testing.T) {
	known := func(digits string) bool { return digits == "104110000000002" || digits == "305693090259041" }
	for typed, want := range map[string]string{
		"":                                      "",
		"receipt seen":                          "receipt seen",
		"4111111111111111":                      "411111…1111",
		"lost 4111 1111 1111 1111, called":      "lost 411111…1111, called",
		"4111-1111-1111-1111":                   "411111…1111",
		"4111111111111112":                      "4111111111111112", // no check digit
		"606900000018":                          "606900000018",     // an RRN
		"305693090259041":                       "305693090259041",  // somebody's, with a number of 14 digits in it
		"104110000000002":                       "104110000000002",  // somebody's number
		"41111111-1111-1111-8111-111111111111":  "41111111-1111-1111-8111-111111111111",
		"41111111111111110000000000000":         "411111…11110000000000000",
		"4111111111111111 and 5500005555555559": "411111…1111 and 550000…5559",
	} {
		if got := card.HideTyped(typed, known); got != want {
			t.Errorf("%q becomes %q, want %q", typed, got, want)
		}
	}
	if got := card.HideTyped("4111111111111111", nil); got != "411111…1111" {
		t.Error(got)
	}
}
