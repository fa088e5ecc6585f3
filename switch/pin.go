package switching

import (
	"context"
	"errors"
	"log/slog"

	"meridian/internal/hsm"
	"meridian/ledger"
)

// A PIN is verified between load and decide, over the card's row with its reference
// and its count of wrong tries. Right or wrong, the card is stored with the unit, and
// that ends one whose card another unit has changed: run again, it looks at the PIN
// again. A repeat is not another try. What the security module says is a fact like any other; what it comes to
// is decided with the rest, so that two wrong PINs in one unit are two tries.

// pinTries are the wrong PINs in a row that lock a card for PINs: what ATMs and
// issuers allow (ISO 9564-1 leaves it to them). The right one is refused after
// that as well, until somebody resets the count.
const pinTries = 3

// pinFact is what became of a request's PIN: a result, or the reason why there
// is none.
type pinFact struct {
	result hsm.PINResult
	reason Reason
}

// pinTry is what a PIN did to its card.
type pinTry struct {
	cardID   int64
	failures int16
}

// verifiesPIN tells whether a PIN in a request of this kind is looked at. A
// reversal takes nothing and repairs a transmission, whoever is at the counter;
// what shows or settles a batch has no card holder.
func (k Kind) verifiesPIN() bool { return k.Class() == ClassFinancial }

// checkPINs asks the security module about the PINs of the unit's requests.
func (u *unit) checkPINs(ctx context.Context, f *Facts) {
	for _, j := range u.jobs {
		r := j.request
		// After its answer a request's block is gone.
		if r.PIN == nil || j.answered || !r.Kind.verifiesPIN() || f.repeated(r) != nil {
			continue
		}
		f.pins[r] = u.sw.checkPIN(ctx, r, f.cards[r.Token])
	}
}

// checkPIN never says more than what the decision needs. A PIN that cannot be
// verified is refused: nothing was meant to be bought without it.
func (s *Switch) checkPIN(ctx context.Context, r *Request, account *ledger.CardAccount) pinFact {
	switch {
	case account == nil || account.PINReference == nil:
		return pinFact{reason: IncorrectPIN} // and no try: there is nothing to find out
	case account.PINFailures >= pinTries:
		return pinFact{reason: PINTriesExceeded}
	case s.ring.module == nil || len(r.Credentials.PINKeys) == 0:
		return pinFact{reason: PINFormat} // signing in gives a key
	}
	check := hsm.PINCheck{Token: r.Token, Reference: account.PINReference}
	check.KSN, check.Format, check.Block, check.PAN = r.Credentials.KSN, r.PIN.Format, r.PIN.Block, r.PAN
	if check.Format == 0 {
		check.Format = r.terminal.PINFormat
	}
	fact := pinFact{reason: PINFormat}
	for _, key := range r.Credentials.PINKeys {
		check.Key = key
		result, err := s.ring.module.VerifyPIN(ctx, check)
		switch {
		case errors.Is(err, hsm.ErrPINBlock), errors.Is(err, hsm.ErrAlgorithm), errors.Is(err, hsm.ErrKSN):
			// The block does not fit its key; another key may be the one.
		case err != nil:
			s.lines.write(slog.LevelError, "PIN cannot be verified", "tid", r.TID, "error", err)
			fact = pinFact{reason: SystemMalfunction}
		case result != hsm.PINMalformed:
			return pinFact{result: result}
		}
	}
	return fact
}

// pin decides on the request's PIN, where it has one. account is its card's, nil
// if that is not known.
func (d *decision) pin(account *ledger.CardAccount) Reason {
	if d.request.PIN == nil {
		return Approved
	}
	fact, checked := d.facts.pins[d.request]
	switch {
	case !checked:
		return PINFormat
	case account != nil && account.PINFailures >= pinTries:
		return PINTriesExceeded
	case fact.reason != 0:
		return fact.reason
	case fact.result == hsm.PINCorrect:
		// Also where there was no wrong one: what is stored of a card is stored only
		// where no wrong one came meanwhile (package ledger, [ledger.QueueCardChanges]).
		d.verdict.PINTry = pinTry{cardID: account.ID}
		return Approved
	default:
		d.verdict.PINTry = pinTry{cardID: account.ID, failures: account.PINFailures + 1}
		return IncorrectPIN
	}
}

// applyPIN makes a try part of the facts.
func (f *Facts) applyPIN(t pinTry) {
	if t.cardID == 0 {
		return
	}
	account := f.cardsByID[t.cardID]
	account.PINFailures = t.failures
	f.changes.dirtyCards[account] = struct{}{}
}
