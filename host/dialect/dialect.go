package dialect

import (
	"fmt"

	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/switch"
)

// Dialect is how one family of terminals says things.
type Dialect interface {
	// Name as configuration and terminals' rows have it.
	Name() string
	// Spec of its messages.
	Spec() *wire.Spec
	// Answers tells whether messages of this type are answered at all: requests
	// and advices of the dialect's version are, answers and the rest are not.
	Answers(mti string) bool
	// Request is what a message asks for. A Refusal is not for the switch: it
	// is answered as it is.
	Request(m *wire.Message) (*switching.Request, *Refusal)
	// Answer makes a message the answer to a request message, or to as much of it as
	// could be read. It is false if the request's type is not answered, and for a
	// response that says nothing.
	Answer(answer, request *wire.Message, r *switching.Response) bool
	// TerminalID and MerchantID of a message, before its MAC was checked. Like all
	// that a Request has of a message, they are copies.
	TerminalID(m *wire.Message) string
	MerchantID(m *wire.Message) string
	// Authenticated tells whether messages of this type carry a MAC.
	Authenticated(mti string) bool
}

// Refusal is a message that cannot become a request.
type Refusal struct {
	Reason switching.Reason
	// Field that is wrong, 0 if none in particular.
	Field int
	// Problem says what is wrong, without any value.
	Problem string
}

// String says what is refused, for logs.
func (r *Refusal) String() string {
	if r.Field == 0 {
		return r.Problem
	}
	return fmt.Sprintf("field %d: %s", r.Field, r.Problem)
}

func malformed(field int, problem string) *Refusal {
	return &Refusal{Reason: switching.FormatError, Field: field, Problem: problem}
}

func unsupported(field int, problem string) *Refusal {
	return &Refusal{Reason: switching.FunctionNotSupported, Field: field, Problem: problem}
}

// Options of a dialect.
type Options struct {
	// Spec to use instead of the dialect's own.
	Spec *wire.Spec
	// Token makes a card number's token. Required.
	Token func(card.PAN) [16]byte
	// ApproveUnknownReversal answers 00 to a reversal whose original is not
	// known, as advice-style hosts do; otherwise 25. For unionpay the profile says
	// it, too.
	ApproveUnknownReversal bool

	// Profile of unionpay: how the host that terminals expect decides where hosts
	// differ. Empty is [DefaultProfile].
	Profile string
	// AcquirerID is our institution in unionpay's answers (F32, F44): 8 to 11
	// digits. Empty is eight zeros.
	AcquirerID string
	// DecryptTrack opens a track that a terminal enciphered under its track key,
	// as unionpay's F53 says; without it such a message is refused.
	DecryptTrack func(terminalID, track string) (string, error)
}

// New returns the dialect of that name: nac, ascii or unionpay.
func New(name string, o Options) (Dialect, error) {
	if o.Token == nil {
		return nil, fmt.Errorf("dialect %s: nothing makes tokens of card numbers", name)
	}
	if name == wire.NameUnionPay {
		return newUnionPay(o)
	}
	d := iso87{name: name, spec: o.Spec, token: o.Token, approveUnknown: o.ApproveUnknownReversal}
	switch name {
	case "nac":
		d.hostTime, d.invoices = true, true
		if d.spec == nil {
			d.spec = wire.NAC()
		}
	case "ascii":
		d.echoed = []int{7, 12, 13}
		if d.spec == nil {
			d.spec = wire.ASCII87()
		}
	default:
		return nil, fmt.Errorf("dialect %q is not known: nac, ascii, unionpay", name)
	}
	return &d, nil
}
