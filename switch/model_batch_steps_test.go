package switching_test

import (
	"context"
	"errors"

	"pgregory.net/rapid"

	"meridian/switch"
	"meridian/switch/model"
)

// Steps of the property test about batches.

// settle states a terminal's totals, or ends its upload.
func (s *machine) settle(t *rapid.T) { s.put(t, s.settlement(t)) }

func (s *machine) settlement(t *rapid.T) model.Request {
	r := model.Request{Kind: draw(t, "kind", model.Settlement, model.Settlement, model.Trailer), STAN: s.nextSTAN(), Card: model.NoCard}
	r.Merchant, r.Terminal = s.terminal(t)
	at := &s.m.Terminals[r.Terminal]
	totals := s.m.Totals(r.Terminal)
	switch draw(t, "batch", "unsaid", "current", "current", "ended", "none") {
	case "current":
		r.Batch = at.Batch.Number
	case "ended":
		if len(at.Ended) > 0 {
			b := rapid.SampledFrom(at.Ended).Draw(t, "ended")
			r.Batch, totals = b.Number, b.Totals
			if one(t, 3, "as before") {
				r.Stated = b.Stated
			}
		}
	case "none":
		r.Batch = 4_321
	}
	if r.Kind == model.Settlement && !r.Stated.Given || one(t, 2, "with totals") {
		r.Stated = s.state(t, totals)
	}
	return r
}

// state tells totals in one of the ways that terminals have, right or wrong.
func (s *machine) state(t *rapid.T, totals model.Totals) model.Stated {
	stated := model.Stated{
		Given: true, Form: draw(t, "form", model.NetForm, model.SplitForm),
		SaleCount: totals.SaleCount - totals.VoidCount, SaleMinor: totals.SaleMinor - totals.VoidMinor,
	}
	if stated.Form == model.SplitForm {
		stated.RefundCount, stated.RefundMinor = totals.RefundCount, totals.RefundMinor
		if draw(t, "voids", "off the sales", "among the refunds") == "among the refunds" {
			stated.SaleCount, stated.SaleMinor = totals.SaleCount, totals.SaleMinor
			stated.RefundCount, stated.RefundMinor = totals.RefundCount+totals.VoidCount, totals.RefundMinor+totals.VoidMinor
		}
	}
	switch draw(t, "mistake", "none", "none", "count", "amount", "refunds") {
	case "count":
		stated.SaleCount++
	case "amount":
		stated.SaleMinor += 100
	case "refunds":
		stated.RefundCount++
	}
	// No terminal can state less than nothing, which voids of an earlier batch's
	// sales may come to.
	stated.SaleCount, stated.SaleMinor = max(stated.SaleCount, 0), max(stated.SaleMinor, 0)
	return stated
}

// show uploads a transaction, rightly or wrongly, in whatever batch it is.
func (s *machine) show(t *rapid.T) {
	id := s.original(t, func(o *model.Transaction) bool {
		b := s.m.Terminals[o.Terminal].Batch
		return o.Asked != model.Upload && (o.Batch == b.Number || o.Batch == b.Previous)
	})
	if id < 0 {
		s.showNothing(t)
		return
	}
	r := s.shown(id)
	switch draw(t, "shown", "as it is", "amount", "card", "kind", "RRN", "no amount", "elsewhere", "in an old batch") {
	case "amount":
		r.AmountMinor++
	case "card":
		r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	case "kind":
		r.Shown.Kind = draw(t, "kind", model.Sale, model.Refund, model.Void, model.Authorization)
	case "RRN":
		r.Shown.HasRRN, r.Shown.Transaction = true, draw(t, "RRN", -1, id, 0)
	case "no amount":
		r.HasAmount, r.AmountMinor = false, 0
	case "elsewhere":
		r.Merchant, r.Terminal = s.terminal(t)
	}
	s.put(t, r)
}

// shown is the upload of a transaction as the host has it.
func (s *machine) shown(id int) model.Request {
	o := &s.m.Transactions[id]
	r := model.Request{
		Kind: model.Upload, Merchant: o.Merchant, Terminal: o.Terminal, STAN: s.nextSTAN(), Card: model.NoCard,
		Original: model.Reference{By: model.BySTAN, STAN: o.STAN}, AmountMinor: o.AmountMinor, HasAmount: true,
	}
	if o.CapturedMinor > 0 {
		r.AmountMinor = o.CapturedMinor
	}
	return r
}

func (s *machine) showNothing(t *rapid.T) {
	r := model.Request{
		Kind: model.Upload, STAN: s.nextSTAN(), Card: model.NoCard, Original: model.Reference{By: model.BySTAN, STAN: 999_999}, AmountMinor: 1_000, HasAmount: true,
	}
	r.Merchant, r.Terminal = s.terminal(t)
	s.put(t, r)
}

// showAll uploads what a terminal has in its batch, save some, and may end it.
func (s *machine) showAll(t *rapid.T) {
	merchant, terminal := s.terminal(t)
	if one(t, 2, "where it is wanted") {
		for i := range s.m.Terminals {
			if s.m.Terminals[i].Batch.State == model.BatchUploading {
				merchant, terminal = s.m.Terminals[i].Merchant, i
			}
		}
	}
	for id := range len(s.m.Transactions) {
		o := &s.m.Transactions[id]
		counted := o.Kind == model.Void || o.Kind == model.Refund || o.CapturedMinor > 0
		if o.Terminal != terminal || o.Batch != s.m.Terminals[terminal].Batch.Number || !counted || one(t, 4, "forgotten") {
			continue
		}
		s.put(t, s.shown(id))
	}
	if one(t, 4, "not yet ended") {
		return
	}
	r := model.Request{Kind: model.Trailer, Merchant: merchant, Terminal: terminal, STAN: s.nextSTAN(), Card: model.NoCard}
	if one(t, 2, "with totals") {
		r.Stated = s.state(t, s.m.Totals(terminal))
	}
	s.put(t, r)
}

// closeBatch is a person's.
func (s *machine) closeBatch(t *rapid.T) {
	_, terminal := s.terminal(t)
	next := draw(t, "next", 0, 0, 7, 999_999)
	open := s.m.Terminals[terminal].Batch.Number
	begun := s.m.Terminals[terminal].Batch.Begun
	closed, err := switching.CloseBatch(context.Background(), s.hosts[s.host(t)].pool, s.m.Now, switching.BatchClosing{
		TID: twinTID(terminal), Who: "ann", Why: "a test", Next: int32(next),
	})
	done := s.m.CloseByHand(terminal, next)
	switch {
	case !begun:
		if done || !errors.Is(err, switching.ErrNoBatch) {
			t.Fatalf("closing no batch of terminal %d: %v", terminal, err)
		}
	case !done:
		if !errors.Is(err, switching.ErrBatchNumberUsed) {
			t.Fatalf("closing terminal %d's batch and opening %d again: %v", terminal, next, err)
		}
	default:
		s.must(err)
		if int(closed) != open {
			t.Fatalf("closed batch %d of terminal %d, want %d", closed, terminal, open)
		}
	}
	t.Logf("batch of terminal %d closed by hand: %t", terminal, done)
}

// closeBatches is the job's.
func (s *machine) closeBatches(t *rapid.T) {
	s.m.CloseDueBatches()
	s.must(s.hosts[s.host(t)].sw.CloseDueBatches(context.Background()))
	t.Logf("batches of dates that are over are closed")
}
