package switching

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// ErrNoCard: no on-us card has that number.
var ErrNoCard = errors.New("there is no such card")

// CardRef names an on-us card: by its account's number or, if that is 0, by its
// tokens, one for each version of the token key.
type CardRef struct {
	ID     int64
	Tokens [][16]byte
}

// CardState is an on-us card as people see it.
type CardState struct {
	ID int64 `json:"-"`
	// Account as the chart has it, such as card:7.
	Account  string            `json:"account"`
	Masked   string            `json:"card"` // first six and last four digits
	Expiry   string            `json:"expiry"`
	Currency money.Currency    `json:"currency"`
	Status   ledger.CardStatus `json:"status"`
	// BalanceMinor is what is on it, HeldMinor what authorizations reserve of that.
	BalanceMinor   int64 `json:"balance_minor"`
	HeldMinor      int64 `json:"held_minor"`
	AvailableMinor int64 `json:"available_minor"`
	// HasPIN: a PIN can be verified. One that cannot be is declined.
	HasPIN bool `json:"has_pin"`
	// WrongPINs in a row; PINLocked when there were too many.
	WrongPINs int  `json:"wrong_pins"`
	PINLocked bool `json:"pin_locked"`
}

// String names the card in an audit log: its account, and its number as people see it.
func (c *CardState) String() string { return c.Account + " " + c.Masked }

// namedCard is a condition on card_accounts that a [CardRef] fills in as $1 and $2.
const namedCard = `($1 > 0 AND card_id = $1 OR $1 = 0 AND pan_token = ANY($2::bytea[]))`

// arguments of namedCard.
func (r *CardRef) arguments() (id int64, tokens [][]byte) { return r.ID, tokenBytes(r.Tokens) }

func tokenBytes(tokens [][16]byte) [][]byte {
	stored := make([][]byte, len(tokens))
	for i := range tokens {
		stored[i] = tokens[i][:]
	}
	return stored
}

const cardStateColumns = `card_id, pan_masked, expiry, currency, status, balance_minor, held_minor, pin_reference IS NOT NULL, pin_failures`

// FindCard is one card, or [ErrNoCard].
func FindCard(ctx context.Context, db ledger.Querier, ref CardRef) (*CardState, error) {
	id, tokens := ref.arguments()
	c, err := scanCardState(db.QueryRow(ctx, `SELECT `+cardStateColumns+` FROM card_accounts WHERE `+namedCard, id, tokens))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoCard
	}
	if err != nil {
		return nil, fmt.Errorf("find card: %w", err)
	}
	return c, nil
}

// scanCardState reads cardStateColumns, and what more the row has.
func scanCardState(row pgx.Row, more ...any) (*CardState, error) {
	var c CardState
	err := row.Scan(append([]any{
		&c.ID, &c.Masked, &c.Expiry, &c.Currency, &c.Status, &c.BalanceMinor, &c.HeldMinor, &c.HasPIN, &c.WrongPINs,
	}, more...)...)
	c.Account = ledger.Account(ledger.RoleCard, c.ID).String()
	c.AvailableMinor, c.PINLocked = c.BalanceMinor-c.HeldMinor, c.WrongPINs >= pinTries
	return &c, err //nolint:wrapcheck // wrapped by its callers
}
