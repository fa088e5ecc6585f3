package switching

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/ledger"
)

// CardLoad is money that somebody puts on an on-us card.
type CardLoad struct {
	Card CardRef
	// Amount in the card's currency.
	Amount money.Amount
	// Reference names the load among those of the card: another one of the same
	// reference is taken for a repeat.
	Reference string
	// Calendar whose business date it is posted in; empty is the only calendar.
	Calendar string
}

// LoadedCard is what became of a load.
type LoadedCard struct {
	CardState

	Reference    string       `json:"reference"`
	Amount       money.Amount `json:"amount"`
	BusinessDate ledger.Date  `json:"business_date"`
	LoadedAt     time.Time    `json:"loaded_at"`
	// Repeated: its reference was there, and nothing was posted.
	Repeated bool `json:"repeated"`
}

// maxReferenceLetters is what the column takes.
const maxReferenceLetters = 64

// LoadCard puts money on a card once for each reference. It needs the owner's
// privileges.
//
// Errors: [ErrNoCard], [FieldError].
func LoadCard(ctx context.Context, db ledger.TxBeginner, l CardLoad, now time.Time, who, why string) (loaded *LoadedCard, err error) {
	if who == "" || why == "" {
		return nil, errors.New("load card: who does it and why must be said")
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := boundCardChange(ctx, tx); err != nil {
			return err
		}
		is, err := FindCard(ctx, tx, l.Card)
		if err != nil {
			return err
		}
		if is.Currency != l.Amount.Currency {
			return wrong("amount", "%s is in %s", is, is.Currency)
		}
		// A repeat needs no business date: it is told also while none is open.
		switch stored, err := ledger.FindLoad(ctx, tx, is.ID, l.Reference); {
		case err == nil:
			loaded = l.loaded(is, stored, false)
			return l.repeats(is, stored)
		case !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("find: %w", err)
		}
		calendar, err := loadingCalendar(ctx, tx, l.Calendar, now)
		if err != nil {
			return err
		}
		stored, posted, err := ledger.LoadCard(ctx, tx, calendar, now, ledger.Load{
			JournalID: uuid.Must(uuid.NewV7()), CardID: is.ID, Reference: l.Reference, Currency: is.Currency, AmountMinor: l.Amount.Minor,
		})
		if err != nil {
			return loadingError(err)
		}
		// The card is locked now: it is as it will be stored.
		if is, err = FindCard(ctx, tx, CardRef{ID: is.ID}); err != nil {
			return err
		}
		loaded = l.loaded(is, stored, posted)
		if loaded.Repeated {
			return l.repeats(is, stored)
		}
		switch {
		case is.Status == ledger.CardClosed:
			return notNow("status", "%s is closed: it takes no money any more", is)
		case is.BalanceMinor > MaxCardBalanceMinor:
			return notNow("amount", "%s would have %s, and at most %s go on a card", is, minor(is.BalanceMinor, is.Currency),
				minor(MaxCardBalanceMinor, is.Currency))
		}
		return AppendAudit(ctx, tx, AuditEntry{
			At: now, Kind: "card_loaded", Subject: is.String(),
			Detail: fmt.Sprintf("%s with reference %s, balance %s, %s", l.Amount, l.Reference, minor(is.BalanceMinor, is.Currency), byWhom(who, why)),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("load card: %w", err)
	}
	return loaded, nil
}

func (l *CardLoad) loaded(is *CardState, stored ledger.StoredLoad, posted bool) *LoadedCard {
	return &LoadedCard{
		CardState: *is, Reference: l.Reference, Amount: l.Amount, BusinessDate: stored.BusinessDate, LoadedAt: stored.LoadedAt, Repeated: !posted,
	}
}

func minor(amount int64, currency money.Currency) money.Amount {
	return money.Amount{Minor: amount, Currency: currency}
}

// check looks at what can be looked at without the card.
func (l *CardLoad) check() error {
	const field = "reference"
	switch r := l.Reference; {
	case strings.TrimSpace(r) != r || r == "":
		return wrong(field, "is missing, or begins or ends with a space")
	case !utf8.ValidString(r) || strings.ContainsFunc(r, func(letter rune) bool { return !unicode.IsPrint(letter) }):
		return wrong(field, "has a character that cannot be shown")
	case utf8.RuneCountInString(r) > maxReferenceLetters:
		return wrong(field, "is longer than %d letters", maxReferenceLetters)
	case card.HideTyped(r, nil) != r:
		return wrong(field, "has a card number in it, which is kept nowhere") // nor told
	case r == ledger.OpeningReference:
		return wrong(field, "%s is what a card was opened with", ledger.OpeningReference)
	case l.Amount.Minor <= 0 || l.Amount.Minor > MaxCardBalanceMinor:
		return wrong("amount", "it is above 0, and up to %s", minor(MaxCardBalanceMinor, l.Amount.Currency))
	}
	return nil
}

// repeats wants a load whose reference is there to be the same one.
func (l *CardLoad) repeats(is *CardState, stored ledger.StoredLoad) error {
	if stored.AmountMinor == l.Amount.Minor {
		return nil
	}
	return taken("reference", "%s was loaded with %s by this reference on %s, and not with %s", is, minor(stored.AmountMinor, is.Currency),
		stored.BusinessDate, l.Amount)
}

// loadingCalendar finds the calendar whose business date loads are posted in, and
// makes its dates, which hosts do otherwise: the first cards may come before the first
// host.
func loadingCalendar(ctx context.Context, tx pgx.Tx, name string, now time.Time) (int16, error) {
	const field = "calendar"
	list, err := ledger.Calendars(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("find the calendar: %w", err)
	}
	var chosen *ledger.Calendar
	for _, c := range list {
		if c.Name == name || name == "" && len(list) == 1 {
			chosen = c
		}
	}
	switch {
	case chosen == nil && name != "":
		return 0, missing(field, "there is no calendar %q", name)
	case chosen == nil && len(list) == 0:
		return 0, missing(field, "there is none, and money is put on a card on a business date")
	case chosen == nil:
		names := make([]string, len(list))
		for i, c := range list {
			names[i] = c.Name
		}
		return 0, wrong(field, "there are %s: say in whose business date the money is put on the card", strings.Join(names, ", "))
	}
	if err := ledger.EnsureWindows(ctx, tx, []*ledger.Calendar{chosen}, now); err != nil {
		return 0, fmt.Errorf("business dates: %w", err)
	}
	return chosen.ID, nil
}

// loadingError tells people what they can wait for.
func loadingError(err error) error {
	if errors.Is(err, ledger.ErrNoOpenDate) {
		return notNow("calendar", "none of its business dates is open (meridian cutover status)")
	}
	return err
}
