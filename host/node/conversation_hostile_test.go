package node

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"meridian/host/wire"
)

// TestConversationTruncated: a sale that is cut at every byte, and one with bytes
// too many, is answered 30 with what could be read of it, and does nothing.
func TestConversationTruncated(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		for _, tid := range []string{till, sealed} {
			x := w.terminal(dialect, tid, shop)
			before := w.stored()
			whole := x.payload("0200", x.fill("0200", swiped(everyday)))
			for end := 2; end < len(whole); end++ { // shorter ones are no frames
				x.write(whole[:end])
				if readable := x.spec.Readable(whole[:end]); readable == nil || readable.MTI() != "0200" {
					continue // no answer: nothing is known of it
				}
				x.is30(x.read(), end)
			}
			x.write(append(bytes.Clone(whole), '0'))
			m := x.is30(x.read(), len(whole)+1)
			if m.Get(41) != x.tid || m.Get(4) != "000000001000" {
				t.Errorf("a message that goes on too long answered with fields %v", m.Fields())
			}
			x.nothingStored(before)
			x.do("00", "0200", swiped(everyday)) // the connection has not suffered
		}
	})
}

// is30 checks a format error's answer.
func (x *terminal) is30(answer []byte, size int) *wire.Message {
	x.t.Helper()
	m, err := x.spec.Parse(answer)
	x.w.must(err)
	if m.MTI() != "0210" || m.Get(39) != "30" {
		x.t.Fatalf("%d bytes answered %s %s", size, m.MTI(), m.Get(39))
	}
	if x.mac != nil && m.Has(41) {
		x.w.must(x.spec.VerifyMAC(answer, x.mac))
	}
	return m
}

// TestConversationGarbage: bytes that are no message get no answer, or 30; the
// connection stays, because its frames are whole.
func TestConversationGarbage(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		before := w.stored()
		for _, garbage := range []string{
			"\x00\x00", "\xff\xff\xff\xff", "GET / HTTP/1.1\r\nHost: host\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00",
			strings.Repeat("\xff", 4000), strings.Repeat("A", 4000), strings.Repeat("\x00", 4000), "0000", "9999",
		} {
			x.write([]byte(garbage))
			if m := x.spec.Readable([]byte(garbage)); m != nil && m.MTI()[0] == '0' && m.MTI() != "0000" {
				t.Fatalf("%q begins with the type %s", garbage, m.MTI())
			}
		}
		// Types that are not answered, and those that nobody has.
		for _, mti := range []string{"0210", "0230", "0410", "0810", "0900", "0000", "1200", "2100", "9999", "0140", "0208"} {
			x.write(x.payload(mti, x.fill("0200", typed(everyday))))
		}
		// Nothing of that was answered, or else it is read here.
		x.do("00", "0800", fields{70: "301"})
		x.nothingStored(before)
	})
}

// TestConversationUntrustedFrames: a length that cannot be closes the connection,
// and no other.
func TestConversationUntrustedFrames(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		neighbour := w.terminal(dialect, till, shop)
		for name, frame := range map[string]string{
			"zero length": "\x00\x00", "too long": "\xff\xff" + strings.Repeat("0", 100), "too short": "\x00\x01\x00",
		} {
			x := w.terminal(dialect, till2, shop)
			x.write(x.payload("0800", x.fill("0800", fields{70: "301"})))
			_, err := x.conn.Write([]byte(frame))
			w.must(err)
			x.read() // what came before is answered
			if _, err := x.framing.ReadFrame(x.in, nil); !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s: %v, want the end of the connection", name, err)
			}
		}
		neighbour.do("00", "0800", fields{70: "301"})
		w.settle()
	})
}

// TestConversationVectors sends published messages of other hosts' terminals to
// a host that knows their terminals and merchants, and not their cards.
func TestConversationVectors(t *testing.T) {
	vectors := readVectors(t)
	w := newTownWith(t, func(w *town) {
		for i, id := range []string{"m02", "m04", "m05", "m49", "m51"} {
			tid, mid := vectors[id].Fields["41"], vectors[id].Fields["42"]
			if mid == "" {
				mid = shop
			}
			w.sql(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id)
				VALUES ($1, 0, $2, $2, 156, 1, 1) ON CONFLICT DO NOTHING`, 100+i, mid)
			w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect)
				SELECT $1, $2, merchant_id, 'nac' FROM merchants WHERE mid = $3`, 100+i, tid, mid)
		}
	})
	for _, test := range []struct {
		id, dialect, code string // no code: no answer
		about             string
	}{
		{"m02", "nac", "00", "logon"},
		{"m04", "nac", "15", "sale by chip with a card of nobody's"},
		{"m05", "nac", "00", "reversal of a sale that never came"},
		{"m06", "nac", "25", "void of a sale that is not known"},
		{"m11", "nac", "", "an answer"},
		{"m12", "nac", "", "an answer"},
		{"m50", "nac", "", "an answer"},
		{"m49", "nac", "15", "sale with an amount in F54"},
		{"m51", "nac", "15", "sale with an invoice"},
		{"m72", "ascii", "", "an answer"},
		{"m73", "ascii", "40", "a transaction that is not supported"},
		{"m74", "ascii", "30", "sign-on of no terminal"},
	} {
		t.Run(test.id, func(t *testing.T) {
			w := w.in(t)
			x := w.terminal(test.dialect, till, shop)
			payload := vectors[test.id].payload(t)
			before := w.stored()
			x.write(payload)
			if test.code == "" {
				x.do("00", "0800", fields{70: "301"}) // which is the next that is answered
				x.nothingStored(before)
				return
			}
			asked, err := x.spec.Parse(payload)
			w.must(err)
			answer := x.read()
			m, err := x.spec.Parse(answer)
			w.must(err)
			if m.Get(39) != test.code || m.Get(11) != asked.Get(11) || m.Get(41) != asked.Get(41) || m.Get(24) != asked.Get(24) {
				t.Fatalf("%s: answered %s with fields %v", test.about, m.Get(39), m.Fields())
			}
			if m.Get(39) == "00" && m.Has(37) {
				w.approved.add(m.Get(37))
			}
			x.write(payload)
			if again := x.read(); !bytes.Equal(again, answer) {
				t.Fatalf("%s: repeat answered\n%x\nfirst\n%x", test.about, again, answer)
			}
			if after := w.stored(); after.transfers != before.transfers || after.holds != before.holds {
				t.Errorf("%s moved money", test.about)
			}
			w.settle()
		})
	}
}

// vector is a published message.
type vector struct {
	Hex    string            `json:"hex"`
	Fields map[string]string `json:"fields"`
	Frame  struct {
		Length int    `json:"len_prefix"`
		TPDU   string `json:"tpdu"`
	} `json:"frame"`
}

// payload without its framing.
func (v vector) payload(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	if v.Frame.Length != 0 {
		b = b[2:]
	}
	return b[len(v.Frame.TPDU)/2:]
}

func readVectors(t testing.TB) map[string]vector {
	t.Helper()
	text, err := os.ReadFile("testdata/messages.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]vector{}
	for line := range bytes.Lines(text) {
		var v struct {
			vector

			ID string `json:"id"`
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		all[v.ID] = v.vector
	}
	return all
}
