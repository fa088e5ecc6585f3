package card_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/card"
)

func TestParsePAN(t *testing.T) {
	for _, text := range []string{"123456789012", "4111111111111111", "6212345678900012", "6212345678901234567", "000000000000"} {
		pan, err := card.ParsePAN(text)
		if err != nil || pan.Reveal() != text || pan.IsZero() {
			t.Errorf("ParsePAN of %d digits: %v, %d digits back", len(text), err, len(pan.Reveal()))
		}
	}
	for _, text := range []string{
		"", "1", "12345678901", "62123456789012345678", "6212 3456 7890 0012", "6212-3456-7890-0012", "621234567890001X",
		"621234******0012", " 621234567890001", "+621234567890001", "٦٢١٢٣٤٥٦٧٨٩٠", strings.Repeat("4", 1_000_000),
	} {
		pan, err := card.ParsePAN(text)
		if !errors.Is(err, card.ErrPAN) || !pan.IsZero() {
			t.Errorf("ParsePAN(%.20q) = %v, %v; want ErrPAN", text, pan, err)
			continue
		}
		if len(text) > 3 && strings.Contains(err.Error(), text) {
			t.Errorf("the error holds the input: %v", err)
		}
	}
}

func TestMasked(t *testing.T) {
	for _, test := range []struct{ digits, masked, last4 string }{
		{"6212345678900012345", "621234******2345", "2345"},
		{"62123456789000123", "621234******0123", "0123"},
		{"6212345678900012", "621234******0012", "0012"},
		{"378282246310005", "378282******0005", "0005"},
		{"30569309025904", "305693*******904", "*904"},
		{"4222222222222", "422222********22", "**22"},
		{"501234567891", "501234*********1", "***1"},
	} {
		pan := mustPAN(t, test.digits)
		if got := pan.Masked(); got != test.masked {
			t.Errorf("%d digits: Masked() = %q, want %q", len(test.digits), got, test.masked)
		}
		if got := pan.Last4(); got != test.last4 {
			t.Errorf("%d digits: Last4() = %q, want %q", len(test.digits), got, test.last4)
		}
		if got := pan.First6(); got != test.digits[:6] {
			t.Errorf("%d digits: First6() = %q", len(test.digits), got)
		}
	}
}

func TestZeroPAN(t *testing.T) {
	var pan card.PAN
	if !pan.IsZero() || pan.Reveal() != "" || pan.Masked() != "" || pan.First6() != "" || pan.Last4() != "" || pan.LuhnOK() {
		t.Errorf("the zero PAN is not empty: %v", pan)
	}
}

func TestEqual(t *testing.T) {
	first, same := mustPAN(t, clearPAN), mustPAN(t, clearPAN)
	if !first.Equal(same) || !first.Equal(first) || !(card.PAN{}).Equal(card.PAN{}) {
		t.Error("equal numbers are not Equal")
	}
	for _, other := range []card.PAN{{}, mustPAN(t, "6212345678900013"), mustPAN(t, "7212345678900012"), mustPAN(t, clearPAN+"0")} {
		if first.Equal(other) || other.Equal(first) {
			t.Errorf("%v is Equal to %v", first, other)
		}
	}
	if reflect.TypeFor[card.PAN]().Comparable() {
		t.Error("PAN compiles with ==, which compares addresses")
	}
	if !reflect.DeepEqual(first, same) {
		t.Error("reflect.DeepEqual sees a difference between equal numbers")
	}
}

func TestLuhn(t *testing.T) {
	for _, digits := range []string{
		"4111111111111111", "5555555555554444", "378282246310005", "30569309025904", "4222222222222", "6011111111111117",
		"6200000000000005", "6759649826438453", "6212345678900000000",
	} {
		last := digits[len(digits)-1]
		want := luhnByTable(digits)
		if got := mustPAN(t, digits).LuhnOK(); got != want {
			t.Errorf("…%s: LuhnOK() = %t, want %t", digits[len(digits)-4:], got, want)
		}
		wrong := digits[:len(digits)-1] + string('0'+(last-'0'+1)%10)
		if want && mustPAN(t, wrong).LuhnOK() {
			t.Errorf("…%s: a wrong check digit passes", digits[len(digits)-4:])
		}
	}
	for _, known := range []string{"4111111111111111", "5555555555554444", "378282246310005", "6011111111111117"} {
		if !mustPAN(t, known).LuhnOK() {
			t.Errorf("the networks' test number …%s fails", known[12:])
		}
	}
}

// luhnByTable is the check the other way round: from the left, by table.
func luhnByTable(digits string) bool {
	doubled := [10]int{0, 2, 4, 6, 8, 1, 3, 5, 7, 9}
	sum := 0
	for i, digit := range digits {
		if (len(digits)-i)%2 == 0 {
			sum += doubled[digit-'0']
		} else {
			sum += int(digit - '0')
		}
	}
	return sum%10 == 0
}

func TestWithCheckDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`[0-9]{11,18}`).Draw(t, "body")
		pan, err := card.WithCheckDigit(body)
		if err != nil || !pan.LuhnOK() || !strings.HasPrefix(pan.Reveal(), body) || len(pan.Reveal()) != len(body)+1 {
			t.Fatalf("WithCheckDigit: %v, %v", pan, err)
		}
		// The check digit finds every single wrong digit.
		digits := []byte(pan.Reveal())
		at := rapid.IntRange(0, len(digits)-1).Draw(t, "at")
		digits[at] = '0' + (digits[at]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		wrong, err := card.ParsePAN(string(digits))
		if err != nil || wrong.LuhnOK() || luhnByTable(string(digits)) {
			t.Fatalf("a wrong digit at %d passes", at)
		}
	})
	for _, body := range []string{"", "1234567890", "1234567890123456789", "12345678901a"} {
		if pan, err := card.WithCheckDigit(body); !errors.Is(err, card.ErrPAN) || !pan.IsZero() {
			t.Errorf("WithCheckDigit(%q) = %v, %v; want ErrPAN", body, pan, err)
		}
	}
}

func FuzzParsePAN(f *testing.F) {
	for _, seed := range []string{"", "4111111111111111", "621234******0012", "6212345678901234567", "62123456789012345678", "4111111111111 11"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pan, err := card.ParsePAN(text)
		if err != nil {
			if len(text) >= 6 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error holds the input: %v", err)
			}
			return
		}
		if pan.Reveal() != text || pan.LuhnOK() != luhnByTable(text) || len(pan.Masked()) != 16 {
			t.Fatalf("accepted a number of %d characters and shows %v", len(text), pan)
		}
	})
}
