package terminal

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"meridian/host/wire"
	"meridian/internal/hsm/mac"
	"meridian/internal/money"
)

// Options say which terminal this is and where its host is. Whatever is empty
// comes from the data directory's sandbox.json, as far as there is one.
type Options struct {
	// DataDir holds sandbox.json and the terminal's state. Required.
	DataDir string
	// Address is host:port.
	Address string
	// Dialect is nac, ascii or unionpay; the terminal's own, nac for want of one.
	Dialect string
	// TID and MID are F41 and F42; the first terminal of the dialect.
	TID, MID string
	// MAC is none or an algorithm of package mac; the terminal's own, with a MAK
	// the one that is usual in the dialect.
	MAC string
	// MAK and PIK are the MAC and PIN keys in hex. A unionpay terminal has those of
	// its session unless they are given.
	MAK, PIK string
	// TMK is the terminal's master key in hex (unionpay only).
	TMK string
	// TPDU is ten hex digits (nac and unionpay).
	TPDU string
	// Header is the application header, twelve digits (unionpay only).
	Header string
	// Currency is an ISO 4217 code; the merchant's.
	Currency string
	// Batch is the open batch, for settlements, for references by batch and STAN
	// (NAC), and for all that unionpay sends.
	Batch int
	// Length is the format of the length prefix: binary (default), bcd or ascii.
	Length string
	// TLS of the connection.
	TLS TLS
	// Timeout bounds connecting, and each wait for an answer. DefaultTimeout when 0.
	Timeout time.Duration
	// Now is the terminal's clock; time.Now when nil.
	Now func() time.Time
}

// DefaultTimeout is what people in front of a terminal put up with, and longer
// than a host takes that gives up by itself.
const DefaultTimeout = 15 * time.Second

// Dialect names.
const (
	dialectNAC      = wire.NameNAC
	dialectASCII    = wire.NameASCII87
	dialectUnionPay = wire.NameUnionPay
)

// dialects in the order in which they are told.
var dialects = []string{dialectNAC, dialectASCII, dialectUnionPay}

// macNone is the setting of a terminal without MACs.
const macNone = "none"

// macAlgorithms are the settings, as in sandbox.json.
var macAlgorithms = []string{macNone, mac.X99, mac.X919, mac.UnionPayECB, mac.AESCMAC}

// defaultTPDU is id 60, NII 001 as the destination, and no source.
const defaultTPDU = "6000010000"

// defaultHeader is a payment (60) of version 31 of a terminal in service.
const defaultHeader = "603100000000"

// Terminal is one terminal of one merchant and the way to its host.
type Terminal struct {
	address  string
	dialect  string
	spec     *wire.Spec
	framing  wire.Framing
	tpdu     wire.TPDU
	header   wire.Header
	tid, mid string
	batch    int
	// batchGiven: by the user, who knows better than what was remembered.
	batchGiven bool
	currency   money.Currency // 0 where nobody said
	zone       *time.Location
	mac        string   // algorithm, or none
	tmk        key      // of a terminal that signs in
	mak, pik   key      // nil where a sign-in gives them
	cards      *sandbox // nil without sandbox.json
	store      store
	tls        TLS
	timeout    time.Duration
	now        func() time.Time
}

// New reads sandbox.json and settles who the terminal is. It connects nowhere.
// Errors are an *[Error].
func New(o Options) (*Terminal, error) {
	t := &Terminal{tls: o.TLS, timeout: o.Timeout, now: o.Now, zone: time.UTC}
	if t.timeout == 0 {
		t.timeout = DefaultTimeout
	}
	if t.timeout < 0 {
		return nil, errorf(KindUsage, "--timeout %s: it is more than nothing", o.Timeout)
	}
	if t.now == nil {
		t.now = time.Now
	}
	var err error
	if t.cards, err = readSandbox(o.DataDir); err != nil {
		return nil, err
	}
	own, err := t.identify(&o)
	if err != nil {
		return nil, err
	}
	t.batchGiven = t.batch != 0
	if t.store = newStore(o.DataDir, t.tid); t.batch == 0 {
		t.batch = own.Batch
	}
	for _, settle := range []func(*Options, *sandboxTerminal) error{t.settleAddress, t.settleFraming, t.settleKeys, t.settleCurrency} {
		if err := settle(&o, own); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// identify finds the terminal in sandbox.json, or takes it as the flags have it;
// what it returns is then empty.
func (t *Terminal) identify(o *Options) (*sandboxTerminal, error) {
	known := t.cards
	if known == nil {
		known = &sandbox{}
	}
	if o.Dialect != "" && !slices.Contains(dialects, o.Dialect) {
		return nil, errorf(KindUsage, "--dialect %s: this terminal speaks %s", o.Dialect, strings.Join(dialects, ", "))
	}
	t.tid, t.mid, t.dialect, t.batch = o.TID, o.MID, o.Dialect, o.Batch
	var m *merchant
	var own *sandboxTerminal
	if o.TID != "" {
		m, own = known.terminal(o.TID)
		if own != nil && o.Dialect == "" {
			t.dialect = own.Dialect
		}
	} else {
		if t.dialect == "" {
			t.dialect = dialectNAC
		}
		m, own = known.first(o.MID, t.dialect)
	}
	switch {
	case t.dialect == "":
		t.dialect = dialectNAC
	case !slices.Contains(dialects, t.dialect):
		return nil, errorf(KindUsage, "terminal %s speaks %s, this one %s: choose another --tid", o.TID, t.dialect, strings.Join(dialects, ", "))
	}
	if own == nil {
		own = &sandboxTerminal{}
	}
	if t.tid == "" {
		t.tid = own.TID
	}
	if t.mid == "" && m != nil {
		t.mid = m.MID
	}
	if t.tid == "" || t.mid == "" {
		return nil, t.nobody(o)
	}
	if said := known.merchant(t.mid); said != nil {
		m = said // a terminal that claims another merchant has that one's currency and clock
	}
	if m != nil {
		t.currency = m.Currency
		if zone, err := time.LoadLocation(m.TimeZone); err == nil {
			t.zone = zone
		}
	}
	return own, nil
}

// nobody says what is missing to know the terminal.
func (t *Terminal) nobody(o *Options) error {
	path := filepath.Join(o.DataDir, sandboxName)
	switch {
	case t.cards == nil && o.Address == "":
		return errorf(KindUnreachable,
			"no sandbox runs here: there is no %s (start one with 'meridian sandbox', or give --address, --tid and --mid)", path)
	case t.cards == nil:
		return errorf(KindUsage, "give --tid and --mid: there is no %s to take them from", path)
	case t.tid == "":
		return errorf(KindUsage, "give --tid: %s has no %s terminal of merchant %q", path, t.dialect, t.mid)
	default:
		return errorf(KindUsage, "give --mid: %s has no terminal %q", path, t.tid)
	}
}

func (t *Terminal) settleAddress(o *Options, _ *sandboxTerminal) error {
	t.address = o.Address
	if t.address == "" && t.cards != nil {
		t.address = t.cards.Addresses[t.dialect]
	}
	if t.address == "" {
		return errorf(KindUnreachable, "no address of a %s host: give --address, or start one with 'meridian sandbox'", t.dialect)
	}
	return nil
}

func (t *Terminal) settleFraming(o *Options, own *sandboxTerminal) error {
	switch t.dialect {
	case dialectASCII:
		t.spec = wire.ASCII87()
	case dialectUnionPay:
		t.spec = wire.UnionPay()
		t.framing = wire.Framing{TPDU: true, Header: true}
	default:
		t.spec = wire.NAC()
		t.framing = wire.Framing{TPDU: true}
	}
	if o.Length != "" {
		length, err := wire.ParseLengthFormat(o.Length)
		if err != nil {
			return errorf(KindUsage, "--length: %w", err)
		}
		t.framing.Length = length
	}
	if err := t.settleHeader(o); err != nil {
		return err
	}
	if !t.framing.TPDU {
		if o.TPDU != "" {
			return errorf(KindUsage, "--tpdu: the %s dialect has none", t.dialect)
		}
		return nil
	}
	text := firstOf(o.TPDU, own.TPDU, defaultTPDU)
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(t.tpdu) {
		return errorf(KindUsage, "TPDU %q: it is ten hex digits, such as %s", text, defaultTPDU)
	}
	copy(t.tpdu[:], raw)
	return nil
}

func (t *Terminal) settleHeader(o *Options) error {
	if !t.framing.Header {
		if o.Header != "" {
			return errorf(KindUsage, "--header: the %s dialect has none", t.dialect)
		}
		return nil
	}
	var err error
	if t.header, err = wire.ParseHeader(firstOf(o.Header, defaultHeader)); err != nil {
		return errorf(KindUsage, "--header: %w", err)
	}
	return nil
}

// settleKeys reads the terminal's keys. Those that sandbox.json has of a terminal
// that signs in are what its sign-in will give it: it does not know them before.
func (t *Terminal) settleKeys(o *Options, own *sandboxTerminal) error {
	usual, mak, pik := mac.X919, own.MAK, own.PIK
	if t.dialect == dialectUnionPay {
		usual, mak, pik = mac.UnionPayECB, "", ""
	}
	switch {
	case o.MAC != "":
		t.mac = o.MAC
	case o.MAK != "":
		t.mac = usual
	case t.dialect == dialectUnionPay:
		t.mac = firstOf(own.MAC, usual)
	default:
		t.mac = firstOf(own.MAC, macNone)
	}
	if !slices.Contains(macAlgorithms, t.mac) {
		return errorf(KindUsage, "MAC %s: it is one of %s", t.mac, strings.Join(macAlgorithms, ", "))
	}
	for _, one := range []struct {
		name, given string
		own         secret
		into        *key
	}{{"MAC key", o.MAK, mak, &t.mak}, {"PIN key", o.PIK, pik, &t.pik}, {"terminal master key", o.TMK, own.TMK, &t.tmk}} {
		plain, err := hex.DecodeString(firstOf(one.given, string(one.own)))
		if err != nil {
			return errorf(KindUsage, "%s: it is not hex", one.name) // hex's error quotes a character of the key
		}
		*one.into = plain
	}
	if len(t.tmk) > 0 {
		if err := t.tmk.check(); err != nil {
			return errorf(KindUsage, "terminal master key: %w", err)
		}
	}
	if t.mac == macNone || t.dialect == dialectUnionPay && len(t.mak) == 0 {
		return nil
	}
	if len(t.mak) == 0 {
		return errorf(KindUsage, "MAC %s needs a key: give --mak", t.mac)
	}
	_, err := t.sealing(&state{})
	return err
}

func (t *Terminal) settleCurrency(o *Options, _ *sandboxTerminal) error {
	if o.Currency == "" {
		return nil
	}
	var err error
	if t.currency, err = money.ParseCurrency(o.Currency); err != nil {
		return errorf(KindUsage, "--currency: %w", err)
	}
	return nil
}

// nii is F24 of an NAC message: the last three digits of the TPDU's destination.
func (t *Terminal) nii() string { return fmt.Sprintf("%03X", (int(t.tpdu[1])<<8|int(t.tpdu[2]))&0xFFF) }

func firstOf(values ...string) string {
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			return v
		}
	}
	return ""
}
