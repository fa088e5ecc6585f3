package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/internal/money"
	"meridian/switch"
)

// amounts reads F4, the cashback in F54 and the replacement amount in F95.
func amounts(m *wire.Message, r *switching.Request) *Refusal {
	if r.Kind == switching.KindBalance {
		return nil // it asks for an amount and has none
	}
	if text := m.Get(4); text != "" {
		amount, ok := digits(text)
		if !ok {
			return malformed(4, "not a number")
		}
		r.AmountMinor, r.HasAmount = amount, true
	}
	// A cancel without an amount means all that is left, a reversal the whole.
	if !r.HasAmount && !r.Kind.Cancels() && r.Kind != switching.KindReversal {
		return malformed(4, "missing")
	}
	switch {
	case r.Kind == switching.KindSale && strings.HasPrefix(m.Get(3), "09"):
		return cashback(m, r)
	case r.Kind == switching.KindReversal:
		return replacement(m, r)
	default:
		return nil
	}
}

// cashback is part of F4. A terminal that does not say how much of it was handed
// out has sold for the whole.
func cashback(m *wire.Message, r *switching.Request) *Refusal {
	if !m.Has(54) {
		return nil
	}
	amount, ok := cashbackOf(m.Get(54))
	if !ok {
		return malformed(54, "neither 12 digits nor groups of 20 characters with an amount of type 40")
	}
	r.CashbackMinor = amount
	return nil
}

// cashbackOf F54: 12 digits from EDC terminals, or ISO's groups of account
// type 2, amount type 2 (40 is cashback), currency 3, sign 1, amount 12.
func cashbackOf(f54 string) (int64, bool) {
	const group = 20
	if len(f54) == 12 {
		return digits(f54)
	}
	if len(f54)%group != 0 {
		return 0, false
	}
	for ; len(f54) > 0; f54 = f54[group:] {
		if f54[2:4] == "40" {
			amount, ok := digits(f54[8:group])
			return amount, ok && (f54[7] == 'C' || f54[7] == 'D')
		}
	}
	return 0, false
}

// replacement is what a partial reversal leaves standing: the first 12 digits of
// F95. Zero leaves nothing, which is a full reversal.
func replacement(m *wire.Message, r *switching.Request) *Refusal {
	if !m.Has(95) {
		return nil
	}
	text := m.Get(95)
	amount, ok := digits(text[:min(12, len(text))])
	if !ok || len(text) < 12 {
		return malformed(95, "replacement amount is not 12 digits")
	}
	r.ReplacementMinor, r.HasReplacement = amount, amount != 0
	return nil
}

// foreign stands for a code that is no currency: it is nobody's.
const foreign money.Currency = 9999

// currency is F49, numeric or alphabetic; without it, the merchant's is meant.
func currency(m *wire.Message, r *switching.Request) *Refusal {
	text := strings.TrimSpace(m.Get(49))
	if text == "" {
		return nil
	}
	c, err := money.ParseCurrency(text)
	if err != nil {
		c = foreign
	}
	r.Currency = c
	return nil
}
