package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
)

// NewCard is an on-us card's account before it is there.
type NewCard struct {
	ID       int64
	Token    [16]byte
	Masked   string // its number as people see it
	Expiry   Expiry
	Currency money.Currency
	Status   CardStatus
	// OpeningMinor is what it is opened with: a load by the journal OpeningID, with
	// [OpeningReference]. Zero is none.
	OpeningMinor int64
	OpeningID    uuid.UUID
}

// OpenCards makes the accounts that are not there, neither by their numbers nor by
// their tokens, and loads those, so that no opening balance is ever loaded twice.
// The loads are posted in the open business date of a calendar, which is not looked
// at where there are none. It returns the cards that it made.
//
// Errors: [ErrNoOpenDate].
func OpenCards(ctx context.Context, tx pgx.Tx, calendar int16, now time.Time, list []NewCard) (opened []NewCard, err error) {
	if opened, err = insertCards(ctx, tx, list); err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	var loads []Load
	for i := range opened {
		if c := &opened[i]; c.OpeningMinor != 0 {
			loads = append(loads, Load{
				JournalID: c.OpeningID, CardID: c.ID, Reference: OpeningReference, Currency: c.Currency, AmountMinor: c.OpeningMinor,
			})
		}
	}
	if len(loads) == 0 {
		return opened, nil
	}
	date, err := shareLoadDate(ctx, tx, calendar, now)
	if err != nil {
		return nil, err
	}
	return opened, postLoads(ctx, tx, date, now, loads)
}

// insertCards makes the accounts that are not there, and returns those that it made.
func insertCards(ctx context.Context, tx pgx.Tx, list []NewCard) ([]NewCard, error) {
	n := len(list)
	var (
		ids, balances      = make([]int64, n), make([]int64, n)
		tokens             = make([][]byte, n)
		masked, expiries   = make([]string, n), make([]string, n)
		currencies, states = make([]int16, n), make([]int16, n)
	)
	for i := range list {
		c := &list[i]
		ids[i], tokens[i], masked[i], expiries[i] = c.ID, c.Token[:], c.Masked, c.Expiry.String()
		currencies[i], states[i], balances[i] = int16(c.Currency), int16(c.Status), c.OpeningMinor
	}
	rows, err := tx.Query(ctx, insertCardsSQL, ids, tokens, masked, expiries, currencies, states, balances)
	if err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	made := make(map[int64]struct{}, n)
	var id int64
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		made[id] = struct{}{}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	opened := make([]NewCard, 0, len(made))
	for i := range list {
		if _, ok := made[list[i].ID]; ok {
			opened = append(opened, list[i])
		}
	}
	return opened, nil
}
