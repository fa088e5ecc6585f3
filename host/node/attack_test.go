package node

import (
	"bytes"
	"encoding/hex"
	"testing"

	"meridian/host"
	"meridian/internal/hsm/mac"
	"meridian/switch"
)

// folded is what UnionPay's MAC is computed of: all blocks of eight bytes under
// each other.
func folded(message []byte) (sum [8]byte) {
	for i, b := range message {
		sum[i%8] ^= b
	}
	return sum
}

// forged is a sale that folds to what an answer does, with the answer's MAC.
func (p *pos) forged(answer []byte) []byte {
	p.w.t.Helper()
	filler := append([]byte{0x9F, 0x1E, 8}, bytes.Repeat([]byte{0x5A}, 8)...)
	payload := p.payload("0200", p.sale(fields{55: hex.EncodeToString(filler)}), mustMAC(p.w.t, []byte("nobody's own key")))
	at := bytes.Index(payload, filler)
	if at < 0 {
		p.w.t.Fatalf("F55 is not in %X", payload)
	}
	end := len(payload) - 8
	is, want := folded(payload[:end]), folded(answer[:len(answer)-8])
	for i := at + 3; i < at+len(filler); i++ {
		payload[i] ^= is[i%8] ^ want[i%8]
	}
	copy(payload[end:], answer[len(answer)-8:])
	return payload
}

// The MAC of UnionPay's terminals is of a sum that anybody can make up: with one
// code over a message of his choice a stranger has one for every message. So none
// of the answers that strangers can have is under the terminal's key.
func TestNobodySignsForStrangers(t *testing.T) {
	w := newKeyTown(t)
	p := w.pos(posTID)
	p.signIn()
	p.do("00", "0200", p.sale())
	stranger := w.pos(posTID)
	stranger.stan, stranger.session.batch = 500, p.session.batch
	before := w.stored()
	for about, payload := range map[string][]byte{
		"a wrong MAC":          stranger.payload("0200", stranger.sale(), mustMAC(t, []byte("nobody's own key"))),
		"no MAC":               stranger.payload("0200", stranger.sale(), nil),
		"a message cut short":  stranger.payload("0200", stranger.sale(), nil)[:60],
		"a message with extra": append(stranger.payload("0200", stranger.sale(), nil), 0),
	} {
		m, raw := stranger.send(payload)
		if m.Get(39) == "00" {
			t.Fatalf("%s is approved", about)
		}
		if !m.Has(64) {
			continue
		}
		t.Errorf("%s is answered %s with a MAC", about, m.Get(39))
		if m, _ := stranger.send(stranger.forged(raw)); m.Get(39) == "00" {
			t.Errorf("with it a sale was forged")
		}
	}
	before.audits += 2
	if after := w.stored(); after != before {
		t.Errorf("rows %+v, want %+v", after, before)
	}
	// What a host says to its own terminal has one, also when it refuses.
	p.do("25", "0200", p.sale(fields{3: "200000", 60: "23" + p.session.batch, 61: p.session.batch + "000001", 37: "000000000001"}))
}

// bind lets only the bearer of a certificate speak for a terminal.
func (w *town) bind(tid string, certificate []byte) {
	w.t.Helper()
	w.sql(`UPDATE terminals SET certificate_sha256 = $2 WHERE tid = $1`, tid, certificate)
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.node.Switch().Refresh(w.t.Context()))
}

// Who has not the certificate of a terminal cannot lock it: he is refused before
// his MAC is looked at.
func TestStrangersCannotLockBoundTerminals(t *testing.T) {
	wrong, err := mac.New(mac.X919, []byte("fedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, sealed, shop)
		w.bind(x.tid, bytes.Repeat([]byte{7}, 32))
		right := x.mac
		x.mac = wrong
		for range 12 {
			m, _ := x.exchange(x.payload("0200", x.fill("0200", typed(everyday).but(amount(1)))))
			if m.Get(39) != "63" {
				t.Fatalf("answered %s", m.Get(39))
			}
		}
		if n := one[int](w, `SELECT count(*) FROM audit_log WHERE kind = 'denied_security_violation'`); n != 12 {
			t.Errorf("%d rows about a missing certificate, want 12", n)
		}
		locks, err := switching.TerminalLocks(t.Context(), w.owner, w.clock.Now())
		w.must(err)
		if len(locks) != 0 {
			t.Errorf("locked: %+v", locks)
		}
		w.bind(x.tid, nil)
		x.mac = right
		x.do("00", "0200", typed(everyday), amount(1_00))
	})
}

// What needs no MAC anybody can send in a terminal's name: it does not use up what
// the terminal may send.
func TestStrangersCannotUseUpATerminalsLimit(t *testing.T) {
	w := newTownWith(t, func(w *town) { w.admission.PerTerminal = host.Rate{PerSecond: 0.001, Burst: 5} })
	eachOf(w, func(dialect string) {
		stranger, x := w.terminal(dialect, sealed, shop), w.terminal(dialect, sealed, shop)
		busy := 0
		for range 12 {
			if m, _ := stranger.exchange(stranger.payload("0800", stranger.fill("0800", fields{3: "990000"}))); m.Get(39) == "97" {
				busy++
			}
		}
		if busy != 7 {
			t.Errorf("%d of 12 echoes were too many, want 7", busy)
		}
		for range 5 {
			x.do("00", "0200", typed(everyday), amount(1_00))
		}
		if m, _ := x.exchange(x.payload("0200", x.fill("0200", typed(everyday)))); m.Get(39) != "97" {
			t.Errorf("the sixth sale answered %s", m.Get(39))
		}
	})
}

// Whoever reads a serial number on its way can write the highest one into a
// message that needs no MAC: it does not count, or the terminal's own would all be
// replays.
func TestStrangersCannotUseUpACounter(t *testing.T) {
	w := newSerialTown(t, derivedTDES)
	eachOf(w, func(dialect string) {
		s, stranger := w.serials(derivedTDES, dialect), w.serials(derivedTDES, dialect)
		if _, code := s.sale(); code != "00" {
			t.Fatalf("a sale answered %s", code)
		}
		stranger.counter = 0x1FF7FF // the highest with ten ones is 1FF800
		ksn, _, _, _ := stranger.next()
		for mti, f := range map[string]fields{
			"0320": typed(everyday).but(fields{4: "000000001000", 22: "", 25: "", 60: "0200000001000000000001"}),
			"0500": {3: "920000", 4: "", 22: "", 25: "", 49: "", 60: "000009", 63: "001000000000999"},
			"0800": {3: "990000"},
		} {
			stranger.exchange(stranger.payload(mti, stranger.fill(mti, f.but(fields{59: ksn}))))
		}
		if _, code := s.sale(); code != "00" {
			t.Errorf("%s: the terminal's next sale answered %s", dialect, code)
		}
	})
}

// New keys that a stranger asks for in a terminal's name are of no use to him, and
// those that the terminal has stay good.
func TestStrangersSignInsLeaveTheSession(t *testing.T) {
	w := newKeyTown(t)
	p := w.pos(posTID)
	p.signIn()
	p.do("00", "0200", p.sale())
	stranger := w.pos(posTID)
	stranger.stan = 500
	for range 10 {
		if m, _ := stranger.exchange("0800", stranger.common(fields{60: "00000000003", 63: "01 "}), nil); m.Get(39) != "00" {
			t.Fatalf("a sign-in answered %s", m.Get(39))
		}
		p.do("00", "0200", p.sale())
	}
	second := w.beside(posListener())
	q := p.at(second)
	q.do("00", "0200", q.sale())
}
