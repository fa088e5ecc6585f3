package card_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"meridian/internal/card"
)

func TestParseTrack2(t *testing.T) {
	for _, test := range []struct {
		name, text, pan, expiry, serviceCode string
	}{
		{"equals sign", "6212345678900012=30122011234000012300", "6212345678900012", "3012", "201"},
		{"letter", "6212345678900012D30122011234000012300", "6212345678900012", "3012", "201"},
		{"37 characters", "6212345678901234567=30122011234567890", "6212345678901234567", "3012", "201"},
		{"no discretionary data", "6212345678900012=3012201", "6212345678900012", "3012", "201"},
		{"no service code", "6212345678900012=3012", "6212345678900012", "3012", ""},
		{"separator for the service code", "6212345678900012=3012=1234", "6212345678900012", "3012", ""},
		{"separator for the expiry", "6212345678900012==2011234", "6212345678900012", "", "201"},
		{"separators for both", "6212345678900012D=D1234", "6212345678900012", "", ""},
		{"12 digits", "501234567891=2601101", "501234567891", "2601", "101"},
	} {
		t.Run(test.name, func(t *testing.T) {
			track, err := card.ParseTrack2(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if track.PAN.Reveal() != test.pan || track.Expiry.String() != test.expiry || track.ServiceCode != test.serviceCode {
				t.Errorf("got %v, %q, %q", track.PAN, track.Expiry, track.ServiceCode)
			}
			if track.Reveal() != test.text || track.IsZero() {
				t.Error("Reveal() is not what was read")
			}
		})
	}
}

func TestParseTrack2Refuses(t *testing.T) {
	for _, test := range []struct {
		name, text string
		also       error
	}{
		{"empty", "", nil},
		{"no separator", "6212345678900012", nil},
		{"only a separator", "=", card.ErrPAN},
		{"short number", "62123456789=3012201", card.ErrPAN},
		{"long number", "62123456789012345678=3012201", card.ErrPAN},
		{"letter in the number", "62123456789X0012=3012201", card.ErrPAN},
		{"start sentinel", ";6212345678900012=3012201", card.ErrPAN},
		{"end sentinel", "6212345678900012=3012201?", nil},
		{"nothing behind the separator", "6212345678900012=", nil},
		{"short expiry", "6212345678900012=301", nil},
		{"month 13", "6212345678900012=3013201", card.ErrExpiry},
		{"month 00", "6212345678900012=3000201", card.ErrExpiry},
		{"short service code", "6212345678900012=301220", nil},
		{"letter behind", "6212345678900012=3012201A", nil},
		{"pad nibble", "6212345678900012D3012201F", nil},
		{"38 characters", "6212345678900012=301220112340000123001", nil},
		{"enormous", "6212345678900012=" + strings.Repeat("3", 222_222-17), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			track, err := card.ParseTrack2(test.text)
			if !errors.Is(err, card.ErrTrack2) || !track.IsZero() || !track.PAN.IsZero() {
				t.Fatalf("got %v, %v; want ErrTrack2", track, err)
			}
			if test.also != nil && !errors.Is(err, test.also) {
				t.Errorf("%v is not also %v", err, test.also)
			}
			assertNoDigitsOf(t, err, test.text)
		})
	}
}

// assertNoDigitsOf fails when the error repeats four characters of the data.
func assertNoDigitsOf(tb testing.TB, err error, data string) {
	tb.Helper()
	const telling = 4
	text := err.Error()
	for i := 0; i+telling <= len(data) && i < 1000; i++ {
		if strings.Contains(text, data[i:i+telling]) {
			tb.Fatalf("the error holds a part of the track: %v", err)
		}
	}
}

func TestZeroTrack2(t *testing.T) {
	var track card.Track2
	if !track.IsZero() || track.Reveal() != "" || track.String() != "" {
		t.Errorf("the zero track is %v", track)
	}
}

// TestNothingKeepsTheFrame: a value that shared its bytes with the message it
// came from would keep all of the message in memory, track and PIN block too.
func TestNothingKeepsTheFrame(t *testing.T) {
	frame := "xx" + clearTrack + "yy"
	first, last := uintptr(unsafe.Pointer(unsafe.StringData(frame))), uintptr(unsafe.Pointer(unsafe.StringData(frame[len(frame)-1:])))
	track := mustTrack2(t, frame[2:len(frame)-2])
	for what, part := range map[string]string{
		"the track": track.Reveal(), "the service code": track.ServiceCode, "the track's PAN": track.PAN.Reveal(),
		"a PAN": mustPAN(t, frame[2:2+len(clearPAN)]).Reveal(),
	} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(part))); part == "" || first <= at && at <= last {
			t.Errorf("%s of %d bytes shares the frame's", what, len(part))
		}
	}
	runtime.KeepAlive(frame)
}

func FuzzParseTrack2(f *testing.F) {
	for _, seed := range []string{
		clearTrack, "6212345678900012D3012201", "6212345678900012==2011234", "6212345678900012=3012=", "=", "D", "", "6212345678900012=FF9354A0000000000",
		"6212345678900012=\xff", "6212345678900012=3012201世",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		track, err := card.ParseTrack2(text)
		if err != nil {
			if len(text) >= 12 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error holds the input: %v", err)
			}
			return
		}
		if track.Reveal() != text || len(text) > 37 || !strings.HasPrefix(text, track.PAN.Reveal()) {
			t.Fatalf("accepted %d characters as %v", len(text), track)
		}
		if want := track.PAN.Masked() + "=****"; track.String() != want {
			t.Fatalf("String() = %q, want %q", track, want)
		}
	})
}

func TestTrack2Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pan := rapid.StringMatching(`[0-9]{12,19}`).Draw(t, "pan")
		expiry := rapid.StringMatching(`[0-9]{2}(0[1-9]|1[0-2])`).Draw(t, "expiry")
		serviceCode := rapid.StringMatching(`[0-9]{3}`).Draw(t, "service code")
		discretionary := rapid.StringMatching(`[0-9]{0,10}`).Draw(t, "discretionary")
		text := pan + rapid.SampledFrom([]string{"=", "D"}).Draw(t, "separator") + expiry + serviceCode + discretionary
		track, err := card.ParseTrack2(text)
		if err != nil || track.PAN.Reveal() != pan || track.Expiry.String() != expiry || track.ServiceCode != serviceCode || track.Reveal() != text {
			t.Fatalf("%v, %v", track, err)
		}
	})
}
