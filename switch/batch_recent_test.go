package switching_test

import (
	"testing"
	"time"

	"meridian/switch"
)

// Nothing proves who ends a batch: however many have ended since, what a terminal
// repeats is found, and what it is given once it is given once.
func TestRepeatsBehindManyBatches(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"empty ones": func(w *world) {
			w.do(switching.Approved, w.settlement(0, nil, trailer))
		},
		"one with a sale": func(w *world) {
			w.do(switching.Approved, w.request(switching.KindSale, 1))
			w.do(switching.Approved, w.settlement(0, nil, trailer))
		},
		"one with what moved nothing": func(w *world) {
			w.do(switching.InvalidCard, w.request(switching.KindSale, 1, withCard(77)))
			w.do(switching.Approved, w.settlement(0, nil, trailer))
		},
		"of a version that kept no more than the one before": func(w *world) {
			w.do(switching.Approved, w.request(switching.KindSale, 1))
			w.do(switching.Approved, w.settlement(0, nil, trailer))
			w.sql(`UPDATE batches SET filled_no = NULL`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			missing, shown, reversed, late := w.request(switching.KindSale, 10_00), w.request(switching.KindSale, 20_00),
				w.request(switching.KindSale, 30_00), w.request(switching.KindSale, 40_00)
			first, second := w.do(switching.Approved, missing), w.do(switching.Approved, shown)
			w.do(switching.Approved, reversed)
			w.do(switching.Approved, w.request(switching.KindReversal, 40_00, stan(late.STAN)))
			w.do(switching.Approved, w.upload(shown))
			w.do(switching.Approved, w.settlement(0, nil, trailer)) // by whom, nobody knows
			w.must(w.close(till, 0))
			for range 4 {
				end(w)
				w.clock.advance(time.Minute)
			}
			w.wantTransfers(0, func() {
				w.sameAnswer(first, w.do(switching.Approved, copyOf(missing)))
				w.sameAnswer(second, w.do(switching.Approved, copyOf(shown, func(r *switching.Request) { r.Repeat = true })))
			})
			w.wantTransfers(1, func() { w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(reversed.STAN))) })
			w.wantTransfers(0, func() { w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(reversed.STAN))) })
			w.do(switching.Approved, w.upload(missing))
			if differing := w.current().Differing; len(differing) != 0 {
				t.Errorf("shown again, it differs: %+v", differing)
			}
			w.verify()
		})
	}
}

// The bytes of voids and refunds are good for ever under keys that stay, and pay once.
func TestPaidBackOnce(t *testing.T) {
	w := newWorld(t)
	s := w.patient()
	sold, kept := w.do(switching.Approved, w.request(switching.KindSale, 100_00)), w.do(switching.Approved, w.request(switching.KindSale, 60_00))
	undone := w.do(switching.Approved, w.request(switching.KindSale, 70_00))
	// Above whatever a host that serves the terminal presumes it to have used.
	later := int32(800_000)
	above := func(r *switching.Request) { later++; r.STAN = later }
	// The sale stands again after its void was reversed, and is to stand.
	void := w.request(switching.KindVoid, 70_00, of(undone), above)
	voided := w.do(switching.Approved, void)
	w.do(switching.Approved, w.request(switching.KindReversal, 70_00, of(voided)))
	again := func(host *switching.Switch, list ...*switching.Request) {
		t.Helper()
		for _, r := range list {
			got, err := askOf(t.Context(), host, copyOf(r))
			w.must(err)
			if got.Reason != switching.PaidBefore {
				t.Errorf("the same %s again: %s", r.Kind, got.Reason)
			}
		}
	}
	w.do(switching.Approved, w.upload(void))
	w.do(switching.Approved, w.settlement(0, nil, trailer))
	w.wantTransfers(0, func() { again(w.sw, void) })
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	list := []*switching.Request{
		void, w.request(switching.KindRefund, 25_00, of(sold), above), w.request(switching.KindCancel, 10_00, of(sold), above),
		w.request(switching.KindVoid, 20_00, of(kept), above),
	}
	var answers []switching.Response
	for _, r := range list[1:] {
		got := w.do(switching.Approved, r)
		if answers = append(answers, got); got.Became != switching.KindRefund {
			t.Fatalf("%s became %s", r.Kind, got.Became)
		}
	}
	for _, wait := range []time.Duration{time.Second, time.Minute, time.Hour, 30 * 24 * time.Hour} {
		// Shown, so that its terminal has had the answer, and ended: by whom, nobody knows.
		for _, r := range list {
			w.do(switching.Approved, w.upload(r, func(r *switching.Request) { r.UploadedKind = 0 }))
		}
		w.do(switching.Approved, w.settlement(0, nil, trailer))
		w.do(switching.Approved, w.settlement(0, nil, trailer))
		w.clock.advance(wait)
		w.must(w.sw.CatchUp(t.Context()))
		w.wantTransfers(0, func() { again(w.sw, list...) })
		if wait > 15*time.Minute {
			s.knows() // and so does not ask whether its requests are new
			w.wantTransfers(0, func() { again(s.sw, list...) })
		}
		// What says that it is a repeat is one.
		for i, r := range list[1:] {
			w.sameAnswer(answers[i], w.do(switching.Approved, copyOf(r, func(r *switching.Request) { r.Repeat = true })))
		}
	}
	// Under another STAN, or of another amount, it is another refund.
	w.do(switching.Approved, copyOf(list[1], above))
	w.do(switching.Approved, copyOf(list[1], func(r *switching.Request) { r.AmountMinor = 24_00 }))
	w.verify()
}

// What was given back once is told to have been, and its marked repeat is answered from the
// record, also where there is nothing left to give back: by a host that presumes it to be new, too.
func TestPaidBackOnceOfNothingLeft(t *testing.T) {
	w := newWorld(t)
	s := w.patient()
	undone, settled := w.do(switching.Approved, w.request(switching.KindSale, 70_00)), w.do(switching.Approved, w.request(switching.KindSale, 30_00))
	void := w.request(switching.KindVoid, 70_00, of(undone), stan(800_001))
	w.do(switching.Approved, void)
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	refund := w.request(switching.KindRefund, 30_00, of(settled), stan(800_002))
	w.do(switching.Approved, refund)
	w.do(switching.Approved, w.settlement(0, nil, trailer))
	w.clock.advance(time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	for _, host := range []*switching.Switch{w.sw, s.sw} {
		s.knows()
		for _, r := range []*switching.Request{void, refund} {
			got, err := askOf(t.Context(), host, copyOf(r))
			w.must(err)
			if got.Reason != switching.PaidBefore {
				t.Errorf("the same %s again: %s", r.Kind, got.Reason)
			}
		}
	}
	// Of what was given back under another STAN they are told what they always were.
	s.knows()
	s.want(switching.InvalidTransaction, copyOf(void, stan(800_003)))
	s.want(switching.ExceedsAmountLimit, copyOf(refund, stan(800_004)))
}

// An invoice number, and a STAN, come again with another sale: so may their refund.
func TestRefundOfWhatCameAgain(t *testing.T) {
	w := newWorld(t)
	refund := func() *switching.Request { return w.request(switching.KindVoid, 10_00, ofInvoice("000001"), stan(900)) }
	for range 2 {
		w.do(switching.Approved, w.request(switching.KindSale, 10_00, invoice("000001")))
		w.do(switching.Approved, refund())
		w.do(switching.Approved, w.settlement(0, nil, trailer))
		w.clock.advance(time.Hour)
	}
	w.verify()
}

// A refund that was declined may be asked for again, and so may one under a STAN that
// a sale had.
func TestRefundThatWasNotPaid(t *testing.T) {
	w := newWorld(t)
	sold := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.sql(`UPDATE merchants SET allow_refund = false`)
	w.policy("allow_refund = false")
	refund := w.request(switching.KindRefund, 25_00, of(sold))
	w.do(switching.NotPermittedToTerminal, refund)
	w.sql(`UPDATE merchants SET allow_refund = true`)
	w.policy("allow_refund = true")
	w.do(switching.Approved, w.settlement(0, nil, trailer))
	w.do(switching.Approved, copyOf(refund))
	w.verify()
}

// Batches without transactions are stepped over, so that no number of them pushes one with
// transactions out of sight: an echo, a logon or an upload puts none into its batch.
func TestBatchesWithoutTransactions(t *testing.T) {
	w := newWorld(t)
	want := func(filled int32) {
		t.Helper()
		for range 2 {
			w.do(switching.Approved, w.settlement(0, nil, trailer))
			var before int32
			w.must(w.pool.QueryRow(t.Context(), `SELECT coalesce(filled_no, 0) FROM batches WHERE state < 5`).Scan(&before))
			if before != filled {
				t.Fatalf("the last batch with transactions is %d, want %d", before, filled)
			}
		}
	}
	want(0)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	want(3)
	w.do(switching.Approved, w.upload(sale))
	want(3)
	w.do(switching.InvalidCard, w.request(switching.KindSale, 1, withCard(77)))
	want(7)
	w.do(switching.Approved, w.request(switching.KindReversal, 40_00, stan(900))) // of what has not come
	want(9)
}

// A reversal overtakes its sale, and its terminal settles with totals that agree. What then comes late says
// that it is a repeat: it is one of the sale that was reversed, and is not posted.
func TestMarkedRepeatOfWhatWasReversedAndSettled(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	late := w.request(switching.KindSale, 10_00, stan(500))
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(500)))
	w.do(switching.Approved, w.settlement(0, net(1, 1_00)))
	w.clock.advance(10 * time.Second)
	got := w.ask(copyOf(late, func(r *switching.Request) { r.Repeat = true }))
	if got.Approved() || w.available(0) != opened-1_00 {
		t.Errorf("the late repeat of a sale whose reversal was answered 00 was answered %s, and the card spent %d", got.Reason, opened-w.available(0))
	}
}
