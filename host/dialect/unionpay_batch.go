package dialect

import (
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/switch"
)

// batch reads a settlement, an upload or the end of either. UnionPay settles in
// two steps: a 0500 compares, and 0320 with 202 or 207 ends the batch.
func (d *unionPay) batch(m *wire.Message, op *operation, _ field60, r *switching.Request) *Refusal {
	switch r.Kind {
	case switching.KindSettlement:
		r.Stated = sides(m.Get(48))
		if r.Stated == nil {
			return malformed(48, "totals are not 31 or 62 digits")
		}
		return nil
	case switching.KindTrailer:
		r.AfterUpload = op.afterUpload
		return nil
	default:
		return d.shown(m, op, r)
	}
}

// Totals of F48: debits and credits, an amount of 12 digits and a count of 3 each,
// and the digit that tells the outcome; once for domestic cards, and perhaps once
// more for foreign ones.
const (
	amountDigits = 12
	sideDigits   = amountDigits + countDigits
	totalsDigits = 2*sideDigits + 1
)

// sides reads totals. The host keeps one sum over all cards, so domestic and
// foreign ones are added up.
func sides(f48 string) *switching.StatedTotals {
	if len(f48) != totalsDigits && len(f48) != 2*totalsDigits {
		return nil
	}
	s := &switching.StatedTotals{Form: switching.TotalsGross}
	for ; len(f48) > 0; f48 = f48[totalsDigits:] {
		debitMinor, ok1 := digits(f48[:amountDigits])
		debits, ok2 := digits(f48[amountDigits:sideDigits])
		creditMinor, ok3 := digits(f48[sideDigits : sideDigits+amountDigits])
		credits, ok4 := digits(f48[sideDigits+amountDigits : 2*sideDigits])
		if !ok1 || !ok2 || !ok3 || !ok4 {
			return nil
		}
		s.SaleMinor, s.SaleCount = s.SaleMinor+debitMinor, s.SaleCount+int32(debits)
		s.RefundMinor, s.RefundCount = s.RefundMinor+creditMinor, s.RefundCount+int32(credits)
	}
	return s
}

// Details of F48 in an upload: a count of 2 digits, then for each transaction its
// card type 2, trace number 6, card number 20 and amount 12.
const (
	detailCountDigits = 2
	cardTypeDigits    = 2
	cardNumberDigits  = 20
	detailDigits      = cardTypeDigits + stanDigits + cardNumberDigits + amountDigits
)

// shown reads what an upload shows: details in F48, or one transaction by its own
// fields, whose trace number the message has.
func (d *unionPay) shown(m *wire.Message, op *operation, r *switching.Request) *Refusal {
	if op.several {
		return d.details(m.Get(48), r)
	}
	if op.noted {
		return nil
	}
	one := switching.ShownTransaction{STAN: r.STAN, Kind: op.of}
	if f4 := m.Get(4); f4 != "" {
		amount, ok := digits(f4)
		if !ok {
			return malformed(4, "not a number")
		}
		one.AmountMinor, one.HasAmount = amount, true
	}
	if m.Has(2) {
		pan, err := card.ParsePAN(m.Get(2))
		if err != nil {
			return malformed(2, "not a card number")
		}
		one.Tokens = [][16]byte{d.token(pan)}
	}
	r.Shown = []switching.ShownTransaction{one}
	return nil
}

func (d *unionPay) details(f48 string, r *switching.Request) *Refusal {
	if len(f48) < detailCountDigits {
		return malformed(48, "missing: no details")
	}
	count, ok := digits(f48[:detailCountDigits])
	list := f48[detailCountDigits:]
	if !ok || int(count)*detailDigits != len(list) {
		return malformed(48, "details are not as many as their count says")
	}
	for ; len(list) > 0; list = list[detailDigits:] {
		trace, ok1 := digits(list[cardTypeDigits : cardTypeDigits+stanDigits])
		amount, ok2 := digits(list[detailDigits-amountDigits : detailDigits])
		if !ok1 || !ok2 {
			return malformed(48, "detail is not a number")
		}
		r.Shown = append(r.Shown, switching.ShownTransaction{
			STAN: int32(trace), AmountMinor: amount, HasAmount: true,
			Tokens: d.paddedTokens(list[cardTypeDigits+stanDigits : detailDigits-amountDigits]),
		})
	}
	return nil
}

// paddedTokens are the tokens of what twenty digits may be: terminals put zeros
// before a card number, some behind it, and one may end with zeros itself.
func (d *unionPay) paddedTokens(number string) [][16]byte {
	from := 0
	for from < len(number) && number[from] == '0' {
		from++
	}
	var tokens [][16]byte
	for end := len(number); end > from; end-- {
		if pan, err := card.ParsePAN(number[from:end]); err == nil {
			tokens = append(tokens, d.token(pan))
		}
		if from > 0 || number[end-1] != '0' {
			break
		}
	}
	return tokens
}
