package model

// The rules of the void-or-refund table by their rows.
const (
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
	p := &w.Merchants[r.Merchant].Policy
	if r.Kind == Void && !p.AllowVoid || r.Kind == Refund && !p.AllowRefund ||
		r.Kind == Cancel && !p.AllowVoid && !p.AllowRefund || r.Kind != Cancel && p.Mode == CancelOnly {
		return w.decline(r, NotPermittedToTerminal, rNotPermitted)
	}
	if r.Kind == Refund && r.Original.By == ByNothing {
		return w.decline(r, NotPermittedToTerminal, rWithoutReference)
	}
	found := w.find(r, r.Original)
	switch len(found) {
	case 0:
		return w.decline(r, OriginalNotFound, rNotFound)
	case 1:
	default:
		return w.decline(r, OriginalNotFound, rAmbiguous)
	}
	id := found[0]
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
	case says.becomes == Void:
		return w.void(r, id, says)
	default:
		return w.refund(r, id, says)
	}
}

// originalFits are rows 9 to 13.
func (w *World) originalFits(r Request, o *Transaction) *ruling {
	switch {
	case r.Card != NoCard && r.Card != o.Card:
		return no(CardMismatch, rNotTheOriginals)
	case o.Merchant != r.Merchant:
		return no(OriginalNotFound, rNotTheOriginals)
	case r.Kind == Void && o.Terminal != r.Terminal:
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

// ofAuthorization is row 31: an open hold, in full.
func (w *World) ofAuthorization(r Request, o *Transaction) *ruling {
	switch {
	case o.Kind != Authorization:
		return nil
	case o.Hold.State != HoldOpen || !w.Now.Before(o.Hold.ExpiresAt):
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
	whole := !r.HasAmount || r.AmountMinor == left
	rule := rVoid
	switch r.Kind {
	case Refund:
		switch {
		case !whole:
			return no(NotAllowedNow, rPartialOfOpen)
		case p.Mode == Strict:
			return no(NotAllowedNow, rRefundOfOpen)
		}
		rule = rRefundOfOpen
	default:
		if !whole {
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

// void undoes the original in its own window, on the same accounts.
func (w *World) void(r Request, id int, says *ruling) Answer {
	o := &w.Transactions[id]
	if o.Kind == Authorization {
		w.release(o.Date, o, says.minor)
		o.Hold.State = HoldVoided
	} else {
		w.uncapture(o.Date, o, says.minor)
	}
	o.State = StateVoided
	return w.Transactions[w.take(r, Transaction{
		Kind: Void, State: StateApproved, Reason: Approved, Rule: says.rule, Card: o.Card, Original: id,
		Date: o.Date, AmountMinor: says.minor, Currency: o.Currency, reinstateMinor: says.minor,
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

// restoreHold opens the hold again that a completion captured.
func (w *World) restoreHold(date Date, t *Transaction) {
	if t.Kind != Completion {
		return
	}
	authorization := &w.Transactions[t.Original]
	w.reserve(date, authorization, authorization.Hold.AmountMinor)
	authorization.Hold.State, authorization.State = HoldOpen, StateApproved
}
