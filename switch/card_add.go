package switching

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/ledger"
)

// NewCard is an on-us card that somebody hands out.
type NewCard struct {
	PAN card.PAN
	// Tokens of its number under every version of the token key. It is stored with
	// the last one, which is what hosts look cards up by.
	Tokens   [][16]byte
	Expiry   card.Expiry
	Currency money.Currency
	// OpeningMinor is what is loaded onto it, once.
	OpeningMinor int64
}

// AddedCard is a card that is there now.
type AddedCard struct {
	CardState

	// Added is false for one that was there before: nothing of it was changed, and
	// nothing loaded.
	Added bool `json:"added"`
	// Routed is false where no range leads to the ledger: it is declined until there is one.
	Routed bool `json:"routed"`
}

// CardError is what is wrong with one of several cards.
type CardError struct {
	// Index in the list.
	Index int

	cause error
}

// Error is what is wrong with it.
func (e *CardError) Error() string { return e.cause.Error() }

// Unwrap is a [FieldError].
func (e *CardError) Unwrap() error { return e.cause }

// MaxCardsAdded at once: they are one transaction of some 300 ms, at whose end the
// rows of the audit log keep everybody else from writing there.
const MaxCardsAdded = 10_000

// MaxCardBalanceMinor is the most that a card may have: an amount in a message has
// twelve digits, and a terminal is told no more.
const MaxCardBalanceMinor = 999_999_999_999

// maxCardID is what an account's number has room for.
const maxCardID = 1<<48 - 1

// AddCards makes the accounts of on-us cards and loads them with their opening
// balances, all or none. One that is there is left as it is, so that adding the same
// again changes nothing; but when it is there with another expiry or currency, or was
// opened with another amount, that is an error. It needs the owner's privileges.
//
// The loads are posted in the business date of a calendar, by its name; empty is the
// only calendar.
//
// Errors: [CardError], [FieldError].
func AddCards(ctx context.Context, db ledger.TxBeginner, list []NewCard, calendar string, now time.Time, who, why string) (added []AddedCard, err error) {
	if who == "" || why == "" {
		return nil, errors.New("add cards: who does it and why must be said")
	}
	if len(list) > MaxCardsAdded {
		return nil, fmt.Errorf("add cards: %d, and at most %d at once", len(list), MaxCardsAdded)
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := boundCardChange(ctx, tx); err != nil {
			return err
		}
		// One after the other: what is looked for stays so, and a number is handed out once.
		// The version stays, because hosts keep no list of cards.
		if _, err := tx.Exec(ctx, `SELECT FROM installation FOR UPDATE`); err != nil {
			return fmt.Errorf("take turns: %w", err)
		}
		a := addingCards{tx: tx, list: list, calendar: calendar, now: now, by: byWhom(who, why)}
		var err error
		added, err = a.run(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("add cards: %w", err)
	}
	return added, nil
}

// addingCards is one transaction of AddCards.
type addingCards struct {
	tx       pgx.Tx
	list     []NewCard
	calendar string
	now      time.Time
	by       string
}

func (a *addingCards) run(ctx context.Context) ([]AddedCard, error) {
	known, err := a.known(ctx)
	if err != nil {
		return nil, err
	}
	var directory Directory
	if err := directory.readRanges(ctx, a.tx); err != nil {
		return nil, err
	}
	next, err := nextNumber(ctx, a.tx, "card_accounts", "card_id", maxCardID-MaxCardsAdded)
	if err != nil {
		return nil, err
	}
	added := make([]AddedCard, len(a.list))
	var accounts []ledger.NewCard
	for i := range a.list {
		n := &a.list[i]
		added[i].Routed = directory.route(n.PAN) != ""
		if is := n.among(known); is != nil {
			if err := n.same(is); err != nil {
				return nil, &CardError{i, err}
			}
			added[i].CardState = is.CardState
			continue
		}
		if err := n.check(a.now); err != nil {
			return nil, &CardError{i, err}
		}
		account := n.account(next + int64(len(accounts)))
		added[i].CardState, added[i].Added = stateOf(&account), true
		accounts = append(accounts, account)
	}
	if len(accounts) == 0 {
		return added, nil
	}
	return added, a.open(ctx, accounts)
}

// knownCard is a card that is there.
type knownCard struct {
	CardState

	openedMinor *int64 // nil where nobody kept what it was opened with
}

// openedSQL is what a card was opened with. What was loaded before there were references
// may be that or not.
const openedSQL = `coalesce(
	(SELECT amount_minor FROM card_loads l WHERE l.card_id = card_accounts.card_id AND reference = '` + ledger.OpeningReference + `'),
	CASE WHEN NOT EXISTS (SELECT FROM card_loads l WHERE l.card_id = card_accounts.card_id AND reference = 'before-' || journal_id) THEN 0 END)`

// known are the cards of the list that are there, by token.
func (a *addingCards) known(ctx context.Context) (map[[16]byte]*knownCard, error) {
	var tokens [][16]byte
	for i := range a.list {
		tokens = append(tokens, a.list[i].Tokens...)
	}
	rows, err := a.tx.Query(ctx, `SELECT `+cardStateColumns+`, pan_token, `+openedSQL+` FROM card_accounts WHERE pan_token = ANY($1::bytea[])`, tokenBytes(tokens))
	if err != nil {
		return nil, fmt.Errorf("look for the cards: %w", err)
	}
	defer rows.Close()
	known := map[[16]byte]*knownCard{}
	for rows.Next() {
		var token []byte
		var opened *int64
		c, err := scanCardState(rows, &token, &opened)
		if err != nil {
			return nil, fmt.Errorf("look for the cards: %w", err)
		}
		known[[16]byte(token)] = &knownCard{*c, opened}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for the cards: %w", err)
	}
	return known, nil
}

// open makes the accounts, and writes to the audit log as the last thing.
func (a *addingCards) open(ctx context.Context, accounts []ledger.NewCard) error {
	var calendar int16
	if slices.ContainsFunc(accounts, func(c ledger.NewCard) bool { return c.OpeningMinor > 0 }) {
		var err error
		if calendar, err = loadingCalendar(ctx, a.tx, a.calendar, a.now); err != nil {
			return err
		}
	}
	opened, err := ledger.OpenCards(ctx, a.tx, calendar, a.now, accounts)
	if err != nil {
		return loadingError(err)
	}
	if len(opened) != len(accounts) {
		return fmt.Errorf("%d of %d accounts met others that were made meanwhile", len(accounts)-len(opened), len(accounts))
	}
	entries := make([]AuditEntry, len(opened))
	for i := range opened {
		state := stateOf(&opened[i])
		entries[i] = AuditEntry{
			At: a.now, Kind: "card_added", Subject: state.String(),
			Detail: fmt.Sprintf("expires %s, opened with %s, %s", state.Expiry, money.Amount{Minor: state.BalanceMinor, Currency: state.Currency}, a.by),
		}
	}
	return AppendAudit(ctx, a.tx, entries...)
}

// among finds the card, under whichever version of the token key it was stored.
func (n *NewCard) among(known map[[16]byte]*knownCard) *knownCard {
	for _, token := range n.Tokens {
		if c := known[token]; c != nil {
			return c
		}
	}
	return nil
}

// same wants a card that is there to be the one that is added. Who puts nothing on it
// misses nothing, whatever it was opened with.
func (n *NewCard) same(is *knownCard) error {
	if expiry := n.Expiry.String(); is.Expiry != expiry {
		return taken("expiry", "%s is there already and expires %s, not %s", is, is.Expiry, expiry)
	}
	if is.Currency != n.Currency {
		return taken("currency", "%s is there already in %s, not in %s", is, is.Currency, n.Currency)
	}
	if opened := is.openedMinor; n.OpeningMinor != 0 && opened != nil && *opened != n.OpeningMinor {
		return taken("opening", "%s is there already and was opened with %s, not with %s: load it (meridian card load)",
			is, minor(*opened, is.Currency), minor(n.OpeningMinor, n.Currency))
	}
	return nil
}

// check looks at a card that is not there.
func (n *NewCard) check(now time.Time) error {
	switch {
	case len(n.Tokens) == 0:
		return errors.New("a card without a token")
	case !n.PAN.LuhnOK():
		return wrong("number", "%s: its last digit is not its check digit", n.PAN)
	case n.Expiry.IsZero():
		return wrong("expiry", "is missing")
	case expired(n.expiry(), now.UTC()):
		return wrong("expiry", "%s has expired: %s is the year %d and the month %d", n.PAN, n.Expiry, n.Expiry.Year, n.Expiry.Month)
	case !n.Currency.Valid():
		return wrong("currency", "is missing")
	case n.OpeningMinor < 0 || n.OpeningMinor > MaxCardBalanceMinor:
		return wrong("opening", "it is from 0 to %s", money.Amount{Minor: MaxCardBalanceMinor, Currency: n.Currency})
	}
	return nil
}

func (n *NewCard) expiry() ledger.Expiry { return ledger.Expiry([]byte(n.Expiry.String())) }

// account is the card as the ledger keeps it.
func (n *NewCard) account(id int64) ledger.NewCard {
	return ledger.NewCard{
		ID: id, Token: n.Tokens[len(n.Tokens)-1], Masked: n.PAN.Masked(), Expiry: n.expiry(), Currency: n.Currency,
		Status: ledger.CardActive, OpeningMinor: n.OpeningMinor, OpeningID: uuid.Must(uuid.NewV7()),
	}
}

func stateOf(c *ledger.NewCard) CardState {
	return CardState{
		ID: c.ID, Account: ledger.Account(ledger.RoleCard, c.ID).String(), Masked: c.Masked, Expiry: c.Expiry.String(), Currency: c.Currency,
		Status: c.Status, BalanceMinor: c.OpeningMinor, AvailableMinor: c.OpeningMinor,
	}
}
