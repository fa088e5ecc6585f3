package node

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"meridian/internal/loadgen"
)

// dump is a published message.
type dump struct {
	ID      string `json:"id"`
	Dialect string `json:"dialect"`
	MTI     string `json:"mti"`
	Frame   struct {
		LenPrefix *int   `json:"len_prefix"`
		TPDU      string `json:"tpdu"`
		Header    string `json:"app_header"`
	} `json:"frame"`
	Hex string `json:"hex"`
}

// unionPayRequests are the published messages of UnionPay terminals.
func unionPayRequests(t *testing.T) []dump {
	t.Helper()
	var list []dump
	for _, name := range []string{"messages.jsonl", "unionpay.jsonl"} {
		data, err := os.ReadFile("../wire/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
			var d dump
			if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(d.Dialect, "CUP-POS") && (d.MTI[2]-'0')%2 == 0 {
				list = append(list, d)
			}
		}
	}
	return list
}

// read takes the message out of its bytes.
func (d *dump) read(t *testing.T) (head []byte, m loadgen.Message) {
	t.Helper()
	b, err := hex.DecodeString(d.Hex)
	if err != nil {
		t.Fatal(err)
	}
	if d.Frame.LenPrefix != nil {
		b = b[2:]
	}
	n := len(d.Frame.TPDU+d.Frame.Header) / 2
	m, err = loadgen.UnionPay().Read(b[n:])
	if err != nil {
		t.Fatal(err)
	}
	return b[:n], m
}

// oursInstead puts this terminal's identity, its batch, its keys and a card of the
// town in the place of what the message was published with. Everything else stays.
func (p *apartPOS) oursInstead(m loadgen.Message) loadgen.Message {
	p.w.t.Helper()
	card := pay(everyday)
	m = m.But(41, p.TID).But(42, p.MID)
	if f60 := m.Field(60); len(f60) >= 8 && m.MTI[1] != '8' {
		m = m.But(60, f60[:2]+six(p.Batch())+f60[8:])
	}
	sealedTrack := len(m.Field(53)) == 16 && m.Field(53)[2] == '1'
	for n, value := range map[int]string{2: card.PAN, 14: card.Expiry, 35: card.Track2} {
		if m.Field(n) == "" {
			continue
		}
		if n == 35 && sealedTrack {
			var err error
			value, err = loadgen.SealTrack(p.Keys().TDK, value)
			p.w.must(err)
		}
		m = m.But(n, value)
	}
	if m.Field(52) != "" {
		m = m.But(52, p.pinOf(card)[52])
	}
	delete(m.Fields, 64)
	return m
}

// publishedOutcomes are the answers that are no approvals.
var publishedOutcomes = map[string]string{
	"m34": "25", "u37": "25", // reversals of what never came
	"u24": "40", "u26": "40", // 352 and 350: keys of other kinds, which a real host refused in the same way
	"u42": "40", "u44": "40", // 420 and 005: one acquirer's own
	"u30": "40", // an answer that was published as a request, with an acquirer's own 101
}

// TestUnionPayPublished: every request that was published and that we hold is
// answered as the reference says, under the headers that it came with.
func TestUnionPayPublished(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t, func(w *town) { w.load(everyday, 1_000_000_00) })
	p := w.apart(posTill)
	p.signIn(loadgen.SignInTrack)
	p.just("00", p.sale(1_00)) // the session is in use: sign-ins between others' messages change nothing of it
	answered := 0
	for _, d := range unionPayRequests(t) {
		head, m := d.read(t)
		m = p.oursInstead(m)
		body, err := p.Body(m)
		w.must(err)
		if len(head) != 11 {
			head = []byte("\x60\x00\x03\x00\x00\x60\x31\x00\x00\x00\x00")
		}
		if d.MTI == "0920" { // one acquirer's own: no message of the reference, and not answered
			w.must(p.Line().SendRaw(append([]byte{byte((len(head) + len(body)) >> 8), byte(len(head) + len(body))}, append(head, body...)...)))
			continue
		}
		ctx, cancel := w.patiently()
		call, err := p.Line().SendUnder(head, m, body)
		w.must(err)
		answer, err := call.Wait(ctx)
		cancel()
		w.must(err)
		answered++
		if m.MTI != "0500" {
			want := publishedOutcomes[d.ID]
			if want == "" {
				want = "00"
			}
			if answer.Code() != want {
				t.Fatalf("%s: %s %s answered %s (%s), want %s", d.ID, m.MTI, m.Field(60), answer.Code(), text(answer), want)
			}
		} else if f48 := answer.Field(48); answer.Code() != "" || f48[30] != '2' {
			t.Fatalf("%s: the settlement was answered %q in F48", d.ID, f48)
		}
		turned := append([]byte{head[0], head[3], head[4], head[1], head[2]}, head[5:]...)
		turned[7] = turned[7]&0xF0 | byte(answer.Demand())
		if !bytes.Equal(answer.Head, turned) {
			t.Fatalf("%s: head %X answered with %X", d.ID, head, answer.Head)
		}
		if f62 := answer.Field(62); m.MTI == "0800" && answer.Code() == "00" {
			if _, err := loadgen.OpenKeys(masterKey(posTill), f62); err != nil {
				t.Fatalf("%s: %v", d.ID, err)
			}
		}
		p.took(m, answer)
	}
	if answered < 40 {
		t.Fatalf("only %d published requests", answered)
	}
	w.settle()
}
