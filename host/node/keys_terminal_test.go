package node

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/internal/hsm/mac"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/vault"
)

// UnionPay terminals of the shop, and what they were loaded with.
const (
	posTID  = "50000001"
	posTID2 = "50000002"
)

var posTMK = []byte("tmk of terminals")

// newKeyTown is a town with UnionPay terminals, and two more listeners: one for
// them, and one on a second node over the same database.
func newKeyTown(t testing.TB, change ...func(*town)) *town {
	t.Helper()
	return newTownWith(t, func(w *town) {
		keys := hsm.NewSoftware(w.vault, w.vault.FirstDataKeys())
		tmk, err := keys.Enter(hsm.UseTerminalMaster, hsm.TDES2, posTMK)
		w.must(err)
		w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, mac_algorithm, key_scheme, tmk_wrapped)
			VALUES (51, $1, 1, 'unionpay', 'unionpay-ecb', 'session', $3), (52, $2, 1, 'unionpay', 'unionpay-ecb', 'session', $3)`,
			posTID, posTID2, tmk.Bytes())
		for _, c := range change {
			c(w)
		}
	}, posListener())
}

func posListener() Listener {
	l := Listener{Dialect: "unionpay"}
	l.Name, l.Address, l.Framing = "unionpay", "127.0.0.1:0", posFraming
	return l
}

var posFraming = wire.Framing{Header: true}

// beside starts a second node over the town's database.
func (w *town) beside(more ...Listener) *town {
	w.t.Helper()
	second := *w
	second.log = &logLines{}
	second.open(more...)
	return &second
}

// pos is a UnionPay terminal.
type pos struct {
	w       *town
	spec    *wire.Spec
	conn    net.Conn
	in      *bufio.Reader
	tid     string
	stan    int
	session posSession
}

// posSession is what a sign-in gave.
type posSession struct {
	batch    string
	mak, pik []byte
	mac      mac.Algorithm
}

// pos connects a terminal to a node of the town.
func (w *town) pos(tid string) *pos {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.node.Addresses()["unionpay"])
	w.must(err)
	w.t.Cleanup(func() { _ = conn.Close() })
	w.must(conn.SetDeadline(time.Now().Add(patience)))
	return &pos{w: w, spec: wire.UnionPay(), conn: conn, in: bufio.NewReader(conn), tid: tid, session: posSession{batch: "000001"}}
}

// at goes on at another node.
func (p *pos) at(w *town) *pos {
	other := w.pos(p.tid)
	other.stan, other.session = p.stan+100_000, p.session // nobody comes so far
	return other
}

// exchange sends a message, under a MAC where its type has one and by is given.
func (p *pos) exchange(mti string, f fields, by wire.MACAlgorithm) (*wire.Message, []byte) {
	p.w.t.Helper()
	payload := p.payload(mti, f, by)
	return p.send(payload)
}

func (p *pos) payload(mti string, f fields, by wire.MACAlgorithm) []byte {
	p.w.t.Helper()
	m := wire.NewMessage(mti)
	for _, field := range slices.Sorted(maps.Keys(f)) {
		m.Set(field, f[field])
	}
	var payload []byte
	var err error
	if by != nil && strings.ContainsRune("124", rune(mti[1])) {
		payload, err = p.spec.AppendPackWithMAC(nil, m, by)
	} else {
		payload, err = p.spec.Pack(m)
	}
	p.w.must(err)
	return payload
}

func (p *pos) send(payload []byte) (*wire.Message, []byte) {
	p.w.t.Helper()
	frame, err := posFraming.AppendFrame(nil, wire.Frame{
		TPDU: wire.TPDU{0x60, 0, 3, 0, 0}, Header: wire.Header{0x60, 0x22, 0, 0, 0, 1}, Payload: payload,
	})
	p.w.must(err)
	_, err = p.conn.Write(frame)
	p.w.must(err)
	answer, err := posFraming.ReadFrame(p.in, nil)
	p.w.must(err)
	raw := bytes.Clone(answer.Payload)
	m, err := p.spec.Parse(raw)
	p.w.must(err)
	if m.Get(39) == "00" && strings.ContainsRune("124", rune(m.MTI()[1])) {
		p.w.approved.add(m.Get(37))
	}
	if m.Get(39) == "77" && answer.Header.Demand() != wire.DemandSignIn {
		p.w.t.Errorf("77 with the demand %d", answer.Header.Demand())
	}
	return m, raw
}

func (p *pos) nextSTAN() string {
	p.stan++
	return fmt.Sprintf("%06d", p.stan)
}

// common fields of every message.
func (p *pos) common(f fields) fields { return fields{11: p.nextSTAN(), 41: p.tid, 42: shop}.but(f) }

// signIn takes the keys of a session (60.3 = 003) and goes on with them.
func (p *pos) signIn() {
	p.w.t.Helper()
	p.session = p.askSession()
}

func (p *pos) askSession() posSession {
	p.w.t.Helper()
	m, _ := p.exchange("0800", p.common(fields{60: "00000000003", 63: "01 "}), nil)
	if m.MTI() != "0810" || m.Get(39) != "00" || len(m.Get(37)) != 12 {
		p.w.t.Fatalf("sign-in answered %s %s, RRN %q", m.MTI(), m.Get(39), m.Get(37))
	}
	keys := m.Bytes(62)
	if len(keys) != 40 {
		p.w.t.Fatalf("%d bytes of keys", len(keys))
	}
	master, err := hsm.TDES2.Block(posTMK)
	p.w.must(err)
	open := func(field []byte) []byte {
		key := make([]byte, 16)
		master.Decrypt(key, field[:8])
		master.Decrypt(key[8:], field[8:16])
		block, err := hsm.TDES2.Block(key)
		p.w.must(err)
		check := make([]byte, 8)
		block.Encrypt(check, check)
		if !bytes.Equal(check[:4], field[16:20]) {
			p.w.t.Fatalf("check value %X, want %X", field[16:20], check[:4])
		}
		return key
	}
	s := posSession{batch: m.Get(60)[2:8], pik: open(keys[:20]), mak: open(keys[20:])}
	s.mac, err = mac.New(mac.UnionPayECB, s.mak)
	p.w.must(err)
	return s
}

// sale are the fields of a sale of 10.00 with a card that was typed in.
func (p *pos) sale(change ...fields) fields {
	f := p.common(typed(everyday)).but(fields{3: "000000", 4: "000000001000", 22: "012", 25: "00", 49: "156", 60: "22" + p.session.batch})
	for _, c := range change {
		f = f.but(c)
	}
	return f
}

// withPIN are the fields of a PIN under the session's key.
func (p *pos) withPIN(pin string) fields {
	p.w.t.Helper()
	key, err := hsm.TDES2.Block(p.session.pik)
	p.w.must(err)
	block, err := pinblock.Encrypt(pinblock.Format0, key, vault.NewSecret([]byte(pin)), cardNumber(everyday))
	p.w.must(err)
	return fields{22: "011", 26: "12", 52: strings.ToUpper(fmt.Sprintf("%x", block)), 53: "2600000000000000"}
}

// do sends a message under the session's MAC and expects a response code, under
// the same MAC.
func (p *pos) do(code, mti string, f fields) *wire.Message {
	p.w.t.Helper()
	m, raw := p.exchange(mti, f, p.session.mac)
	if m.Get(39) != code {
		p.w.t.Fatalf("%s %s answered %s (%s), want %s", mti, f[3], m.Get(39), m.Get(63), code)
	}
	if p.session.mac != nil && strings.ContainsRune("124", rune(mti[1])) {
		p.w.must(p.spec.VerifyMAC(raw, p.session.mac))
	}
	return m
}

// refused sends a message and expects a refusal that leaves nothing behind but
// rows in the audit log.
func (p *pos) refused(code, mti string, f fields, by wire.MACAlgorithm, audits int64) *wire.Message {
	p.w.t.Helper()
	before := p.w.stored()
	m, _ := p.exchange(mti, f, by)
	if m.Get(39) != code || m.Has(38) {
		p.w.t.Fatalf("%s answered %s, want %s", mti, m.Get(39), code)
	}
	after := p.w.stored()
	before.audits += audits
	if after != before {
		p.w.t.Fatalf("%s answered %s: rows %+v, want %+v", mti, code, after, before)
	}
	return m
}
