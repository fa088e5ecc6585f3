package model

// Review is how far a refund's review has come.
type Review string

// The states of reviews; the empty one is none.
const (
	ReviewOpen    Review = "open"
	ReviewGranted Review = "approved"
	ReviewRefused Review = "rejected"
)

// review leaves a refund to a person. Nothing is posted, and what it would pay
// back is kept of its original until then.
func (w *World) review(r Request, original int, rule int, minor int64) Answer {
	t := Transaction{
		Kind: Refund, State: StateUnderReview, Reason: UnderReview, Rule: rule, Card: r.Card, Original: original,
		Date: w.today(r.Merchant), AmountMinor: minor, Currency: w.currency(r), Review: ReviewOpen,
	}
	if original >= 0 {
		o := &w.Transactions[original]
		o.ReviewedMinor += minor
		o.RefundCount++ // as row 24 counts what is pending, so does row 25
		t.Card, t.Currency = o.Card, o.Currency
	}
	return w.Transactions[w.take(r, t)].Answer
}

// DecideReview is a person's word on a refund under review; false if there is
// nothing to be decided. An approved one is posted today. The terminal's repeat
// is answered with what was decided.
func (w *World) DecideReview(id int, approve bool) bool {
	t := &w.Transactions[id]
	if t.Review != ReviewOpen {
		return false
	}
	// Not in the documents: the answer to a rejected one has the date of the
	// rejection, too.
	t.Posted, t.HasPosted = w.today(t.Merchant), true
	t.Review, t.State, t.Reason = ReviewRefused, StateDeclined, ReviewRejected
	if t.Original >= 0 {
		w.Transactions[t.Original].ReviewedMinor -= t.AmountMinor
		w.Transactions[t.Original].RefundCount--
	}
	if approve {
		t.Review, t.State, t.Reason = ReviewGranted, StateApproved, Approved
		w.payBack(t.Posted, t)
	}
	t.Answer.Reason, t.Answer.HasAuthCode = t.Reason, approve
	t.Answer.Date = t.Posted
	return true
}
