package dialect

import (
	"strconv"
	"strings"

	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/switch"
)

// iso87 is ISO 8583:1987 as international POS hosts speak it; nac and ascii
// differ in the form of the fields and in a few habits.
type iso87 struct {
	name           string
	spec           *wire.Spec
	token          func(card.PAN) [16]byte
	approveUnknown bool
	// echoed fields belong to a transmission, and are answered as they first came.
	echoed []int
	// hostTime: F12 and F13 of an answer are the host's, as EDC terminals set
	// their clock by them.
	hostTime bool
	// invoices: F62 is an invoice number and F60 may name an original.
	invoices bool
}

func (d *iso87) Name() string                      { return d.name }
func (d *iso87) Spec() *wire.Spec                  { return d.spec }
func (d *iso87) TerminalID(m *wire.Message) string { return strings.TrimRight(m.Get(41), " ") }
func (d *iso87) MerchantID(m *wire.Message) string { return strings.TrimRight(m.Get(42), " ") }

// Authenticated: 01xx, 02xx and 04xx carry a MAC where the terminal has one.
func (d *iso87) Authenticated(mti string) bool {
	return len(mti) == 4 && (mti[1] == '1' || mti[1] == '2' || mti[1] == '4')
}

// Request reads what a message asks for.
func (d *iso87) Request(m *wire.Message) (*switching.Request, *Refusal) {
	mti := m.MTI()
	if _, ok := answerMTI(mti); !ok {
		return nil, &Refusal{Silent: true, Problem: "message type is not a request of ISO 8583:1987"}
	}
	kind, refusal := d.kind(m)
	if refusal != nil {
		return nil, refusal
	}
	r := &switching.Request{
		Kind: kind, Dialect: d.name, MID: d.MerchantID(m), TID: d.TerminalID(m), Repeat: repeated(mti),
		ApproveUnknownOriginal: d.approveUnknown, Echo: d.echo(m),
	}
	if kind == switching.KindEcho || kind == switching.KindLogon {
		if r.TID == "" && kind == switching.KindLogon {
			return nil, malformed(41, "missing")
		}
		return r, nil
	}
	for _, field := range []int{11, 41, 42} {
		if strings.TrimSpace(m.Get(field)) == "" {
			return nil, malformed(field, "missing")
		}
	}
	if r.STAN, refusal = number(m, 11); refusal != nil {
		return nil, refusal
	}
	for _, read := range []func(*wire.Message, *switching.Request) *Refusal{
		d.amounts, d.currency, d.card, d.original,
	} {
		if refusal := read(m, r); refusal != nil {
			return nil, refusal
		}
	}
	return d.completionOrAdvice(r), nil
}

// kind of transaction: message class and the first two digits of F3.
func (d *iso87) kind(m *wire.Message) (switching.Kind, *Refusal) {
	mti := m.MTI()
	processing := m.Get(3)
	if mti[1] == '8' {
		return network(m)
	}
	if processing == "" {
		return 0, malformed(3, "missing")
	}
	unsupported := &Refusal{Reason: switching.FunctionNotSupported, Field: 3, Problem: "transaction is not supported"}
	switch mti[1] {
	case '1':
		switch processing[:2] {
		case "00":
			return switching.KindAuthorization, nil
		case "31":
			return switching.KindBalance, nil
		}
	case '2':
		switch processing[:2] {
		case "00":
			if mti[2] == '2' {
				return switching.KindAdvice, nil
			}
			return switching.KindSale, nil
		case "09":
			return switching.KindSale, nil
		case "02":
			return switching.KindVoid, nil
		case "20":
			return switching.KindRefund, nil
		case "29":
			return switching.KindCancel, nil
		case "31":
			return switching.KindBalance, nil
		}
	case '4':
		return switching.KindReversal, nil
	}
	return 0, unsupported
}

// network management: F70, or F3 where a terminal has no F70.
func network(m *wire.Message) (switching.Kind, *Refusal) {
	switch strings.TrimLeft(m.Get(70), "0") {
	case "301":
		return switching.KindEcho, nil
	case "1":
		return switching.KindLogon, nil
	case "":
	default:
		return 0, &Refusal{Reason: switching.FunctionNotSupported, Field: 70, Problem: "network function is not supported"}
	}
	processing := m.Get(3)
	switch {
	case strings.HasPrefix(processing, "99"):
		return switching.KindEcho, nil
	case strings.HasPrefix(processing, "92"):
		return switching.KindLogon, nil
	case processing == "":
		return 0, malformed(70, "neither field 70 nor field 3 names a network function")
	default:
		return 0, &Refusal{Reason: switching.FunctionNotSupported, Field: 3, Problem: "network function is not supported"}
	}
}

// completionOrAdvice: a 0220 that refers to a hold completes it; one that
// refers to nothing reports an offline sale.
func (d *iso87) completionOrAdvice(r *switching.Request) *switching.Request {
	if r.Kind == switching.KindAdvice && r.Original.Given() {
		r.Kind = switching.KindCompletion
	}
	return r
}

func (d *iso87) amounts(m *wire.Message, r *switching.Request) *Refusal {
	if m.Has(4) {
		amount, err := strconv.ParseInt(m.Get(4), 10, 64)
		if err != nil {
			return malformed(4, "not a number")
		}
		r.AmountMinor, r.HasAmount = amount, true
	}
	needed := !r.Kind.Cancels() && r.Kind != switching.KindReversal && r.Kind != switching.KindBalance
	if needed && !r.HasAmount {
		return malformed(4, "missing")
	}
	if r.Kind == switching.KindBalance {
		r.AmountMinor, r.HasAmount = 0, false
	}
	if strings.HasPrefix(m.Get(3), "09") && m.Has(54) {
		cashback, ok := cashbackOf(m.Get(54))
		if !ok {
			return malformed(54, "neither 12 digits nor groups of 20 characters with an amount of type 40")
		}
		r.CashbackMinor = cashback
	}
	if r.Kind == switching.KindReversal && m.Has(95) {
		// The first 12 digits are the amount that remains; zero is a full reversal.
		first := m.Get(95)[:min(12, len(m.Get(95)))]
		amount, err := strconv.ParseInt(first, 10, 64)
		if err != nil || len(first) != 12 || amount < 0 {
			return malformed(95, "replacement amount is not 12 digits")
		}
		r.ReplacementMinor, r.HasReplacement = amount, amount != 0
	}
	return nil
}

// cashbackOf F54: 12 digits from EDC terminals, or ISO's groups of account
// type 2, amount type 2 (40 is cashback), currency 3, sign 1, amount 12.
func cashbackOf(f54 string) (int64, bool) {
	if len(f54) == 12 {
		v, err := strconv.ParseUint(f54, 10, 63)
		return int64(v), err == nil
	}
	if len(f54) == 0 || len(f54)%20 != 0 {
		return 0, false
	}
	for ; len(f54) > 0; f54 = f54[20:] {
		if f54[2:4] != "40" {
			continue
		}
		v, err := strconv.ParseUint(f54[8:20], 10, 63)
		return int64(v), err == nil
	}
	return 0, false
}

// foreign stands for a code that is no currency: it is nobody's.
const foreign money.Currency = 9999

func (d *iso87) currency(m *wire.Message, r *switching.Request) *Refusal {
	if !m.Has(49) {
		return nil
	}
	c, err := money.ParseCurrency(strings.TrimSpace(m.Get(49)))
	if err != nil {
		c = foreign
	}
	r.Currency = c
	return nil
}

// card from F2 and F14, or from track 2 (F35).
func (d *iso87) card(m *wire.Message, r *switching.Request) *Refusal {
	if m.Has(2) {
		pan, err := card.ParsePAN(m.Get(2))
		if err != nil {
			return malformed(2, "not a card number")
		}
		r.PAN, r.Expiry = pan, m.Get(14)
	}
	if m.Has(35) {
		track, err := card.ParseTrack2(m.Get(35))
		if err != nil {
			return malformed(35, "not track 2")
		}
		if m.Has(2) && !track.PAN.Equal(r.PAN) {
			return malformed(35, "card number differs from field 2's")
		}
		r.PAN = track.PAN
		if r.Expiry = m.Get(14); r.Expiry == "" {
			r.Expiry = track.Expiry.String()
		}
	}
	needed := !r.Kind.Refers()
	if r.PAN.IsZero() {
		// A 0220 without a card can still complete a hold it refers to.
		if needed && r.Kind != switching.KindAdvice {
			return malformed(2, "no card: neither field 2 nor field 35")
		}
		return nil
	}
	r.Token = d.token(r.PAN)
	return nil
}

// original reads the references: F37, then F90, then F60 (original batch and
// STAN) and F62 (invoice) where the dialect has them.
func (d *iso87) original(m *wire.Message, r *switching.Request) *Refusal {
	ref := &r.Original
	refers := r.Kind.Refers() || r.Kind == switching.KindAdvice
	if !refers {
		if d.invoices {
			r.Invoice = strings.TrimSpace(m.Get(62))
		}
		return nil
	}
	if rrn := strings.TrimSpace(m.Get(37)); strings.Trim(rrn, "0") != "" {
		ref.HasRRN, ref.RRN = true, -1
		if v, err := strconv.ParseUint(rrn, 10, 63); err == nil && len(rrn) == 12 {
			ref.RRN = int64(v)
		}
	}
	if f90 := m.Get(90); f90 != "" {
		// MTI 4, STAN 6, F7 10, acquirer 11, forwarder 11.
		stan, err := strconv.ParseUint(f90[4:min(10, len(f90))], 10, 31)
		if len(f90) < 10 || err != nil {
			return malformed(90, "no original STAN")
		}
		ref.STAN, ref.HasSTAN = int32(stan), stan != 0
	}
	if !d.invoices {
		return nil
	}
	if f60 := strings.TrimSpace(m.Get(60)); len(f60) == 12 && !ref.HasSTAN {
		batch, err1 := strconv.ParseUint(f60[:6], 10, 31)
		stan, err2 := strconv.ParseUint(f60[6:], 10, 31)
		if err1 == nil && err2 == nil && stan != 0 {
			ref.BatchNo, ref.STAN, ref.HasSTAN = int32(batch), int32(stan), true
		}
	}
	switch {
	case r.Kind.Cancels():
		ref.Invoice = strings.TrimSpace(m.Get(62))
	case r.Kind == switching.KindAdvice: // an offline sale has an invoice of its own
		r.Invoice = strings.TrimSpace(m.Get(62))
	}
	return nil
}

func number(m *wire.Message, field int) (int32, *Refusal) {
	v, err := strconv.ParseUint(m.Get(field), 10, 31)
	if err != nil {
		return 0, malformed(field, "not a number")
	}
	return int32(v), nil
}

// echo packs the fields that belong to this transmission: number, length, value.
func (d *iso87) echo(m *wire.Message) []byte {
	var b []byte
	for _, field := range d.echoed {
		if v := m.Get(field); v != "" && len(v) < 256 {
			b = append(b, byte(field), byte(len(v)))
			b = append(b, v...)
		}
	}
	return b
}
