package terminal

import (
	"encoding/hex"
	"strings"
	"testing"

	"meridian/host/wire"
)

// The bytes are written down by hand from the field tables of design.
func TestSaleByteForByte(t *testing.T) {
	t.Run("nac", func(t *testing.T) {
		b := newBench(t, dialectNAC, approve)
		b.must(Request{Operation: Sale, Amount: "12.34"})
		got := b.host.frames()[0]
		want := "0200" + "303805802" + "0C08004" + // 3 4 11 12 13 22 24 25 35 41 42 49 62
			"000000" + "000000001234" + "000001" + "181112" + "1121" +
			"0022" + "0003" + "00" +
			"34" + "4111111111111111D30122011110000123" +
			hex.EncodeToString([]byte("10000001"+"104110000000001"+"156")) +
			"0006" + hex.EncodeToString([]byte("000001"))
		if have := hex.EncodeToString(got.Payload); !strings.EqualFold(have, want) {
			t.Errorf("payload\n%s, want\n%s", have, want)
		}
		if got.TPDU.String() != "6000030000" {
			t.Errorf("TPDU %s", got.TPDU)
		}
	})
	t.Run("ascii", func(t *testing.T) {
		b := newBench(t, dialectASCII, approve)
		b.must(Request{Operation: Sale, Amount: "12.34", Keyed: true})
		want := "0200" + "723C048000C08000" + // 2 3 4 7 11 12 13 14 22 25 41 42 49
			"16" + "4111111111111111" + "000000" + "000000001234" + "1121101112" + "000001" + "181112" + "1121" + "3012" +
			"012" + "00" + "10000003" + "104110000000001" + "156"
		if got := string(b.host.frames()[0].Payload); got != want {
			t.Errorf("payload\n%s, want\n%s", got, want)
		}
	})
}

func TestMessages(t *testing.T) {
	for _, dialect := range []string{dialectNAC, dialectASCII} {
		t.Run(dialect, func(t *testing.T) {
			b := newBench(t, dialect, approve)
			isNAC := dialect == dialectNAC
			only := func(when bool, value string) string {
				if when {
					return value
				}
				return ""
			}
			// Each step's STAN follows from the ones before: 1, 2, 3 ...
			for _, step := range []struct {
				request Request
				mti     string
				want    map[int]string
			}{
				{Request{Operation: Echo}, "0800", map[int]string{
					11: "000001", 41: only(isNAC, "10000001") + only(!isNAC, "10000003"),
					3: only(isNAC, "990000"), 70: only(!isNAC, "301"), 24: only(isNAC, "003"), 7: only(!isNAC, "1121101112"), 64: "",
				}},
				{Request{Operation: Logon}, "0800", map[int]string{11: "000002", 3: only(isNAC, "920000"), 70: only(!isNAC, "001")}},
				{Request{Operation: Sale, Amount: "20", Cashback: "5.5"}, "0200", map[int]string{
					3: "090000", 4: "000000002000", 11: "000003", 22: "022", 25: "00", 35: "4111111111111111=30122011110000123", 2: "", 14: "",
					54: only(isNAC, "000000000550") + only(!isNAC, "0040156D000000000550"), 62: only(isNAC, "000003"),
				}},
				{Request{Operation: Void}, "0200", map[int]string{
					3: "020000", 4: "000000002000", 11: "000004", 37: "900000000003", 38: "A00003", 35: "", 2: "4111111111111111", 14: "3012",
					22: "012", 62: only(isNAC, "000003"), 90: "", 60: "",
				}},
				{Request{Operation: Refund, Amount: "1"}, "0200", map[int]string{
					3: "200000", 4: "000000000100", 11: "000005", 37: "900000000003", 38: "",
				}},
				{Request{Operation: Preauth, Amount: "100", Card: "low"}, "0100", map[int]string{
					3: "000000", 4: "000000010000", 11: "000006", 35: "5555555555554444=301120100001",
				}},
				{Request{Operation: Complete, Amount: "90"}, "0220", map[int]string{
					3: "000000", 4: "000000009000", 11: "000007", 37: "900000000006", 38: "A00006", 2: "5555555555554444",
				}},
				{Request{Operation: Cancel}, "0200", map[int]string{
					3: "290000", 4: "000000009000", 11: "000008", 37: "900000000007", 2: "5555555555554444",
				}},
				{Request{Operation: Reversal, Advice: true}, "0420", map[int]string{
					3: "290000", 4: "000000009000", 11: "000008", 37: "900000000008",
					90: only(!isNAC, "0200"+"000008"+"1121101112"+strings.Repeat("0", 22)),
				}},
				{Request{Operation: Refund, Unreferenced: true, Amount: "3", Card: "blocked"}, "0200", map[int]string{
					3: "200000", 11: "000009", 37: "", 2: "6212345678901232", 14: "2901", 35: "", 22: "012",
				}},
				{Request{Operation: Balance, STAN: "77"}, "0200", map[int]string{3: "310000", 4: "", 11: "000077", 62: ""}},
				{Request{Operation: Sale, AmountMinor: new(int64(1)), PAN: "4012888888881881", Expiry: "2712"}, "0200", map[int]string{
					2: "4012888888881881", 14: "2712", 4: "000000000001", 11: "000010",
				}},
				{Request{Operation: Void}, "0200", map[int]string{2: "", 14: "", 37: "900000000010"}}, // the card is not remembered
				{Request{Operation: Void, RRN: "123456789012"}, "0200", map[int]string{37: "123456789012", 4: "", 2: "", 62: ""}},
				{Request{Operation: Void, OriginalSTAN: "3"}, "0200", map[int]string{
					37: "", 4: "000000002000", 60: only(isNAC, "000007"+"000003"),
					90: only(!isNAC, "0200"+"000003"+"1121101112"+strings.Repeat("0", 22)),
				}},
				{Request{Operation: Reversal, OriginalSTAN: "555", Amount: "2"}, "0400", map[int]string{3: "000000", 11: "000555", 4: "000000000200", 37: ""}},
				{Request{Operation: Reversal, OriginalSTAN: "3", Replacement: "15"}, "0400", map[int]string{
					3: "090000", 11: "000003", 4: "000000002000", 95: "000000001500" + strings.Repeat("0", 30),
				}},
				{Request{Operation: Refund, RRN: "900000000003"}, "0200", map[int]string{4: "000000001500"}}, // what remains of it
			} {
				b.must(step.request)
				got := b.host.last()
				if got.MTI() != step.mti {
					t.Errorf("%s: MTI %s, want %s", step.request.Operation, got.MTI(), step.mti)
				}
				expectFields(t, got, step.want)
				if !step.request.Operation.network() {
					expectFields(t, got, map[int]string{42: "104110000000001", 49: "156"})
				}
				if t.Failed() {
					t.Fatalf("in %s: %v", step.request.Operation, got.Fields())
				}
			}
		})
	}
}

func TestMACs(t *testing.T) {
	for id, dialect := range map[string]string{"10000002": dialectNAC, "10000004": dialectASCII} {
		t.Run(dialect, func(t *testing.T) {
			var fault func(m *wire.Message) *wire.Message
			b := newBench(t, dialect, func(h *fakeHost, request *wire.Message) reply {
				r := h.packed(answerTo(request))
				if fault != nil {
					payload, err := h.spec.Pack(fault(answerTo(request)))
					if err != nil {
						t.Error(err)
					}
					r.payload = payload
				}
				return r
			})
			mac := x919(t)
			b.host.change(func() { b.host.mac = mac })
			verify := func(wantField int) {
				t.Helper()
				frames := b.host.frames()
				if err := b.host.spec.VerifyMAC(frames[len(frames)-1].Payload, mac); err != nil {
					t.Errorf("the request's MAC: %v", err)
				}
				if !b.host.last().Has(wantField) {
					t.Errorf("the MAC is not in F%d: %v", wantField, b.host.last().Fields())
				}
			}
			r := b.must(Request{Operation: Sale, Amount: "1"}, tid(id))
			verify(64)
			if r.Request.MAC != macSent || r.Response.MAC != macOK {
				t.Errorf("MAC of the request %s, of the answer %s", r.Request.MAC, r.Response.MAC)
			}
			b.must(Request{Operation: Reversal, Replacement: "0.40"}, tid(id))
			verify(128) // F95 is above 64
			if r := b.must(Request{Operation: Echo}, tid(id)); r.Request.MAC != macNone || b.host.last().Has(64) {
				t.Errorf("an echo carries a MAC")
			}

			answer := func(f func(m *wire.Message) *wire.Message) { b.host.change(func() { fault = f }) }
			answer(func(m *wire.Message) *wire.Message {
				m.SetBytes(64, []byte("12345678"))
				return m
			})
			r, err := b.run(Request{Operation: Sale, Amount: "2"}, tid(id))
			if kindOf(t, err) != KindFailure || r.Outcome != Unknown || r.Response.MAC != macWrong {
				t.Errorf("a wrong MAC: %v, %+v", err, r)
			}
			answer(func(m *wire.Message) *wire.Message { return m })
			r, err = b.run(Request{Operation: Sale, Amount: "3"}, tid(id))
			if kindOf(t, err) != KindFailure || r.Outcome != Unknown || r.Response.MAC != macMissing {
				t.Errorf("no MAC on an approval: %v, %+v", err, r)
			}
			if got := b.state(id).find(func(r *record) bool { return r.Operation == Sale }).Outcome; got != Unknown {
				t.Errorf("the state says %s", got)
			}
			answer(func(m *wire.Message) *wire.Message {
				m.Set(39, "63")
				return m
			})
			r, err = b.run(Request{Operation: Sale, Amount: "4"}, tid(id))
			if kindOf(t, err) != KindDeclined || r.Outcome != Declined {
				t.Errorf("a refusal without MAC: %v, %+v", err, r)
			}

			// Without the key it sends none; with a key given it sends one.
			answer(func(m *wire.Message) *wire.Message { return m })
			b.must(Request{Operation: Sale, Amount: "5"}, tid(id), func(o *Options) { o.MAC = macNone })
			if b.host.last().Has(64) {
				t.Error("a MAC in spite of --mac none")
			}
			answer(nil)
			b.must(Request{Operation: Sale, Amount: "6"}, func(o *Options) { o.MAK = testMAK })
			verify(64)
		})
	}
}

func TestLengthFormats(t *testing.T) {
	for _, name := range []string{"binary", "bcd", "ascii"} {
		for _, dialect := range []string{dialectNAC, dialectASCII} {
			t.Run(dialect+" "+name, func(t *testing.T) {
				b := newBench(t, dialect, approve)
				length, err := wire.ParseLengthFormat(name)
				if err != nil {
					t.Fatal(err)
				}
				b.host.change(func() { b.host.framing.Length = length })
				b.must(Request{Operation: Sale, Amount: "1"}, func(o *Options) { o.Length = name })
			})
		}
	}
}

func TestRepeats(t *testing.T) {
	for id, dialect := range map[string]string{"10000001": dialectNAC, "10000002": dialectNAC, "10000003": dialectASCII, "10000004": dialectASCII} {
		t.Run(id, func(t *testing.T) {
			b := newBench(t, dialect, approve)
			if id == "10000002" || id == "10000004" {
				mac := x919(t)
				b.host.change(func() { b.host.mac = mac })
			}
			for _, step := range []struct {
				request Request
				marked  string
			}{
				{Request{Operation: Sale, Amount: "12.34", Cashback: "1"}, "0201"},
				{Request{Operation: Void}, "0201"},
				{Request{Operation: Preauth, Amount: "3", Keyed: true, Card: "2"}, "0101"},
				{Request{Operation: Complete, Amount: "2"}, "0221"},
				{Request{Operation: Reversal, Replacement: "1"}, "0401"},
				{Request{Operation: Reversal, Advice: true}, "0421"},
				{Request{Operation: Sale, Amount: "2", PAN: "4012888888881881", Expiry: "2712"}, "0201"},
			} {
				first := b.must(step.request, tid(id))
				again := Request{Operation: step.request.Operation, Repeat: true}
				again.PAN, again.Expiry = step.request.PAN, step.request.Expiry
				second := b.must(again, tid(id))
				frames := b.host.frames()
				one, two := frames[len(frames)-2], frames[len(frames)-1]
				if string(one.Payload) != string(two.Payload) || one.TPDU != two.TPDU {
					t.Errorf("%s repeated:\n%X, first\n%X", again.Operation, two.Payload, one.Payload)
				}
				if !second.Repeat || first.Repeat || first.STAN != second.STAN {
					t.Errorf("reports: %+v, %+v", first, second)
				}
				again.Mark = true
				b.must(again, tid(id))
				got := b.host.last()
				if got.MTI() != step.marked {
					t.Errorf("%s marked: MTI %s, want %s", again.Operation, got.MTI(), step.marked)
				}
				want, err := b.host.spec.Parse(one.Payload)
				if err != nil {
					t.Fatal(err)
				}
				for _, field := range want.Fields() {
					if field != 64 && field != 128 && got.Get(field) != want.Get(field) {
						t.Errorf("%s marked: F%d differs", again.Operation, field)
					}
				}
			}
			if got := b.state(id).STAN; got != 5 {
				t.Errorf("repeats and reversals used up STANs: %d, want 5", got)
			}

			// A card of no sandbox has to be given again, and has to be the same.
			for _, wrong := range []Request{{}, {PAN: "4111111111111111", Expiry: "2712"}, {PAN: "4012888888881881"}} {
				wrong.Operation, wrong.Repeat = Sale, true
				if _, err := b.run(wrong, tid(id)); err == nil || kindOf(t, err) != KindUsage {
					t.Errorf("repeat without its card: %v", err)
				}
			}
		})
	}
}
