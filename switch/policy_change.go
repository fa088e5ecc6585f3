package switching

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// PolicyChange is who changes what, and why: every change to what terminals may
// do is in the audit log.
type PolicyChange struct {
	Who, What, Why string
}

// ErrNothingChanged: no such merchant, terminal or policy.
var ErrNothingChanged = errors.New("no such merchant, terminal or policy")

// changeReference changes reference data, writes the audit row and moves the
// directory's version, so that hosts take it up; all or nothing.
func changeReference(ctx context.Context, db ledger.TxBeginner, c PolicyChange, sql string, args ...any) error {
	if c.Who == "" || c.Why == "" {
		return errors.New("change policy: who changes it and why must be said")
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, args...)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return ErrNothingChanged
		}
		if _, err := tx.Exec(ctx, `UPDATE installation SET directory_version = directory_version + 1`); err != nil {
			return fmt.Errorf("move version: %w", err)
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO audit_log (recorded_at, kind, subject, detail) VALUES ($1, 'policy_changed', $2, $3)`,
			time.Now(), c.What, fmt.Sprintf("by %s: %s", c.Who, c.Why)); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", c.What, err)
	}
	return nil
}

// Right is what can be suspended and resumed at a merchant or a terminal.
type Right string

const (
	// RightVoid is the permission for voids.
	RightVoid Right = "void"
	// RightRefund is the permission for refunds.
	RightRefund Right = "refund"
)

// SetRight suspends or resumes a right of a terminal (by its TID) or, with an
// empty tid, of a whole merchant (by its MID).
func SetRight(ctx context.Context, db ledger.TxBeginner, mid, tid string, right Right, allowed bool, who, why string) error {
	column := map[Right]string{RightVoid: "allow_void", RightRefund: "allow_refund"}[right]
	if column == "" {
		return fmt.Errorf("%q is no right: void, refund", right)
	}
	verb := map[bool]string{true: "resume", false: "suspend"}[allowed]
	if tid != "" {
		return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: fmt.Sprintf("%s %s of terminal %s", verb, right, tid)},
			`UPDATE terminals SET `+column+` = $2 WHERE tid = $1`, tid, allowed)
	}
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: fmt.Sprintf("%s %s of merchant %s", verb, right, mid)},
		`UPDATE merchants SET `+column+` = $2 WHERE mid = $1`, mid, allowed)
}

// PolicySettings are the columns of a policy that people may set, with the type
// that the database casts a value to.
var policySettings = map[string]string{
	"cancel_mode": "text", "max_amount_minor": "bigint", "max_cashback_minor": "bigint",
	"completion_percent": "smallint", "hold_days": "smallint",
	"allow_authorization": "boolean", "allow_cashback": "boolean", "allow_offline_advice": "boolean",
	"allow_void": "boolean", "allow_refund": "boolean", "refund_window_days": "smallint", "max_refunds": "smallint",
	"void_window_minutes": "integer", "max_voids_per_day": "integer", "max_void_minor_per_day": "bigint",
	"review_threshold_minor": "bigint", "allow_unreferenced_refund": "boolean", "max_unreferenced_minor": "bigint",
	"min_balance_minor": "bigint", "require_operator": "boolean", "supervisor_for_void": "boolean",
	"supervisor_for_refund": "boolean", "refund_to_lost": "text", "refund_to_frozen": "text", "refund_to_closed": "text",
}

// SetPolicy sets one column of a policy; an empty value takes the limit away.
func SetPolicy(ctx context.Context, db ledger.TxBeginner, policy, setting, value, who, why string) error {
	kind, known := policySettings[setting]
	if !known {
		return fmt.Errorf("%q is no setting of a policy", setting)
	}
	what := fmt.Sprintf("policy %s: %s = %s", policy, setting, strings.TrimSpace(value))
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what},
		`UPDATE policies SET `+setting+` = nullif($2, '')::`+kind+` WHERE name = $1`, policy, value)
}
