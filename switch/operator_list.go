package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// OperatorState is an operator as people see it.
type OperatorState struct {
	MID        string `json:"mid"`
	Number     string `json:"operator"`
	Supervisor bool   `json:"supervisor"`
	Active     bool   `json:"active"`
	// Failures are wrong passwords since the last right one; LockedUntil is set
	// once there were too many, and may have passed.
	Failures    int        `json:"failures"`
	LockedUntil *time.Time `json:"locked_until,omitempty"`
	// SignedOn are the terminals (TID) that the operator is signed on to.
	SignedOn []string `json:"signed_on"`
}

// ErrNoMerchant: there is no merchant with that MID.
var ErrNoMerchant = errors.New("no merchant with that MID")

// operatorsListed is more than any merchant has: numbers are two or three digits.
const operatorsListed = 10_000

// Operators lists the operators of a merchant or, with an empty MID, of all,
// also those who are disabled.
func Operators(ctx context.Context, db ledger.Querier, mid string) ([]*OperatorState, error) {
	list, err := operators(ctx, db, mid)
	if err == nil && len(list) == 0 && mid != "" {
		var known bool
		err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM merchants WHERE mid = $1)`, mid).Scan(&known)
		if err == nil && !known {
			err = fmt.Errorf("%q: %w", mid, ErrNoMerchant)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list operators: %w", err)
	}
	return list, nil
}

func operators(ctx context.Context, db ledger.Querier, mid string) ([]*OperatorState, error) {
	rows, err := db.Query(ctx, `
		SELECT m.mid, o.operator_no, o.supervisor, o.active, coalesce(l.failures, 0), l.locked_until,
			coalesce((
				SELECT array_agg(t.tid ORDER BY t.tid) FROM terminal_sessions s JOIN terminals t USING (terminal_id)
				WHERE s.bucket = m.bucket AND t.merchant_id = m.merchant_id AND s.operator_no = o.operator_no), '{}')
		FROM operators o JOIN merchants m USING (merchant_id)
		LEFT JOIN operator_lockouts l ON l.bucket = m.bucket AND l.merchant_id = m.merchant_id AND l.operator_no = o.operator_no
		WHERE $1 = '' OR m.mid = $1 ORDER BY m.mid, o.operator_no LIMIT $2`, mid, operatorsListed)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*OperatorState, error) { //nolint:wrapcheck // as above
		var o OperatorState
		err := row.Scan(&o.MID, &o.Number, &o.Supervisor, &o.Active, &o.Failures, &o.LockedUntil, &o.SignedOn)
		return &o, err //nolint:wrapcheck // wrapped by Operators
	})
}
