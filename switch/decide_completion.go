package switching

import (
	"math/bits"

	"github.com/google/uuid"

	"meridian/ledger"
)

// completion captures a hold, up to the policy's percentage of it. A hold is
// captured once; what it does not need goes back to the card.
func (d *decision) completion() Verdict {
	r := d.request
	found := d.facts.originals(r)
	if len(found) != 1 || found[0].MerchantID != r.merchant.ID {
		return d.decline(OriginalNotFound)
	}
	o := found[0]
	d.speaksOf(o)
	if !r.PAN.IsZero() && r.Token != o.Token {
		return d.decline(CardMismatch)
	}
	hold := d.facts.holds[o.ID]
	switch {
	case o.Kind != KindAuthorization || o.State != StateApproved || hold == nil || !hold.Usable(d.facts.Now):
		return d.decline(InvalidTransaction)
	case r.currencyOf() != o.Currency:
		return d.decline(CurrencyMismatch)
	case r.AmountMinor <= 0:
		return d.decline(InvalidAmount)
	case exceedsPercent(r.AmountMinor, hold.AmountMinor, d.policy.CompletionPercent):
		return d.decline(ExceedsAmountLimit)
	}
	d.captureHold(hold, r.AmountMinor)
	d.change(o).State = StateCompleted
	d.verdict.Record.CapturedMinor = r.AmountMinor
	return d.approve()
}

// exceedsPercent tells whether amount > percent % of base, without overflow.
func exceedsPercent(amount, base int64, percent int) bool {
	ah, al := bits.Mul64(uint64(amount), 100)
	bh, bl := bits.Mul64(uint64(base), uint64(percent))
	return ah > bh || ah == bh && al > bl
}

// captureHold posts amountMinor from an open hold and gives back the rest. The
// tolerance above the hold is guaranteed to the merchant, so it posts even
// when the card has less available.
func (d *decision) captureHold(hold *ledger.Hold, amountMinor int64) {
	from := cardAccount(hold.CardID)
	posted := min(amountMinor, hold.AmountMinor)
	d.verdict.Journal.Hold(ledger.KindCompletion, ledger.PostPending, from, d.pending(), posted, hold.ID)
	d.verdict.Journal.Hold(ledger.KindRelease, ledger.VoidPending, from, d.pending(), hold.AmountMinor-posted, hold.ID)
	d.verdict.Journal.Post(ledger.KindCompletion, from, d.pending(), amountMinor-posted)
	d.moveCard(hold.CardID, -amountMinor, -hold.AmountMinor)
	changed := d.changeHold(hold)
	changed.State, changed.CapturedMinor = ledger.HoldPosted, amountMinor
}

// releaseHold gives back part or all of an open hold.
func (d *decision) releaseHold(kind ledger.Kind, hold *ledger.Hold, leaveMinor int64) {
	release := hold.AmountMinor - leaveMinor
	d.verdict.Journal.Hold(kind, ledger.VoidPending, cardAccount(hold.CardID), d.pending(), release, hold.ID)
	d.moveCard(hold.CardID, 0, -release)
	changed := d.changeHold(hold)
	if leaveMinor > 0 {
		changed.AmountMinor = leaveMinor
		return
	}
	changed.State = ledger.HoldVoided
}

// restoreHold makes a hold that was captured or voided reserve again, unless
// it has run out meanwhile.
func (d *decision) restoreHold(kind ledger.Kind, id uuid.UUID) bool {
	hold := d.facts.holds[id]
	if hold == nil {
		return false
	}
	authorization := d.facts.records[id]
	if authorization == nil {
		return false
	}
	changed := d.changeHold(hold)
	changed.CapturedMinor = 0
	if !d.facts.Now.Before(hold.ExpiresAt) {
		changed.State = ledger.HoldExpired
		d.change(authorization).State = StateExpired
		return false
	}
	changed.State = ledger.HoldOpen
	d.change(authorization).State = StateApproved
	d.verdict.Journal.Hold(kind, ledger.Pending, cardAccount(hold.CardID), d.pending(), hold.AmountMinor, id)
	d.moveCard(hold.CardID, 0, hold.AmountMinor)
	return true
}
