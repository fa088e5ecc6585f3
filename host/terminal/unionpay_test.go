package terminal

import (
	"crypto/des"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"meridian/host/wire"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/mac"
)

// Working keys of the fake host.
const (
	cupPIK = "13579BDF02468ACE1122334455667788"
	cupMAK = "0123456789ABCDEFFEDCBA9876543210"
	cupTDK = "89ABCDEF0123456710325476FEDCBA98"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// working is a key on the wire: under the master key, with its check value, in a
// place of so many bytes.
func working(t *testing.T, text string, size int) string {
	t.Helper()
	master := unhex(t, testTMK)
	c, err := des.NewTripleDESCipher(append(master, master[:8]...))
	if err != nil {
		t.Fatal(err)
	}
	plain, sent := unhex(t, text), make([]byte, size)
	for i := 0; i < len(plain); i += 8 {
		c.Encrypt(sent[i:], plain[i:])
	}
	check, err := cipherkey.CheckValueOf(cipherkey.OfDES(len(plain)), plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(sent) + string(check[:])
}

// centre is a UnionPay host that approves everything: sign-ins with keys for
// batch 42, settlements as balanced says.
type centre struct {
	t        *testing.T
	mak      string
	keys     map[string]string // F62 by F60.3
	balanced bool
	lists    map[string]string // F62 by F60.3, and by what is asked for
	reversed string            // F39 of a 0410, 00 when empty
}

func newCentre(t *testing.T) (*centre, *bench) {
	t.Helper()
	c := &centre{t: t, balanced: true, mak: cupMAK, keys: map[string]string{
		"001": working(t, cupPIK[:16], 8) + working(t, cupMAK[:16], 8),
		"003": working(t, cupPIK, 16) + working(t, cupMAK, 16),
		"004": working(t, cupPIK, 16) + working(t, cupMAK, 16) + working(t, cupTDK, 16),
	}}
	return c, newBench(t, dialectUnionPay, c.answer)
}

func (c *centre) answer(h *fakeHost, request *wire.Message) reply {
	algorithm, err := mac.New(mac.UnionPayECB, unhex(c.t, c.mak))
	if err != nil {
		c.t.Error(err)
	}
	h.mac = algorithm
	m := answerTo(request, set(25, request.Get(25)), set(60, request.Get(60)))
	for _, field := range []int{11, 25, 49} {
		if !request.Has(field) {
			m.Unset(field)
		}
	}
	code := ""
	if f60 := request.Get(60); len(f60) >= 11 {
		code = f60[8:11]
	}
	switch {
	case request.MTI() == "0400" && c.reversed != "":
		m.Set(39, c.reversed)
	case request.MTI() == "0500":
		m.Unset(39)
		m.Unset(38)
		domestic := request.Get(48)[:sideDigits-1] + map[bool]string{true: "1", false: "2"}[c.balanced]
		m.Set(48, domestic+strings.Repeat("0", sideDigits-1)+"1")
	case request.MTI() == "0320":
		m.Unset(38)
	case c.keys[code] != "" && request.MTI() == "0800":
		m.Set(60, "00000042"+code)
		m.SetBytes(62, []byte(c.keys[code]))
	case c.lists[code+string(request.Bytes(62))] != "":
		m.SetBytes(62, []byte(c.lists[code+string(request.Bytes(62))]))
	case request.MTI()[1] != '8':
		m.SetBytes(63, []byte("CUP"+strings.Repeat(" ", 20)+fmt.Sprintf("%-40s", "\xBD\xBB\xD2\xD7\xB3\xC9\xB9\xA6")))
	}
	return h.packed(m)
}

func TestUnionPaySignIn(t *testing.T) {
	for _, c := range []struct {
		keys KeyForm
		code string
		told string
		bits []int
	}{
		{"", "003", "PIN key " + checkOf(t, cupPIK) + ", MAC key " + checkOf(t, cupMAK), []int{128, 128}},
		{KeysSingle, "001", "PIN key " + checkOf(t, cupPIK[:16]) + ", MAC key " + checkOf(t, cupMAK[:16]), []int{64, 64}},
		{KeysTrack, "004", "track key " + checkOf(t, cupTDK), []int{128, 128, 128}},
	} {
		t.Run(c.code, func(t *testing.T) {
			host, b := newCentre(t)
			b.host.change(func() { b.host.demand = wire.DemandParameters })
			if c.keys == KeysSingle {
				b.host.change(func() { host.mak = cupMAK[:16] })
			}
			if _, err := b.run(Request{Operation: Sale, Amount: "1"}); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), "logon") {
				t.Fatalf("a sale before the sign-in: %v", err)
			}
			r := b.must(Request{Operation: Logon, Keys: c.keys})
			expectFields(t, b.host.last(), map[int]string{
				11: "000001", 41: "10000005", 42: "104110000000001", 60: "00000001" + c.code, 63: "01 ", 62: "Sequence No16MERIDIAN10000005", 64: "",
			})
			if !strings.Contains(r.Summary, c.told) || r.Batch != "000042" || r.Demand != "download parameters" {
				t.Errorf("%+v", r)
			}
			var bits []int
			for _, k := range r.Keys {
				bits = append(bits, k.Bits)
			}
			if !slices.Equal(bits, c.bits) {
				t.Errorf("keys %+v", r.Keys)
			}
			r = b.must(Request{Operation: Sale, Amount: "1", PIN: "718293"})
			if r.Request.MAC != macSent || r.Response.MAC != macOK || r.Text != "交易成功" || r.Request.Header != "603100000000" || r.Response.Header != "603101000000" {
				t.Errorf("%+v", r)
			}
			if got := b.host.last(); got.Get(60) != "2200004200050" || got.Get(22) != "021" || got.Get(26) != "12" ||
				got.Get(53) != map[bool]string{true: "20", false: "26"}[c.keys == KeysSingle]+strings.Repeat("0", 14) {
				t.Errorf("F60 %s, F22 %s, F26 %s, F53 %s", got.Get(60), got.Get(22), got.Get(26), got.Get(53))
			}
			b.must(Request{Operation: SignOff})
			expectFields(t, b.host.last(), map[int]string{60: "00000042002", 64: ""})
			if _, err := b.run(Request{Operation: Sale, Amount: "1"}); kindOf(t, err) != KindUsage {
				t.Fatalf("a sale after the sign-off: %v", err)
			}
		})
	}
}

func checkOf(t *testing.T, text string) string {
	t.Helper()
	plain := unhex(t, text)
	check, err := cipherkey.CheckValueOf(cipherkey.OfDES(len(plain)), plain)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ToUpper(hex.EncodeToString(check[:]))
}

// Keys that are not what their check values say are no session.
func TestUnionPaySignInRefused(t *testing.T) {
	host, b := newCentre(t)
	right := host.keys["003"]
	for i := range right {
		wrong := []byte(right)
		wrong[i] ^= 0x40
		host.keys["003"] = string(wrong)
		r, err := b.run(Request{Operation: Logon})
		if kindOf(t, err) != KindFailure || r.Outcome != Unknown || !strings.Contains(r.Problem, "check value") {
			t.Fatalf("byte %d changed: %v, %+v", i, err, r)
		}
		if b.state("10000005").Session != nil {
			t.Fatal("there is a session")
		}
	}
	host.keys["003"] = right[:39]
	if _, err := b.run(Request{Operation: Logon}); kindOf(t, err) != KindFailure || !strings.Contains(err.Error(), "39 bytes") {
		t.Errorf("half a key: %v", err)
	}
	// A key of one DES key in a place for two, as real hosts send it.
	host.keys["003"], host.mak = working(t, cupPIK, 16)+working(t, cupMAK[:16], 16), cupMAK[:16]
	if r := b.must(Request{Operation: Logon}); r.Keys[1].Bits != 64 {
		t.Errorf("keys %+v", r.Keys)
	}
	b.must(Request{Operation: Sale, Amount: "1"})
	// Another master key than the host's.
	if _, err := b.run(Request{Operation: Logon}, func(o *Options) { o.TMK = testMAK }); kindOf(t, err) != KindFailure {
		t.Errorf("another master key: %v", err)
	}
	for what, change := range map[string]func(*Options){
		"terminal master key: it is 1 bytes": func(o *Options) { o.TMK = "01" },
		"PIN key: it is 2 bytes":             func(o *Options) { o.PIK = "0123" },
	} {
		if _, err := b.run(Request{Operation: Sale, Amount: "1", PIN: PINOfCard}, change); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	b.must(Request{Operation: Sale, Amount: "1"}) // the session before stands
	// None at all, and no currency either: nothing of sandbox.json is of this terminal.
	stranger := func(o *Options) { o.TID, o.MID = "10000099", "104110000000099" }
	sent := len(b.host.frames())
	if _, err := b.run(Request{Operation: Logon}, stranger); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), "give --tmk") {
		t.Errorf("no master key: %v", err)
	}
	if len(b.host.frames()) != sent {
		t.Error("the sign-in was sent all the same")
	}
	minor := int64(300)
	r := b.must(Request{Operation: Sale, AmountMinor: &minor}, stranger, func(o *Options) { o.MAK = cupMAK[:16] })
	if !strings.Contains(r.Summary, "sale approved 00, 300 minor units, ") {
		t.Errorf("summary %q", r.Summary)
	}
}

func TestUnionPayMessages(t *testing.T) {
	_, b := newCentre(t)
	b.must(Request{Operation: Logon, Keys: KeysTrack})
	card := map[int]string{2: "4111111111111111", 14: "3012", 35: ""}
	with := func(fields map[int]string) map[int]string {
		for n, v := range card {
			if _, given := fields[n]; !given {
				fields[n] = v
			}
		}
		return fields
	}
	// Trace numbers follow from the steps before: the sign-in's is 1.
	for _, step := range []struct {
		request Request
		mti     string
		want    map[int]string
	}{
		{Request{Operation: Echo}, "0820", map[int]string{11: "", 60: "00000042301", 64: ""}},
		{Request{Operation: Sale, Amount: "20"}, "0200", map[int]string{
			3: "000000", 4: "000000002000", 11: "000002", 22: "022", 25: "00", 35: "4111111111111111=30122011110000123", 2: "", 49: "156",
			12: "", 13: "", 24: "", 52: "", 53: "", 60: "2200004200050", 61: "", 63: "",
		}},
		{Request{Operation: Void}, "0200", with(map[int]string{
			3: "200000", 4: "000000002000", 11: "000003", 22: "012", 25: "00", 37: "900000000002", 38: "A00002", 60: "2300004200050", 61: "0000420000021121",
		})},
		{Request{Operation: Reversal}, "0400", with(map[int]string{
			3: "200000", 4: "000000002000", 11: "000003", 22: "012", 25: "00", 37: "", 38: "A00002", 39: "98", 60: "2300004200050", 61: "0000420000021121", 35: "",
		})},
		{Request{Operation: Refund, Amount: "1"}, "0220", with(map[int]string{
			3: "200000", 4: "000000000100", 11: "000004", 37: "900000000002", 38: "", 60: "2500004200050", 61: "0000420000021121", 63: "CUP",
		})},
		{Request{Operation: Preauth, Amount: "100", PIN: PINOfCard}, "0100", map[int]string{
			3: "030000", 11: "000005", 22: "021", 25: "06", 26: "12", 53: "2600000000000000", 60: "1000004200050",
		}},
		{Request{Operation: Reversal, Reason: ReasonWrongMAC}, "0400", with(map[int]string{
			3: "030000", 11: "000005", 22: "021", 25: "06", 26: "", 39: "A0", 52: "", 53: "", 60: "1000004200050",
		})},
		{Request{Operation: Complete, Amount: "90"}, "0200", with(map[int]string{
			3: "000000", 4: "000000009000", 11: "000006", 25: "06", 37: "", 38: "A00005", 60: "2000004200050", 61: "0000420000051121",
		})},
		{Request{Operation: Void}, "0200", with(map[int]string{
			3: "200000", 11: "000007", 25: "06", 37: "900000000006", 38: "A00006", 60: "2100004200050", 61: "0000420000061121",
		})},
		{Request{Operation: Complete, Amount: "80", Advice: true}, "0220", with(map[int]string{11: "000008", 25: "06", 38: "A00005", 60: "2400004200050"})},
		{Request{Operation: Void, Of: Preauth}, "0100", with(map[int]string{
			3: "200000", 4: "000000010000", 11: "000009", 25: "06", 37: "", 38: "A00005", 60: "1100004200050", 61: "0000420000051121",
		})},
		{Request{Operation: Cancel, Of: Sale}, "0200", with(map[int]string{3: "200000", 11: "000010", 37: "900000000002", 60: "2300004200050"})},
		{Request{Operation: Offline, Amount: "30", Keyed: true}, "0220", with(map[int]string{3: "000000", 11: "000011", 22: "012", 25: "00", 60: "3000004200050"})},
		{Request{Operation: Adjust, Amount: "33", Tip: "3"}, "0220", with(map[int]string{
			3: "000000", 4: "000000003300", 11: "000012", 48: "000000000300", 60: "3400004200050", 61: "0000420000111121",
		})},
		{Request{Operation: Adjust, Amount: "31"}, "0220", map[int]string{11: "000013", 48: "", 60: "3200004200050"}},
		{Request{Operation: Script, Of: Sale}, "0620", with(map[int]string{
			3: "000000", 4: "000000002000", 11: "000014", 22: "022", 25: "00", 37: "900000000002", 55: "950500000000009F36020001DF31052000000000",
			60: "00000042951", 61: "0000420000021121",
		})},
		{Request{Operation: Balance, PIN: PINOfCard}, "0200", map[int]string{3: "310000", 4: "", 11: "000015", 25: "00", 60: "0100004200050"}},
		{Request{Operation: Sale, Amount: "1", SealTrack: true}, "0200", map[int]string{11: "000016", 53: "0610000000000000", 2: "", 22: "022"}},
		{Request{Operation: Sale, Amount: "1", SealTrack: true, PIN: PINOfCard}, "0200", map[int]string{11: "000017", 53: "2610000000000000", 22: "021"}},
		{Request{Operation: Complete, Amount: "5", AuthCode: "123456", Card: "low"}, "0200", map[int]string{
			37: "", 38: "123456", 61: "000000000000", 2: "5555555555554444",
		}},
		{Request{Operation: Void, RRN: "123456789012", Amount: "2"}, "0200", map[int]string{37: "123456789012", 61: "000000000000", 2: "", 60: "2300004200050"}},
		{Request{Operation: Void, OriginalSTAN: "2"}, "0200", map[int]string{37: "", 61: "0000420000021121", 4: "000000002000"}},
		{Request{Operation: Reversal, OriginalSTAN: "555", Amount: "2", Reason: ReasonOther}, "0400", map[int]string{
			3: "000000", 11: "000555", 4: "000000000200", 39: "06", 60: "2200004200050", 25: "00",
		}},
		{Request{Operation: Refund, Unreferenced: true, Amount: "3"}, "0220", map[int]string{3: "200000", 37: "", 61: "", 35: "4111111111111111=30122011110000123"}},
	} {
		r := b.must(step.request)
		got := b.host.last()
		if got.MTI() != step.mti {
			t.Errorf("%s: MTI %s, want %s", step.request.Operation, got.MTI(), step.mti)
		}
		expectFields(t, got, step.want)
		if t.Failed() {
			t.Fatalf("in %s: %v", step.request.Operation, got.Fields())
		}
		if step.request.SealTrack && (got.Get(35)[:14] != "41111111111111" || strings.Contains(got.Get(35), "=30122011110")) {
			t.Errorf("the track went in clear: F35 has %d characters", len(got.Get(35)))
		}
		if has := got.Has(52); has != (step.request.PIN != "") {
			t.Errorf("%s: PIN block %t", step.request.Operation, has)
		}
		// The same again, byte for byte.
		if r.STAN == "" {
			continue
		}
		again := Request{Operation: step.request.Operation, Repeat: true}
		b.must(again)
		frames := b.host.frames()
		if one, two := frames[len(frames)-2], frames[len(frames)-1]; string(one.Payload) != string(two.Payload) || one.Header != two.Header {
			t.Errorf("%s repeated:\n%X, first\n%X", again.Operation, two.Payload, one.Payload)
		}
	}
	// A refund is repeated, never reversed; unless the user insists.
	if _, err := b.run(Request{Operation: Reversal}); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), "refund --repeat") {
		t.Errorf("a reversal of a refund: %v", err)
	}
	// A PIN that the user gave has to be given again.
	b.must(Request{Operation: Sale, Amount: "1", PIN: "718293"})
	if _, err := b.run(Request{Operation: Sale, Repeat: true}); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), "--pin") {
		t.Errorf("a repeat without its PIN: %v", err)
	}
	b.must(Request{Operation: Sale, Repeat: true, PIN: "718293"})
	// So has chip data.
	own := Request{Operation: Script, ChipData: []byte("\x9F\x36\x02\x00\x07")}
	b.must(own)
	if _, err := b.run(Request{Operation: Script, Repeat: true}); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a repeat without its chip data: %v", err)
	}
	own.Repeat = true
	b.must(own)
	expectFields(t, b.host.last(), map[int]string{55: "9F36020007"})
	// Keys that the user gives stand in for a session's.
	b.must(Request{Operation: SignOff})
	b.must(Request{Operation: Sale, Amount: "1", PIN: PINOfCard}, func(o *Options) { o.MAK, o.PIK = cupMAK, cupPIK })
}

// noteOf is what a report says of a field in words.
func noteOf(m *Message, field int) string {
	for _, f := range m.Fields {
		if f.Field == field {
			return f.Note
		}
	}
	return ""
}

func TestUnionPayFieldsInWords(t *testing.T) {
	host, b := newCentre(t)
	b.must(Request{Operation: Logon})
	b.must(Request{Operation: Sale, Amount: "12.34"})
	r := b.must(Request{Operation: Void})
	for field, want := range map[int]string{60: "message type 23, batch 000042", 61: "batch 000042, STAN 000002, date 11-21", 63: ""} {
		if got := noteOf(&r.Request, field); got != want {
			t.Errorf("F%d of the request says %q, want %q", field, got, want)
		}
	}
	if got := noteOf(r.Response, 63); got != "交易成功" {
		t.Errorf("F63 of the answer says %q", got)
	}
	r = b.must(Request{Operation: Reversal, Reason: ReasonWrongMAC})
	if got := noteOf(&r.Request, 39); got != "the answer's MAC was wrong" {
		t.Errorf("F39 of a reversal says %q", got)
	}
	host.reversed = "25"
	if r, err := b.run(Request{Operation: Reversal, Of: Sale}); kindOf(t, err) != KindDeclined || !strings.Contains(r.Summary, "25: original not found: there is nothing to reverse") {
		t.Errorf("a reversal of nothing: %v", err)
	}
	b.must(Request{Operation: Script, Of: Sale})
	if said := b.said.String(); !strings.Contains(said, "script approved 00, RRN") {
		t.Error("a script result tells an amount")
	}

	// Totals, with and without cards from abroad.
	list, err := b.settle(Settlement{})
	if err != nil {
		t.Fatal(err)
	}
	if got := noteOf(&list[0].Request, 48); got != "debits 1 of 12.34 CNY, credits 0 of 0.00 CNY" {
		t.Errorf("F48 of the request says %q", got)
	}
	if got := noteOf(list[0].Response, 48); got != "debits 1 of 12.34 CNY, credits 0 of 0.00 CNY, balanced" {
		t.Errorf("F48 of the answer says %q", got)
	}
	abroad := "000000000100001" + "000000000000000" + "0" + "000000000200002" + "000000000300003" + "0"
	if list, err = b.settle(Settlement{Totals: abroad}); err != nil {
		t.Fatal(err)
	}
	if got := list[0].Summary; !strings.Contains(got, "debits 1 of 1.00 CNY, credits 0 of 0.00 CNY; foreign cards: debits 2 of 2.00 CNY, credits 3 of 3.00 CNY") {
		t.Errorf("summary %q", got)
	}

	// An answer that does not count is told nevertheless.
	host.mak = testTMK
	r, err = b.run(Request{Operation: Sale, Amount: "1"})
	if kindOf(t, err) != KindFailure || r.Outcome != Unknown || !strings.Contains(r.Summary, "the answer's MAC is wrong, it says 00: approved") {
		t.Errorf("a wrong MAC: %v: %s", err, r.Summary)
	}
}

// A PIN in NAC and ASCII is a block under the terminal's own PIN key.
func TestPINs(t *testing.T) {
	for id, dialect := range map[string]string{"10000002": dialectNAC, "10000004": dialectASCII} {
		b := newBench(t, dialect, approve)
		b.host.mac = x919(t)
		for _, r := range []Request{{Operation: Sale, Amount: "1", PIN: "1234", PAN: "4000000000000010", Expiry: "3012"}, {Operation: Balance, PIN: "1234", PAN: "4000000000000010"}} {
			b.must(r, tid(id))
			// Published: PIN 1234 of 4000000000000010 under this key.
			expectFields(t, b.host.last(), map[int]string{52: "CE799ACFDF85C560", 22: "011", 26: "", 53: ""})
		}
		b.must(Request{Operation: Sale, Amount: "1", PIN: PINOfCard}, tid(id))
		expectFields(t, b.host.last(), map[int]string{22: "021"})
		b.must(Request{Operation: Sale, Repeat: true}, tid(id))
		for want, r := range map[string]Request{
			"4 to 12 digits": {Operation: Sale, Amount: "1", PIN: "12"},
			"carries no PIN": {Operation: Reversal, PIN: "1234"},
		} {
			if _, err := b.run(r, tid(id)); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
	}
	b := newBench(t, dialectNAC, approve)
	if _, err := b.run(Request{Operation: Sale, Amount: "1", PIN: "1234"}); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), "--pik") {
		t.Errorf("no PIN key: %v", err)
	}
	b.must(Request{Operation: Sale, Amount: "1", PIN: "1234"}, func(o *Options) { o.PIK = testMAK })
}

// settled are the messages of a settlement as type, network management and F48.
func (b *bench) settled(from int) []string {
	b.t.Helper()
	var said []string
	for _, frame := range b.host.frames()[from:] {
		m, err := b.host.spec.Parse(frame.Payload)
		if err != nil {
			b.t.Fatal(err)
		}
		said = append(said, m.MTI()+" "+m.Get(60)+" "+m.Get(48))
	}
	return said
}

func TestUnionPaySettlement(t *testing.T) {
	host, b := newCentre(t)
	b.must(Request{Operation: Logon})
	b.must(Request{Operation: Sale, Amount: "10"}) // trace 2
	b.must(Request{Operation: Void})               // 3
	b.must(Request{Operation: Sale, Amount: "20", PAN: "4012888888881881", Expiry: "2712"})
	b.must(Request{Operation: Adjust, Amount: "22", Tip: "2"}) // 5
	b.must(Request{Operation: Sale, Amount: "99"})             // 6
	b.must(Request{Operation: Reversal})
	b.must(Request{Operation: Preauth, Amount: "50"})  // 7
	b.must(Request{Operation: Complete, Amount: "40"}) // 8
	b.must(Request{Operation: Preauth, Amount: "5"})   // 9
	b.must(Request{Operation: Void, Of: Preauth})      // 10
	b.must(Request{Operation: Refund, RRN: "900000000099", Amount: "1"})
	b.must(Request{Operation: Offline, Amount: "3"})
	none := strings.Repeat("0", 31)
	totals := fmt.Sprintf("%012d%03d%012d%03d0", 10_00+22_00+40_00+3_00, 4, 10_00+1_00, 2) + none

	// Stopped where they differ, and again, and to the end.
	host.balanced = false
	from := len(b.host.frames())
	list, err := b.settle(Settlement{NoUpload: true})
	if kindOf(t, err) != KindDeclined || list[0].Balance != unbalanced || list[0].Batch != "000042" || list[0].Totals != totals ||
		!strings.Contains(list[0].Summary, "settle declined: totals differ from the host's, batch 000042, debits 4 of 75.00 CNY, credits 2 of 11.00 CNY") {
		t.Fatalf("%v: %+v", err, list)
	}
	if _, err := b.settle(Settlement{Repeat: true, NoUpload: true}); kindOf(t, err) != KindDeclined {
		t.Fatal(err)
	}
	frames := b.host.frames()
	if string(frames[from].Payload) != string(frames[from+1].Payload) {
		t.Error("the repeat is another message")
	}
	from = len(frames)
	if _, err = b.settle(Settlement{}); err != nil {
		t.Fatal(err)
	}
	detail := func(trace, pan string, minor int64) string { return fmt.Sprintf("00%s%020s%012d", trace, pan, minor) }
	const mine, theirs = "4111111111111111", "" // of another card the number is not remembered
	want := []string{
		"0500 00000042201 " + totals,
		"0320 00000042201 06" + detail("000002", mine, 10_00) + detail("000003", mine, 10_00) + detail("000004", theirs, 22_00) +
			detail("000008", mine, 40_00) + detail("000011", "", 1_00) + detail("000012", mine, 3_00),
		"0320 00000042202 0006",
	}
	if got := b.settled(from); !slices.Equal(got, want) {
		t.Fatalf("said\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := b.state("10000005").Batch; got.Number != 43 || len(got.Entries) != 0 {
		t.Errorf("state: %+v", got)
	}

	// The end's answer was lost: it is sent again, and the batch that has begun stays.
	b.must(Request{Operation: Sale, Amount: "7"})
	from = len(b.host.frames())
	if _, err = b.settle(Settlement{Repeat: true}); err != nil {
		t.Fatal(err)
	}
	if got := b.settled(from); !slices.Equal(got, want[2:]) {
		t.Errorf("repeated %s", got)
	}
	if got := b.state("10000005").Batch; got.Number != 43 || len(got.Entries) != 1 {
		t.Errorf("state: %+v", got)
	}

	// More than one upload has room for, and totals by hand.
	for range 8 {
		b.must(Request{Operation: Sale, Amount: "1"})
	}
	from = len(b.host.frames())
	if _, err = b.settle(Settlement{Totals: none}); err != nil {
		t.Fatal(err)
	}
	got := b.settled(from)
	if len(got) != 4 || got[0] != "0500 00000043201 "+none || got[1][17:19] != "08" || got[2][17:19] != "01" || got[3] != "0320 00000043202 0009" {
		t.Errorf("said %q", got)
	}
	host.balanced = true
	from = len(b.host.frames())
	if list, err = b.settle(Settlement{}); err != nil || list[0].Balance != balanced {
		t.Fatalf("%v: %+v", err, list)
	}
	if got := b.settled(from); !slices.Equal(got, []string{"0500 00000044201 " + none + none, "0320 00000044207 0000"}) {
		t.Errorf("an empty batch: %q", got)
	}
	for _, wrong := range []Settlement{{Totals: "1"}, {Totals: none, Repeat: true}} {
		if _, err := b.settle(wrong); kindOf(t, err) != KindUsage {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

func TestUnionPayDownload(t *testing.T) {
	host, b := newCentre(t)
	rid, one, two := "\x9F\x06\x05\xA0\x00\x00\x03\x33", "\x9F\x22\x01\x0B", "\x9F\x22\x01\x0C"
	until := "\xDF\x05\x0820311231"
	host.lists = map[string]string{
		"362100": "1", "360": "11 60   14    ",
		"372100": "2" + rid + one + until, "372101": "3" + rid + two + until,
		"370" + rid + one: "1" + rid + one + "\xDF\x02\x01\x07", "370" + rid + two: "1" + rid + two,
		"382100": "0",
	}
	r := b.must(Request{Operation: Status, List: ListKeys})
	if !slices.Equal(r.List, []string{"A000000333, key 0B, expires 20311231"}) {
		t.Errorf("listed %q", r.List)
	}
	from := len(b.host.frames())
	terminal, err := New(b.options())
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	err = terminal.Download(t.Context(), []List{ListParameters, ListKeys, ListApplications}, func(r *Report) error {
		told = append(told, r.List...)
		r.WriteText(&b.said)
		return json.NewEncoder(&b.said).Encode(r)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"there are some", "11 60 14", "A000000333, key 0B, expires 20311231", "A000000333, key 0C, expires 20311231", "A000000333, key 0B, 1 parameters", "A000000333, key 0C", "there is nothing"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	var said []string
	for _, m := range b.settled(from) {
		said = append(said, m[:4]+m[13:16])
	}
	if got := strings.Join(said, " "); got != "0820362 0800360 0800361 0820372 0820372 0800370 0800370 0800371 0820382 0800381" {
		t.Errorf("said %s", got)
	}
	host.lists["372100"] = "x"
	if r, err := b.run(Request{Operation: Status, List: ListKeys}); kindOf(t, err) != KindFailure || r.Outcome != Unknown {
		t.Errorf("no list: %v", err)
	}
	if err := terminal.Download(t.Context(), []List{"blacklist"}, nil); kindOf(t, err) != KindUsage {
		t.Errorf("blacklist: %v", err)
	}
}

// What a dialect does not have is told before anything is sent.
func TestWhatADialectHasNot(t *testing.T) {
	for dialect, requests := range map[string][]Request{
		dialectNAC: {
			{Operation: SignOff},
			{Operation: Adjust, Amount: "1"},
			{Operation: Script},
			{Operation: Status, List: ListKeys},
			{Operation: Complete, Advice: true, Amount: "1"},
			{Operation: Reversal, Reason: ReasonOther},
			{Operation: Logon, Keys: KeysSingle},
			{Operation: Sale, Amount: "1", SealTrack: true},
			{Operation: Void, AuthCode: "123456"},
		},
		dialectUnionPay: {
			{Operation: Sale, Amount: "2", Cashback: "1"},
			{Operation: Reversal, Replacement: "1"},
			{Operation: Sale, Amount: "1", Invoice: "1"},
			{Operation: Sale, Repeat: true, Mark: true},
			{Operation: Reversal, Advice: true},
		},
	} {
		b := newBench(t, dialect, approve)
		for _, r := range requests {
			if _, err := b.run(r); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), dialect) {
				t.Errorf("%s: %+v: %v", dialect, r, err)
			}
		}
		for want, r := range map[string]Request{
			"--of balance":      {Operation: Void, Of: Balance},
			"names no original": {Operation: Sale, Amount: "1", Of: Preauth},
			"reversal's":        {Operation: Sale, Amount: "1", Reason: ReasonOther},
			"--reason 99":       {Operation: Reversal, Reason: "99"},
			"an adjustment's":   {Operation: Sale, Amount: "1", Tip: "1"},
			"a logon's":         {Operation: Echo, Keys: KeysSingle},
			"--keys triple":     {Operation: Logon, Keys: "triple"},
			"6 characters":      {Operation: Void, AuthCode: "1"},
			"a status report's": {Operation: Echo, List: ListKeys},
			"--list blacklist":  {Operation: Status, List: "blacklist"},
			"or a completion's": {Operation: Sale, Amount: "1", Advice: true},
		} {
			if _, err := b.run(r); kindOf(t, err) != KindUsage || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %+v: %v, want %q", dialect, r, err, want)
			}
		}
		if len(b.host.frames()) != 0 {
			t.Error("something was sent")
		}
	}
}
