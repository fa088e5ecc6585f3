package model

// The rules of the void-or-refund table by their rows.
const (
	rAdmission        = 1
	rRepeat           = 2
	rBatch            = 3
	rOperator         = 4
	rNotPermitted     = 5
	rNotFound         = 7
	rAmbiguous        = 8
	rNotTheOriginals  = 9
	rKind             = 10
	rDeclined         = 12
	rUndone           = 13
	rCurrency         = 14
	rZero             = 15
	rVoid             = 16
	rPartialVoid      = 17
	rVoidOfSettled    = 18
	rVoidAfterRefund  = 19
	rVoidLimits       = 20
	rRefundOfOpen     = 21
	rPartialOfOpen    = 22
	rRefundWindow     = 23
	rOverRefund       = 24
	rRefundCount      = 25
	rReview           = 26
	rMinBalance       = 27
	rCardOutOfUse     = 28
	rRefund           = 29
	rCompletion       = 30
	rAuthorization    = 31
	rWithoutReference = 32
)

// ruling is a row of the table that applied: what it says and why.
type ruling struct {
	reason Reason // UnderReview leaves a refund to a person
	rule   int
	// becomes is Void or Refund, unless the reason declines.
	becomes Kind
	minor   int64
}

func no(reason Reason, rule int) *ruling { return &ruling{reason: reason, rule: rule} }

// cancel reads the table from top to bottom. Who was signed on is kept where the
// policy asks for it.
func (w *World) cancel(r Request) Answer {
	answer := w.tryCancel(r)
	if w.policy(r).asksForOperators() {
		w.Transactions[answer.Transaction].Operator = w.Terminals[r.Terminal].Session.Number
	}
	return answer
}

func (w *World) tryCancel(r Request) Answer {
	found := w.find(r)
	id := -1
	if len(found) == 1 {
		id = found[0]
	}
	says := w.beforeOriginal(r)
	switch {
	case says != nil:
	case r.Original.By == ByNothing:
		says = w.withoutReference(r)
	case len(found) == 0:
		says = no(OriginalNotFound, rNotFound)
	case len(found) > 1:
		says = no(OriginalNotFound, rAmbiguous)
	default:
		o := &w.Transactions[id]
		for _, row := range []func(*World, Request, *Transaction) *ruling{
			(*World).originalFits, (*World).amountFits, (*World).ofAuthorization, (*World).beforeCutoff, (*World).afterCutoff,
		} {
			if says = row(w, r, o); says != nil {
				break
			}
		}
	}
	if says.becomes != "" {
		if forbidden := w.forbids(r, id, says); forbidden != nil {
			says = forbidden
		}
	}
	switch {
	case says.becomes == "":
		return w.declineOf(r, id, says.reason, says.rule)
	case says.reason == UnderReview:
		return w.review(r, id, says.rule, says.minor)
	case says.becomes == Void:
		return w.void(r, id, says)
	default:
		return w.refund(r, id, says)
	}
}

func (w *World) policy(r Request) *Policy { return &w.Merchants[r.Merchant].Policy }

// mayVoid and mayRefund: the policy says yes, and nobody has suspended the right
// of the merchant or of the terminal.
func (w *World) mayVoid(r Request) bool {
	return w.policy(r).AllowVoid && w.Merchants[r.Merchant].AllowVoid && w.Terminals[r.Terminal].AllowVoid
}

func (w *World) mayRefund(r Request) bool {
	return w.policy(r).AllowRefund && w.Merchants[r.Merchant].AllowRefund && w.Terminals[r.Terminal].AllowRefund
}

// beforeOriginal are rows 4 and 5 for what is asked for. Who leaves the choice
// to the host needs one of the permissions, and a merchant that must leave it
// may ask for nothing else.
func (w *World) beforeOriginal(r Request) *ruling {
	if w.policy(r).RequireOperator && w.Terminals[r.Terminal].Session.Number == "" {
		return no(OperatorNotSignedOn, rOperator)
	}
	may := w.mayVoid(r) || w.mayRefund(r)
	switch r.Kind {
	case Void:
		may = w.mayVoid(r) && w.policy(r).Mode != CancelOnly
	case Refund:
		may = w.mayRefund(r) && w.policy(r).Mode != CancelOnly
	default:
	}
	if !may {
		return no(NotPermittedToTerminal, rNotPermitted)
	}
	return nil
}

// forbids are rows 4, 5 and 20 for what it comes to: whether a supervisor is
// needed and what is counted depends on that.
func (w *World) forbids(r Request, original int, says *ruling) *ruling {
	p := w.policy(r)
	if says.becomes == Refund {
		switch {
		case p.SupervisorForRefund && !w.Terminals[r.Terminal].Session.Supervisor:
			return no(OperatorNotAllowed, rOperator)
		case !w.mayRefund(r):
			return no(NotPermittedToTerminal, rNotPermitted)
		}
		return nil
	}
	count, minor := w.voidsToday(r)
	switch {
	case p.SupervisorForVoid && !w.Terminals[r.Terminal].Session.Supervisor:
		return no(OperatorNotAllowed, rOperator)
	case !w.mayVoid(r):
		return no(NotPermittedToTerminal, rNotPermitted)
	case p.VoidWindow > 0 && w.Now.Sub(w.Transactions[original].AcceptedAt) > p.VoidWindow:
		return no(NotAllowedNow, rVoidLimits)
	case p.MaxVoidsPerDay != NoLimit && count+1 > p.MaxVoidsPerDay:
		return no(ExceedsCountLimit, rVoidLimits)
	case p.MaxVoidMinorPerDay != NoLimit && minor+says.minor > p.MaxVoidMinorPerDay:
		return no(ExceedsAmountLimit, rVoidLimits)
	}
	return nil
}

// voidsToday are the terminal's of the business date. Not in the documents: the
// release of a hold is one, and a void that was reversed is none.
func (w *World) voidsToday(r Request) (count int, minor int64) {
	for i := range w.Transactions {
		t := &w.Transactions[i]
		if t.Kind == Void && t.State == StateApproved && t.Terminal == r.Terminal && t.Date == w.today(r.Merchant) {
			count++
			minor += t.AmountMinor
		}
	}
	return count, minor
}

// withoutReference is row 32. Not in the documents: a cancel of nothing in
// particular is a refund of it, and a void of it is nothing.
func (w *World) withoutReference(r Request) *ruling {
	p := w.policy(r)
	switch {
	case r.Kind == Void, !p.AllowUnreferencedRefund, r.Card == NoCard:
		return no(NotPermittedToTerminal, rWithoutReference)
	case !r.HasAmount || r.AmountMinor <= 0:
		return no(InvalidAmount, rWithoutReference)
	case p.MaxUnreferencedMinor > 0 && r.AmountMinor > p.MaxUnreferencedMinor:
		return no(ExceedsAmountLimit, rWithoutReference)
	case w.currency(r) != w.Merchants[r.Merchant].Currency:
		return no(CurrencyMismatch, rWithoutReference)
	case r.Card < 0:
		return no(InvalidCard, rWithoutReference)
	}
	return &ruling{UnderReview, rWithoutReference, Refund, r.AmountMinor}
}

// originalFits are rows 9 to 13.
func (w *World) originalFits(r Request, o *Transaction) *ruling {
	switch {
	case o.Merchant != r.Merchant:
		return no(OriginalNotFound, rNotTheOriginals)
	case r.Card != NoCard && r.Card != o.Card:
		return no(CardMismatch, rNotTheOriginals)
	case r.Kind != Refund && o.Terminal != r.Terminal && w.wouldVoid(o):
		return no(WrongTerminal, rNotTheOriginals)
	case !o.Kind.captures() && o.Kind != Authorization:
		return no(InvalidTransaction, rKind)
	case o.State == StateDeclined:
		return no(InvalidTransaction, rDeclined)
	case o.State == StateReversed || o.State == StateVoided:
		return no(InvalidTransaction, rUndone)
	}
	return nil
}

// wouldVoid tells whether a cancel of the transaction can come to nothing but a
// void.
func (w *World) wouldVoid(o *Transaction) bool { return !w.settled(o) || w.usable(o) }

// usable tells whether the hold is still there to be used or given back.
func (w *World) usable(o *Transaction) bool {
	return o.Hold.State == HoldOpen && w.Now.Before(o.Hold.ExpiresAt)
}

// amountFits are rows 14 and 15.
func (w *World) amountFits(r Request, o *Transaction) *ruling {
	switch {
	case w.currency(r) != o.Currency:
		return no(CurrencyMismatch, rCurrency)
	case r.HasAmount && r.AmountMinor == 0:
		return no(InvalidAmount, rZero)
	}
	return nil
}

// ofAuthorization is row 31: an open hold, in full. Not in the documents: there
// is nothing to refund in any mode.
func (w *World) ofAuthorization(r Request, o *Transaction) *ruling {
	switch {
	case o.Kind != Authorization:
		return nil
	case r.Kind == Refund, !w.usable(o):
		return no(InvalidTransaction, rAuthorization)
	case r.HasAmount && r.AmountMinor != o.Hold.AmountMinor:
		return no(AmountMismatch, rAuthorization)
	}
	return &ruling{Approved, rAuthorization, Void, o.Hold.AmountMinor}
}

// left of a capture: what is neither refunded nor may be after a review.
func (t *Transaction) left() int64 { return t.CapturedMinor - t.RefundedMinor - t.ReviewedMinor }

// beforeCutoff are rows 16, 17, 19, 21 and 22.
func (w *World) beforeCutoff(r Request, o *Transaction) *ruling {
	if w.settled(o) {
		return nil
	}
	untouched := o.RefundedMinor == 0 && o.ReviewedMinor == 0
	rule := rVoid
	switch r.Kind {
	case Refund:
		switch {
		case r.HasAmount && r.AmountMinor != o.left():
			return no(NotAllowedNow, rPartialOfOpen)
		case w.policy(r).Mode == Strict, o.Terminal != r.Terminal, !untouched:
			// Nor can it become a void: another terminal's is not voided (row 9),
			// nor is what was refunded (row 19).
			return no(NotAllowedNow, rRefundOfOpen)
		}
		rule = rRefundOfOpen
	default:
		if r.HasAmount && r.AmountMinor != o.CapturedMinor {
			return no(AmountMismatch, rPartialVoid)
		}
	}
	if !untouched {
		// Voided and refunded exclude each other.
		return no(InvalidTransaction, rVoidAfterRefund)
	}
	if o.Kind == Completion {
		rule = rCompletion
	}
	return &ruling{Approved, rule, Void, o.CapturedMinor}
}

// afterCutoff are rows 18 and 23 to 29.
func (w *World) afterCutoff(r Request, o *Transaction) *ruling {
	p := w.policy(r)
	minor := o.left()
	if r.HasAmount {
		minor = r.AmountMinor
	}
	switch {
	case r.Kind == Void && p.Mode == Strict:
		return no(NotAllowedNow, rVoidOfSettled)
	case int(w.today(r.Merchant)-o.Date) > p.RefundWindowDays:
		return no(NotAllowedNow, rRefundWindow)
	case minor <= 0 || minor > o.left():
		return no(ExceedsAmountLimit, rOverRefund)
	case o.RefundCount >= p.MaxRefunds:
		return no(ExceedsCountLimit, rRefundCount)
	case w.Merchants[r.Merchant].ReviewRefunds || p.ReviewThresholdMinor != NoLimit && minor > p.ReviewThresholdMinor:
		return &ruling{UnderReview, rReview, Refund, minor}
	case p.HasMinBalance && w.owed(r.Merchant)-minor < p.MinBalanceMinor:
		return no(InsufficientFunds, rMinBalance)
	}
	switch p.ofCard(w.Cards[o.Card].Status) {
	case CardDecline:
		return no(RestrictedCard, rCardOutOfUse)
	case CardReview:
		return &ruling{UnderReview, rCardOutOfUse, Refund, minor}
	case CardAllow:
	}
	if o.Kind == Completion {
		return &ruling{Approved, rCompletion, Refund, minor}
	}
	return &ruling{Approved, rRefund, Refund, minor}
}

// owed is what a merchant is owed, whether its dates are closed or not. Not in
// the documents: what is held in reserve is not part of it.
func (w *World) owed(merchant int) int64 {
	var minor int64
	for account, s := range w.Books {
		switch account.Code {
		case pendingAccount(merchant), payableAccount(merchant), receivableAccount(merchant):
			minor += s.CreditsPosted - s.DebitsPosted
		}
	}
	return minor
}

// void undoes the original in its own window, on the same accounts. A hold may
// outlive its window, and so belongs to none: it is given back today.
func (w *World) void(r Request, id int, says *ruling) Answer {
	o := &w.Transactions[id]
	date := w.dateFor(o)
	if o.Kind == Authorization {
		date = w.today(o.Merchant)
		w.release(date, o, says.minor)
		o.Hold.State = HoldVoided
	} else {
		w.uncapture(date, o, says.minor)
	}
	o.State = StateVoided
	return w.Transactions[w.take(r, Transaction{
		Kind: Void, State: StateApproved, Reason: Approved, Rule: says.rule, Card: o.Card, Original: id,
		Date: date, AmountMinor: says.minor, Currency: o.Currency, reinstateMinor: says.minor,
	})].Answer
}

// refund pays back in today's window what is owed to the merchant.
func (w *World) refund(r Request, id int, says *ruling) Answer {
	t := Transaction{
		Kind: Refund, State: StateApproved, Reason: Approved, Rule: says.rule, Card: w.Transactions[id].Card, Original: id,
		Date: w.today(r.Merchant), AmountMinor: says.minor, Currency: w.Transactions[id].Currency, Merchant: r.Merchant,
	}
	w.payBack(t.Date, &t)
	return w.Transactions[w.take(r, t)].Answer
}

// payBack posts a refund.
func (w *World) payBack(date Date, t *Transaction) {
	w.spend(date, t.Card, payableAccount(t.Merchant), -t.AmountMinor)
	w.tally(t.Merchant, date, refunds, t.AmountMinor)
	if t.Original < 0 {
		return
	}
	o := &w.Transactions[t.Original]
	o.RefundedMinor += t.AmountMinor
	o.RefundCount++
	w.paidBack(t.Original, date, t.AmountMinor)
}

// uncapture gives back the whole of a capture whose window is open; under a
// completion the hold is back.
func (w *World) uncapture(date Date, t *Transaction, minor int64) {
	w.spend(date, t.Card, pendingAccount(t.Merchant), -minor)
	w.tally(t.Merchant, date, voids, minor)
	t.CapturedMinor -= minor
	t.clearedMinor -= minor
	w.restoreHold(date, t)
}

// restoreHold opens the hold again that a completion captured, unless its time
// is over meanwhile.
func (w *World) restoreHold(date Date, t *Transaction) {
	if t.Kind != Completion {
		return
	}
	authorization := &w.Transactions[t.Original]
	if !w.Now.Before(authorization.Hold.ExpiresAt) {
		authorization.Hold.State, authorization.State = HoldExpired, StateExpired
		return
	}
	w.reserve(date, authorization, authorization.Hold.AmountMinor)
	authorization.Hold.State, authorization.State = HoldOpen, StateApproved
}
