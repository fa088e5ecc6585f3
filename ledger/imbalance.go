package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
)

// Imbalance is a currency's sum over all accounts, debits less credits in minor
// units: cards as their balances are kept, all others as transfers add up. It is
// zero, or money was made up or lost.
type Imbalance struct {
	Currency money.Currency `json:"currency"`
	Minor    int64          `json:"imbalance_minor"`
}

// Imbalances sums every currency that anything is in. A transfer names both of
// its accounts, so transfers alone are always in balance: the one balance that is
// kept beside them is what can differ.
func Imbalances(ctx context.Context, db Querier) ([]Imbalance, error) {
	rows, err := db.Query(ctx, fmt.Sprintf(`
		SELECT currency, sum(minor)::bigint
		FROM (
			SELECT currency, -balance_minor AS minor FROM card_accounts
			UNION ALL
			SELECT currency, amount_minor FROM transfers WHERE phase IN (1, 3) AND (credit_account >> %[1]d) = %[2]d
			UNION ALL
			SELECT currency, -amount_minor FROM transfers WHERE phase IN (1, 3) AND (debit_account >> %[1]d) = %[2]d
			UNION ALL
			SELECT currency, credits_posted_minor - debits_posted_minor FROM carried_positions WHERE (account >> %[1]d) = %[2]d
		) legs
		GROUP BY currency ORDER BY currency`, ownerBits, RoleCard))
	if err != nil {
		return nil, fmt.Errorf("sum currencies: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Imbalance])
	if err != nil {
		return nil, fmt.Errorf("sum currencies: %w", err)
	}
	return list, nil
}
