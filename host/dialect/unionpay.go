package dialect

import (
	"fmt"
	"strings"

	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/switch"
)

// unionPay is what UnionPay's POS terminals speak. What a message asks for is in
// its type, F3 and F60; sub-fields are digits of one field. Files beside this one
// have the matrix (unionpay_operations), what is read of it (unionpay_financial,
// unionpay_batch, unionpay_network), the answers (unionpay_answer) with their
// codes and texts, and where hosts differ (unionpay_profile).
type unionPay struct {
	spec       *wire.Spec
	token      func(card.PAN) [16]byte
	decrypt    func(terminalID, track string) (string, error)
	acquirerID string
	// parties is F44 of an answer: issuer and acquirer, eleven characters each.
	parties string
	profile Profile
}

// An institution's number has 8 to 11 digits.
const (
	minAcquirerDigits, maxAcquirerDigits = 8, 11
	unknownAcquirer                      = "00000000"
)

func newUnionPay(o Options) (Dialect, error) {
	d := &unionPay{spec: o.Spec, token: o.Token, decrypt: o.DecryptTrack, acquirerID: o.AcquirerID}
	if d.spec == nil {
		d.spec = wire.UnionPay()
	}
	if d.acquirerID == "" {
		d.acquirerID = unknownAcquirer
	}
	if n := len(d.acquirerID); n < minAcquirerDigits || n > maxAcquirerDigits || strings.Trim(d.acquirerID, "0123456789") != "" {
		return nil, fmt.Errorf("dialect unionpay: acquirer %q is not 8 to 11 digits", d.acquirerID)
	}
	d.parties = fmt.Sprintf("%-11s%-11s", d.acquirerID, d.acquirerID)
	if o.Profile == "" {
		o.Profile = DefaultProfile
	}
	profile, ok := profiles[o.Profile]
	if !ok {
		return nil, fmt.Errorf("dialect unionpay: profile %q is not known: %s", o.Profile, strings.Join(Profiles(), ", "))
	}
	d.profile = profile
	d.profile.ApproveUnknownReversal = profile.ApproveUnknownReversal || o.ApproveUnknownReversal
	return d, nil
}

func (d *unionPay) Name() string                      { return wire.NameUnionPay }
func (d *unionPay) Spec() *wire.Spec                  { return d.spec }
func (d *unionPay) TerminalID(m *wire.Message) string { return strings.TrimRight(m.Get(41), " ") }
func (d *unionPay) MerchantID(m *wire.Message) string { return strings.TrimRight(m.Get(42), " ") }

// Answers requests and advices.
func (d *unionPay) Answers(mti string) bool {
	_, ok := answerMTI(mti)
	return ok
}

// Authenticated: everything carries a MAC but 03xx, 05xx and 08xx (reference:
// UnionPay, security), so script results (0620) do.
func (d *unionPay) Authenticated(mti string) bool {
	return len(mti) == 4 && strings.IndexByte("1246", mti[1]) >= 0
}

// Request reads what a message asks for.
func (d *unionPay) Request(m *wire.Message) (*switching.Request, *Refusal) {
	op, f60, refusal := operationOf(m)
	if refusal != nil {
		return nil, refusal
	}
	r := &switching.Request{
		Kind: op.kind, Dialect: d.Name(), MID: d.MerchantID(m), TID: d.TerminalID(m), TwoStep: true,
		Repeat: repeated(m.MTI()), ApproveUnknownOriginal: d.profile.ApproveUnknownReversal,
	}
	switch {
	case r.TID == "":
		return nil, malformed(41, "missing")
	case r.MID == "":
		return nil, malformed(42, "missing")
	case op.network():
		return r, d.network(m, op, r)
	}
	if r.BatchNo = f60.batch; r.BatchNo == 0 {
		// It is nobody's; a terminal that has signed in knows its own.
		return nil, &Refusal{Reason: switching.NotCurrentBatch, Field: 60, Problem: "batch number is zero"}
	}
	if refusal := stan(m, r); refusal != nil {
		return nil, refusal
	}
	if aboutBatch(op.kind) {
		return r, d.batch(m, op, f60, r)
	}
	return r, d.financial(m, op, r)
}

// Demand is what the application header of an answer asks the terminal for: what
// the switch has asked for, or a new sign-in where the session, its keys or the
// batch were not right.
func Demand(r *switching.Response) wire.Demand {
	switch r.Reason {
	case switching.SignInRequired, switching.NotCurrentBatch, switching.UnknownBatch, switching.MACWrong, switching.PINFormat:
		return wire.DemandSignIn
	default:
		return wire.Demand(r.Demand)
	}
}
