package switching

import (
	"time"

	"meridian/ledger"
)

// purchase decides what needs no original: authorization, sale, offline advice
// and balance inquiry.
func (d *decision) purchase() Verdict {
	r := d.request
	if reason := d.permitted(); reason != Approved {
		return d.decline(reason)
	}
	account, reason := d.card()
	if reason != Approved {
		return d.decline(reason)
	}
	d.verdict.Record.CardID = account.ID
	if reason := d.pin(account); reason != Approved {
		return d.decline(reason)
	}
	if r.Kind == KindBalance {
		d.verdict.Record.BalanceMinor, d.verdict.Record.HasBalance = account.AvailableMinor(), true
		return d.approve()
	}
	// What an offline advice reports has been handed over already.
	if r.Kind != KindAdvice && r.AmountMinor > account.AvailableMinor() {
		return d.decline(InsufficientFunds)
	}
	if r.Kind == KindAuthorization {
		d.reserve(account)
	} else {
		d.capture(account)
	}
	return d.approve()
}

// permitted checks amount, currency and function against the policy.
func (d *decision) permitted() Reason {
	r, p := d.request, d.policy
	switch r.Kind {
	case KindAuthorization:
		if !p.AllowAuthorization {
			return NotPermittedToTerminal
		}
	case KindAdvice:
		if !p.AllowOfflineAdvice {
			return NotPermittedToTerminal
		}
	default:
		if r.CashbackMinor > 0 && !p.AllowCashback {
			return NotPermittedToTerminal
		}
	}
	if r.currencyOf() != r.merchant.Currency {
		return CurrencyMismatch
	}
	if r.Kind == KindBalance {
		return Approved
	}
	switch {
	case r.AmountMinor <= 0, r.CashbackMinor > r.AmountMinor:
		return InvalidAmount
	case p.MaxAmountMinor > 0 && r.AmountMinor > p.MaxAmountMinor:
		return ExceedsAmountLimit
	case p.MaxCashbackMinor > 0 && r.CashbackMinor > p.MaxCashbackMinor:
		return ExceedsAmountLimit
	}
	return Approved
}

// card finds the on-us account of the request's card and checks that it may
// be used.
func (d *decision) card() (*ledger.CardAccount, Reason) {
	r := d.request
	if r.PAN.IsZero() {
		return nil, FormatError
	}
	if !r.PAN.LuhnOK() {
		return nil, InvalidCard
	}
	if d.facts.references.route(r.PAN) == "" {
		return nil, NoSuchIssuer
	}
	account := d.facts.cards[r.Token]
	if account == nil {
		return nil, InvalidCard
	}
	switch account.Status {
	case ledger.CardActive:
	case ledger.CardLost:
		return nil, LostCard
	case ledger.CardStolen:
		return nil, StolenCard
	default:
		return nil, RestrictedCard
	}
	if r.Expiry != "" && r.Expiry != account.Expiry.String() {
		return nil, WrongExpiry
	}
	if expired(account.Expiry, d.facts.Now.In(d.request.merchant.zone)) {
		return nil, ExpiredCard
	}
	if account.Currency != r.currencyOf() {
		return nil, CurrencyMismatch
	}
	return account, Approved
}

// expired tells whether a card with this expiry (YYMM) has ended at the civil
// date of t: it is good through the last day of its month.
func expired(end ledger.Expiry, t time.Time) bool {
	year, month, _ := t.Date()
	return end.Month() < (year%100)*100+int(month)
}

// reserve takes a hold: the legs of a sale, pending.
func (d *decision) reserve(account *ledger.CardAccount) {
	r, rec := d.request, d.verdict.Record
	d.verdict.Holds = append(d.verdict.Holds, &ledger.Hold{
		ID: rec.ID, BusinessDate: rec.BusinessDate, MerchantID: r.merchant.ID, CardID: account.ID, Currency: rec.Currency,
		AmountMinor: r.AmountMinor, State: ledger.HoldOpen,
		ExpiresAt: d.facts.Now.AddDate(0, 0, d.policy.HoldDays),
	})
	d.verdict.Journal.Hold(ledger.KindHold, ledger.Pending, account.Account(), d.pending(), r.AmountMinor, rec.ID)
	d.moveCard(account.ID, 0, r.AmountMinor)
}

// capture moves money from the card to the merchant; cash handed out is a leg
// of its own, because it earns no merchant discount.
func (d *decision) capture(account *ledger.CardAccount) {
	r := d.request
	kind := ledger.KindSale
	if r.Kind == KindAdvice {
		kind = ledger.KindAdvice
	}
	d.verdict.Journal.Post(kind, account.Account(), d.pending(), r.AmountMinor-r.CashbackMinor)
	d.verdict.Journal.Post(ledger.KindCashback, account.Account(), d.pending(), r.CashbackMinor)
	d.moveCard(account.ID, -r.AmountMinor, 0)
	d.verdict.Record.CapturedMinor = r.AmountMinor
}
