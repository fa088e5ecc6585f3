package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/mac"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/vault"
)

// derivation is a way to derive keys, and the terminals of shop that have theirs so.
type derivation struct {
	scheme, mac string
	base        hsm.Algorithm
	key         []byte
	tid         string
	terminal    int // the dialect's digit is added
	initial     []byte
	another     string // serial number: a terminal's that is not there
}

var (
	derivedTDES = &derivation{
		scheme: "dukpt-tdes", mac: mac.X919, base: hsm.TDES2, key: []byte("base of TDES key"), tid: "0000009", terminal: 60,
		initial: []byte{0xFF, 0xFF, 0x98, 0x76, 0, 0x32, 0x10, 0xE0, 0, 0}, another: "FFFF9876993210E00009",
	}
	derivedAES = &derivation{
		scheme: "dukpt-aes", mac: mac.AESCMAC, base: hsm.AES128, key: []byte("a base key of AE"), tid: "0000010", terminal: 70,
		initial: []byte{0x12, 0x34, 0x56, 0x78, 0, 0x01, 0x23, 0x45, 0, 0, 0, 0}, another: "123456789901234500000009",
	}
)

// serialOf a terminal: its own byte is the dialect's digit.
func (d *derivation) serialOf(dialect string) []byte {
	initial := slices.Clone(d.initial)
	initial[4] = dialectDigit(dialect)[0] - '0'
	return initial
}

func (d *derivation) terminalOf(dialect string) int {
	return d.terminal + int(dialectDigit(dialect)[0]-'0')
}

func newSerialTown(t testing.TB, d *derivation) *town {
	t.Helper()
	return newKeyTown(t, func(w *town) {
		keys := hsm.NewSoftware(w.vault, w.vault.FirstDataKeys())
		base, err := keys.Enter(hsm.UseDUKPTBase, d.base, d.key)
		w.must(err)
		w.sql(`INSERT INTO base_keys (base_key_id, name, bdk_wrapped, created_at) VALUES (1, 'base', $1, now())`, base.Bytes())
		for dialect := range framings {
			initial := d.serialOf(dialect)
			if d.base.IsAES() {
				initial = initial[:8] // without the counter
			}
			w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, mac_algorithm, key_scheme, base_key_id, initial_ksn)
				VALUES ($1, $2, 1, $3, $4, $5, 1, $6)`, d.terminalOf(dialect), dialectDigit(dialect)+d.tid, dialect, d.mac, d.scheme, initial)
		}
	})
}

// serials makes the messages of a terminal with derived keys.
type serials struct {
	*terminal

	d       *derivation
	initial []byte
	counter uint32
}

func (w *town) serials(d *derivation, dialect string) *serials {
	w.t.Helper()
	return &serials{terminal: w.terminal(dialect, d.tid, shop), d: d, initial: d.serialOf(dialect)}
}

// next takes the keys of the next transaction.
func (s *serials) next() (ksn string, request, answer mac.Algorithm, pin []byte) {
	s.w.t.Helper()
	s.counter++
	number := slices.Clone(s.initial)
	last := number[len(number)-4:] // TDES's counter is its 21 lowest bits
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)|s.counter)
	k, err := dukpt.Parse(s.d.base, number)
	s.w.must(err)
	initial, err := dukpt.InitialKey(s.d.base, s.d.key, k)
	s.w.must(err)
	key := func(purpose dukpt.Purpose) []byte {
		derived, err := dukpt.WorkingKey(s.d.base, initial, k, purpose, s.d.base)
		s.w.must(err)
		return derived
	}
	request, err = mac.New(s.d.mac, key(dukpt.MACRequest))
	s.w.must(err)
	answer, err = mac.New(s.d.mac, key(dukpt.MACResponse))
	s.w.must(err)
	return k.String(), request, answer, key(dukpt.PIN)
}

// sale sends one, with a PIN where its block fits F52, and returns its bytes and its
// code. The answer is under the answer's key of the same transaction.
func (s *serials) sale(change ...fields) (payload []byte, code string) {
	s.w.t.Helper()
	ksn, request, answer, pinKey := s.next()
	f := typed(everyday).but(fields{59: ksn})
	if s.d.base == hsm.TDES2 {
		cipher, err := hsm.TDES2.Block(pinKey)
		s.w.must(err)
		block, err := pinblock.Encrypt(pinblock.Format0, cipher, vault.NewSecret([]byte(everyPIN)), cardNumber(everyday))
		s.w.must(err)
		f[52] = strings.ToUpper(fmt.Sprintf("%x", block))
	}
	for _, c := range change {
		f = f.but(c)
	}
	s.mac = request
	payload = s.payload("0200", s.fill("0200", f))
	return payload, s.sent(payload, answer)
}

func (s *serials) sent(payload []byte, answer wire.MACAlgorithm) string {
	s.w.t.Helper()
	m, raw := s.exchange(bytes.Clone(payload))
	if answer != nil {
		s.w.must(s.spec.VerifyMAC(raw, answer))
	}
	return m.Get(39)
}

// Every message has keys of its own, for its MAC, its PIN and its answer. One
// that is shown again is answered again; where it would be another transaction it
// is refused like a wrong MAC.
func TestDerivedKeysOverTCP(t *testing.T) {
	for _, d := range []*derivation{derivedTDES, derivedAES} {
		t.Run(d.scheme, func(t *testing.T) {
			w := newSerialTown(t, d)
			eachOf(w, func(dialect string) {
				s := w.serials(d, dialect)
				for range 3 {
					if _, code := s.sale(); code != "00" {
						t.Fatalf("%s: a sale answered %s", dialect, code)
					}
				}
				s.replayed()
				s.backwards()
				s.ofAnother()
			})
		})
	}
}

// refused wants a refusal that leaves a row in the audit log and nothing else.
func (s *serials) refused(about string, send func() string) {
	s.w.t.Helper()
	before := s.w.stored()
	if code := send(); code != "63" {
		s.w.t.Fatalf("%s: %s answered %s", s.dialect, about, code)
	}
	before.audits++
	if after := s.w.stored(); after != before {
		s.w.t.Fatalf("%s: %s left rows %+v, want %+v", s.dialect, about, after, before)
	}
}

// replayed shows a sale's bytes again, in its batch and in the next one.
func (s *serials) replayed() {
	s.w.t.Helper()
	w, id := s.w, s.d.terminalOf(s.dialect)
	sale, code := s.sale()
	if code != "00" {
		w.t.Fatalf("%s: a sale answered %s", s.dialect, code)
	}
	w.settle()
	before := w.stored()
	if code := s.sent(sale, nil); code != "00" || w.stored() != before {
		w.t.Fatalf("%s: shown again it is answered %s; rows %+v, before %+v", s.dialect, code, w.stored(), before)
	}
	// Its batch ends: the same bytes would be a new sale now.
	w.sql(`UPDATE batches SET state = 5, closed_at = now(), closed_by = 4, closed_date = '2026-03-10', sale_count = 4, sale_minor = 4000,
		void_count = 0, void_minor = 0, refund_count = 0, refund_minor = 0 WHERE terminal_id = $1`, id)
	w.sql(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at, opened_date) VALUES (0, $1, 2, 1, now(), '2026-03-10')`, id)
	s.refused("a replay into the next batch", func() string { return s.sent(sale, nil) })
	if _, code := s.sale(); code != "00" {
		w.t.Fatalf("%s: the next sale answered %s", s.dialect, code)
	}
}

// backwards sends another sale under a counter that came before.
func (s *serials) backwards() {
	s.w.t.Helper()
	counter := s.counter
	for _, at := range []uint32{0, counter - 1} { // the first one, and the last one
		s.counter = at
		s.refused(fmt.Sprintf("counter %d after %d", at+1, counter), func() string {
			_, code := s.sale()
			return code
		})
	}
	s.counter = counter + 5 // what was lost on the way is not missed
	if _, code := s.sale(); code != "00" {
		s.w.t.Fatalf("%s: a sale behind a gap answered %s", s.dialect, code)
	}
}

// ofAnother sends serial numbers that are not the terminal's.
func (s *serials) ofAnother() {
	s.w.t.Helper()
	for name, ksn := range map[string]string{"another's serial number": s.d.another, "no serial number": "", "half a serial number": s.d.another[:12]} {
		s.refused(name, func() string {
			_, request, _, _ := s.next()
			s.mac = request
			return s.sent(s.payload("0200", s.fill("0200", typed(everyday).but(fields{59: ksn}))), nil)
		})
	}
}
