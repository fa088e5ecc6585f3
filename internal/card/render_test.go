package card_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // libraries of ours may log through it
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/card"
)

// leakForms are the shapes in which digits get out: as they are, in hex, in
// packed BCD, in base64 and as a list of byte values.
func leakForms(digits string) map[string]string {
	bcd, err := hex.DecodeString(digits[:len(digits)/2*2])
	if err != nil {
		panic(err)
	}
	spaced := func(format string) string {
		parts := make([]string, len(digits))
		for i := range digits {
			parts[i] = fmt.Sprintf(format, digits[i])
		}
		return strings.Join(parts, " ")
	}
	return map[string]string{
		"digits":     digits,
		"hex":        hex.EncodeToString([]byte(digits)),
		"HEX":        strings.ToUpper(hex.EncodeToString([]byte(digits))),
		"spaced hex": spaced("%x"),
		"byte list":  spaced("%d"),
		"Go bytes":   strings.ReplaceAll(spaced("0x%x"), " ", ", "),
		"base64":     base64.StdEncoding.EncodeToString([]byte(digits))[:len(digits)/3*4],
		"BCD":        string(bcd),
	}
}

// leaks are the forms of the whole number, of its hidden digits with the tail,
// and of the head with its hidden digits.
func leaks(number string) []leak {
	var all []leak
	for part, digits := range map[string]string{
		"the whole number": number, "the hidden digits and the tail": number[6:], "the head and the hidden digits": number[:len(number)-4],
	} {
		for form, text := range leakForms(digits) {
			all = append(all, leak{part + " as " + form, text})
		}
	}
	return all
}

type leak struct{ what, text string }

var clearPANLeaks = leaks(clearPAN)

// assertSafe fails when text shows more of clearPAN than its truncated form.
func assertSafe(t interface {
	Helper()
	Errorf(format string, args ...any)
}, what, text string,
) {
	t.Helper()
	for _, leak := range clearPANLeaks {
		if strings.Contains(text, leak.text) {
			t.Errorf("%s shows %s: %q", what, leak.what, text)
		}
	}
}

// TestLeakDetectorFinds plants each form, so that the tests below can fail.
func TestLeakDetectorFinds(t *testing.T) {
	for _, leak := range clearPANLeaks {
		recorder := &failures{}
		assertSafe(recorder, "a planted leak", "x"+leak.text+"y")
		if recorder.count == 0 {
			t.Errorf("a leak of %s is not found", leak.what)
		}
	}
}

type failures struct{ count int }

func (*failures) Helper()                 {}
func (f *failures) Errorf(string, ...any) { f.count++ }

const (
	clearPAN    = "6212345678900012"
	maskedPAN   = "621234******0012"
	clearTrack  = clearPAN + "=30122011234000012300"
	maskedTrack = maskedPAN + "=****"
)

func mustPAN(tb testing.TB, s string) card.PAN {
	tb.Helper()
	pan, err := card.ParsePAN(s)
	if err != nil {
		tb.Fatalf("ParsePAN: %v", err)
	}
	return pan
}

func mustTrack2(tb testing.TB, s string) card.Track2 {
	tb.Helper()
	track, err := card.ParseTrack2(s)
	if err != nil {
		tb.Fatalf("ParseTrack2: %v", err)
	}
	return track
}

// everyVerb is every letter, and the flags that change how fmt walks a value.
func everyVerb() []string {
	var formats []string
	for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "# ", "30", "-30", ".3", "30.40", "#.2"} {
		for verb := 'A'; verb <= 'z'; verb++ {
			if ('A' <= verb && verb <= 'Z') || ('a' <= verb && verb <= 'z') {
				formats = append(formats, "%"+flags+string(verb))
			}
		}
	}
	return append(formats, "%!", "%世", "%", "%%", "%[2]d", "%*d", "no verb at all")
}

// holders are the ways a card number sits in other values.
type exportedHolder struct{ Card card.PAN }

type hiddenHolder struct{ card card.PAN }

type embeddedHolder struct {
	card.PAN

	Amount int
}

type pointerHolder struct {
	Exported *card.PAN
	hidden   *card.PAN
}

type anyHolder struct {
	Exported any
	hidden   any
}

type trackHolder struct {
	Exported card.Track2
	hidden   card.Track2
	pointer  *card.Track2
}

type deepHolder struct {
	hidden struct {
		list  []card.PAN
		array [1]card.PAN
		table map[string]card.PAN
		inner *hiddenHolder
	}
	Channel chan card.PAN
}

func holders(tb testing.TB) map[string]any {
	tb.Helper()
	pan, track := mustPAN(tb, clearPAN), mustTrack2(tb, clearTrack)
	deep := deepHolder{Channel: make(chan card.PAN, 1)}
	deep.Channel <- pan
	deep.hidden.list = []card.PAN{pan}
	deep.hidden.array = [1]card.PAN{pan}
	deep.hidden.table = map[string]card.PAN{"card": pan}
	deep.hidden.inner = &hiddenHolder{pan}
	pointer := &pan
	return map[string]any{
		"PAN":               pan,
		"pointer":           pointer,
		"pointer's pointer": &pointer,
		"exported field":    exportedHolder{pan},
		"hidden field":      hiddenHolder{pan},
		"hidden, pointer":   &hiddenHolder{pan},
		"embedded":          embeddedHolder{pan, 1},
		"pointer fields":    pointerHolder{&pan, &pan},
		"any fields":        anyHolder{pan, pan},
		"slice":             []card.PAN{pan, pan},
		"slice of any":      []any{pan, hiddenHolder{pan}},
		"array":             [2]card.PAN{pan, pan},
		"map":               map[string]card.PAN{"card": pan},
		"map of hidden":     map[string]hiddenHolder{"card": {pan}},
		"deep":              deep,
		"deep pointer":      &deep,
		"track":             track,
		"track pointer":     &track,
		"track fields":      trackHolder{track, track, &track},
		"track slice":       []card.Track2{track},
		"function":          func() card.PAN { return pan },
	}
}

func TestFmtNeverLeaks(t *testing.T) {
	discretionary := clearTrack[strings.Index(clearTrack, "=")+8:]
	for name, value := range holders(t) {
		for _, format := range everyVerb() {
			for what, text := range map[string]string{
				"Sprintf":   fmt.Sprintf(format, value),
				"Errorf":    fmt.Errorf(format, value).Error(),
				"Errorf %w": fmt.Errorf("%w: "+format, io.EOF, value).Error(),
				"extra":     fmt.Sprintf(format, 1, value),
			} {
				assertSafe(t, fmt.Sprintf("%s of %s with %s", what, name, format), text)
				if strings.Contains(text, discretionary) {
					t.Errorf("%s of %s with %s shows discretionary data: %q", what, name, format, text)
				}
			}
		}
		for what, text := range map[string]string{
			"Sprint":   fmt.Sprint(value),
			"Sprintln": fmt.Sprintln("card", value),
			"Append":   string(fmt.Append(nil, value, value)),
		} {
			assertSafe(t, what+" of "+name, text)
		}
	}
}

func TestFmtShowsTheTruncatedNumber(t *testing.T) {
	pan, track := mustPAN(t, clearPAN), mustTrack2(t, clearTrack)
	for _, test := range []struct {
		format string
		value  any
		want   string
	}{
		{"%v", pan, maskedPAN},
		{"%+v", pan, maskedPAN},
		{"%s", pan, maskedPAN},
		{"%d", pan, maskedPAN},
		{"%x", pan, maskedPAN},
		{"%X", pan, maskedPAN},
		{"%q", pan, `"` + maskedPAN + `"`},
		{"%#v", pan, "card.PAN(" + maskedPAN + ")"},
		{"%20s|", pan, "    " + maskedPAN + "|"},
		{"%-20s|", pan, maskedPAN + "    |"},
		{"%s", &pan, maskedPAN},
		{"%v", exportedHolder{pan}, "{" + maskedPAN + "}"},
		{"%+v", exportedHolder{pan}, "{Card:" + maskedPAN + "}"},
		{"%+v", pointerHolder{Exported: &pan}, "{Exported:" + maskedPAN + " hidden:<nil>}"},
		{"%v", []card.PAN{pan}, "[" + maskedPAN + "]"},
		{"%v", map[string]card.PAN{"f2": pan}, "map[f2:" + maskedPAN + "]"},
		{"%v", track, maskedTrack},
		{"%+v", track, maskedTrack},
		{"%x", track, maskedTrack},
		{"%#v", track, "card.Track2(" + maskedTrack + ")"},
		{"%+v", struct{ Track card.Track2 }{track}, "{Track:" + maskedTrack + "}"},
		{"%v", card.PAN{}, ""},
		{"%#v", card.PAN{}, "card.PAN()"},
		{"%v", card.Track2{}, ""},
	} {
		if got := fmt.Sprintf(test.format, test.value); got != test.want {
			t.Errorf("%s of %T = %q, want %q", test.format, test.value, got, test.want)
		}
	}
}

func TestEncodersNeverLeak(t *testing.T) {
	for name, value := range holders(t) {
		for encoder, encode := range map[string]func(any) ([]byte, error){
			"json": json.Marshal,
			"json indented": func(v any) ([]byte, error) {
				return json.MarshalIndent(v, "", " ")
			},
			"xml": func(v any) ([]byte, error) { return xml.Marshal(v) },
			"gob": func(v any) ([]byte, error) {
				var out bytes.Buffer
				err := gob.NewEncoder(&out).Encode(v)
				return out.Bytes(), err
			},
		} {
			text, err := encode(value)
			assertSafe(t, encoder+" of "+name, string(text))
			if err != nil { // some of the holders cannot be encoded
				assertSafe(t, encoder+"'s error about "+name, err.Error())
			}
		}
	}
}

func TestJSON(t *testing.T) {
	pan, track := mustPAN(t, clearPAN), mustTrack2(t, clearTrack)
	for want, value := range map[string]any{
		`"` + maskedPAN + `"`:               pan,
		`{"Card":"` + maskedPAN + `"}`:      exportedHolder{pan},
		`{}`:                                hiddenHolder{pan},
		`["` + maskedPAN + `"]`:             []card.PAN{pan},
		`"` + maskedTrack + `"`:             track,
		`{"pan":"","track":"","expiry":""}`: blank{},
		`{"pan":"` + maskedPAN + `","track":"` + maskedTrack + `","expiry":"3012"}`: blank{pan, track, track.Expiry},
	} {
		got, err := json.Marshal(value)
		if err != nil || string(got) != want {
			t.Errorf("Marshal(%T) = %s, %v; want %s", value, got, err, want)
		}
	}
}

type blank struct {
	PAN    card.PAN    `json:"pan"`
	Track  card.Track2 `json:"track"`
	Expiry card.Expiry `json:"expiry"`
}

func TestJSONCannotBeReadBack(t *testing.T) {
	for _, target := range []any{new(card.PAN), new(card.Track2), new(exportedHolder)} {
		for _, text := range []string{`"` + clearPAN + `"`, clearPAN, `{"Card":"` + clearPAN + `"}`, `{"Card":` + clearPAN + `}`} {
			if err := json.Unmarshal([]byte(text), target); err != nil {
				assertSafe(t, "the error of Unmarshal", err.Error())
			}
			assertSafe(t, "what Unmarshal left", fmt.Sprintf("%+v", target))
		}
	}
}

func TestSlogNeverLeaks(t *testing.T) {
	handlers := map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	}
	for handlerName, newHandler := range handlers {
		for name, value := range holders(t) {
			var out bytes.Buffer
			logger := slog.New(newHandler(&out))
			logger.Info("approved", "card", value)
			logger.Info("approved", slog.Group("request", slog.Any("card", value)))
			logger.With("card", value).WithGroup("request").Info("approved", "again", value)
			logger.Error("failed", "error", fmt.Errorf("authorize %v: %w", value, io.EOF))
			logger.Info("approved", "text", fmt.Sprint(value))
			assertSafe(t, handlerName+" handler with "+name, out.String())
		}

		var out bytes.Buffer
		slog.New(newHandler(&out)).Info("approved", "card", mustPAN(t, clearPAN), "track", mustTrack2(t, clearTrack))
		if text := out.String(); !strings.Contains(text, maskedPAN) || !strings.Contains(text, maskedTrack) {
			t.Errorf("%s handler does not show the truncated values: %s", handlerName, text)
		}
	}
}

// TestLogValue is for handlers that know neither JSON nor fmt.
func TestLogValue(t *testing.T) {
	for want, value := range map[string]slog.LogValuer{maskedPAN: mustPAN(t, clearPAN), maskedTrack: mustTrack2(t, clearTrack)} {
		if got := slog.AnyValue(value).Resolve(); got.Kind() != slog.KindString || got.String() != want {
			t.Errorf("%T resolves to %s %v, want the string %s", value, got.Kind(), got, want)
		}
	}
}

func TestLogNeverLeaks(t *testing.T) {
	for name, value := range holders(t) {
		var out bytes.Buffer
		logger := log.New(&out, "", 0)
		logger.Print(value)
		logger.Printf("%s %x", value, value)
		assertSafe(t, "log of "+name, out.String())
	}
}

func TestWrappedErrorsNeverLeak(t *testing.T) {
	for name, value := range holders(t) {
		err := fmt.Errorf("open session: %w", errors.Join(fmt.Errorf("sale with %v", value), fmt.Errorf("sale with %w", errors.New(fmt.Sprint(value)))))
		for _, format := range []string{"%v", "%+v", "%#v", "%q", "%x", "%d"} {
			assertSafe(t, "an error with "+name, fmt.Sprintf(format, err))
		}
	}
}

// TestPanicNeverLeaks dies of a panic with a card number in another process and
// reads what the runtime printed, the stack included.
func TestPanicNeverLeaks(t *testing.T) {
	const selector = "MERIDIAN_TEST_PANIC_WITH"
	if name := os.Getenv(selector); name != "" {
		panic(holders(t)[name])
	}
	for _, name := range []string{"PAN", "pointer", "hidden field", "exported field", "embedded", "slice", "track", "track fields"} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(os.Args[0], "-test.run=^TestPanicNeverLeaks$")
			command.Env = append(os.Environ(), selector+"="+name, "GOTRACEBACK=all")
			output, err := command.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !bytes.Contains(output, []byte("panic: ")) {
				t.Fatalf("the process did not panic: %v\n%s", err, output)
			}
			assertSafe(t, "a panic with "+name, string(output))
			if (name == "PAN" || name == "track") && !bytes.Contains(output, []byte(maskedPAN)) {
				t.Errorf("the panic does not show the truncated number:\n%s", output)
			}
		})
	}
}

// TestRenderingProperty holds the invariants for any card number and any verb.
func TestRenderingProperty(t *testing.T) {
	formats := everyVerb()
	rapid.Check(t, func(t *rapid.T) {
		// Digits without repetition, so that a hidden part is not also a shown one.
		digits := rapid.StringMatching(`[1-9][0-9]{11,18}`).Draw(t, "digits")
		pan, err := card.ParsePAN(digits)
		if err != nil {
			t.Fatal(err)
		}
		masked := pan.Masked()
		if len(masked) != 16 || masked[:6] != digits[:6] || masked[6:12] != "******" {
			t.Fatalf("Masked() = %q", masked)
		}
		shown := 16 - strings.Count(masked, "*")
		if hidden := len(digits) - shown; hidden < 5 {
			t.Fatalf("%d digits: only %d hidden in %q", len(digits), hidden, masked)
		}
		if tail := strings.TrimLeft(masked[12:], "*"); !strings.HasSuffix(digits, tail) {
			t.Fatalf("tail %q is not the end of the number", tail)
		}
		if card.Truncated(pan.First6(), pan.Last4()) != masked {
			t.Fatalf("%q and %q do not make %q", pan.First6(), pan.Last4(), masked)
		}
		format := rapid.SampledFrom(formats).Draw(t, "format")
		for _, value := range []any{pan, &pan, exportedHolder{pan}, hiddenHolder{pan}, embeddedHolder{PAN: pan}} {
			if text := fmt.Sprintf(format, value); strings.Contains(text, digits) || strings.Contains(text, hex.EncodeToString([]byte(digits))) {
				t.Fatalf("%s of %T leaks", format, value)
			}
		}
		if pan.Reveal() != digits {
			t.Fatalf("Reveal() is another number of %d digits", len(pan.Reveal()))
		}
		if _, err := strconv.ParseUint(masked, 10, 64); err == nil {
			t.Fatalf("%q reads as a number", masked)
		}
	})
}
