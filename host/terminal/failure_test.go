package terminal

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meridian/host/wire"
)

func silent(*fakeHost, *wire.Message) reply { return reply{} }

// brief is a timeout that has to run out: the shortest that a loaded machine cannot
// mistake for something else.
func brief(o *Options) { o.Timeout = 500 * time.Millisecond }

// A sale without an answer is unknown, and what follows undoes exactly it.
func TestReversalAfterTimeout(t *testing.T) {
	for _, dialect := range []string{dialectNAC, dialectASCII} {
		t.Run(dialect, func(t *testing.T) {
			deaf := true
			b := newBench(t, dialect, func(h *fakeHost, m *wire.Message) reply {
				if deaf {
					return silent(h, m)
				}
				return approve(h, m)
			})
			b.host.change(func() { deaf = false })
			b.must(Request{Operation: Sale, Amount: "1"})
			b.host.change(func() { deaf = true })
			r, err := b.run(Request{Operation: Sale, Amount: "7"}, brief)
			if kindOf(t, err) != KindUnreachable {
				t.Errorf("error %v", err)
			}
			if r == nil || r.Outcome != Unknown || r.Response != nil || r.STAN != "000002" || !strings.Contains(r.Summary, "reversal") {
				t.Fatalf("report %+v", r)
			}
			if got := b.state(b.reports[0].TID).Records[1]; got.Outcome != Unknown || got.AmountMinor != 700 {
				t.Errorf("the state remembers %+v", got)
			}
			b.host.change(func() { deaf = false })
			b.must(Request{Operation: Reversal})
			expectFields(t, b.host.last(), map[int]string{3: "000000", 4: "000000000700", 11: "000002", 37: ""})
			// A void is for what is known to be approved: the first sale.
			b.must(Request{Operation: Void})
			expectFields(t, b.host.last(), map[int]string{37: "900000000001", 11: "000003"})
			// The host may have been merely late: asking again settles it.
			b.must(Request{Operation: Sale, Repeat: true})
			b.must(Request{Operation: Void})
			expectFields(t, b.host.last(), map[int]string{37: "900000000002"})
		})
	}
}

func TestAnswersThatDoNotCount(t *testing.T) {
	answer := func(change ...func(*wire.Message)) func(*fakeHost, *wire.Message) reply {
		return func(h *fakeHost, m *wire.Message) reply { return h.packed(answerTo(m, change...)) }
	}
	raw := func(bytes string) func(*fakeHost, *wire.Message) reply {
		return func(*fakeHost, *wire.Message) reply { return reply{raw: []byte(bytes)} }
	}
	retyped := func(mti string) func(*fakeHost, *wire.Message) reply {
		return func(h *fakeHost, request *wire.Message) reply {
			m := wire.NewMessage(mti)
			for _, field := range []int{3, 11, 41} {
				m.Set(field, request.Get(field))
			}
			m.Set(39, "00")
			return h.packed(m)
		}
	}
	for _, c := range []struct {
		name    string
		host    func(*fakeHost, *wire.Message) reply
		kind    ErrorKind
		problem string
	}{
		{"another amount", answer(set(4, "000000009999")), KindFailure, "field 4"},
		{"another terminal", answer(set(41, "99999999")), KindFailure, "field 41"},
		{"another transaction", answer(set(3, "200000")), KindFailure, "field 3"},
		{"another type", retyped("0410"), KindFailure, "0410"},
		{"no code", answer(unset(39)), KindFailure, "field 39"},
		{"an approval without STAN", answer(unset(11)), KindFailure, "field 11"},
		{"no message", raw("\x00\x09\x60\x00\x00\x00\x03junk"), KindFailure, "cannot be read"},
		{"a field cut off", raw("\x00\x0f\x60\x00\x00\x00\x03\x02\x10\xff\xff\xff\xff\xff\xff\xff\xff"), KindFailure, "cannot be read"},
		{"an endless frame", raw("\xff\xff"), KindFailure, "frame"},
		{"half a frame", func(*fakeHost, *wire.Message) reply { return reply{raw: []byte("\x00\x40\x60"), hangUp: true} }, KindUnreachable, "closed"},
		{"nothing but a close", func(*fakeHost, *wire.Message) reply { return reply{hangUp: true} }, KindUnreachable, "closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, dialectNAC, c.host)
			r, err := b.run(Request{Operation: Sale, Amount: "1"})
			if err == nil || kindOf(t, err) != c.kind || !strings.Contains(err.Error(), c.problem) {
				t.Fatalf("error %v, want kind %d with %q", err, c.kind, c.problem)
			}
			if r != nil && r.Outcome != Unknown {
				t.Errorf("outcome %s", r.Outcome)
			}
			if got := b.state("10000001").Records[0].Outcome; got != Unknown {
				t.Errorf("the state says %s", got)
			}
		})
	}
	t.Run("a TPDU that was not turned round", func(t *testing.T) {
		b := newBench(t, dialectNAC, approve)
		b.host.change(func() { b.host.keep = true })
		_, err := b.run(Request{Operation: Sale, Amount: "1"})
		if err == nil || !strings.Contains(err.Error(), "TPDU") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an answer to another request", func(t *testing.T) {
		b := newBench(t, dialectNAC, answer(set(11, "999999")))
		_, err := b.run(Request{Operation: Sale, Amount: "1"}, brief)
		if kindOf(t, err) != KindUnreachable {
			t.Errorf("error %v", err)
		}
	})
}

// A format error carries nothing but its code: it still belongs to the request.
func TestDeclines(t *testing.T) {
	b := newBench(t, dialectASCII, func(h *fakeHost, request *wire.Message) reply {
		if request.Get(4) == "000000000100" {
			m := wire.NewMessage("0210")
			m.Set(39, "30")
			return h.packed(m)
		}
		return h.packed(answerTo(request, set(39, "25"), unset(38), set(63, "DECLINE R7")))
	})
	r, err := b.run(Request{Operation: Sale, Amount: "1"})
	if kindOf(t, err) != KindDeclined || r.Summary != "sale declined 30: format error" {
		t.Errorf("%v: %+v", err, r)
	}
	r, err = b.run(Request{Operation: Void, RRN: "123456789012"})
	if kindOf(t, err) != KindDeclined || r.Verdict != "DECLINE" || r.Rule != "R7" ||
		r.Summary != "void declined 25: original not found, RRN 900000000002, business date 11-21, DECLINE R7" {
		t.Errorf("%v: %+v", err, r)
	}
	if got := err.Error(); got != "the host declined: 25, original not found" {
		t.Errorf("error %q", got)
	}
	// What was declined is not voided.
	if _, err := b.run(Request{Operation: Void}); kindOf(t, err) != KindUsage {
		t.Errorf("error %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	b := newBench(t, dialectNAC, approve)
	_, err = b.run(Request{Operation: Sale, Amount: "1"}, func(o *Options) { o.Address = address })
	if kindOf(t, err) != KindUnreachable {
		t.Errorf("error %v", err)
	}
	if st := b.state("10000001"); st.STAN != 0 || len(st.Records) != 0 {
		t.Errorf("what was never sent is remembered: %+v", st)
	}
}

func TestInterrupted(t *testing.T) {
	stop := errors.New("stopped by the user")
	ctx, cancel := context.WithCancelCause(t.Context())
	b := newBench(t, dialectNAC, func(*fakeHost, *wire.Message) reply {
		cancel(stop)
		return reply{}
	})
	terminal, err := New(b.options())
	if err != nil {
		t.Fatal(err)
	}
	var got *Report
	err = terminal.Run(ctx, Request{Operation: Sale, Amount: "1"}, Repetition{}, func(r *Report) error {
		got = r
		return nil
	})
	if !errors.Is(err, stop) || got == nil || got.Outcome != Unknown {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestRepetition(t *testing.T) {
	b := newBench(t, dialectNAC, func(h *fakeHost, request *wire.Message) reply {
		if request.Get(11) == "000002" {
			return h.packed(answerTo(request, set(39, "51")))
		}
		return approve(h, request)
	})
	_, err := b.runMany(Request{Operation: Sale, Amount: "1"}, Repetition{Count: 3, Pause: time.Millisecond})
	if kindOf(t, err) != KindDeclined {
		t.Errorf("error %v", err)
	}
	var outcomes []string
	for _, r := range b.reports {
		outcomes = append(outcomes, r.STAN+" "+string(r.Outcome))
	}
	if got := strings.Join(outcomes, ", "); got != "000001 approved, 000002 declined, 000003 approved" {
		t.Errorf("%s", got)
	}
	if _, err := b.runMany(Request{Operation: Echo}, Repetition{Count: -1}); kindOf(t, err) != KindUsage {
		t.Errorf("error %v", err)
	}
}

// What is wrong on the command line is told before anything is sent or used up.
func TestUsage(t *testing.T) {
	b := newBench(t, dialectNAC, approve)
	for want, r := range map[string]Request{
		"--amount":        {Operation: Sale},
		"two ways":        {Operation: Sale, Amount: "1", AmountMinor: new(int64(1))},
		"not an amount":   {Operation: Sale, Amount: "1.234"},
		"has room":        {Operation: Sale, Amount: "10000000000.00"},
		"no amount":       {Operation: Balance, AmountMinor: new(int64(1))},
		"a reversal's":    {Operation: Sale, Amount: "1", Replacement: "1"},
		"a sale's":        {Operation: Preauth, Amount: "1", Cashback: "1"},
		"a refund's":      {Operation: Void, Unreferenced: true},
		"names no":        {Operation: Sale, Amount: "1", RRN: "123456789012"},
		"12 characters":   {Operation: Void, RRN: "12345"},
		"YYMM":            {Operation: Sale, Amount: "1", Expiry: "12/30"},
		"--stan":          {Operation: Sale, Amount: "1", STAN: "1000000"},
		"--original-stan": {Operation: Void, OriginalSTAN: "x"},
		"remembers no":    {Operation: Void},
		"to repeat":       {Operation: Sale, Repeat: true},
		"add --repeat":    {Operation: Sale, Amount: "1", Mark: true},
		"marked repeat":   {Operation: Echo, Repeat: true, Mark: true},
		"leave --pan":     {Operation: Sale, Amount: "1", PAN: "4111111111111111", Track2: "4111111111111111=3012"},
		"another one":     {Operation: Sale, Amount: "1", PAN: "4111111111111111", Card: "low"},
		"--pan":           {Operation: Sale, Amount: "1", PAN: "411111111111111x"},
		"--track2":        {Operation: Sale, Amount: "1", Track2: "4111111111111111x"},
		"behaves so":      {Operation: Sale, Amount: "1", Card: "generous"},
		"this number":     {Operation: Sale, Amount: "1", Card: "4012888888881881"},
		"counted from 0":  {Operation: Sale, Amount: "1", Card: "4"},
		"give --original": {Operation: Reversal, RRN: "123456789012", Amount: "1"},
		`has no "bake"`:   {Operation: "bake"},
		"field 62":        {Operation: Sale, Amount: "1", Invoice: strings.Repeat("1", 1000)},
	} {
		if _, err := b.run(r); err == nil || kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", r, err, want)
		}
	}
	if len(b.host.frames()) != 0 {
		t.Error("something was sent")
	}
	if st := b.state("10000001"); st.STAN != 0 {
		t.Errorf("STANs were used up: %d", st.STAN)
	}
}

func TestWhoTheTerminalIs(t *testing.T) {
	b := newBench(t, "", approve)
	missing := t.TempDir()
	for _, c := range []struct {
		name    string
		change  func(*Options)
		tid     string
		mid     string
		dialect string
		kind    ErrorKind
		problem string
	}{
		{"the first", func(*Options) {}, "10000001", "104110000000001", dialectNAC, 0, ""},
		{"the first of a dialect", func(o *Options) { o.Dialect = "ascii" }, "10000003", "104110000000001", dialectASCII, 0, ""},
		{"by its number", func(o *Options) { o.TID = "10000004" }, "10000004", "104110000000001", dialectASCII, 0, ""},
		{"of a merchant", func(o *Options) { o.MID = "104110000000002" }, "20000001", "104110000000002", dialectNAC, 0, ""},
		{
			"of the wrong merchant", func(o *Options) { o.TID, o.MID = "10000001", "104110000000002" },
			"10000001", "104110000000002", dialectNAC, 0, "",
		},
		{"UnionPay", func(o *Options) { o.TID = "10000005" }, "10000005", "104110000000001", dialectUnionPay, 0, ""},
		{"the first of UnionPay", func(o *Options) { o.Dialect = "unionpay" }, "10000005", "104110000000001", dialectUnionPay, 0, ""},
		{"a header for nac", func(o *Options) { o.Header = "603100000000" }, "", "", "", KindUsage, "--header"},
		{"a header that is none", func(o *Options) { o.Dialect, o.Header = "unionpay", "123" }, "", "", "", KindUsage, "--header"},
		{"a master key that is not hex", func(o *Options) { o.Dialect, o.TMK = "unionpay", "xyz" }, "", "", "", KindUsage, "hex"},
		{"an unknown dialect", func(o *Options) { o.Dialect = "morse" }, "", "", "", KindUsage, "morse"},
		{"no ascii terminal there", func(o *Options) { o.MID, o.Dialect = "104110000000002", "ascii" }, "", "", "", KindUsage, "--tid"},
		{"unknown", func(o *Options) { o.TID = "77777777" }, "", "", "", KindUsage, "--mid"},
		{"unknown but told", func(o *Options) { o.TID, o.MID = "77777777", "88" }, "77777777", "88", dialectNAC, 0, ""},
		{"no sandbox", func(o *Options) { o.DataDir = missing }, "", "", "", KindUnreachable, "meridian sandbox"},
		{"no sandbox, an address", func(o *Options) { o.DataDir, o.Address = missing, "127.0.0.1:1" }, "", "", "", KindUsage, "--tid"},
		{
			"no sandbox, all told", func(o *Options) { o.DataDir, o.Address, o.TID, o.MID = missing, "127.0.0.1:1", "7", "8" },
			"7", "8", dialectNAC, 0, "",
		},
		{"no sandbox, no address", func(o *Options) { o.DataDir, o.TID, o.MID = missing, "7", "8" }, "", "", "", KindUnreachable, "--address"},
		{"a TPDU for ascii", func(o *Options) { o.Dialect, o.TPDU = "ascii", "6000010000" }, "", "", "", KindUsage, "--tpdu"},
		{"a short TPDU", func(o *Options) { o.TPDU = "60" }, "", "", "", KindUsage, "TPDU"},
		{"an unknown length", func(o *Options) { o.Length = "octal" }, "", "", "", KindUsage, "--length"},
		{"a MAC without key", func(o *Options) { o.MAC = "x919" }, "", "", "", KindUsage, "--mak"},
		{"a MAC that there is none of", func(o *Options) { o.MAC = "crc" }, "", "", "", KindUsage, "unionpay-ecb"},
		{"a key that is not hex", func(o *Options) { o.MAK = "xyz" }, "", "", "", KindUsage, "hex"},
		{"half a key", func(o *Options) { o.MAK = testMAK[:16] }, "", "", "", KindUsage, "16"},
		{"no currency", func(o *Options) { o.Currency = "XXQ" }, "", "", "", KindUsage, "--currency"},
		{"no time", func(o *Options) { o.Timeout = -1 }, "", "", "", KindUsage, "--timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			terminal, err := New(b.options(c.change))
			if c.problem != "" {
				if err == nil || kindOf(t, err) != c.kind || !strings.Contains(err.Error(), c.problem) {
					t.Fatalf("error %v, want kind %d with %q", err, c.kind, c.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if terminal.tid != c.tid || terminal.mid != c.mid || terminal.dialect != c.dialect {
				t.Errorf("terminal %s of %s speaks %s", terminal.tid, terminal.mid, terminal.dialect)
			}
		})
	}
	for name, text := range map[string]string{
		"no JSON":           `{"merchants": [`,
		"a number for name": `{"merchants": [{"mid": 4111111111111111}]}`,
		"a broken card":     `{"cards": [{"pan": "4111111111111111x"}]}`,
		"a currency of old": `{"merchants": [{"mid": "1", "currency": "XXQ"}]}`,
		"too large":         `{"x": "` + strings.Repeat("x", maxFileBytes) + `"}`,
	} {
		b := newBench(t, "", approve)
		b.write(sandboxName, text)
		if _, err := b.run(Request{Operation: Echo}); kindOf(t, err) != KindConfiguration || !strings.Contains(err.Error(), filepath.Join(b.dir, sandboxName)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Yen have no decimals; a currency on the command line is the amounts' as well.
func TestCurrencies(t *testing.T) {
	b := newBench(t, dialectNAC, approve)
	r := b.must(Request{Operation: Sale, Amount: "1234"}, func(o *Options) { o.MID = "104110000000002" })
	expectFields(t, b.host.last(), map[int]string{4: "000000001234", 49: "392", 12: "191112"})
	if r.Amount != "1234" || r.Currency != "JPY" {
		t.Errorf("%+v", r)
	}
	if _, err := b.run(Request{Operation: Sale, Amount: "1.5"}, func(o *Options) { o.MID = "104110000000002" }); kindOf(t, err) != KindUsage {
		t.Errorf("half a yen: %v", err)
	}
	b.must(Request{Operation: Sale, Amount: "1.5"}, func(o *Options) { o.Currency = "KWD" })
	expectFields(t, b.host.last(), map[int]string{4: "000000001500", 49: "414"})
}

// A repeat says what it said first, whatever became of the sale since.
func TestPartialReversal(t *testing.T) {
	b := newBench(t, dialectASCII, approve)
	b.must(Request{Operation: Sale, Amount: "5"})
	r := b.must(Request{Operation: Reversal, Replacement: "2"})
	if r.Remaining != "2.00" || !strings.HasPrefix(r.Summary, "reversal approved 00, 5.00 CNY, of which 2.00 CNY remain, RRN") {
		t.Errorf("%+v", r)
	}
	if r := b.must(Request{Operation: Sale, Repeat: true}); r.AmountMinor != 500 {
		t.Errorf("the repeat is about %d", r.AmountMinor)
	}
	if r := b.must(Request{Operation: Void}); r.AmountMinor != 200 {
		t.Errorf("the void is about %d", r.AmountMinor)
	}
}

func TestBalance(t *testing.T) {
	b := newBench(t, dialectASCII, func(h *fakeHost, request *wire.Message) reply {
		return h.packed(answerTo(request, set(54, "0001156D000000000001"+"0002156C000000001234")))
	})
	r := b.must(Request{Operation: Balance})
	if r.Available != "12.34 CNY" || !strings.HasPrefix(r.Summary, "balance approved 00, available 12.34 CNY, RRN") {
		t.Errorf("%+v", r)
	}
	for text, want := range map[string]string{
		"": "", "0002": "", "0002156D000000000100": "-1.00 CNY", "0002999C000000000100": "", "0002156C00000000010x": "",
	} {
		if got := available(text); got != want {
			t.Errorf("available(%q) = %q, want %q", text, got, want)
		}
	}
}

// An answer counts, however close the end of the connection is behind it.
func TestAnswerBeforeTheEnd(t *testing.T) {
	b := newBench(t, dialectNAC, func(h *fakeHost, m *wire.Message) reply {
		r := approve(h, m)
		r.hangUp = true
		return r
	})
	for range 30 {
		b.must(Request{Operation: Sale, Amount: "1"})
	}
}

// An answer that comes twice counts once, and nobody waits for ever to hand over the second, whenever
// the terminal hangs up.
func TestAnswerTwice(t *testing.T) {
	b := newBench(t, dialectNAC, func(h *fakeHost, m *wire.Message) reply {
		r := approve(h, m)
		r.twice = true
		return r
	})
	before := goleak.IgnoreCurrent()
	for range 100 {
		b.must(Request{Operation: Sale, Amount: "1"})
	}
	goleak.VerifyNone(t, before)
}
