package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// cardChangeBound is how long a change of cards waits for a lock, and how long it may
// say nothing: it holds its cards, which sales wait for, and the window that it loads
// in, which the cutover waits for.
const cardChangeBound = 10 * time.Second

// boundCardChange is the first thing in a transaction that changes cards.
func boundCardChange(ctx context.Context, tx pgx.Tx) error {
	b := &pgx.Batch{}
	b.Queue(`SELECT set_config('lock_timeout', $1, true)`, fmt.Sprint(cardChangeBound.Milliseconds()))
	queueIdleBound(b, cardChangeBound)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("bound the transaction: %w", err)
	}
	return nil
}

// SetCardStatus says what an on-us card may be used for from now on: units of work
// that have read the card before are run again. A closed card stays closed. It needs
// the owner's privileges.
//
// Errors: [ErrNoCard], [ErrNothingChanged] for one that is so already, [FieldError].
func SetCardStatus(ctx context.Context, db ledger.TxBeginner, ref CardRef, status ledger.CardStatus, now time.Time, who, why string) (*CardState, error) {
	if who == "" || why == "" {
		return nil, errors.New("set a card's status: who does it and why must be said")
	}
	var is *CardState
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := boundCardChange(ctx, tx); err != nil {
			return err
		}
		id, tokens := ref.arguments()
		var err error
		is, err = scanCardState(tx.QueryRow(ctx, `SELECT `+cardStateColumns+` FROM card_accounts WHERE `+namedCard+` FOR NO KEY UPDATE`, id, tokens))
		was := is.Status
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return ErrNoCard
		case err != nil:
			return fmt.Errorf("find: %w", err)
		case was == status:
			return ErrNothingChanged
		case was == ledger.CardClosed:
			return notNow("status", "%s is closed, and stays so: add another card", is)
		}
		if err := execute(ctx, tx, `UPDATE card_accounts SET status = $2 WHERE card_id = $1`, is.ID, int16(status)); err != nil {
			return err
		}
		is.Status = status
		kind := "card_blocked"
		if status == ledger.CardActive {
			kind = "card_unblocked"
		}
		return AppendAudit(ctx, tx, AuditEntry{
			At: now, Kind: kind, Subject: is.String(), Detail: fmt.Sprintf("%s, was %s, %s", status, was, byWhom(who, why)),
		})
	})
	if err != nil {
		return is, fmt.Errorf("set a card's status: %w", err)
	}
	return is, nil
}
