package switching

import "meridian/ledger"

// An adjustment changes what a sale or an offline sale comes to, before it is
// settled: a tip that was written on the slip, or a correction. The request's
// amount is the new total, tip included. It is measured against what the sale was
// approved for, whatever adjustments came between, and may not pass the policy's
// percentage of that, which is the one that a completion may not pass over its
// hold. What it adds is guaranteed to the merchant, as there: it posts even when
// the card has less available. An adjustment is not reversed by its terminal,
// which repeats it until it is answered; the last one counts.
//
// The difference is a transfer in the sale's own open window. From then on the
// sale stands for the new total: it is what a void takes back, a refund may reach
// and the batch counts.

// adjustment decides one.
func (d *decision) adjustment() Verdict {
	r := d.request
	found := d.facts.originals(r)
	if len(found) != 1 || found[0].MerchantID != r.merchant.ID {
		return d.decline(OriginalNotFound)
	}
	o := found[0]
	d.speaksOf(o)
	if reason := d.adjustable(o); reason != Approved {
		return d.decline(reason)
	}
	d.verdict.Record.PreviousMinor = o.CapturedMinor
	d.changeAmount(o, r.AmountMinor)
	return d.approve()
}

// adjustable tells why an original's amount cannot become the request's.
func (d *decision) adjustable(o *Record) Reason {
	r := d.request
	switch {
	case !r.PAN.IsZero() && r.Token != o.Token:
		return CardMismatch
	case o.TerminalID != r.terminal.ID:
		return WrongTerminal
	case o.Kind != KindSale && o.Kind != KindAdvice, o.State != StateApproved:
		return InvalidTransaction
	case r.currencyOf() != o.Currency:
		return CurrencyMismatch
	case r.AmountMinor <= 0, r.AmountMinor < o.CashbackMinor, r.TipMinor < 0, r.TipMinor >= r.AmountMinor:
		return InvalidAmount
	case d.settled(o), d.facts.batchClosed(o), o.RefundedMinor > 0, o.ReviewedMinor > 0:
		return NotAllowedNow
	case exceedsPercent(r.AmountMinor, o.AmountMinor, d.policy.CompletionPercent),
		d.policy.MaxAmountMinor > 0 && r.AmountMinor > d.policy.MaxAmountMinor:
		return ExceedsAmountLimit
	default:
		return Approved
	}
}

// changeAmount lets an original stand for totalMinor.
func (d *decision) changeAmount(o *Record, totalMinor int64) {
	more := totalMinor - o.CapturedMinor
	d.journalIn(o)
	if more > 0 {
		d.verdict.Journal.Post(ledger.KindAmountChange, cardAccount(o.CardID), d.pending(), more)
	} else {
		d.verdict.Journal.Post(ledger.KindAmountChange, d.pending(), cardAccount(o.CardID), -more)
	}
	d.moveCard(o.CardID, -more, 0)
	d.change(o).CapturedMinor = totalMinor
}

// reverseAdjustment takes an adjustment back that the host had to answer for
// before it knew that it was committed. Terminals reverse none.
func (d *decision) reverseAdjustment(a *Record) Verdict {
	if !d.byHost {
		return d.decline(InvalidTransaction)
	}
	o := d.facts.records[a.OriginalID]
	if o == nil || o.State != StateApproved || o.CapturedMinor != a.AmountMinor || d.settled(o) {
		d.except("adjustment_stands", "an adjustment whose terminal was told of a failure could not be taken back: its original has changed since")
		return d.decline(NoAction)
	}
	d.changeAmount(o, a.PreviousMinor)
	d.change(a).State = StateReversed
	return d.approve()
}
