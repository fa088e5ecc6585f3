package terminal

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
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
	// Dialect is nac or ascii; the terminal's own, nac for want of one.
	Dialect string
	// TID and MID are F41 and F42; the first terminal of the dialect.
	TID, MID string
	// MAC is none or x919; the terminal's own, x919 with a MAK.
	MAC string
	// MAK is the double-length MAC key, 32 hex digits.
	MAK string
	// TPDU is ten hex digits (NAC only).
	TPDU string
	// Currency is an ISO 4217 code; the merchant's.
	Currency string
	// Batch is the open batch, for settlements and for references by batch and
	// STAN (NAC only).
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
	dialectNAC   = wire.NameNAC
	dialectASCII = wire.NameASCII87
)

// MAC settings, as in sandbox.json.
const (
	macNone = "none"
	macX919 = "x919"
)

// defaultTPDU is id 60, NII 001 as the destination, and no source.
const defaultTPDU = "6000010000"

// Terminal is one terminal of one merchant and the way to its host.
type Terminal struct {
	address  string
	dialect  string
	spec     *wire.Spec
	framing  wire.Framing
	tpdu     wire.TPDU
	tid, mid string
	batch    int
	// batchGiven: by the user, who knows better than what was remembered.
	batchGiven bool
	currency   money.Currency // 0 where nobody said
	zone       *time.Location
	mac        wire.MACAlgorithm // nil for none
	cards      *sandbox          // nil without sandbox.json
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
	for _, settle := range []func(*Options, *sandboxTerminal) error{t.settleAddress, t.settleFraming, t.settleMAC, t.settleCurrency} {
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
	if o.Dialect != "" && o.Dialect != dialectNAC && o.Dialect != dialectASCII {
		return nil, errorf(KindUsage, "--dialect %s: this terminal speaks nac and ascii", o.Dialect)
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
	case t.dialect != dialectNAC && t.dialect != dialectASCII:
		return nil, errorf(KindUsage, "terminal %s speaks %s, this one nac and ascii: choose another --tid", o.TID, t.dialect)
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
	t.spec = wire.NAC()
	if t.dialect == dialectASCII {
		t.spec = wire.ASCII87()
	}
	t.framing = wire.Framing{TPDU: t.dialect == dialectNAC}
	if o.Length != "" {
		length, err := wire.ParseLengthFormat(o.Length)
		if err != nil {
			return errorf(KindUsage, "--length: %w", err)
		}
		t.framing.Length = length
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

func (t *Terminal) settleMAC(o *Options, own *sandboxTerminal) error {
	algorithm := o.MAC
	switch {
	case algorithm != "":
	case o.MAK != "":
		algorithm = macX919
	default:
		algorithm = firstOf(own.MAC, macNone)
	}
	switch algorithm {
	case macNone:
		return nil
	case macX919:
	default:
		return errorf(KindUsage, "MAC %s: it is none or x919 in the %s dialect", algorithm, t.dialect)
	}
	key, err := hex.DecodeString(firstOf(o.MAK, string(own.MAK)))
	if err != nil {
		return errorf(KindUsage, "MAC key: it is not hex") // hex's error quotes a character of the key
	}
	if len(key) == 0 {
		return errorf(KindUsage, "MAC x919 needs a key: give --mak")
	}
	if t.mac, err = mac.New(mac.X919, key); err != nil {
		return errorf(KindUsage, "MAC key: %w", err)
	}
	return nil
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
