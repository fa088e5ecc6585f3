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
		{"a reference of twelve digits", "632500000121", "632500000121"},
		{"amount and time", "amount 1234 at 2026-11-21T20:25:00Z", "amount 1234 at 2026-11-21T20:25:00Z"},
		{"track 2", "t2=4111111111111111=30122011234000012300 end", "t2=411111******1111=**** end"},
		{"track 2 with the letter", "4111111111111111D3012201", "411111******1111D****"},
		{"equals without digits", "4111111111111111=x", "411111******1111=x"},
		{"behind its length", "F2=164111111111111111 F3", "F2=16411111******1111 F3"},
		{"19 digits behind their length", "196212345678900000003", "19621234******0003"},
		{"number of an airline behind its length", "15104110000000002", "15104110******0002"},
		{"a merchant's number", "104110000000003", "104110000000003"},
		{"in more digits", "02004111111111111111000000", "0200411111******1111000000"},
		{"in more digits, of nobody", "02007111111111111114000000", "02007111111111111114000000"},
		{"in more digits, before zeros", "0000411100000000000000000000000", "0000411100000000000000000000000"},
		{"two in a row", "41111111111111115500005555555559", "411111******1111550000******5559"},
		{"behind zeros", "00007111111111111114", "0000711111******1114"},
		{"20 digits", "12345678901234567890", "12345678901234567890"},
		{"groups", "card 4111 1111 1111 1111.", "card 411111******1111."},
		{"dashes", "3782-822463-10005", "378282******0005"},
		{"groups beside others", "12 4111 1111 1111 1111 30", "12 411111******1111 30"},
		{"two spaces", "4111  111111111111", "4111  111111111111"},
		{"a group of many digits", "000123 4111111111111111 000000001000", "000123 411111******1111 000000001000"},
		{"track 2 whose number fails the check", "4111111111111112=30122010000", "411111******1112=****"},
		{"track 2 behind its length", "374111111111111111D30122010000", "374111******1111D****"},
		{"UUID", "41111111-1111-1111-8111-111111111111", "41111111-1111-1111-8111-111111111111"},
		{"SHA-256", "a4111111111111111a" + strings.Repeat("0b", 23), "a4111111111111111a" + strings.Repeat("0b", 23)},
		{"dump in capitals", "5A084111111111111111DF01", "5A08411111******1111DF01"},
		{"date and time", "2026-11-21 20:25:00", "2026-11-21 20:25:00"},
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
		pan, err := card.WithCheckDigit(rapid.StringMatching(`[1-9][0-9]{11,17}`).Draw(t, "body"))
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
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9=D *-]{0,120}`))
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

// identified tells whether a text may have an identifier in it, whose digits stay.
func identified(text string) bool { return strings.Contains(text, "-") || len(text) >= 64 }

// checkMaskDigits holds for any text: no run that passes is left, masking again
// changes nothing, and what is not a digit stays where it was.
func checkMaskDigits(t fataler, text string) {
	masked := card.MaskDigits(text)
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	for _, run := range strings.FieldsFunc(masked, notDigit) {
		if pan, err := card.ParsePAN(run); err == nil && pan.LuhnOK() && len(run) > card.MinPANDigits && run[0] != '0' && !identified(masked) {
			t.Fatalf("%q keeps a number that passes: %q", text, masked)
		}
		for from := range run {
			for end := from + 13; end <= min(from+card.MaxPANDigits, len(run)); end++ {
				if part := run[from:end]; card.Issued(part) && !strings.HasSuffix(part, "000000") && !identified(masked) {
					t.Fatalf("%q keeps a number that is issued: %q", text, masked)
				}
			}
		}
	}
	if again := card.MaskDigits(masked); again != masked {
		t.Fatalf("%q: masked again it is %q, before %q", text, again, masked)
	}
	others := func(s string) string {
		return strings.Map(func(r rune) rune {
			if !notDigit(r) || r == '*' || r == ' ' || r == '-' { // groups are put together
				return -1
			}
			return r
		}, s)
	}
	if others(masked) != others(text) {
		t.Fatalf("%q lost more than digits: %q", text, masked)
	}
}
