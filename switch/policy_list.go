package switching

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// StoredPolicy is a policy with its settings and whom it applies to.
type StoredPolicy struct {
	Name string `json:"name"`
	// Settings by name: texts, numbers, booleans, and null for no limit.
	Settings map[string]any `json:"settings"`
	// MIDs of the merchants that have it.
	MIDs []string `json:"mids"`
	// Suspended rights of these merchants and of their terminals.
	Suspended []Suspension `json:"suspended"`
}

// Suspension is a right that a merchant or, with a TID, a terminal has not,
// whatever the policy says.
type Suspension struct {
	MID   string `json:"mid"`
	TID   string `json:"tid,omitempty"`
	Right Right  `json:"right"`
}

// ErrNoPolicy: there is no policy of that name.
var ErrNoPolicy = errors.New("no policy of that name")

// Policies lists the policies by name.
func Policies(ctx context.Context, db ledger.TxBeginner) ([]*StoredPolicy, error) {
	var list []*StoredPolicy
	err := inSnapshot(ctx, db, func(tx pgx.Tx) (err error) {
		if list, err = storedPolicies(ctx, tx); err != nil {
			return err
		}
		return suspensions(ctx, tx, list)
	})
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	return list, nil
}

// FindPolicy returns one policy, or [ErrNoPolicy].
func FindPolicy(ctx context.Context, db ledger.TxBeginner, name string) (*StoredPolicy, error) {
	list, err := Policies(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("policy %q: %w", name, ErrNoPolicy)
}

func storedPolicies(ctx context.Context, tx pgx.Tx) ([]*StoredPolicy, error) {
	pairs := make([]string, len(policySettings))
	for i, s := range policySettings {
		pairs[i] = fmt.Sprintf("'%s', p.%s", s.Name, s.Name)
	}
	rows, err := tx.Query(ctx, `
		SELECT p.name, json_build_object(`+strings.Join(pairs, ", ")+`),
			coalesce((SELECT array_agg(m.mid ORDER BY m.mid) FROM merchants m WHERE m.policy_id = p.policy_id), '{}')
		FROM policies p ORDER BY p.name`)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by Policies
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*StoredPolicy, error) { //nolint:wrapcheck // as above
		p := &StoredPolicy{Suspended: []Suspension{}}
		var settings []byte
		if err := row.Scan(&p.Name, &settings, &p.MIDs); err != nil {
			return nil, err //nolint:wrapcheck // as above
		}
		d := json.NewDecoder(bytes.NewReader(settings))
		d.UseNumber() // an amount is more than a float holds
		if err := d.Decode(&p.Settings); err != nil {
			return nil, fmt.Errorf("settings of %s: %w", p.Name, err)
		}
		return p, nil
	})
}

func suspensions(ctx context.Context, tx pgx.Tx, list []*StoredPolicy) error {
	rows, err := tx.Query(ctx, `
		SELECT p.name, s.mid, s.tid, s.suspended
		FROM (
			SELECT policy_id, mid, '' AS tid, 'void' AS suspended FROM merchants WHERE NOT allow_void
			UNION ALL SELECT policy_id, mid, '', 'refund' FROM merchants WHERE NOT allow_refund
			UNION ALL SELECT m.policy_id, m.mid, t.tid, 'void'
				FROM terminals t JOIN merchants m USING (merchant_id) WHERE NOT t.allow_void
			UNION ALL SELECT m.policy_id, m.mid, t.tid, 'refund'
				FROM terminals t JOIN merchants m USING (merchant_id) WHERE NOT t.allow_refund
		) s JOIN policies p USING (policy_id)
		ORDER BY s.mid, s.tid, s.suspended DESC`)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by Policies
	}
	byName := map[string]*StoredPolicy{}
	for _, p := range list {
		byName[p.Name] = p
	}
	var name string
	var s Suspension
	_, err = pgx.ForEachRow(rows, []any{&name, &s.MID, &s.TID, &s.Right}, func() error {
		byName[name].Suspended = append(byName[name].Suspended, s)
		return nil
	})
	return err //nolint:wrapcheck // wrapped by Policies
}
