package switching

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// NewPolicy is a policy with every setting as it is in another one, or at its
// default, but for those that are said.
type NewPolicy struct {
	Name string
	// Like is the policy that it begins as; empty for the defaults.
	Like string
	// Set are the settings that differ, in the order in which they are said.
	Set []PolicyValue
}

// PolicyValue is a setting and its value; an empty one is no limit.
type PolicyValue struct{ Setting, Value string }

// AddPolicy adds a policy. Errors: [FieldError], [ErrPolicyValue].
func AddPolicy(ctx context.Context, db ledger.TxBeginner, n NewPolicy, who, why string) error {
	if err := checkName(n.Name); err != nil {
		return err
	}
	for _, v := range n.Set {
		if policySetting(v.Setting) == nil {
			return wrong("set", "%q is no setting of a policy", v.Setting)
		}
	}
	c := PolicyChange{Who: who, Why: why, What: "policy " + n.Name, Kind: "policy_added"}
	return changeReference(ctx, db, c, n.add)
}

func (n *NewPolicy) add(ctx context.Context, tx pgx.Tx) (what string, err error) {
	id, err := nextNumber(ctx, tx, "policies", "policy_id", math.MaxInt32)
	if err != nil {
		return "", err
	}
	insert, arguments := `INSERT INTO policies (policy_id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, []any{id, n.Name}
	what = "policy " + n.Name
	if n.Like != "" {
		insert, arguments = likePolicySQL(), append(arguments, n.Like)
		what += " like " + n.Like
		var known bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM policies WHERE name = $1)`, n.Like).Scan(&known); err != nil {
			return "", fmt.Errorf("look for policy: %w", err)
		}
		if !known {
			return "", missing("like", "there is no policy %q", n.Like)
		}
	}
	err = execute(ctx, tx, insert, arguments...)
	switch {
	case errors.Is(err, ErrNothingChanged):
		return "", taken("name", "there is a policy %q already", n.Name)
	case err != nil:
		return "", err
	}
	var said []string
	for _, v := range n.Set {
		_, is, err := policySetting(v.Setting).store(ctx, tx, n.Name, strings.TrimSpace(v.Value))
		if err != nil {
			return "", fmt.Errorf("%s: %w", v.Setting, err)
		}
		said = append(said, v.Setting+" = "+valueOrNone(is))
	}
	if len(said) > 0 {
		what += ": " + strings.Join(said, ", ")
	}
	return what, nil
}

// likePolicySQL copies the settings of the policy $3.
func likePolicySQL() string {
	columns := make([]string, len(policySettings))
	for i, s := range policySettings {
		columns[i] = s.Name
	}
	list := strings.Join(columns, ", ")
	return `INSERT INTO policies (policy_id, name, ` + list + `) SELECT $1, $2, ` + list + ` FROM policies WHERE name = $3 ON CONFLICT (name) DO NOTHING`
}
