package model

// The exceptions that reversals leave for people.
const (
	ExceptionLateReversal     = "late_reversal"
	ExceptionSettledReversal  = "settled_reversal"
	ExceptionTooLateReversal  = "too_late_reversal"
	ExceptionLateVoidReversal = "late_void_reversal"
	ExceptionRefundReversal   = "refund_reversal"
)

// reverse undoes a transaction whose answer did not arrive. It is done once;
// every other time, and where nothing was done, the answer is "done".
func (w *World) reverse(r Request) Answer {
	id, known := w.reversed(r)
	if !known {
		return w.reverseUnknown(r)
	}
	o := &w.Transactions[id]
	if reason := w.cannotMean(r, o); reason != Approved {
		return w.declineOf(r, id, reason, 0)
	}
	if o.State == StateCompleted {
		// Not in the documents: its completion says that its answer did arrive.
		return w.declineOf(r, id, InvalidTransaction, 0)
	}
	if o.State == StateUnderReview {
		if r.HasReplacement && r.ReplacementMinor != 0 {
			return w.declineOf(r, id, InvalidTransaction, 0) // a refund is taken back whole
		}
		w.DecideReview(id, false) // by its terminal, which has given it up
		return w.reversal(r, id, w.today(r.Merchant))
	}
	if _, fits := standing(r, 0); o.State != StateApproved && !fits {
		return w.declineOf(r, id, InvalidAmount, 0) // there is nothing to leave
	}
	if o.State == StateVoided {
		o.State = StateReversed // and by no reversal of its void does it stand again
	}
	if o.State != StateApproved {
		return w.reversal(r, id, w.today(r.Merchant))
	}
	switch o.Kind {
	case Authorization:
		return w.reverseAuthorization(r, id)
	case Sale, Completion, Advice:
		return w.reverseCapture(r, id)
	case Void:
		return w.reverseVoid(r, id)
	case Refund:
		return w.reverseRefund(r, id)
	default:
		return w.reversal(r, id, w.today(r.Merchant))
	}
}

// reversed finds what a reversal means: by RRN, if that is one of the
// terminal's own; else by STAN, in a stated or the current batch, for it carries
// its original's unless it names another; else in a batch that ended without
// its terminal's word, if what is given of amount and card fits. An invoice is no
// name: it comes with every copy.
func (w *World) reversed(r Request) (id int, known bool) {
	if ref := r.Original; ref.By == ByRRN && ref.Transaction >= 0 {
		t := &w.Transactions[ref.Transaction]
		if t.Kind.class() == financial && t.Merchant == r.Merchant && t.Terminal == r.Terminal {
			return ref.Transaction, true
		}
	}
	if have, seen := w.keys[w.reversedKey(r)]; seen {
		return have.transaction, !have.tombstone
	}
	if r.Original.By == BySTAN && r.Original.Batch != 0 {
		return -1, false
	}
	original := r
	original.Repeat = false // of the reversal: it says nothing of its original
	original.STAN = w.reversedKey(r).stan
	before, missed := w.acrossBatches(original, financial, reversalPatience, func(before taken) bool {
		return !before.tombstone && w.cannotMean(r, &w.Transactions[before.transaction]) == Approved
	})
	return before.transaction, missed
}

func (w *World) reversedKey(r Request) key {
	k := key{r.Merchant, r.Terminal, w.batchOf(r), r.STAN, financial}
	if ref := r.Original; ref.By == BySTAN {
		k.stan = ref.STAN
		if ref.Batch != 0 {
			k.batch = ref.Batch
		}
	}
	return k
}

// cannotMean tells what of a reversal does not fit the original.
func (w *World) cannotMean(r Request, o *Transaction) Reason {
	switch {
	case r.Card != NoCard && o.Card != NoCard && r.Card != o.Card:
		return CardMismatch
	case r.Currency != 0 && r.Currency != o.Currency:
		return CurrencyMismatch
	case r.HasAmount && r.AmountMinor != o.AmountMinor:
		return AmountMismatch
	default:
		return Approved
	}
}

// reverseUnknown leaves a tombstone: the original that comes late is declined.
func (w *World) reverseUnknown(r Request) Answer {
	k := w.reversedKey(r)
	settled := w.settledMeanwhile(r)
	var answer Answer
	if _, fits := standing(r, 0); r.ApproveUnknown && fits {
		answer = w.reversal(r, -1, w.today(r.Merchant))
	} else {
		answer = w.decline(r, OriginalNotFound, 0)
	}
	if _, seen := w.keys[k]; !seen {
		w.occupy(k, taken{transaction: answer.Transaction, tombstone: true})
	}
	if settled {
		w.except(answer.Transaction, ExceptionSettledReversal)
	}
	return answer
}

// settledMeanwhile: what the reversal says fits a transaction that stands, of a moment ago
// in a batch that has been settled since. It is not in the documents.
func (w *World) settledMeanwhile(r Request) bool {
	k := w.reversedKey(r)
	if !r.HasAmount || r.Batch != 0 || r.Original.By == BySTAN && r.Original.Batch != 0 {
		return false
	}
	for _, before := range w.lately(r.Terminal) {
		k.batch = before.Number
		have, seen := w.keys[k]
		if !seen || have.tombstone {
			continue
		}
		o := &w.Transactions[have.transaction]
		if o.State == StateApproved && w.Now.Sub(o.AcceptedAt) < repeatPatience && w.cannotMean(r, o) == Approved {
			return true
		}
	}
	return false
}

// reversal stores an approved one.
func (w *World) reversal(r Request, original int, date Date) Answer {
	t := Transaction{
		Kind: Reversal, State: StateApproved, Reason: Approved, Card: r.Card, Original: original,
		Date: date, AmountMinor: r.AmountMinor, Currency: w.currency(r),
	}
	return w.Transactions[w.take(r, t)].Answer
}

func (w *World) except(id int, kind string) {
	w.Exceptions = append(w.Exceptions, Exception{id, kind})
}

// standing is what a reversal leaves of an amount: nothing, or what a partial
// one says. More than there is cannot stand.
func standing(r Request, minor int64) (left int64, fits bool) {
	if !r.HasReplacement {
		return 0, true
	}
	return r.ReplacementMinor, 0 <= r.ReplacementMinor && r.ReplacementMinor <= minor
}

func (w *World) reverseAuthorization(r Request, id int) Answer {
	o := &w.Transactions[id]
	left, fits := standing(r, o.Hold.AmountMinor)
	if !fits {
		return w.declineOf(r, id, InvalidAmount, 0)
	}
	gone := o.Hold.AmountMinor - left
	date := w.today(r.Merchant)
	w.release(date, o, gone)
	if left == 0 {
		o.Hold.State, o.State = HoldVoided, StateReversed
	} else {
		o.Hold.AmountMinor = left
	}
	return w.reversal(r, id, date)
}

// reverseCapture is the contra of a sale, completion or advice: in its own
// window while that is open, as an adjustment in today's when it is not.
func (w *World) reverseCapture(r Request, id int) Answer {
	o := &w.Transactions[id]
	if w.afterReversals(r, o) {
		return w.tooLate(r, id)
	}
	if o.RefundedMinor > 0 || o.ReviewedMinor > 0 {
		// Not in the documents: what was paid back to the cardholder cannot be
		// given back by a reversal, too.
		answer := w.declineOf(r, id, InvalidTransaction, 0)
		w.except(answer.Transaction, ExceptionLateReversal)
		return answer
	}
	left, fits := standing(r, o.CapturedMinor)
	if !fits {
		return w.declineOf(r, id, InvalidAmount, 0)
	}
	gone := o.CapturedMinor - left
	date, account, late := w.dateFor(o), pendingAccount(o.Merchant), w.settled(o)
	if late {
		account = payableAccount(o.Merchant)
	}
	w.spend(date, o.Card, account, -gone)
	o.CapturedMinor = left
	if late {
		w.tally(o.Merchant, date, adjustments, gone)
		w.paidBack(id, date, gone)
	} else {
		w.tally(o.Merchant, date, reversals, gone)
		o.clearedMinor -= gone
	}
	if left == 0 {
		o.State = StateReversed
		if !late { // as with a void and a refund: what is settled brings no hold back
			w.restoreHold(date, o)
		}
	}
	answer := w.reversal(r, id, date)
	if late {
		w.except(answer.Transaction, ExceptionLateReversal)
	} else {
		w.Transactions[answer.Transaction].UndoneMinor = gone
	}
	return answer
}

// afterReversals: a reversal that comes longer after its original than the policy allows
// is for a person. It is not in the documents.
func (w *World) afterReversals(r Request, o *Transaction) bool {
	return int(w.today(r.Merchant)-o.Date) > w.Merchants[r.Merchant].Policy.ReversalWindowDays
}

func (w *World) tooLate(r Request, id int) Answer {
	answer := w.declineOf(r, id, InvalidTransaction, 0)
	w.except(answer.Transaction, ExceptionTooLateReversal)
	return answer
}

// reverseVoid lets the voided transaction stand again, in its window while that
// is open. Afterwards a person must decide.
func (w *World) reverseVoid(r Request, id int) Answer {
	v := &w.Transactions[id]
	o := &w.Transactions[v.Original]
	if left, _ := standing(r, v.AmountMinor); left != 0 {
		return w.declineOf(r, id, InvalidTransaction, 0) // a void is of the whole
	}
	date := v.Date
	if o.Kind == Authorization {
		date = w.today(r.Merchant)
	}
	if w.settled(v) || o.State != StateVoided || !w.canReinstate(o, v.reinstateMinor) {
		answer := w.declineOf(r, id, NoAction, 0)
		w.except(answer.Transaction, ExceptionLateVoidReversal)
		return answer
	}
	if o.Kind == Authorization {
		w.reserve(date, o, v.reinstateMinor)
		o.Hold.State = HoldOpen
	} else {
		again := reinstatements
		if o.Kind == Completion {
			again = completions // of the same hold
			authorization := &w.Transactions[o.Original]
			w.release(date, authorization, authorization.Hold.AmountMinor)
			authorization.Hold.State, authorization.State = HoldPosted, StateCompleted
		}
		w.spend(date, o.Card, pendingAccount(o.Merchant), v.reinstateMinor)
		w.tally(o.Merchant, date, again, v.reinstateMinor)
		o.CapturedMinor, o.clearedMinor = v.reinstateMinor, v.reinstateMinor
	}
	o.State, v.State = StateApproved, StateReversed
	return w.reversal(r, id, date)
}

// canReinstate tells whether what a void gave back is still there to be taken:
// a completion needs the hold that its void restored, and a hold its time.
func (w *World) canReinstate(o *Transaction, minor int64) bool {
	switch o.Kind {
	case Authorization:
		return w.Now.Before(o.Hold.ExpiresAt)
	case Completion:
		hold := w.Transactions[o.Original].Hold
		return w.usable(&w.Transactions[o.Original]) && minor*100 <= hold.AmountMinor*w.Merchants[o.Merchant].Policy.CompletionPercent
	default:
		return true
	}
}

// reverseRefund takes a refund back: like the refund itself, in today's window.
func (w *World) reverseRefund(r Request, id int) Answer {
	f := &w.Transactions[id]
	if left, _ := standing(r, f.AmountMinor); left != 0 {
		return w.declineOf(r, id, InvalidTransaction, 0)
	}
	if f.Original < 0 {
		// Not in the documents: what a person approved without an original has
		// nothing that it could be added to again.
		answer := w.declineOf(r, id, NoAction, 0)
		w.except(answer.Transaction, ExceptionRefundReversal)
		return answer
	}
	if w.afterReversals(r, f) {
		return w.tooLate(r, id)
	}
	o := &w.Transactions[f.Original]
	date := w.today(r.Merchant)
	w.spend(date, f.Card, payableAccount(f.Merchant), f.AmountMinor)
	w.tally(f.Merchant, date, refundReversals, f.AmountMinor)
	w.paidBack(f.Original, date, -f.AmountMinor)
	o.RefundedMinor -= f.AmountMinor
	o.RefundCount--
	f.State = StateReversed
	return w.reversal(r, id, date)
}
