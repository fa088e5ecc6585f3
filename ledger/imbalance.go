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

// trialBalanceSQL sums every currency over all accounts, debits less credits, posted and pending. A transfer names both of
// its accounts, so transfers alone are always in balance; what can differ is what is kept beside them. Cards are therefore
// summed as they are kept, and all other accounts from what is not theirs: transfers to and from cards, and what was carried
// forward. A transfer between two accounts that are no card's adds as much as it takes, so transfers are read once, and
// those are left out.
func trialBalanceSQL() string {
	return fmt.Sprintf(`
		SELECT currency, sum(posted) AS posted, sum(pending) AS pending
		FROM (
			SELECT currency, sum(CASE WHEN phase IN (%[3]d, %[5]d) THEN minor ELSE 0 END) AS posted,
				sum(CASE phase WHEN %[4]d THEN minor WHEN %[3]d THEN 0 ELSE -minor END) AS pending
			FROM (
				SELECT currency, phase, CASE WHEN (credit_account >> %[1]d) = %[2]d THEN amount_minor ELSE -amount_minor END AS minor
				FROM transfers WHERE ((credit_account >> %[1]d) = %[2]d) <> ((debit_account >> %[1]d) = %[2]d)) others
			GROUP BY currency
			UNION ALL
			SELECT currency, debits_posted_minor - credits_posted_minor, debits_pending_minor - credits_pending_minor
			FROM carried_positions WHERE (account >> %[1]d) <> %[2]d
			UNION ALL
			SELECT currency, -balance_minor, held_minor FROM card_accounts
		) accounts
		GROUP BY currency`, ownerBits, RoleCard, Posted, Pending, PostPending)
}

// Imbalances sums every currency that anything is in.
func Imbalances(ctx context.Context, db Querier) ([]Imbalance, error) {
	rows, err := db.Query(ctx, `SELECT currency, posted::bigint FROM (`+trialBalanceSQL()+`) sums ORDER BY currency`)
	if err != nil {
		return nil, fmt.Errorf("sum currencies: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Imbalance])
	if err != nil {
		return nil, fmt.Errorf("sum currencies: %w", err)
	}
	return list, nil
}
