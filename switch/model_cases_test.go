package switching_test

import (
	"testing"
	"time"

	"meridian/switch"
	"meridian/switch/model"
)

// What TestModel and TestModelRaces found, shrunk. Each asks both and compares
// everything after every question.

// talk is a merchant's terminal in such a story.
type talk struct {
	*twins

	t *testing.T
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	tw := newTwins(t)
	tw.reset(time.Date(2028, 1, 19, 9, 0, 0, 0, time.UTC))
	tw.publish()
	return &talk{tw, t}
}

// says asks as terminal 0 with the next STAN and without a card, and compares.
func (k *talk) says(want model.Reason, kind model.Kind, amountMinor int64, change ...func(*model.Request)) model.Answer {
	k.t.Helper()
	r := model.Request{Kind: kind, STAN: k.nextSTAN(), AmountMinor: amountMinor, HasAmount: amountMinor != 0, Card: model.NoCard}
	for _, c := range change {
		c(&r)
	}
	a := k.ask(k.t, 0, r)
	if a.Reason != want {
		k.t.Fatalf("%s: %s, want %s", describe(r), a.Reason, want)
	}
	k.check(k.t)
	k.verify(k.t)
	return a
}

// decides is a person's word on a refund under review.
func (k *talk) decides(a model.Answer, approve bool) {
	k.t.Helper()
	k.must(switching.DecideReview(k.t.Context(), k.hosts[0].pool, k.m.Now, switching.ReviewDecision{
		RRN: k.rrn(a.Transaction), Approve: approve, Who: "ann", Why: "a test",
	}))
	if !k.m.DecideReview(a.Transaction, approve) {
		k.t.Fatalf("#%d is not under review", a.Transaction)
	}
	k.check(k.t)
	k.verify(k.t)
}

func (k *talk) later(d time.Duration) { k.setClock(k.m.Now.Add(d)) }

func byCard(i int) func(*model.Request) { return func(r *model.Request) { r.Card = i } }

// about refers to an earlier answer by its RRN.
func about(a model.Answer) func(*model.Request) {
	return func(r *model.Request) { r.Original = model.Reference{By: model.ByRRN, Transaction: a.Transaction} }
}

// undoing carries the STAN of the request that is reversed.
func (k *talk) undoing(a model.Answer) func(*model.Request) {
	return func(r *model.Request) { r.STAN = k.m.Transactions[a.Transaction].STAN }
}

// The answer to a void of a hold of days ago is lost, and the terminal reverses
// it at once: the window of the void is open, that of the hold long closed.
func TestReversalOfTheVoidOfAnOldHold(t *testing.T) {
	k := newTalk(t)
	hold := k.says(model.Approved, model.Authorization, 2_000, byCard(2))
	k.later(72 * time.Hour)
	void := k.says(model.Approved, model.Void, 0, about(hold))
	k.says(model.Approved, model.Reversal, 0, k.undoing(void))
	if got := k.m.Transactions[hold.Transaction].Hold.State; got != model.HoldOpen {
		t.Fatalf("the hold is %s", got)
	}
	again := k.says(model.Approved, model.Void, 0, about(hold))
	k.later(24 * time.Hour)
	k.says(model.NoAction, model.Reversal, 0, k.undoing(again))
}

// A hold of yesterday is as little another terminal's to void as one of today.
func TestVoidOfAnOldHoldAtAnotherTerminal(t *testing.T) {
	k := newTalk(t)
	hold := k.says(model.Approved, model.Authorization, 2_000, byCard(0))
	elsewhere := func(r *model.Request) { r.Terminal = 1 }
	k.says(model.WrongTerminal, model.Void, 0, about(hold), elsewhere)
	k.later(24 * time.Hour)
	k.says(model.WrongTerminal, model.Void, 0, about(hold), elsewhere)
	k.says(model.WrongTerminal, model.Cancel, 0, about(hold), elsewhere)
	k.says(model.Approved, model.Cancel, 0, about(hold))
}

// A hold that ran out after its void stays voided: the reversal of the void is
// declined, and what is declined changes nothing.
func TestReversalOfTheVoidOfAHoldThatRanOut(t *testing.T) {
	k := newTalk(t)
	hold := k.says(model.Approved, model.Authorization, 2_000, byCard(0))
	k.later(7*24*time.Hour - time.Second)
	void := k.says(model.Approved, model.Void, 0, about(hold))
	k.later(time.Second)
	k.says(model.NoAction, model.Reversal, 0, k.undoing(void))
	if got := k.m.Transactions[hold.Transaction].State; got != model.StateVoided {
		t.Fatalf("the authorization is %s", got)
	}
}

// A completion is voided after its hold's time is over: there is no hold to go
// back to, and a reversal of that void has none to take.
func TestVoidOfACompletionWhoseHoldRanOut(t *testing.T) {
	k := newTalk(t)
	hold := k.says(model.Approved, model.Authorization, 2_000, byCard(0))
	k.later(7*24*time.Hour - time.Second)
	done := k.says(model.Approved, model.Completion, 2_000, about(hold))
	k.later(time.Second)
	void := k.says(model.Approved, model.Void, 0, about(done))
	if got := k.m.Transactions[hold.Transaction].State; got != model.StateExpired {
		t.Fatalf("the authorization is %s", got)
	}
	k.says(model.NoAction, model.Reversal, 0, k.undoing(void))
}

// Rows are read from top to bottom: without a supervisor it is row 4 that
// declines, whether or not row 5 would as well.
func TestNoSupervisorComesBeforeNoPermission(t *testing.T) {
	k := newTalk(t)
	sale := k.says(model.Approved, model.Sale, 1_000, byCard(0))
	p := &k.m.Merchants[0].Policy
	p.AllowVoid, p.SupervisorForVoid, p.SupervisorForRefund = false, true, true
	k.publish()
	k.says(model.OperatorNotAllowed, model.Cancel, 0, about(sale))
	p.AllowVoid, p.AllowRefund = true, false
	k.publish()
	k.later(24 * time.Hour)
	k.says(model.OperatorNotAllowed, model.Cancel, 0, about(sale))
}

// A declined transaction that a terminal uploads with another card: the host has
// nothing that stands, in each of its differences.
func TestUploadOfADeclinedTransactionWithAnotherCard(t *testing.T) {
	k := newTalk(t)
	sale := k.says(model.Approved, model.Sale, 1_000, byCard(0))
	declined := k.says(model.NotAllowedNow, model.Refund, 500, about(sale))
	k.says(model.Approved, model.Upload, 0, byCard(1), func(r *model.Request) {
		r.Original = model.Reference{By: model.BySTAN, STAN: k.m.Transactions[declined.Transaction].STAN}
	})
}

// A reversal names the batch that its terminal comes to next, and what it
// reverses is the first request of that batch, which the host opens for it.
func TestReversalOfTheFirstRequestOfABatchToCome(t *testing.T) {
	k := newTalk(t)
	k.m.Merchants[0].Policy.AutoCloseBatch = true
	k.publish()
	k.says(model.Approved, model.Sale, 1_000, byCard(0))
	next := func(r *model.Request) { r.STAN, r.Batch = 99, 2 }
	k.says(model.OriginalNotFound, model.Reversal, 1_000, next)
	k.later(24 * time.Hour)
	k.says(model.ReversedBefore, model.Sale, 1_000, byCard(0), func(r *model.Request) { r.STAN = 99 })
}

// Cash handed out with what was approved offline is a leg of its own, as it is
// with a sale.
func TestAdviceWithCashback(t *testing.T) {
	k := newTalk(t)
	k.says(model.Approved, model.Advice, 1_000, byCard(0), func(r *model.Request) { r.CashbackMinor = 300 })
}

// What waits for a review is one of the refunds that an original may have.
func TestRefundsUnderReviewAreCounted(t *testing.T) {
	k := newTalk(t)
	p := &k.m.Merchants[0].Policy
	p.ReviewThresholdMinor, p.MaxRefunds = 0, 1
	k.publish()
	sale := k.says(model.Approved, model.Sale, 1_000, byCard(0))
	k.later(24 * time.Hour)
	first := k.says(model.UnderReview, model.Refund, 400, about(sale))
	k.says(model.ExceedsCountLimit, model.Refund, 400, about(sale))
	k.decides(first, false)
	second := k.says(model.UnderReview, model.Refund, 400, about(sale))
	k.decides(second, true)
	k.says(model.ExceedsCountLimit, model.Refund, 400, about(sale))
}

// What a reversal leaves in an empty batch that has ended does not make it one with
// transactions: its settlement is not looked for behind another empty one.
func TestTombstoneInABatchThatHasEnded(t *testing.T) {
	k := newTalk(t)
	first := k.says(model.Approved, model.Trailer, 0)
	k.says(model.Approved, model.Trailer, 0)
	k.says(model.Approved, model.Reversal, 20_00, func(r *model.Request) {
		r.ApproveUnknown, r.Original = true, model.Reference{By: model.BySTAN, STAN: 900, Batch: 1}
	})
	if again := k.says(model.Approved, model.Trailer, 0, k.undoing(first)); again.Stored {
		t.Error("the settlement of an empty batch was looked for behind another one")
	}
}
