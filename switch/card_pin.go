package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// ErrNoPINTries: there is no such card, or it has no wrong tries.
var ErrNoPINTries = errors.New("no such card, or it has no wrong PINs to forget")

// ResetPINTries forgets the wrong PINs of a card, by its account's number or, if
// that is 0, by its tokens (one for each version of the token key). It returns the
// card as people see it.
//
// Errors: [ErrNoPINTries].
func ResetPINTries(ctx context.Context, db ledger.TxBeginner, cardID int64, tokens [][16]byte, now time.Time, who, why string) (card string, err error) {
	if who == "" || why == "" {
		return "", errors.New("reset PIN tries: who does it and why must be said")
	}
	stored := make([][]byte, len(tokens))
	for i, t := range tokens {
		stored[i] = t[:]
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var failures int
		err := tx.QueryRow(ctx, `
			WITH was AS (
				SELECT card_id, pan_masked, pin_failures FROM card_accounts
				WHERE ($1 > 0 AND card_id = $1 OR $1 = 0 AND pan_token = ANY($2::bytea[])) AND pin_failures > 0 FOR UPDATE)
			UPDATE card_accounts c SET pin_failures = 0 FROM was WHERE c.card_id = was.card_id
			RETURNING 'card:' || was.card_id || ' ' || was.pan_masked, was.pin_failures`, cardID, stored).Scan(&card, &failures)
		if errors.Is(err, pgx.ErrNoRows) {
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
