package switching

import "meridian/ledger"

// reversal repairs a lost answer: it needs no operator and no right, and it is
// done at most once however often it comes (reference: NAC, reversal a to f).
func (d *decision) reversal() Verdict {
	found := d.reversed()
	if len(found) == 0 {
		return d.reversalOfUnknown()
	}
	if len(found) > 1 {
		return d.decline(OriginalNotFound)
	}
	o := found[0]
	d.speaksOf(o)
	if reason, wrong := d.mismatch(o); wrong {
		return d.decline(reason)
	}
	if _, reason := d.leaves(0); reason != Approved && o.standsForNothing() {
		return d.decline(reason)
	}
	switch o.State {
	case StateVoided:
		// Nothing stands, and nothing may stand again by a reversal of the void.
		d.change(o).State = StateReversed
		return d.approve()
	case StateDeclined, StateReversed, StateAbandoned, StateExpired:
		// Nothing stands that could be undone: done, without a posting.
		return d.approve()
	case StateCompleted:
		return d.decline(InvalidTransaction)
	case StateUnderReview:
		return d.withdraw(o)
	case StateApproved:
	}
	switch o.Kind {
	case KindAuthorization:
		return d.reverseAuthorization(o)
	case KindSale, KindCompletion, KindAdvice:
		return d.reverseCapture(o)
	case KindVoid:
		return d.reverseVoid(o)
	case KindRefund:
		return d.reverseRefund(o)
	case KindAdjustment:
		return d.reverseAdjustment(o)
	default: // a balance told
		return d.approve()
	}
}

// standsForNothing tells whether there is nothing that a partial reversal could leave: its terminal
// must not take what it leaves for the merchant's.
func (r *Record) standsForNothing() bool {
	switch r.State {
	case StateVoided, StateDeclined, StateReversed, StateAbandoned, StateExpired:
		return true
	default:
		return false
	}
}

// reversed finds what a reversal means. A reversal repairs a transmission, so
// references that were made before any answer count as well as those after:
// what does not match is passed over, down to the reversal's own STAN.
func (d *decision) reversed() []*Record {
	f, r := d.facts, d.request
	if r.Original.HasRRN {
		var found []*Record
		for _, o := range f.byRRN[r.Original.RRN] {
			if repairs(r, o) {
				found = append(found, o)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	if entry := f.keys[reversedKey(f, r)]; entry != nil {
		if entry.tombstone {
			return nil
		}
		return []*Record{entry.record}
	}
	return d.reversedAcrossRollover()
}

// repairs tells whether a record is the terminal's own, and one that can be reversed.
func repairs(r *Request, o *Record) bool {
	return o.TerminalID == r.terminal.ID && o.MerchantID == r.merchant.ID && o.Kind.Class() == ClassFinancial
}

// reversedAcrossRollover finds the original in a batch that has ended meanwhile,
// when the terminal may not have had its answer, and what is given of amount and
// card is its.
func (d *decision) reversedAcrossRollover() []*Record {
	original := *d.request
	original.Repeat = false // of the reversal; it says nothing of its original
	if original.Original.BatchNo != 0 {
		return nil
	}
	if original.Original.HasSTAN {
		original.STAN = original.Original.STAN
	}
	entry := d.facts.acrossRollover(&original, ClassFinancial, rolloverReversal, func(entry *keyEntry) bool {
		_, wrong := d.mismatch(entry.record)
		return !entry.tombstone && !wrong
	})
	if entry == nil {
		return nil
	}
	return []*Record{entry.record}
}

// reversedKey is the original's own key: the STAN that the reference names, or
// the reversal's, which carries its original's.
func reversedKey(f *Facts, r *Request) Key {
	key := Key{r.merchant.ID, r.terminal.ID, f.batchOf(r), r.STAN, ClassFinancial}
	if r.Original.HasSTAN {
		key.STAN = r.Original.STAN
		if r.Original.BatchNo != 0 {
			key.BatchNo = r.Original.BatchNo
		}
	}
	return key
}

// reversalOfUnknown leaves a tombstone under the original's key: should the
// original still come, it is declined and not posted.
func (d *decision) reversalOfUnknown() Verdict {
	key := reversedKey(d.facts, d.request)
	if d.facts.isRetired(key) {
		return d.decline(NoAction) // it moved money, which nobody can tell any more
	}
	if d.facts.keys[key] == nil {
		d.verdict.Keys = append(d.verdict.Keys, key)
	}
	if d.settledMeanwhile() {
		d.except("reversal_after_settlement",
			"a reversal came for a transaction in a batch that was settled meanwhile, and may be for another one: nothing was posted")
	}
	if _, reason := d.leaves(0); d.request.ApproveUnknownOriginal && reason == Approved {
		return d.approve()
	}
	return d.decline(OriginalNotFound)
}

// settledMeanwhile tells whether what the reversal says fits a transaction that stands, of a
// moment ago in a batch that has been settled since. Its terminal had the answer if it
// settled, and nothing proves that it was the terminal: a person can tell.
func (d *decision) settledMeanwhile() bool {
	f, r := d.facts, d.request
	b := f.batches[r.terminal.ID]
	key := reversedKey(f, r)
	if b == nil || !r.HasAmount || r.BatchNo != 0 || r.Original.BatchNo != 0 {
		return false
	}
	for _, key.BatchNo = range b.recent {
		entry := f.keys[key]
		if entry == nil || entry.tombstone || entry.record.State != StateApproved || f.Now.Sub(entry.record.AcceptedAt) >= rolloverRepeat {
			continue
		}
		if _, wrong := d.mismatch(entry.record); !wrong {
			return true
		}
	}
	return false
}

// mismatch tells whether the reversal cannot mean this original.
func (d *decision) mismatch(o *Record) (Reason, bool) {
	r := d.request
	switch {
	case !r.PAN.IsZero() && o.Token != [16]byte{} && r.Token != o.Token:
		return CardMismatch, true
	case r.Currency != 0 && r.Currency != o.Currency:
		return CurrencyMismatch, true
	case r.HasAmount && r.AmountMinor != o.AmountMinor:
		return AmountMismatch, true
	default:
		return 0, false
	}
}

// leaves is what a partial reversal leaves of standing minor units; a full one
// leaves nothing.
func (d *decision) leaves(standingMinor int64) (leaveMinor int64, reason Reason) {
	if !d.request.HasReplacement {
		return 0, Approved
	}
	if d.request.ReplacementMinor > standingMinor {
		return 0, InvalidAmount
	}
	return d.request.ReplacementMinor, Approved
}

func (d *decision) reverseAuthorization(o *Record) Verdict {
	hold := d.facts.holds[o.ID]
	if hold == nil || hold.State != ledger.HoldOpen {
		return d.decline(InvalidTransaction)
	}
	leave, reason := d.leaves(hold.AmountMinor)
	if reason != Approved {
		return d.decline(reason)
	}
	d.releaseHold(ledger.KindReversal, hold, leave)
	if leave == 0 {
		d.change(o).State = StateReversed
	}
	return d.approve()
}

// reverseCapture undoes what a sale, completion or advice moved: a contra in
// its own window while that is open, a correction in today's after.
func (d *decision) reverseCapture(o *Record) Verdict {
	if d.afterReversals(o) {
		return d.decline(InvalidTransaction)
	}
	if o.RefundedMinor > 0 || o.ReviewedMinor > 0 {
		d.except("reversal_after_refund", "a reversal came for a transaction that was refunded in part: nothing was posted")
		return d.decline(InvalidTransaction)
	}
	leave, reason := d.leaves(o.CapturedMinor)
	if reason != Approved {
		return d.decline(reason)
	}
	undo := o.CapturedMinor - leave
	if d.settled(o) {
		d.verdict.Journal.Post(ledger.KindAdjustment, d.payable(), cardAccount(o.CardID), undo)
		d.moveCard(o.CardID, undo, 0)
		d.except("reversal_after_cutoff", "a reversal came after its original's window had closed: corrected in today's")
	} else {
		d.journalIn(o)
		d.verdict.Journal.Post(ledger.KindReversal, d.pending(), cardAccount(o.CardID), undo)
		d.moveCard(o.CardID, undo, 0)
		if o.Kind == KindCompletion && leave == 0 {
			d.restoreHold(ledger.KindReversal, o.OriginalID)
		}
	}
	changed := d.change(o)
	changed.CapturedMinor = leave
	if leave == 0 {
		changed.State = StateReversed
	}
	return d.approve()
}

// afterReversals tells whether a reversal comes so long after its original that it is no
// repair of a transmission any more, and has a person look at it. It asks for no right, so
// it would pay back where refunds are not permitted.
func (d *decision) afterReversals(o *Record) bool {
	if int(d.window.Date-o.BusinessDate) <= d.policy.ReversalWindowDays {
		return false
	}
	d.except("reversal_too_late", "a reversal came longer after its original than the policy has them posted: nothing was posted")
	return true
}

// reverseVoid lets stand again what a void had undone, while its window is
// open. After that the day is sealed, and a person decides.
func (d *decision) reverseVoid(v *Record) Verdict {
	if d.request.HasReplacement && d.request.ReplacementMinor != 0 {
		return d.decline(InvalidTransaction) // a void is whole, and so is its reversal
	}
	o := d.facts.records[v.OriginalID]
	// A void is in its original's window, save that of a hold, which outlives
	// its own window: what counts is that the void's is open.
	if o == nil || o.State != StateVoided || d.settled(v) || !d.reinstate(o, v.AmountMinor) {
		d.except("void_reversal_after_cutoff", "the reversal of a void came when its original could not be reinstated: nothing was posted")
		return d.decline(NoAction)
	}
	d.change(v).State = StateReversed
	return d.approve()
}

// reinstate lets amountMinor, what the void had undone, stand again.
func (d *decision) reinstate(o *Record, amountMinor int64) bool {
	switch o.Kind {
	case KindAuthorization:
		return d.restoreHold(ledger.KindReinstate, o.ID)
	case KindCompletion:
		return d.recapture(o, amountMinor)
	default:
		d.journalIn(o)
		d.verdict.Journal.Post(ledger.KindReinstate, cardAccount(o.CardID), d.pending(), amountMinor)
		d.moveCard(o.CardID, -amountMinor, 0)
		changed := d.change(o)
		changed.State, changed.CapturedMinor = StateApproved, amountMinor
		return true
	}
}

// recapture captures the hold again that a void of its completion restored.
func (d *decision) recapture(o *Record, amountMinor int64) bool {
	hold, authorization := d.facts.holds[o.OriginalID], d.facts.records[o.OriginalID]
	if hold == nil || authorization == nil || !hold.Usable(d.facts.Now) {
		return false
	}
	// The hold may have shrunk since: what it cannot carry is not captured again.
	if exceedsPercent(amountMinor, hold.AmountMinor, d.policy.CompletionPercent) {
		return false
	}
	d.journalIn(o)
	d.captureHold(hold, amountMinor)
	d.change(authorization).State = StateCompleted
	changed := d.change(o)
	changed.State, changed.CapturedMinor = StateApproved, amountMinor
	return true
}

func (d *decision) reverseRefund(v *Record) Verdict {
	if d.request.HasReplacement && d.request.ReplacementMinor != 0 {
		return d.decline(InvalidTransaction)
	}
	o := d.facts.records[v.OriginalID]
	if o == nil {
		d.except("refund_reversal_without_original", "the reversal of a refund found no original: nothing was posted")
		return d.decline(NoAction)
	}
	if d.afterReversals(v) {
		return d.decline(InvalidTransaction)
	}
	if d.byHost && o.RefundCount > 1 && o.RefundedMinor == o.CapturedMinor {
		d.except("refund_taken_back", "a refund whose terminal was told of a failure was taken back, and another one may have been given "+
			"for all that was left beside it: look whether the rest is to be paid back, too")
	}
	d.verdict.Journal.Post(ledger.KindReversal, cardAccount(v.CardID), d.payable(), v.AmountMinor)
	d.moveCard(v.CardID, -v.AmountMinor, 0)
	changed := d.change(o)
	changed.RefundedMinor -= v.AmountMinor
	changed.RefundCount--
	d.change(v).State = StateReversed
	return d.approve()
}

// withdraw takes a refund back that waits for a person: its terminal has given
// it up, and its clerk may ask for another. Paid back beside that one, it would
// be paid twice. Nothing was posted, and what it had reserved is free again.
func (d *decision) withdraw(v *Record) Verdict {
	if d.request.HasReplacement && d.request.ReplacementMinor != 0 {
		return d.decline(InvalidTransaction)
	}
	if o := d.facts.records[v.OriginalID]; o != nil {
		changed := d.change(o)
		changed.ReviewedMinor -= v.AmountMinor
		changed.RefundCount--
	}
	d.verdict.Withdrawn = &withdrawal{record: v, reason: ReviewRejected, date: d.window.Date}
	if d.byHost {
		d.verdict.Withdrawn.reason = SystemMalfunction // which is what its terminal was told
	}
	return d.approve()
}

// journalIn posts into o's own window instead of today's.
func (d *decision) journalIn(o *Record) {
	d.verdict.Record.BusinessDate = o.BusinessDate
	d.verdict.Journal.Date = o.BusinessDate
}

// hostReversal is the reversal that the host makes of a transaction which it
// had to answer before it knew that it was committed.
func hostReversal(f *Facts, stored *Record, r *Request, id Identity) Verdict {
	request := &Request{
		Kind: KindReversal, STAN: stored.STAN, BatchNo: stored.BatchNo,
		Original: Reference{RRN: stored.RRN, HasRRN: true}, // its key may be of a batch long ended
		merchant: r.merchant, terminal: r.terminal,
	}
	key := Key{stored.MerchantID, stored.TerminalID, stored.BatchNo, stored.STAN, ClassHostReversal}
	var d decision
	d.begin(f, request, id, key)
	d.byHost = true
	v := d.reversal()
	for _, o := range v.Originals {
		if o.ID == stored.ID && o.State == StateReversed {
			o.State = StateAbandoned
		}
	}
	if v.Record.OriginalID != stored.ID {
		return Verdict{} // it would undo something else
	}
	return v
}
