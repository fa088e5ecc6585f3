package switching_test

import (
	"pgregory.net/rapid"

	"meridian/switch/model"
)

// Steps of the property test that ask for money to be moved, and for it not to have been.

func (s *machine) buy(t *rapid.T) { s.put(t, s.purchase(t, s.nextSTAN())) }

func (s *machine) purchase(t *rapid.T, stan int) model.Request {
	r := model.Request{Kind: draw(t, "kind", model.Sale, model.Sale, model.Authorization, model.Advice), STAN: stan, HasAmount: true}
	r.Merchant, r.Terminal = s.terminal(t)
	r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	r.AmountMinor = draw[int64](t, "amount", 1_000, 999, 2_000, 20_000, 50_000)
	if r.Kind == model.Sale {
		r.CashbackMinor = draw[int64](t, "cashback", 0, 0, 0, 500)
	}
	if one(t, 3, "with invoice") {
		r.Invoice = draw(t, "invoice", "000001", "000002")
	}
	s.nameBatch(t, &r)
	return r
}

// nameBatch lets some requests state the batch they are in, rightly or wrongly.
func (s *machine) nameBatch(t *rapid.T, r *model.Request) {
	if one(t, 8, "states its batch") {
		r.Batch = s.m.Terminals[r.Terminal].Batch.Number + draw(t, "off by", 0, 0, -1, 1)
		r.Batch = max(r.Batch, 1)
	}
}

// fault is a purchase or an inquiry with one thing wrong.
func (s *machine) fault(t *rapid.T) {
	r := s.purchase(t, s.nextSTAN())
	switch draw(t, "fault", "amount", "limit", "cashback", "more cashback", "currency", "card", "expiry", "no card", "inquiry", "inquiry in another currency", "merchant", "terminal", "other's terminal") {
	case "amount":
		r.AmountMinor, r.CashbackMinor = 0, 0
	case "limit":
		r.AmountMinor = 50_001
	case "cashback":
		r.Kind, r.AmountMinor, r.CashbackMinor = model.Sale, 20_000, 10_001
	case "more cashback":
		r.Kind, r.AmountMinor, r.CashbackMinor = model.Sale, 1_000, 1_001
	case "currency":
		r.Currency = 978
	case "card":
		r.Card = draw(t, "what card", model.StrangeCard, model.ForeignCard, model.MistypedCard)
	case "expiry":
		r.Expiry = "3011"
	case "no card":
		r.Card = model.NoCard
	case "inquiry in another currency":
		r.Kind, r.CashbackMinor, r.Currency = model.Balance, 0, 978
	case "inquiry":
		r.Kind, r.CashbackMinor = model.Balance, 0
		r.Card = draw(t, "what card", model.StrangeCard, model.ForeignCard, model.MistypedCard, model.NoCard)
	case "merchant":
		r.Merchant = model.Nobody
	case "terminal":
		r.Terminal = model.Nobody
	case "other's terminal":
		r.Merchant = (r.Merchant + 1) % len(s.m.Merchants)
	}
	s.put(t, r)
}

func (s *machine) inquire(t *rapid.T) {
	r := model.Request{Kind: draw(t, "kind", model.Balance, model.Balance, model.Balance, model.Echo, model.Logon), STAN: s.nextSTAN()}
	r.Merchant, r.Terminal = s.terminal(t)
	r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	s.put(t, r)
}

// original draws a transaction, the youngest that fits first; -1 if there is none.
func (s *machine) original(t *rapid.T, fits func(*model.Transaction) bool) int {
	var some []int
	whatever := one(t, 8, "any original")
	for i := len(s.m.Transactions) - 1; i >= 0; i-- {
		if tr := &s.m.Transactions[i]; whatever || fits(tr) {
			some = append(some, i)
		}
	}
	if len(some) == 0 {
		return -1
	}
	return rapid.SampledFrom(some).Draw(t, "original")
}

// referTo fills in where the original was, and how it is named.
func (s *machine) referTo(t *rapid.T, r *model.Request, id int) {
	if id < 0 {
		r.Merchant, r.Terminal = s.terminal(t)
		r.Original = draw(t, "reference",
			model.Reference{By: model.ByRRN, Transaction: -1}, model.Reference{}, model.Reference{By: model.BySTAN, STAN: 999_999},
			model.Reference{By: model.ByInvoice, Invoice: "999999"})
		return
	}
	o := &s.m.Transactions[id]
	r.Merchant, r.Terminal = o.Merchant, o.Terminal
	if one(t, 6, "elsewhere") {
		r.Merchant, r.Terminal = s.terminal(t)
	}
	switch draw(t, "by", model.ByRRN, model.ByRRN, model.BySTAN, model.ByInvoice) {
	case model.BySTAN:
		r.Original = model.Reference{By: model.BySTAN, STAN: o.STAN, Batch: draw(t, "batch", 0, o.Batch, 1)}
	case model.ByInvoice:
		if o.Invoice != "" {
			r.Original = model.Reference{By: model.ByInvoice, Invoice: o.Invoice}
			break
		}
		fallthrough
	default:
		r.Original = model.Reference{By: model.ByRRN, Transaction: id}
	}
	if one(t, 4, "with card") {
		r.Card = o.Card
		if one(t, 3, "another card") {
			r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
		}
	}
}

func (s *machine) complete(t *rapid.T) {
	r := model.Request{Kind: model.Completion, STAN: s.nextSTAN(), Card: model.NoCard, HasAmount: true}
	id := s.original(t, func(o *model.Transaction) bool { return o.Hold.State == model.HoldOpen })
	if id < 0 && !one(t, 6, "all the same") {
		r = s.purchase(t, r.STAN)
		r.Kind, r.CashbackMinor = model.Authorization, 0
		s.put(t, r)
		return
	}
	s.referTo(t, &r, id)
	r.AmountMinor = 1_000
	if id >= 0 {
		hold := s.m.Transactions[id].Hold.AmountMinor
		r.AmountMinor = draw(t, "amount", hold, hold/2, hold*115/100, hold*115/100+1, 0)
	}
	if one(t, 4, "with invoice") {
		r.Invoice = draw(t, "invoice", "000001", "000002")
	}
	s.nameBatch(t, &r)
	s.put(t, r)
}

func (s *machine) cancel(t *rapid.T) {
	id := s.cancellable(t)
	if id < 0 && !one(t, 6, "all the same") {
		s.buy(t)
		return
	}
	s.put(t, s.cancellation(t, id))
}

func (s *machine) cancellable(t *rapid.T) int {
	return s.original(t, func(o *model.Transaction) bool { return o.CapturedMinor > 0 || o.Hold.State == model.HoldOpen })
}

func (s *machine) cancellation(t *rapid.T, id int) model.Request {
	r := model.Request{Kind: draw(t, "kind", model.Cancel, model.Void, model.Refund), STAN: s.nextSTAN(), Card: model.NoCard}
	if id >= 0 && one(t, 2, "as it should be") {
		r.Merchant, r.Terminal = s.m.Transactions[id].Merchant, s.m.Transactions[id].Terminal
		r.Original = model.Reference{By: model.ByRRN, Transaction: id}
		return r
	}
	s.referTo(t, &r, id)
	if id >= 0 {
		o := &s.m.Transactions[id]
		left := o.CapturedMinor - o.RefundedMinor - o.ReviewedMinor
		if o.Kind == model.Authorization {
			left = o.Hold.AmountMinor
		}
		r.AmountMinor = draw[int64](t, "amount", -1, -1, left, left/2, left/3+1, left+1, o.AmountMinor, 500, 501, 0)
		r.HasAmount = r.AmountMinor >= 0
		r.AmountMinor = max(r.AmountMinor, 0)
	}
	if one(t, 15, "another currency") {
		r.Currency = 978
	}
	s.nameBatch(t, &r)
	return r
}

// refundNothing refunds without an original.
func (s *machine) refundNothing(t *rapid.T) {
	r := model.Request{
		Kind: draw(t, "kind", model.Refund, model.Refund, model.Cancel, model.Void), STAN: s.nextSTAN(),
		AmountMinor: draw[int64](t, "amount", 1_000, 500, 1_001, 0), HasAmount: true,
	}
	r.Merchant, r.Terminal = s.terminal(t)
	r.Card = draw(t, "card", 0, 1, 2, 3, model.StrangeCard, model.ForeignCard, model.MistypedCard, model.NoCard)
	if one(t, 6, "another currency") {
		r.Currency = 978
	}
	s.put(t, r)
}

func (s *machine) reverse(t *rapid.T) {
	id := s.original(t, func(o *model.Transaction) bool { return o.State == model.StateApproved && o.Kind != model.Reversal })
	if id < 0 {
		s.reverseEarly(t)
		return
	}
	s.put(t, s.reversal(t, id))
}

func (s *machine) reversal(t *rapid.T, id int) model.Request {
	o := &s.m.Transactions[id]
	r := model.Request{
		Kind: model.Reversal, Merchant: o.Merchant, Terminal: o.Terminal, STAN: o.STAN, Card: model.NoCard,
		AmountMinor: o.Request.AmountMinor, HasAmount: o.Request.HasAmount, ApproveUnknown: draw(t, "approve unknown", true, false),
	}
	if o.State == model.StateApproved && one(t, 10, "wrong amount") {
		r.AmountMinor, r.HasAmount = o.AmountMinor+1, true
	}
	if one(t, 3, "own STAN") {
		r.STAN = s.nextSTAN()
		s.referTo(t, &r, id)
	} else if one(t, 4, "an RRN of its own making") {
		r.Original = model.Reference{By: model.ByRRN, Transaction: draw(t, "RRN", -1, id, 0)}
	}
	if one(t, 15, "another currency") {
		r.Currency = draw(t, "currency", 156, 978)
	}
	s.nameBatch(t, &r)
	if one(t, 4, "partial") {
		r.HasReplacement = true
		r.ReplacementMinor = draw[int64](t, "replacement", o.AmountMinor/2, o.AmountMinor, 0, o.AmountMinor+1, 1)
	}
	return r
}

// reverseEarly reverses what has not come yet.
func (s *machine) reverseEarly(t *rapid.T) {
	late := s.purchase(t, s.nextSTAN())
	s.promised = append(s.promised, late)
	r := model.Request{
		Kind: model.Reversal, Merchant: late.Merchant, Terminal: late.Terminal, STAN: late.STAN, Card: model.NoCard,
		AmountMinor: late.AmountMinor, HasAmount: true, ApproveUnknown: draw(t, "approve unknown", true, false),
	}
	if one(t, 3, "own STAN") {
		r.STAN = s.nextSTAN()
		r.Original = model.Reference{By: model.BySTAN, STAN: late.STAN, Batch: draw(t, "batch", 1, 0)}
	}
	s.put(t, r)
}

func (s *machine) lateOriginal(t *rapid.T) {
	if len(s.promised) == 0 {
		s.reverseEarly(t)
		return
	}
	s.put(t, rapid.SampledFrom(s.promised).Draw(t, "late"))
}

func (s *machine) repeat(t *rapid.T) { s.ask(t, s.host(t), s.again(t)) }

func (s *machine) changeRepeat(t *rapid.T) {
	r := s.again(t)
	change := draw(t, "change", "amount", "kind", "card", "invoice", "reference")
	own := r.Kind == model.Sale || r.Kind == model.Authorization || r.Kind == model.Advice || r.Kind == model.Completion
	if !own && change != "reference" {
		change = "amount" // of others the kind may be of another class, and an invoice is their original's
	}
	switch change {
	case "amount":
		r.AmountMinor, r.HasAmount = r.AmountMinor+1, true
	case "kind":
		r.Kind = draw(t, "kind", model.Sale, model.Advice, model.Cancel)
	case "card":
		r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	case "invoice":
		r.Invoice = "000003"
	case "reference":
		r.Original = model.Reference{By: model.ByRRN, Transaction: -1}
	}
	s.put(t, r)
}
