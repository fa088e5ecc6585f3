//go:build unix

package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/mac"
)

// till is a terminal of NAC or ASCII.
type till struct {
	line     *line
	merchant Merchant
	terminal Terminal
	serials  *serials // where its keys are derived
	stan     int
	last     *wire.Message // the answer to the last sale
}

func (tr *traffic) newTill(m Merchant, terminal Terminal, keys *serials) *till {
	tr.t.Helper()
	return &till{line: dial(tr.t, tr.s.manifest, terminal.Dialect), merchant: m, terminal: terminal, serials: keys, stan: 1000}
}

// messageKeys are what one message is under.
type messageKeys struct {
	mac wire.MACAlgorithm // nil for none
	pik []byte
	ksn string
}

// keysOf a till's next message.
func (tr *traffic) keysOf(x *till) (k messageKeys) {
	tr.t.Helper()
	if x.serials != nil {
		var secret map[string][]byte
		k, secret = x.serials.next()
		for name, key := range secret {
			tr.s.secrets.Bytes("derived "+name+" of terminal "+x.terminal.TID, key)
		}
		return k
	}
	k.pik = unhex(tr.t, x.terminal.PIK)
	if x.terminal.MAC != "none" {
		var err error
		k.mac, err = mac.New(x.terminal.MAC, unhex(tr.t, x.terminal.MAK))
		tr.s.must(err)
	}
	return k
}

// clearBaseKey is what the keys of some terminals are derived of, by DUKPT.
var clearBaseKey = []byte{0x61, 0xb9, 0x4c, 0xd3, 0x04, 0xe5, 0x7f, 0x10, 0x8a, 0x2b, 0xc8, 0x92, 0xfd, 0x5e, 0x37, 0xa6}

func derivedTID(i int) string   { return fmt.Sprintf("9000000%d", i) }
func initialKSN(i int) []byte   { return []byte{0xFF, 0xFF, 0x98, 0x76, byte(i), 0x32, 0x10, 0xE0, 0, 0} }
func (x *till) dialect() string { return x.terminal.Dialect }

// serials derives a terminal's keys (ANSI X9.24-1).
type serials struct {
	t       *testing.T
	initial []byte
	counter uint32
}

func (s *serials) next() (k messageKeys, secret map[string][]byte) {
	s.t.Helper()
	s.counter++
	number := slices.Clone(s.initial)
	binary.BigEndian.PutUint32(number[6:], binary.BigEndian.Uint32(number[6:])|s.counter)
	ksn, err := dukpt.Parse(hsm.TDES2, number)
	if err != nil {
		s.t.Fatal(err)
	}
	first, err := dukpt.InitialKey(hsm.TDES2, clearBaseKey, ksn)
	if err != nil {
		s.t.Fatal(err)
	}
	secret = map[string][]byte{"initial key": first}
	for name, purpose := range map[string]dukpt.Purpose{"MAK": dukpt.MACRequest, "PIK": dukpt.PIN} {
		if secret[name], err = dukpt.WorkingKey(hsm.TDES2, first, ksn, purpose, hsm.TDES2); err != nil {
			s.t.Fatal(err)
		}
	}
	k.ksn, k.pik = ksn.String(), secret["PIK"]
	if k.mac, err = mac.New(mac.X919, secret["MAK"]); err != nil {
		s.t.Fatal(err)
	}
	return k, secret
}

// ask sends a message of a till and counts it and its answer.
func (tr *traffic) ask(x *till, mti string, fields map[int]string, k messageKeys, kinds ...string) *wire.Message {
	tr.t.Helper()
	if k.ksn != "" {
		fields = maps.Clone(fields)
		fields[59] = k.ksn
		kinds = append(kinds, "derived keys")
	}
	answer := x.line.ask(mti, fields, k.mac)
	tr.count(x.dialect(), append(kinds, "answered "+answer.Get(39))...)
	return answer
}

// purchase is the fields of the till's next sale, with a card that is swiped or typed.
func (tr *traffic) purchase(x *till, c Card, swiped bool) map[int]string {
	x.stan++
	fields := map[int]string{
		3: "000000", 4: fmt.Sprintf("%012d", tr.amount()), 7: sentAt(), 11: fmt.Sprintf("%06d", x.stan),
		22: "012", 25: "00", 41: x.terminal.TID, 42: x.merchant.MID,
	}
	if swiped {
		fields[35], fields[22], fields[55] = c.Track2, "051", strings.ToUpper(hex.EncodeToString(chip(tr.t, c)))
	} else {
		fields[2], fields[14] = c.PAN, c.Expiry
	}
	return fields
}

// till sends the next message of a terminal of NAC or ASCII.
func (tr *traffic) till(x *till, turn int) {
	tr.t.Helper()
	c := tr.card(x.merchant.Currency)
	swiped, how := turn%2 == 0, "keyed"
	if swiped {
		how = "swiped"
	}
	fields, k := tr.purchase(x, c, swiped), tr.keysOf(x)
	withPIN := func(pin string, of Card) {
		fields[52] = strings.ToUpper(hex.EncodeToString(tr.pinBlock(k.pik, pin, of.PAN)))
	}
	switch kind := turn % 11; {
	case kind == 1:
		if hold := tr.ask(x, "0100", fields, k, "authorization", how); hold.Get(39) == "00" {
			x.stan++
			fields[11], fields[37] = fmt.Sprintf("%06d", x.stan), hold.Get(37)
			tr.ask(x, "0220", fields, tr.keysOf(x), "completion", how)
		}
	case kind == 2 && x.last != nil:
		fields[3], fields[4], fields[37] = "020000", x.last.Get(4), x.last.Get(37)
		x.last = nil
		tr.ask(x, "0200", fields, k, "void", how)
	case kind == 4 && x.last != nil:
		fields[3], fields[37] = "200000", x.last.Get(37)
		tr.ask(x, "0200", fields, k, "refund", how)
	case kind == 5:
		withPIN(c.PIN, c)
		tr.ask(x, "0200", fields, k, "PIN", how)
		delete(fields, 52)
		tr.ask(x, "0400", fields, tr.keysOf(x), "reversal", how)
	case kind == 6 && k.mac != nil:
		k.mac, _ = mac.New(mac.X919, wrongKey)
		tr.ask(x, "0200", fields, k, "wrong MAC", how)
	case kind == 7:
		tr.malformed(x, fields)
	case kind == 8:
		spoilt := tr.spoilt(x.merchant.Currency)
		fields = tr.purchase(x, spoilt, false)
		fields[3] = "310000"
		withPIN("987654", spoilt)
		tr.ask(x, "0200", fields, k, "wrong PIN", "PIN")
	case kind == 10:
		maps.Copy(fields, freeText(x.dialect(), c))
		tr.ask(x, "0200", fields, k, x.dialect()+" free text", how)
	default:
		withPIN(c.PIN, c)
		if answer := tr.ask(x, "0200", fields, k, "PIN", how); answer.Get(39) == "00" {
			x.last = answer
			tr.counts["approved with a PIN"]++
			if k.ksn != "" {
				tr.counts["approved with derived keys"]++
			}
		}
	}
}

// freeText has card data where it does not belong, as careless terminals do.
func freeText(dialect string, c Card) map[int]string {
	track1 := "B" + c.PAN + "^LIN/MEI^" + strings.Split(c.Track2, "=")[1]
	fields := map[int]string{45: track1, 48: "card " + c.PAN, 61: c.Track2, 62: c.PAN, 63: c.PAN}
	if dialect == listenerASCII {
		fields[43] = fmt.Sprintf("%-40s", "SHOP "+c.PAN)
		fields[104] = c.Track2
	}
	return fields
}

// malformed sends card data in what is no message, or of no terminal.
func (tr *traffic) malformed(x *till, fields map[int]string) {
	tr.t.Helper()
	m := wire.NewMessage("0200")
	for number, value := range fields {
		m.Set(number, value)
	}
	payload, err := x.line.spec.Pack(m)
	tr.s.must(err)
	const head = 12 // the type and the bitmap stay, so that the host reads on
	kinds := []string{"cut short", "too long", "changed", "untrusted frame", "stranger"}
	kind := kinds[tr.malformations[x.dialect()]%len(kinds)]
	tr.malformations[x.dialect()]++
	tr.count(x.dialect(), x.dialect()+" "+kind)
	switch kind {
	case "cut short":
		pan, _, _ := strings.Cut(fields[2]+fields[35], "=")
		tr.s.trap.value.Store(&pan)
		tr.send1(x, payload[:head+tr.random.IntN(len(payload)-head)])
		if tr.s.trap.value.Swap(nil) == nil {
			tr.counts["panic"]++
		}
	case "too long":
		tr.send1(x, append(payload, payload[head:]...))
	case "changed":
		payload[head+tr.random.IntN(len(payload)-head)] ^= 0xff
		tr.send1(x, payload)
	case "untrusted frame":
		tr.untrusted(x, payload)
	default:
		fields[41], fields[55] = "99999999", ""
		delete(fields, 55)
		stranger := tr.newTill(x.merchant, Terminal{TID: fields[41], Dialect: x.dialect()}, nil)
		m.Set(41, fields[41])
		payload, err = x.line.spec.Pack(m)
		tr.s.must(err)
		tr.send1(&till{line: stranger.line, merchant: x.merchant, terminal: x.terminal}, payload)
		stranger.line.hangUp()
	}
}

// send1 sends a payload that may be answered or not, and waits until the host has
// read it: it answers an echo behind it.
func (tr *traffic) send1(x *till, payload []byte) {
	tr.t.Helper()
	echo := wire.NewMessage("0800")
	for field, value := range map[int]string{3: "990000", 11: "999999", 41: x.terminal.TID, 42: x.merchant.MID} {
		echo.Set(field, value)
	}
	packed, err := x.line.spec.Pack(echo)
	tr.s.must(err)
	tr.s.must(x.line.conn.SetDeadline(time.Now().Add(patience)))
	for _, one := range [][]byte{payload, packed} {
		frame, err := x.line.framing.AppendFrame(nil, wire.Frame{TPDU: wire.TPDU{0x60, 0, 1, 0, 0}, Payload: one})
		tr.s.must(err)
		_, err = x.line.conn.Write(frame)
		tr.s.must(err)
	}
	for {
		answered, err := x.line.framing.ReadFrame(x.line.reader, nil)
		tr.s.must(err)
		answer, err := x.line.spec.Parse(answered.Payload)
		tr.s.must(err)
		if answer.MTI() == "0810" {
			return
		}
		tr.counts["answered "+answer.Get(39)]++
	}
}

// untrusted sends a frame whose length cannot be, which ends its connection.
func (tr *traffic) untrusted(x *till, payload []byte) {
	tr.t.Helper()
	l := dial(tr.t, tr.s.manifest, x.dialect())
	defer l.hangUp()
	tr.s.must(l.conn.SetDeadline(time.Now().Add(patience)))
	_, err := l.conn.Write(append([]byte{0xff, 0xff}, payload...))
	tr.s.must(err)
	if _, err := l.framing.ReadFrame(l.reader, nil); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		tr.t.Errorf("an untrusted frame was answered: %v", err)
	}
}

// settleTill ends a terminal's batch with wrong totals, shows a transaction with its
// card number, and ends the upload.
func (tr *traffic) settleTill(x *till) {
	tr.t.Helper()
	message := func(mti string, more map[int]string, kind string) {
		x.stan++
		fields := map[int]string{11: fmt.Sprintf("%06d", x.stan), 41: x.terminal.TID, 42: x.merchant.MID}
		maps.Copy(fields, more)
		k := tr.keysOf(x)
		k.mac = nil // these have none
		tr.ask(x, mti, fields, k, kind)
	}
	totals := map[int]string{3: "920000", 63: fmt.Sprintf("%03d%012d%015d", 999, 1, 0)}
	message("0500", totals, "settlement")
	c := tr.card(x.merchant.Currency)
	message("0320", map[int]string{2: c.PAN, 3: "000000", 4: "000000000100", 14: c.Expiry, 60: "0200" + "000001" + "000000000001"}, "upload")
	message("0500", map[int]string{3: "960000"}, "settlement")
}

// lock sends wrong MACs until the terminal is locked.
func (tr *traffic) lock(x *till) {
	tr.t.Helper()
	for range 12 {
		k := tr.keysOf(x)
		k.mac, _ = mac.New(mac.X919, wrongKey)
		if tr.ask(x, "0200", tr.purchase(x, tr.card(x.merchant.Currency), true), k, "wrong MAC").Get(39) == "58" {
			tr.counts["locked"]++
		}
	}
}
