package card_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/card"
)

func TestMaskDigits(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"no digits", "connection refused", "connection refused"},
		{"alone", "4111111111111111", "411111******1111"},
		{"in words", "card 4111111111111111 refused", "card 411111******1111 refused"},
		{"two", "4111111111111111,378282246310005", "411111******1111,378282******0005"},
		{"in JSON", `{"pan":"4111111111111111"}`, `{"pan":"411111******1111"}`},
		{"short number", "30569309025904", "305693*******904"},
		{"fails the check", "4111111111111112", "4111111111111112"},
		{"eleven digits", "41111111111", "41111111111"},
		{"amount and time", "amount 1234 at 2026-11-21T20:25:00Z", "amount 1234 at 2026-11-21T20:25:00Z"},
		{"track 2", "t2=4111111111111111=30122011234000012300 end", "t2=411111******1111=**** end"},
		{"track 2 with the letter", "4111111111111111D3012201", "411111******1111D****"},
		{"equals without digits", "4111111111111111=x", "411111******1111=x"},
		{"behind its length", "F2 164111111111111111 F3", "F2 16411111******1111 F3"},
		{"19 digits behind their length", "196212345678900000003", "19621234******0003"},
		{"longer than any number", "41111111111111111234567", "411111**********"},
		{"20 digits", "12345678901234567890", "123456**********"},
		{"multi-byte text", "卡号4111111111111111被拒", "卡号411111******1111被拒"},
		{"broken text", "\xff4111111111111111\xfe", "\xff411111******1111\xfe"},
		{"masked before", "621234******0012", "621234******0012"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := card.MaskDigits(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestMaskDigitsAllocatesNothingWithoutCards(t *testing.T) {
	text := "request 000123 of terminal 10000001 took 1234 µs, rrn 632500000123"
	if card.MaskDigits(text) != text {
		t.Fatalf("masked %q", card.MaskDigits(text))
	}
	if allocations := testing.AllocsPerRun(100, func() { card.MaskDigits(text) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// TestMaskDigitsHidesEveryCard puts valid numbers into arbitrary text.
func TestMaskDigitsHidesEveryCard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pan, err := card.WithCheckDigit(rapid.StringMatching(`[1-9][0-9]{10,17}`).Draw(t, "body"))
		if err != nil {
			t.Fatal(err)
		}
		noDigits := rapid.StringMatching(`[^0-9]{0,20}`)
		before, after := noDigits.Draw(t, "before"), noDigits.Draw(t, "after")
		got := card.MaskDigits(before + pan.Reveal() + after)
		if got != before+pan.Masked()+after {
			t.Fatalf("%q", got)
		}
	})
}

func TestMaskDigitsProperty(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9=D *]{0,120}`))
	rapid.Check(t, func(t *rapid.T) { checkMaskDigits(t, text.Draw(t, "text")) })
}

func FuzzMaskDigits(f *testing.F) {
	for _, seed := range []string{"4111111111111111", "164111111111111111", clearTrack, strings.Repeat("0", 50), "\xff12=34D"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { checkMaskDigits(t, text) })
}

// fataler is what a test, a fuzz target and a property have in common.
type fataler interface {
	Fatalf(format string, args ...any)
}

// checkMaskDigits holds for any text: no run that passes is left, masking again
// changes nothing, and what is not a digit stays where it was.
func checkMaskDigits(t fataler, text string) {
	masked := card.MaskDigits(text)
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	for _, run := range strings.FieldsFunc(masked, notDigit) {
		if pan, err := card.ParsePAN(run); err == nil && pan.LuhnOK() {
			t.Fatalf("%q keeps a number that passes: %q", text, masked)
		}
		if len(run) > card.MaxPANDigits {
			t.Fatalf("%q keeps a run of %d digits: %q", text, len(run), masked)
		}
	}
	if again := card.MaskDigits(masked); again != masked {
		t.Fatalf("%q: masked again it is %q, before %q", text, again, masked)
	}
	others := func(s string) string {
		return strings.Map(func(r rune) rune {
			if !notDigit(r) || r == '*' {
				return -1
			}
			return r
		}, s)
	}
	if others(masked) != others(text) {
		t.Fatalf("%q lost more than digits: %q", text, masked)
	}
}
