package model

// The rules of the void-or-refund table by their rows.
const (
	rAdmission        = 1
	rRepeat           = 2
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
	rRefundOfOpen     = 21
	rPartialOfOpen    = 22
	rRefundWindow     = 23
	rOverRefund       = 24
	rRefundCount      = 25
	rRefund           = 29
	rCompletion       = 30
	rAuthorization    = 31
	rWithoutReference = 32
)

// ruling is a row of the table that applied: what it says and why.
type ruling struct {
	reason Reason
	rule   int
	// becomes is Void or Refund if the reason is Approved.
	becomes Kind
	minor   int64
}

func no(reason Reason, rule int) *ruling { return &ruling{reason: reason, rule: rule} }

// cancel reads the table from top to bottom.
func (w *World) cancel(r Request) Answer {
	found := w.find(r, r.Original)
	id := -1
	if len(found) == 1 {
		id = found[0]
	}
	switch {
	case !w.mayAsk(r):
		return w.declineOf(r, id, NotPermittedToTerminal, rNotPermitted)
	case r.Original.By == ByNothing:
		// Not in the documents: a void and a cancel of nothing in particular are
		// no better than a refund of it.
		return w.decline(r, NotPermittedToTerminal, rWithoutReference)
	case len(found) == 0:
		return w.decline(r, OriginalNotFound, rNotFound)
	case len(found) > 1:
		return w.decline(r, OriginalNotFound, rAmbiguous)
	}
	var says *ruling
	for _, row := range []func(*World, Request, *Transaction) *ruling{
		(*World).originalFits, (*World).amountFits, (*World).ofAuthorization, (*World).beforeCutoff, (*World).afterCutoff,
	} {
		if says = row(w, r, &w.Transactions[id]); says != nil {
			break
		}
	}
	switch {
	case says.reason != Approved:
		return w.declineOf(r, id, says.reason, says.rule)
	case !w.mayBecome(r, says.becomes):
		return w.declineOf(r, id, NotPermittedToTerminal, rNotPermitted)
	case says.becomes == Void:
		return w.void(r, id, says)
	default:
		return w.refund(r, id, says)
	}
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

// mayAsk is row 5 for what is asked for. Who leaves the choice to the host
// needs one of the permissions, and a merchant that must leave it may ask for
// nothing else.
func (w *World) mayAsk(r Request) bool {
	p := &w.Merchants[r.Merchant].Policy
	switch r.Kind {
	case Void:
		return p.AllowVoid && p.Mode != CancelOnly
	case Refund:
		return p.AllowRefund && p.Mode != CancelOnly
	default:
		return p.AllowVoid || p.AllowRefund
	}
}

// mayBecome is row 5 for what it comes to.
func (w *World) mayBecome(r Request, k Kind) bool {
	p := &w.Merchants[r.Merchant].Policy
	return k == Void && p.AllowVoid || k == Refund && p.AllowRefund
}

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

// beforeCutoff are rows 16, 17, 19, 21 and 22.
func (w *World) beforeCutoff(r Request, o *Transaction) *ruling {
	if w.settled(o) {
		return nil
	}
	p := &w.Merchants[r.Merchant].Policy
	left := o.CapturedMinor - o.RefundedMinor
	rule := rVoid
	switch r.Kind {
	case Refund:
		switch {
		case r.HasAmount && r.AmountMinor != left:
			return no(NotAllowedNow, rPartialOfOpen)
		case p.Mode == Strict, o.Terminal != r.Terminal, o.RefundedMinor > 0:
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
	if o.RefundedMinor > 0 {
		// Voided and refunded exclude each other.
		return no(InvalidTransaction, rVoidAfterRefund)
	}
	if o.Kind == Completion {
		rule = rCompletion
	}
	return &ruling{Approved, rule, Void, left}
}

// afterCutoff are rows 18 and 23 to 29.
func (w *World) afterCutoff(r Request, o *Transaction) *ruling {
	p := &w.Merchants[r.Merchant].Policy
	left := o.CapturedMinor - o.RefundedMinor
	minor := left
	if r.HasAmount {
		minor = r.AmountMinor
	}
	switch {
	case r.Kind == Void && p.Mode == Strict:
		return no(NotAllowedNow, rVoidOfSettled)
	case int(w.today(r.Merchant)-o.Date) > p.RefundWindowDays:
		return no(NotAllowedNow, rRefundWindow)
	case left == 0 || minor > left:
		return no(ExceedsAmountLimit, rOverRefund)
	case o.RefundCount >= p.MaxRefunds:
		return no(ExceedsCountLimit, rRefundCount)
	case o.Kind == Completion:
		return &ruling{Approved, rCompletion, Refund, minor}
	default:
		return &ruling{Approved, rRefund, Refund, minor}
	}
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
	o := &w.Transactions[id]
	date := w.today(r.Merchant)
	w.spend(date, o.Card, payableAccount(o.Merchant), -says.minor)
	o.RefundedMinor += says.minor
	o.RefundCount++
	return w.Transactions[w.take(r, Transaction{
		Kind: Refund, State: StateApproved, Reason: Approved, Rule: says.rule, Card: o.Card, Original: id,
		Date: date, AmountMinor: says.minor, Currency: o.Currency,
	})].Answer
}

// uncapture gives back the whole of a capture whose window is open; under a
// completion the hold is back.
func (w *World) uncapture(date Date, t *Transaction, minor int64) {
	w.spend(date, t.Card, pendingAccount(t.Merchant), -minor)
	t.CapturedMinor -= minor
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
