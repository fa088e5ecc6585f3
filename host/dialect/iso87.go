package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/internal/card"
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

// Answers requests and advices of ISO 8583:1987.
func (d *iso87) Answers(mti string) bool {
	_, ok := answerMTI(mti)
	return ok
}

// Authenticated: 01xx, 02xx and 04xx carry a MAC where the terminal has one.
func (d *iso87) Authenticated(mti string) bool {
	return len(mti) == 4 && (mti[1] == '1' || mti[1] == '2' || mti[1] == '4')
}

// Request reads what a message asks for.
func (d *iso87) Request(m *wire.Message) (*switching.Request, *Refusal) {
	kind, refusal := kindOf(m)
	if refusal != nil {
		return nil, refusal
	}
	r := &switching.Request{
		Kind: kind, Dialect: d.name, MID: d.MerchantID(m), TID: d.TerminalID(m), Repeat: repeated(m.MTI()),
		ApproveUnknownOriginal: d.approveUnknown, Echo: d.echo(m),
	}
	switch {
	case kind == switching.KindEcho: // between hosts it names no terminal
		return r, nil
	case r.TID == "":
		return nil, malformed(41, "missing")
	case kind == switching.KindLogon:
		return r, signOn(m, r)
	case r.MID == "":
		return nil, malformed(42, "missing")
	case kind == switching.KindUpload:
		return r, d.upload(m, r)
	case aboutBatch(kind):
		return r, settlement(m, r)
	}
	for _, read := range []func(*wire.Message, *switching.Request) *Refusal{
		stan, amounts, currency, d.card, pin, d.original, settleAdvice,
	} {
		if refusal := read(m, r); refusal != nil {
			return nil, refusal
		}
	}
	return r, nil
}

func stan(m *wire.Message, r *switching.Request) *Refusal {
	text := m.Get(11)
	if text == "" {
		return malformed(11, "missing")
	}
	v, ok := digits(text)
	if !ok || v > 999_999 {
		return malformed(11, "not a number of six digits")
	}
	r.STAN = int32(v)
	return nil
}

// settleAdvice: a 0220 that refers to a hold completes it; one that refers to
// nothing reports an offline sale, which needs its card.
func settleAdvice(_ *wire.Message, r *switching.Request) *Refusal {
	switch {
	case r.Kind != switching.KindAdvice:
	case r.Original.Given():
		r.Kind = switching.KindCompletion
	case r.PAN.IsZero():
		return noCard()
	}
	return nil
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
