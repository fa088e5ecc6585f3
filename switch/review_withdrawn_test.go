package switching_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
	"meridian/switch/model"
)

// A terminal that reverses a refund has given it up: nobody is asked about it any
// more, and what it had reserved of its original is free for the next try.
func TestReversalOfARefundUnderReview(t *testing.T) {
	k := newTalk(t)
	k.m.Merchants[0].Policy.ReviewThresholdMinor = 0
	k.publish()
	sale := k.says(model.Approved, model.Sale, 1_000, byCard(0))
	k.later(24 * time.Hour)
	first := k.says(model.UnderReview, model.Refund, 600, about(sale))
	k.says(model.Approved, model.Reversal, 0, k.undoing(first))
	again := k.says(model.UnderReview, model.Refund, 600, about(sale))
	k.decides(again, true)
}

// The refund may be in the same unit of work as its reversal.
func TestRefundAndItsReversalInOneUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.policy("review_threshold_minor = 0")
	refund := w.request(switching.KindRefund, 60_00, of(sale))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00)) // its batch is there
	held := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	first, second, third := make(chan switching.Response, 1), make(chan switching.Response, 1), make(chan switching.Response, 1)
	w.sw.Submit(w.request(switching.KindSale, 1_00), func(r switching.Response) { first <- r })
	w.waiting(1, func() bool { return false })
	w.sw.Submit(refund, func(r switching.Response) { second <- r })
	w.sw.Submit(w.request(switching.KindReversal, 60_00, stan(refund.STAN)), func(r switching.Response) { third <- r })
	w.must(held.Rollback(t.Context()))
	<-first
	if got := <-second; got.Reason != switching.UnderReview {
		t.Errorf("refund answered %s", got.Reason)
	}
	if got := <-third; got.Reason != switching.Approved {
		t.Errorf("reversal answered %s", got.Reason)
	}
	w.verify()
	w.do(switching.ReviewRejected, copyOf(refund))
	w.do(switching.UnderReview, w.request(switching.KindRefund, 100_00, of(sale)))
}

// A refund whose terminal was told of a failure, and which waits for a review
// all the same, would be paid back a second time beside the one that its clerk
// asks for next.
func TestRefundUnderReviewInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.policy("review_threshold_minor = 0")
	host := w.shaky()
	refund := w.request(switching.KindRefund, 40_00, of(sale))
	host.lose(refund)
	w.back(host)
	w.verify()
	open, err := switching.Reviews(t.Context(), w.pool, false)
	w.must(err)
	if len(open) != 0 {
		t.Errorf("somebody is asked about a refund whose terminal was told of a failure: %+v", open[0])
	}
	w.wantRepeats(switching.SystemMalfunction, refund, host)
	w.do(switching.UnderReview, w.request(switching.KindRefund, 100_00, of(sale)))
}

// A person decides while the terminal reverses: who has the refund's row first,
// and the money is back where it was either way.
func TestReversalAgainstADecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.policy("review_threshold_minor = 0")
	for i := range 6 {
		refund := w.request(switching.KindRefund, 30_00, of(sale))
		waits := w.do(switching.UnderReview, refund)
		decided := make(chan error, 1)
		go func() {
			decided <- switching.DecideReview(t.Context(), w.pool, w.clock.Now(),
				switching.ReviewDecision{RRN: waits.RRN, Approve: i%2 == 0, Who: "ann", Why: "as agreed"})
		}()
		if got := w.ask(w.request(switching.KindReversal, 30_00, stan(refund.STAN))); got.Reason != switching.Approved {
			t.Errorf("reversal answered %s", got.Reason)
		}
		if err := <-decided; err != nil && !errors.Is(err, switching.ErrNoReview) {
			t.Errorf("decision: %v", err)
		}
		w.verify()
		w.wantAvailable(100_00)
	}
}

// What others do to the card meanwhile is waited for, and no person has to decide again.
func TestDecisionBesideTheCardsUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.policy("review_threshold_minor = 0")
	waits := w.do(switching.UnderReview, w.request(switching.KindRefund, 30_00, of(sale)))
	c, err := pgx.Connect(t.Context(), w.url) // as patient as Postgres
	w.must(err)
	t.Cleanup(func() { w.must(c.Close(context.Background())) })
	other := w.hold(`UPDATE card_accounts SET pin_failures = 2 WHERE card_id = 1`)
	decided := make(chan error, 1)
	go func() {
		decided <- switching.DecideReview(t.Context(), c, w.clock.Now(), switching.ReviewDecision{RRN: waits.RRN, Approve: true, Who: "ann", Why: "as agreed"})
	}()
	w.waiting(1, func() bool { return len(decided) > 0 })
	w.must(other.Commit(t.Context()))
	w.must(<-decided)
	w.verify()
	w.wantAvailable(70_00)
}
