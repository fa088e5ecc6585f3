package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// ErrNoPINTries: the card has no wrong tries.
var ErrNoPINTries = errors.New("the card has no wrong PINs to forget")

// ResetPINTries forgets the wrong PINs of a card. It returns the card as people see it.
//
// Errors: [ErrNoCard], [ErrNoPINTries].
func ResetPINTries(ctx context.Context, db ledger.TxBeginner, ref CardRef, now time.Time, who, why string) (card string, err error) {
	if who == "" || why == "" {
		return "", errors.New("reset PIN tries: who does it and why must be said")
	}
	id, tokens := ref.arguments()
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var failures int
		err := tx.QueryRow(ctx, `
			WITH was AS (
				SELECT card_id, pan_masked, pin_failures FROM card_accounts
				WHERE `+namedCard+` AND pin_failures > 0 FOR UPDATE)
			UPDATE card_accounts c SET pin_failures = 0 FROM was WHERE c.card_id = was.card_id
			RETURNING 'card:' || was.card_id || ' ' || was.pan_masked, was.pin_failures`, id, tokens).Scan(&card, &failures)
		if errors.Is(err, pgx.ErrNoRows) {
			if _, err := FindCard(ctx, tx, ref); err != nil {
				return err
			}
			return ErrNoPINTries
		}
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		return AppendAudit(ctx, tx, AuditEntry{
			At: now, Kind: "pin_tries_reset", Subject: card, Detail: fmt.Sprintf("%d wrong PINs, %s", failures, byWhom(who, why)),
		})
	})
	if err != nil {
		return "", fmt.Errorf("reset PIN tries: %w", err)
	}
	return card, nil
}
