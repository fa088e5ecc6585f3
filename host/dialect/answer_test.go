package dialect_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

var update = flag.Bool("update", false, "write testdata/answers.txt anew")

// shanghai is eight hours ahead of UTC.
var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// outcome is a stored response of this reason, as the switch gives it.
func outcome(reason switching.Reason, change ...func(*switching.Response)) *switching.Response {
	r := &switching.Response{
		Reason: reason, Became: switching.KindSale, RRN: 606900000042,
		BusinessDate: ledger.MakeDate(2026, 3, 11), HasBusinessDate: true,
		AcceptedAt: time.Date(2026, 3, 10, 23, 5, 9, 999_999_999, shanghai), Currency: money.CNY,
	}
	if reason == switching.Approved {
		r.AuthCode = "012345"
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func became(kind switching.Kind, rule switching.Rule) func(*switching.Response) {
	return func(r *switching.Response) { r.Became, r.Rule = kind, rule }
}

func balance(minor int64, c money.Currency) func(*switching.Response) {
	return func(r *switching.Response) { r.BalanceMinor, r.HasBalance, r.Currency = minor, true, c }
}

// transmission is what a terminal fills in at each transmission.
var transmission = fields{7: "0310150509", 12: "230508", 13: "0310"}

type answerCase struct {
	name, mti string
	request   fields
	response  *switching.Response
	// want of the answer beside what it repeats; nac and ascii differ in F7, F12
	// and F13.
	want fields
}

// repeatedFields is what an answer repeats of its request.
var repeatedFields = []int{3, 4, 11, 24, 41, 42, 49, 70}

func answerCases() []answerCase {
	const rrn, day, code = "606900000042", "0311", "012345"
	sale := withCard.but(transmission).but(fields{24: "003", 49: "156", 22: "051", 25: "00", 62: "000009"})
	cancel := purchase.but(transmission).but(fields{3: "290000", 37: "606900000007", 24: "003"})
	approved := fields{39: "00", 37: rrn, 38: code, 15: day}
	declined := func(code string) fields { return fields{39: code, 37: rrn, 15: day} }
	return []answerCase{
		{"0110 authorization", "0100", sale, outcome(switching.Approved), approved},
		{
			"0110 balance", "0100", sale.but(fields{3: "310000"}), outcome(switching.Approved, balance(123456, money.CNY)),
			approved.but(fields{54: "0002156C000000123456"}),
		},
		{"0210 sale", "0200", sale, outcome(switching.Approved), approved},
		{"0210 sale repeated", "0201", sale, outcome(switching.Approved), approved},
		{"0210 sale declined", "0200", sale, outcome(switching.InsufficientFunds), declined("51")},
		{"0210 sale with other content", "0200", sale, &switching.Response{Reason: switching.RepeatDiffers, Stored: true}, fields{39: "94"}},
		{"0210 unknown terminal", "0200", sale, &switching.Response{Reason: switching.UnknownTerminal}, fields{39: "97"}},
		{
			"0210 overdrawn balance", "0200", sale.but(fields{3: "310000", 4: ""}), outcome(switching.Approved, balance(-5, 392)),
			approved.but(fields{54: "0002392D000000000005"}),
		},
		{
			"0210 balance beyond 12 digits", "0200", sale.but(fields{3: "310000", 4: ""}), outcome(switching.Approved, balance(5_000_000_000_000, money.CNY)),
			approved.but(fields{54: "0002156C999999999999"}),
		},
		{"0210 cancel became a void", "0200", cancel, outcome(switching.Approved, became(switching.KindVoid, 16)), approved.but(fields{63: "VOID R16"})},
		{"0210 cancel became a refund", "0200", cancel, outcome(switching.Approved, became(switching.KindRefund, 29)), approved.but(fields{63: "REFUND R29"})},
		{"0210 cancel declined", "0200", cancel, outcome(switching.ExceedsAmountLimit, became(switching.KindCancel, 24)), declined("61").but(fields{63: "DECLINE R24"})},
		{"0230 advice", "0220", sale, outcome(switching.Approved), approved},
		{"0230 completion repeated", "0221", sale.but(fields{37: "606900000007"}), outcome(switching.Approved), approved},
		{"0410 reversal", "0400", sale, outcome(switching.Approved), approved},
		{"0410 reversal of the unknown", "0401", sale, outcome(switching.OriginalNotFound), declined("25")},
		{"0430 reversal advice", "0420", sale, outcome(switching.Approved), approved},
		{
			"0610 not supported", "0600",
			fields{3: "920000", 11: "000007", 41: "10000001"},
			&switching.Response{Reason: switching.FunctionNotSupported},
			fields{39: "40"},
		},
		{"0810 echo", "0800", fields{11: "000007", 70: "301"}.but(transmission), &switching.Response{Reason: switching.Approved}, fields{39: "00"}},
		{
			"0810 logon", "0800", fields{3: "920000", 11: "000007", 24: "003", 41: "10000001"}.but(transmission),
			&switching.Response{Reason: switching.Approved, AcceptedAt: time.Date(2026, 3, 10, 23, 5, 9, 0, shanghai)},
			fields{39: "00"},
		},
	}
}

// TestAnswers compares answers field by field with design §6, and byte by byte
// with those written down in testdata.
func TestAnswers(t *testing.T) {
	golden := readGolden(t)
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for _, test := range answerCases() {
				t.Run(test.name, func(t *testing.T) {
					request := received(t, d, test.mti, test.request)
					response := *test.response
					if response.RRN != 0 { // the switch kept it with the outcome
						if asked, refusal := d.Request(request); refusal == nil {
							response.Echo = asked.Echo
						}
					}
					answer := answerTo(d, request, &response)
					want := test.want.but(nil)
					for _, field := range repeatedFields {
						if v, ok := test.request[field]; ok {
							want[field] = v
						}
					}
					switch {
					case d.Name() == "ascii":
						for field := range transmission {
							if v, ok := test.request[field]; ok {
								want[field] = v
							}
						}
					case !response.AcceptedAt.IsZero():
						want[12], want[13] = "230509", "0310" // truncated, not rounded
					}
					compare(t, answer, test.name[:4], want)
					golden.compare(t, d, test.name, answer)
				})
			}
		})
	}
	golden.write(t)
}

func compare(t *testing.T, m *wire.Message, mti string, want fields) {
	t.Helper()
	got := fields{}
	for _, field := range m.Fields() {
		got[field] = m.Get(field)
	}
	if m.MTI() != mti || !maps.Equal(got, want) {
		t.Fatalf("answer %s %v, want %s %v", m.MTI(), got, mti, want)
	}
}

// goldenAnswers are lines of dialect, hex and name.
type goldenAnswers struct {
	lines map[string]string
	order []string
}

const goldenFile = "testdata/answers.txt"

func readGolden(t *testing.T) *goldenAnswers {
	t.Helper()
	g := &goldenAnswers{lines: map[string]string{}}
	if *update {
		return g
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		name, packed, ok := strings.Cut(lines.Text(), " = ")
		if !ok {
			t.Fatalf("%s: %q is no line of name and hex", goldenFile, lines.Text())
		}
		g.lines[name] = packed
	}
	return g
}

func (g *goldenAnswers) compare(t *testing.T, d dialect.Dialect, name string, m *wire.Message) {
	t.Helper()
	packed, err := d.Spec().Pack(m)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ToUpper(hex.EncodeToString(packed))
	if d.Name() == "ascii" {
		text = string(packed)
	}
	key := d.Name() + " " + name
	if *update {
		g.lines[key] = text
		g.order = append(g.order, key)
		return
	}
	if g.lines[key] != text {
		t.Errorf("%s is\n%s\nwritten down is\n%s", key, text, g.lines[key])
	}
	delete(g.lines, key)
}

func (g *goldenAnswers) write(t *testing.T) {
	t.Helper()
	if !*update {
		for name := range g.lines {
			t.Errorf("%s has an answer that nobody gives: %s", goldenFile, name)
		}
		return
	}
	var b bytes.Buffer
	for _, key := range g.order {
		fmt.Fprintf(&b, "%s = %s\n", key, g.lines[key])
	}
	if err := os.WriteFile(goldenFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCodes: every reason has its characters, those of the references.
func TestCodes(t *testing.T) {
	codes := map[switching.Reason]string{
		switching.Approved:               "00",
		switching.UnknownMerchant:        "03",
		switching.InvalidTransaction:     "12",
		switching.CurrencyMismatch:       "12",
		switching.ReversedBefore:         "12",
		switching.InvalidAmount:          "13",
		switching.InvalidCard:            "14",
		switching.CardMismatch:           "14",
		switching.NoSuchIssuer:           "15",
		switching.NoAction:               "21",
		switching.NotAllowedNow:          "22",
		switching.WrongTerminal:          "22",
		switching.OriginalNotFound:       "25",
		switching.FormatError:            "30",
		switching.FunctionNotSupported:   "40",
		switching.LostCard:               "41",
		switching.StolenCard:             "43",
		switching.InsufficientFunds:      "51",
		switching.ExpiredCard:            "54",
		switching.WrongExpiry:            "54",
		switching.NotPermittedToTerminal: "58",
		switching.TerminalInactive:       "58",
		switching.ExceedsAmountLimit:     "61",
		switching.RestrictedCard:         "62",
		switching.SecurityViolation:      "63",
		switching.AmountMismatch:         "64",
		switching.ExceedsCountLimit:      "65",
		switching.CutoffInProgress:       "90",
		switching.StoreUnavailable:       "91",
		switching.RepeatDiffers:          "94",
		switching.SystemMalfunction:      "96",
		switching.UnknownTerminal:        "97",
		switching.TerminalNotOfMerchant:  "97",
	}
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			request := received(t, d, "0200", withCard)
			for _, reason := range switching.Reasons() {
				code := answerTo(d, request, &switching.Response{Reason: reason}).Get(39)
				switch want, listed := codes[reason]; {
				case listed && code != want:
					t.Errorf("%s is answered %s, want %s", reason, code, want)
				case !listed && code == "96":
					t.Errorf("%s has no characters of its own", reason)
				case reason != switching.Approved && code == "00":
					t.Errorf("%s is answered as an approval", reason)
				}
			}
			// One that is not known here is a decline all the same.
			if code := answerTo(d, request, &switching.Response{Reason: 250}).Get(39); code != "96" {
				t.Errorf("an unknown reason is answered %q", code)
			}
		})
	}
}

// TestSilence: nothing is told when nothing is known.
func TestSilence(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			if got := answerTo(d, received(t, d, "0200", withCard), &switching.Response{}); got != nil {
				t.Errorf("answered %s without a reason", got.MTI())
			}
		})
	}
}

// TestRepeatIsAnsweredByteForByte: whatever belongs to the transmission alone may
// differ in a repeat, or be there for the first time.
func TestRepeatIsAnsweredByteForByte(t *testing.T) {
	later := fields{7: "0310150612", 12: "230610", 13: "0311"}
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for name, first := range map[string]fields{"with times": withCard.but(transmission), "without times": withCard} {
				for _, reason := range []switching.Reason{switching.Approved, switching.InsufficientFunds} {
					sent := received(t, d, "0200", first)
					asked, refusal := d.Request(sent)
					if refusal != nil {
						t.Fatal(refusal)
					}
					response := outcome(reason, func(r *switching.Response) { r.Echo = asked.Echo })
					want := pack(t, d, answerTo(d, sent, response))
					for _, repeat := range []fields{first, withCard, first.but(later)} {
						for _, mti := range []string{"0200", "0201"} {
							again := *response
							again.Stored = true
							again.Echo = slices.Clone(asked.Echo)
							if got := pack(t, d, answerTo(d, received(t, d, mti, repeat), &again)); !bytes.Equal(got, want) {
								t.Fatalf("%s: repeat %s %v is answered\n%q\nfirst\n%q", name, mti, repeat, got, want)
							}
						}
					}
				}
			}
		})
	}
}

// TestAnswerOfTheAbandoned: a terminal that was told of a failure before its
// outcome was known is told the same for ever.
func TestAnswerOfTheAbandoned(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for _, first := range []fields{withCard, withCard.but(transmission)} {
				sent := received(t, d, "0200", first)
				asked, _ := d.Request(sent)
				want := pack(t, d, answerTo(d, sent, &switching.Response{Reason: switching.SystemMalfunction}))
				again := received(t, d, "0201", first.but(fields{7: "0310150612"}))
				got := pack(t, d, answerTo(d, again, &switching.Response{Reason: switching.SystemMalfunction, Stored: true, Echo: asked.Echo}))
				if !bytes.Equal(got, want) {
					t.Errorf("answered\n%q\nfirst\n%q", got, want)
				}
			}
		})
	}
}

func pack(t *testing.T, d dialect.Dialect, m *wire.Message) []byte {
	t.Helper()
	b, err := d.Spec().Pack(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
