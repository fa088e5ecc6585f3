package host

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/internal/hsm/mac"
	"meridian/switch"
)

// UnionPay's terminals of these tests.
const (
	unionPayTID  = "10000006" // has a MAC key
	signedOffTID = "10000007" // has no session
)

// maxPipelineBytes bounds what one message may allocate on its way from bytes to
// its answer's, keys and log lines included.
const maxPipelineBytes = 64 << 10

func newUnionPayRig(t testing.TB) *pipelineRig {
	t.Helper()
	d, err := dialect.New("unionpay", dialect.Options{
		Token: func(card.PAN) [16]byte { return [16]byte{1} }, AcquirerID: "48031000", Profile: "cup",
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newPipelineRig(t, d)
	key := []byte("0123456789abcdef")
	if r.mac, err = mac.New(mac.UnionPayECB, key); err != nil {
		t.Fatal(err)
	}
	r.sw.terminals = map[string]*switching.Terminal{
		unionPayTID: {ID: 6, TID: unionPayTID, Dialect: "unionpay", MACAlgorithm: "unionpay-ecb", TerminalKeys: r.keys(key)},
		signedOffTID: {
			ID: 7, TID: signedOffTID, Dialect: "unionpay", MACAlgorithm: "unionpay-ecb",
			TerminalKeys: switching.TerminalKeys{Scheme: switching.SchemeSession},
		},
	}
	return r
}

// unionPayMessages is one message for each row of UnionPay's matrix: a row's type,
// F3, F25, and F60 without its batch.
func unionPayMessages(tid string) (messages []*wire.Message) {
	for _, row := range []struct{ mti, processing, condition, kind, network string }{
		{"0200", "310000", "00", "01", "00050"},
		{"0100", "030000", "06", "10", "00050"},
		{"0100", "200000", "06", "11", "00050"},
		{"0200", "000000", "06", "20", "00050"},
		{"0200", "200000", "06", "21", "00050"},
		{"0220", "000000", "06", "24", "00050"},
		{"0200", "000000", "00", "22", "00050"},
		{"0200", "200000", "00", "23", "00050"},
		{"0220", "200000", "00", "25", "00050"},
		{"0220", "000000", "00", "30", "00050"},
		{"0220", "000000", "00", "34", "00050"},
		{"0400", "000000", "00", "22", "00050"},
		{"0620", "000000", "00", "00", "951"},
		{"0500", "", "", "00", "201"},
		{"0320", "", "", "00", "201"},
		{"0320", "", "", "00", "207"},
		{"0800", "", "", "00", "003"},
		{"0800", "", "", "00", "370"},
		{"0820", "", "", "00", "002"},
		{"0820", "", "", "00", "301"},
		{"0820", "", "", "00", "372"},
	} {
		fields := map[int]string{
			3: row.processing, 22: "021", 25: row.condition, 26: "12", 49: "156", 53: "2600000000000000",
			37: "606900000042", 38: "012345", 39: "98", 55: "9F36020001", 60: row.kind + "000007" + row.network, 61: "0000070000410310",
			48: "0000000011000110000000000020021" + strings.Repeat("0", 30) + "1", 62: "\x31\x30\x30", 63: "01 ",
		}
		switch row.mti + row.kind + row.network {
		case "02203400050":
			fields[48] = "000000000300" // the tip
		case "032000201":
			fields[48] = "01" + "00" + "000041" + "0" + pipelinePAN + "000000001234"
		case "032000207":
			fields[48] = "0001"
		case "080000370":
			fields[62] = "\x9F\x06\x05\xA0\x00\x00\x03\x33\x9F\x22\x01\x0B"
		}
		if row.processing == "" { // of a terminal or a batch, not of a card
			for _, field := range []int{2, 3, 4, 14, 22, 25, 26, 35, 37, 38, 39, 52, 53, 55, 61} {
				fields[field] = ""
			}
		}
		messages = append(messages, sale(row.mti, tid, fields))
	}
	return messages
}

// TestUnionPayMessagesPass: the fuzz test begins with messages that the dialect
// takes, so that it is not about refusals alone.
func TestUnionPayMessagesPass(t *testing.T) {
	r := newUnionPayRig(t)
	for i, m := range unionPayMessages(unionPayTID) {
		r.answered("unionpay", r.pack("unionpay", m, r.sealOf(m)))
		if len(r.sw.submitted) != i+1 {
			t.Errorf("%s %s is no request: %s", m.MTI(), m.Get(60), r.log.text())
			return
		}
	}
}

// sealOf is the MAC of a message, where its type has one.
func (r *pipelineRig) sealOf(m *wire.Message) wire.MACAlgorithm {
	if r.pipeline.o.Dialects["unionpay"].Authenticated(m.MTI()) {
		return r.mac
	}
	return nil
}

// FuzzPipelineUnionPay is FuzzPipeline for UnionPay's messages, of terminals with a
// session, without one, and unknown ones. No answer repeats what is secret, no log
// line has a card number, and no message costs more memory than a bound.
func FuzzPipelineUnionPay(f *testing.F) {
	seed := newUnionPayRig(f)
	for i, tid := range []string{unionPayTID, signedOffTID, "99999999"} {
		for j, m := range unionPayMessages(tid) {
			f.Add(seed.pack("unionpay", m, seed.sealOf(m)), uint8(i+j))
		}
	}
	for _, file := range []string{"unionpay.jsonl", "messages.jsonl"} {
		for i, payload := range vectorPayloads(f, file) {
			f.Add(payload, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, choice uint8) {
		if len(payload) > wire.DefaultMaxFrameBytes {
			return // the session takes none
		}
		r := newUnionPayRig(t)
		r.sw.respond = func(q *switching.Request) switching.Response { return anyResponse(q, choice) }
		sent := bytes.Clone(payload)
		asked := r.spec("unionpay").Readable(sent)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answers := r.handle("unionpay", payload)
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > maxPipelineBytes {
			t.Errorf("%d bytes allocated for a payload of %d, want at most %d", cost, len(payload), maxPipelineBytes)
		}
		if len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		if len(bytes.Trim(payload, "\x00")) > 0 {
			t.Fatal("the payload was not wiped")
		}
		if asked == nil {
			return
		}
		if number := asked.Get(2); len(number) >= 13 && strings.Contains(r.log.text(), number) {
			t.Fatal("the log has the card number")
		}
		if answer := answers[0].Payload; answer != nil {
			checkUnionPayAnswer(t, r, asked, answer)
		}
	})
}

// checkUnionPayAnswer holds an answer to what the dialect promises of any.
func checkUnionPayAnswer(t *testing.T, r *pipelineRig, asked *wire.Message, payload []byte) {
	t.Helper()
	answer, err := r.spec("unionpay").Parse(payload)
	if err != nil {
		t.Fatalf("the answer does not parse: %v", err)
	}
	if answer.MTI()[:2] != asked.MTI()[:2] || answer.MTI()[2] != asked.MTI()[2]+1 {
		t.Fatalf("%s answered %s", asked.MTI(), answer.MTI())
	}
	code := answer.Get(39)
	if code == "" && answer.MTI() != "0510" { // which may say it in F48
		t.Fatalf("%s has no response code", answer.MTI())
	}
	for _, field := range []int{26, 35, 36, 52, 55} {
		if answer.Has(field) {
			t.Fatalf("%s has F%d", answer.MTI(), field)
		}
	}
	sealed := strings.TrimRight(asked.Get(41), " ") == unionPayTID && r.pipeline.o.Dialects["unionpay"].Authenticated(answer.MTI())
	if !sealed || code == "96" {
		return
	}
	if err := r.spec("unionpay").VerifyMAC(payload, r.mac); err != nil {
		t.Fatalf("answer %s %s: %v", answer.MTI(), code, err)
	}
}
