package model

import "time"

// purchase is an authorization, a sale or an offline advice.
func (w *World) purchase(r Request) Answer {
	if reason := w.mayBuy(r); reason != Approved {
		return w.decline(r, reason, 0)
	}
	t := Transaction{
		Kind: r.Kind, State: StateApproved, Reason: Approved, Card: r.Card, Original: -1,
		Date: w.today(r.Merchant), AmountMinor: r.AmountMinor, Currency: w.currency(r),
	}
	if r.Kind != Authorization {
		t.CapturedMinor, t.clearedMinor = r.AmountMinor, r.AmountMinor
		w.spend(t.Date, r.Card, pendingAccount(r.Merchant), r.AmountMinor)
		goods := sales
		if r.Kind == Advice {
			goods = advices
		}
		w.tally(r.Merchant, t.Date, goods, r.AmountMinor-r.CashbackMinor)
		w.tally(r.Merchant, t.Date, cashbacks, r.CashbackMinor)
		return w.Transactions[w.take(r, t)].Answer
	}
	// Not in the documents: a hold's days have 24 hours, and its end is kept to
	// the microsecond.
	expires := kept(w.Now.UTC().AddDate(0, 0, w.Merchants[r.Merchant].Policy.HoldDays))
	t.Hold = Hold{State: HoldOpen, AmountMinor: r.AmountMinor, ExpiresAt: expires}
	id := w.take(r, t)
	w.reserve(t.Date, &w.Transactions[id], r.AmountMinor)
	return w.Transactions[id].Answer
}

// mayBuy checks a purchase. Not in the documents: the order of these checks,
// which matters only to a request with more than one fault.
func (w *World) mayBuy(r Request) Reason {
	m := &w.Merchants[r.Merchant]
	p := &m.Policy
	switch {
	case r.Kind == Authorization && !p.AllowAuthorization,
		r.Kind == Sale && r.CashbackMinor > 0 && !p.AllowCashback,
		r.Kind == Advice && !p.AllowOfflineAdvice:
		return NotPermittedToTerminal
	case w.currency(r) != m.Currency:
		return CurrencyMismatch
	case r.AmountMinor <= 0 || r.CashbackMinor > r.AmountMinor:
		return InvalidAmount
	case p.MaxAmountMinor > 0 && r.AmountMinor > p.MaxAmountMinor,
		p.MaxCashbackMinor > 0 && r.CashbackMinor > p.MaxCashbackMinor:
		return ExceedsAmountLimit
	}
	if reason := w.mayUse(r); reason != Approved {
		return reason
	}
	// What was approved offline is owed, whatever the balance.
	if r.Kind != Advice && w.Cards[r.Card].AvailableMinor() < r.AmountMinor {
		return InsufficientFunds
	}
	return Approved
}

// mayUse checks the card of a purchase or an inquiry.
func (w *World) mayUse(r Request) Reason {
	switch r.Card {
	case NoCard:
		return FormatError
	case MistypedCard, StrangeCard:
		return InvalidCard
	case ForeignCard:
		return NoSuchIssuer
	}
	c := &w.Cards[r.Card]
	switch c.Status {
	case CardLost:
		return LostCard
	case CardStolen:
		return StolenCard
	case CardBlocked, CardFrozen, CardClosed:
		return RestrictedCard
	case CardActive:
	}
	switch {
	case r.Expiry != "" && r.Expiry != c.Expiry:
		return WrongExpiry
	case expired(c.Expiry, w.Now.In(w.Calendars[w.Merchants[r.Merchant].Calendar].Zone)):
		return ExpiredCard
	default:
		return Approved
	}
}

// expired tells whether the month YYMM is over on the wall's clock.
func expired(expiry string, now time.Time) bool { return now.Format("0601") > expiry }

// inquire tells what the card has available.
func (w *World) inquire(r Request) Answer {
	reason := w.mayUse(r)
	if w.currency(r) != w.Merchants[r.Merchant].Currency {
		reason = CurrencyMismatch
	}
	if reason != Approved {
		return w.decline(r, reason, 0)
	}
	id := w.take(r, Transaction{
		Kind: Balance, State: StateApproved, Reason: Approved, Card: r.Card, Original: -1,
		Date: w.today(r.Merchant), AmountMinor: r.AmountMinor, Currency: w.currency(r),
	})
	answer := &w.Transactions[id].Answer
	answer.BalanceMinor, answer.HasBalance = w.Cards[r.Card].AvailableMinor(), true
	return *answer
}

// complete captures a hold: once, up to a percentage of it, and what is left
// of it is released.
func (w *World) complete(r Request) Answer {
	found := w.find(r)
	if len(found) != 1 {
		return w.decline(r, OriginalNotFound, 0)
	}
	id := found[0]
	if reason := w.mayComplete(r, &w.Transactions[id]); reason != Approved {
		return w.declineOf(r, id, reason, 0)
	}
	o := &w.Transactions[id]
	date := w.today(r.Merchant)
	w.release(date, o, o.Hold.AmountMinor)
	w.spend(date, o.Card, pendingAccount(r.Merchant), r.AmountMinor)
	w.tally(r.Merchant, date, completions, r.AmountMinor)
	o.Hold.State, o.State = HoldPosted, StateCompleted
	return w.Transactions[w.take(r, Transaction{
		Kind: Completion, State: StateApproved, Reason: Approved, Card: o.Card, Original: id,
		Date: date, AmountMinor: r.AmountMinor, CapturedMinor: r.AmountMinor, clearedMinor: r.AmountMinor, Currency: w.currency(r),
	})].Answer
}

func (w *World) mayComplete(r Request, o *Transaction) Reason {
	p := &w.Merchants[r.Merchant].Policy
	switch {
	case o.Merchant != r.Merchant:
		return OriginalNotFound
	case r.Card != NoCard && r.Card != o.Card:
		return CardMismatch
	case o.Kind != Authorization || o.Hold.State != HoldOpen:
		return InvalidTransaction
	case !w.Now.Before(o.Hold.ExpiresAt):
		return InvalidTransaction
	case w.currency(r) != o.Currency:
		return CurrencyMismatch
	case r.AmountMinor <= 0:
		return InvalidAmount
	case r.AmountMinor*100 > o.Hold.AmountMinor*p.CompletionPercent:
		return ExceedsAmountLimit
	default:
		// It reports what happened already: like an advice, it is owed whatever
		// the balance.
		return Approved
	}
}
