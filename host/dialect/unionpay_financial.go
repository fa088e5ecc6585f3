package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/internal/hsm"
	"meridian/switch"
)

// financial reads what moves money, its reversal, and what a script did.
func (d *unionPay) financial(m *wire.Message, op *operation, r *switching.Request) *Refusal {
	reads := []func(*wire.Message, *operation, *switching.Request) *Refusal{
		unionPayAmount, d.card, unionPayPIN, d.reference,
	}
	switch r.Kind {
	case switching.KindReversal:
		// It has its original's fields, its references too: what it reverses is
		// known by its own trace number and batch.
		reads = []func(*wire.Message, *operation, *switching.Request) *Refusal{unionPayAmount, d.card, cause}
	case switching.KindScript:
		reads = []func(*wire.Message, *operation, *switching.Request) *Refusal{d.card, d.reference, scriptResult}
	case switching.KindAdjustment:
		reads = append(reads, tip)
	default:
	}
	for _, read := range reads {
		if refusal := read(m, op, r); refusal != nil {
			return refusal
		}
	}
	return nil
}

// unionPayAmount reads F4 and F49. A void may leave the amount out, a balance has
// none, and there is no cashback.
func unionPayAmount(m *wire.Message, _ *operation, r *switching.Request) *Refusal {
	if refusal := amounts(m, r); refusal != nil {
		return refusal
	}
	return currency(m, r)
}

// card reads the card. Track 2 may be enciphered, which F53 says; what is found
// is left in F2 and F14, where the answer takes it from.
func (d *unionPay) card(m *wire.Message, op *operation, r *switching.Request) *Refusal {
	track2 := m.Get(35)
	if track2 != "" && securityDigit(m, trackEncryption) == '1' {
		if d.decrypt == nil {
			return unsupported(53, "tracks are not deciphered here")
		}
		var err error
		if track2, err = d.decrypt(r.TID, track2); err != nil {
			return &Refusal{Reason: switching.SecurityViolation, Field: 35, Problem: "track 2 cannot be deciphered"}
		}
	}
	if refusal := readCard(m, track2, r); refusal != nil {
		return refusal
	}
	if r.PAN.IsZero() {
		if r.Kind.Refers() && !(op.of == switching.KindAuthorization && byCode(m)) {
			return nil
		}
		return noCard()
	}
	r.Token = d.token(r.PAN)
	m.Set(2, r.PAN.Reveal())
	if r.Expiry != "" {
		m.Set(14, r.Expiry)
	}
	return nil
}

// Digits of F53: PIN format, key length, track encryption.
const (
	pinFormatDigit  = 0
	trackEncryption = 2
)

// securityDigit of F53; 0 where there is none.
func securityDigit(m *wire.Message, i int) byte {
	if f53 := m.Get(53); len(f53) > i {
		return f53[i]
	}
	return '0'
}

// unionPayPIN reads F52 in the format of F53's first digit: 2 is ANSI X9.8 with
// the card number, 1 without it; 0 leaves it to the terminal's profile. The third
// digit of F22 says whether a PIN was entered.
func unionPayPIN(m *wire.Message, _ *operation, r *switching.Request) *Refusal {
	if !m.Has(52) {
		entry := m.Get(22)
		asks := r.Kind == switching.KindSale || r.Kind == switching.KindAuthorization || r.Kind == switching.KindBalance
		if asks && len(entry) == 3 && entry[2] == '1' {
			return &Refusal{Reason: switching.PINMissing, Field: 52, Problem: "missing, though field 22 says that a PIN was entered"}
		}
		return nil
	}
	r.PIN = &switching.PINEntry{Block: m.Bytes(52)}
	switch securityDigit(m, pinFormatDigit) {
	case '0':
	case '1':
		r.PIN.Format = hsm.PINFormatNoPAN
	case '2':
		r.PIN.Format = hsm.PINFormat0
	default:
		return &Refusal{Reason: switching.PINFormat, Field: 53, Problem: "PIN format is neither X9.8 with nor without the card number"}
	}
	return nil
}

// byCode tells whether the message has an authorization code.
func byCode(m *wire.Message) bool { return strings.Trim(m.Get(38), " 0") != "" }

// reference reads what a request speaks of: F37 (the RRN that we answered), F38
// for the pre-authorization family, whose original may be another terminal's, and
// F61. The profile says how much of it has to agree.
func (d *unionPay) reference(m *wire.Message, op *operation, r *switching.Request) *Refusal {
	if !r.Kind.Refers() {
		return nil
	}
	ref := &r.Original
	ref.Kind, ref.Exact = op.of, true
	byRRN(m, ref)
	if refusal := byOriginalMessage(m, ref); refusal != nil {
		return refusal
	}
	if op.of == switching.KindAuthorization && byCode(m) {
		ref.AuthCode, ref.HasAuthCode = m.Get(38), true
	}
	if r.Kind == switching.KindVoid && !ref.HasAuthCode {
		d.profile.VoidReference.apply(ref)
	}
	if !ref.Given() && r.Kind != switching.KindRefund && r.Kind != switching.KindScript {
		return malformed(37, "no original: neither field 37, 38 nor 61")
	}
	return nil
}

// tip is F48 of an adjustment: the part of the new total that is a tip.
func tip(m *wire.Message, _ *operation, r *switching.Request) *Refusal {
	if !m.Has(48) {
		return nil
	}
	amount, ok := digits(m.Get(48))
	if !ok || len(m.Get(48)) > 12 {
		return malformed(48, "tip is not an amount")
	}
	if r.TipMinor = amount; amount != 0 {
		r.Remark = "tip " + strings.TrimLeft(m.Get(48), "0") + " minor units"
	}
	return nil
}

// causes of reversals (F39 of a 0400), for people.
var causes = map[string]string{
	"98": "no answer within time",
	"96": "approved, but the terminal could not complete it",
	"A0": "the answer's MAC was wrong",
	"06": "other",
}

// cause reads why a terminal reverses.
func cause(m *wire.Message, _ *operation, r *switching.Request) *Refusal {
	code := m.Get(39)
	if code == "" {
		return nil
	}
	words, ok := causes[code]
	if !ok {
		if strings.ContainsFunc(code, func(c rune) bool { return c < '0' || c > '9' && c < 'A' || c > 'Z' }) {
			return malformed(39, "not two digits or capitals")
		}
		words = "not a known cause"
	}
	r.Remark = code + ": " + words
	return nil
}
