package node

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"meridian/host/wire"
	"meridian/internal/hsm/mac"
)

const (
	trackTail = "2010000012345678" // service code and discretionary data
)

// fields of a message; an empty value stands for "not there".
type fields map[int]string

// but returns the fields with others put over them.
func (f fields) but(change fields) fields {
	out := maps.Clone(f)
	if out == nil {
		out = fields{}
	}
	for field, value := range change {
		if value == "" {
			delete(out, field)
			continue
		}
		out[field] = value
	}
	return out
}

// terminal is a peer of the node: it knows frames and fields, and nothing of the
// host's inside.
type terminal struct {
	t       testing.TB
	w       *town
	dialect string
	spec    *wire.Spec
	framing wire.Framing
	conn    net.Conn
	in      *bufio.Reader
	tid     string
	mid     string
	mac     wire.MACAlgorithm
	stan    int
	tpdu    wire.TPDU
}

// terminal connects one, to the listener of its dialect unless another is named.
func (w *town) terminal(dialect, tid, mid string, listener ...string) *terminal {
	w.t.Helper()
	name := append(listener, dialect)[0]
	conn, err := net.Dial("tcp", w.node.Addresses()[name])
	w.must(err)
	return w.terminalOn(conn, dialect, tid, mid)
}

func (w *town) terminalOn(conn net.Conn, dialect, tid, mid string) *terminal {
	w.t.Helper()
	w.t.Cleanup(func() { _ = conn.Close() })
	w.must(conn.SetDeadline(time.Now().Add(patience)))
	x := &terminal{
		t: w.t, w: w, dialect: dialect, framing: framings[dialect], conn: conn, in: bufio.NewReader(conn),
		tid: dialectDigit(dialect) + tid, mid: mid, tpdu: wire.TPDU{0x60, 0x00, 0x03, 0x80, 0x01},
	}
	x.spec = map[string]func() *wire.Spec{"nac": wire.NAC, "ascii": wire.ASCII87}[dialect]()
	if tid == sealed {
		var err error
		x.mac, err = mac.New(mac.X919, sealedKey)
		w.must(err)
	}
	return x
}

// nextSTAN counts this terminal's messages.
func (x *terminal) nextSTAN() string {
	x.stan++
	return fmt.Sprintf("%06d", x.stan)
}

// transmission is what changes from one transmission to the next.
func (x *terminal) transmission() fields {
	now := x.w.clock.Now()
	f := fields{7: now.Format("0102150405")}
	if x.dialect == "ascii" {
		f[12], f[13] = now.Format("150405"), now.Format("0102")
	}
	return f
}

// fill adds what every message of this terminal carries.
func (x *terminal) fill(mti string, change fields) fields {
	f := x.transmission().but(fields{41: x.tid, 42: x.mid})
	if x.dialect == "nac" {
		f[24] = "003"
	}
	if _, given := change[11]; !given {
		f[11] = x.nextSTAN()
	}
	if mti[1] != '8' {
		f = f.but(fields{3: "000000", 4: "000000001000", 22: "051", 25: "00", 49: "156"})
	}
	return f.but(change)
}

// typed are the fields of a card whose number was keyed in.
func typed(i int) fields { return fields{2: cardNumber(i).Reveal(), 14: expiryOf(i)} }

// swiped are the fields of a card whose track was read, with a PIN.
func swiped(i int) fields {
	return fields{35: (cardNumber(i).Reveal() + "=" + expiryOf(i) + trackTail)[:37], 52: pinBlock(i)}
}

// payload of a message with this terminal's MAC, where it has one.
func (x *terminal) payload(mti string, f fields) []byte {
	x.t.Helper()
	m := wire.NewMessage(mti)
	for _, field := range slices.Sorted(maps.Keys(f)) {
		m.Set(field, f[field])
	}
	var payload []byte
	var err error
	if x.mac != nil && (mti[1] == '1' || mti[1] == '2' || mti[1] == '4') {
		payload, err = x.spec.AppendPackWithMAC(nil, m, x.mac)
	} else {
		payload, err = x.spec.Pack(m)
	}
	x.w.must(err)
	return payload
}

// write sends a payload in a frame.
func (x *terminal) write(payload []byte) {
	x.t.Helper()
	frame, err := x.framing.AppendFrame(nil, wire.Frame{TPDU: x.tpdu, Payload: payload})
	x.w.must(err)
	_, err = x.conn.Write(frame)
	x.w.must(err)
}

// read takes the next answer's payload.
func (x *terminal) read() []byte {
	x.t.Helper()
	frame, err := x.framing.ReadFrame(x.in, nil)
	if err != nil {
		x.t.Fatalf("read answer: %v", err)
	}
	if x.framing.TPDU && frame.TPDU != x.tpdu.Swapped() {
		x.t.Fatalf("answer with TPDU %s to %s", frame.TPDU, x.tpdu)
	}
	return bytes.Clone(frame.Payload)
}

// exchange sends a payload and reads its answer.
func (x *terminal) exchange(payload []byte) (*wire.Message, []byte) {
	x.t.Helper()
	x.write(payload)
	answer := x.read()
	m, err := x.spec.Parse(answer)
	x.w.must(err)
	if m.Get(39) == "00" && m.Has(37) {
		x.w.approved.add(m.Get(37))
	}
	return m, answer
}

// sent is a message and what came of it.
type sent struct {
	mti    string
	fields fields
	answer *wire.Message
	raw    []byte
}

func (s *sent) rrn() string  { return s.answer.Get(37) }
func (s *sent) stan() string { return s.fields[11] }

// originalData is F90 for what was sent.
func (s *sent) originalData() string {
	return s.mti + s.stan() + s.fields[7] + "00000000000" + "00000000000"
}

// ask sends a message and checks what every answer owes: its type, what it
// repeats, the business date of what was stored, the code of an approval, the
// MAC of a terminal that has one.
func (x *terminal) ask(mti string, change ...fields) *sent {
	x.t.Helper()
	var all fields
	for _, c := range change {
		all = all.but(nil)
		maps.Copy(all, c)
	}
	return x.transmit(mti, x.fill(mti, all))
}

// transmit sends exactly these fields.
func (x *terminal) transmit(mti string, f fields) *sent {
	x.t.Helper()
	s := &sent{mti: mti, fields: f}
	s.answer, s.raw = x.exchange(x.payload(mti, f))
	want := mti[:2] + string(rune(mti[2]+1)) + "0"
	if s.answer.MTI() != want {
		x.t.Fatalf("%s answered with %s", mti, s.answer.MTI())
	}
	for _, field := range []int{3, 4, 11, 24, 41, 42, 49, 70} {
		if got := s.answer.Get(field); got != f[field] {
			x.t.Fatalf("%s: answer's field %d is %q, want %q", mti, field, got, f[field])
		}
	}
	code := s.answer.Get(39)
	if financial := mti[1] != '8'; financial && code == "00" {
		if len(s.answer.Get(37)) != 12 || len(s.answer.Get(38)) != 6 || len(s.answer.Get(15)) != 4 {
			x.t.Fatalf("%s approved with RRN %q, code %q, business date %q", mti, s.answer.Get(37), s.answer.Get(38), s.answer.Get(15))
		}
	} else if s.answer.Has(38) {
		x.t.Fatalf("%s answered %s with an authorization code", mti, code)
	}
	x.checkMAC(mti, s)
	return s
}

func (x *terminal) checkMAC(mti string, s *sent) {
	x.t.Helper()
	want := x.mac != nil && mti[1] != '8'
	if got := s.answer.Has(64) || s.answer.Has(128); got != want {
		x.t.Fatalf("%s: answer has a MAC %t, want %t", mti, got, want)
	}
	if want {
		x.w.must(x.spec.VerifyMAC(s.raw, x.mac))
	}
}

// do asks and expects a response code; the ledger must be right after it.
func (x *terminal) do(code, mti string, change ...fields) *sent {
	x.t.Helper()
	s := x.ask(mti, change...)
	x.expect(code, s)
	return s
}

func (x *terminal) expect(code string, s *sent) {
	x.t.Helper()
	if got := s.answer.Get(39); got != code {
		x.t.Fatalf("%s %s answered %s (%s), want %s", s.mti, s.fields[3], got, s.answer.Get(63), code)
	}
	x.w.settle()
}

// repeat sends the same message twice more, with another transmission's times,
// and expects the same bytes, and that nothing else comes of it.
func (x *terminal) repeat(s *sent) {
	x.t.Helper()
	x.w.clock.set(x.w.clock.Now().Add(7 * time.Second))
	before := x.w.stored()
	for _, mti := range []string{s.mti[:3] + "1", s.mti} {
		again := x.transmit(mti, s.fields.but(x.transmission()))
		if s.rrn() == "" { // nothing was stored, and nothing is known of the first time
			x.expect(s.answer.Get(39), again)
			continue
		}
		if !bytes.Equal(again.raw, s.raw) {
			x.t.Fatalf("repeat of %s answered\n%x\nfirst\n%x", s.mti, again.raw, s.raw)
		}
	}
	x.nothingStored(before)
}

func (x *terminal) nothingStored(before rows) {
	x.t.Helper()
	if after := x.w.stored(); before != after {
		x.t.Fatalf("rows before %+v, after %+v", before, after)
	}
	x.w.settle()
}

// refTo refers to what was sent, by its RRN.
func refTo(s *sent) fields { return fields{37: s.rrn()} }

func amount(minor int64) fields { return fields{4: fmt.Sprintf("%012d", minor)} }

func processing(code string) fields { return fields{3: code} }

// stan gives a message its STAN, as a reversal has its original's.
func stan(of *sent) fields { return fields{11: of.stan()} }

// eachDialect runs a conversation in both, each in a town of its own.
func eachDialect(t *testing.T, conversation func(w *town, dialect string)) {
	t.Helper()
	for _, dialect := range []string{"nac", "ascii"} {
		t.Run(dialect, func(t *testing.T) {
			conversation(newTown(t), dialect)
		})
	}
}
