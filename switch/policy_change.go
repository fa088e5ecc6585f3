package switching

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/internal/card"
	"meridian/ledger"
)

// PolicyChange is who changes what, and why: every change to what terminals may
// do is in the audit log.
type PolicyChange struct {
	Who, What, Why string
	// Kind in the audit log; empty is policy_changed.
	Kind string
}

// byWhom is the detail of a change by a person, without the card number that somebody
// may have put into the reason.
func byWhom(who, why string) string {
	return fmt.Sprintf("by %s: %s", card.HideTyped(who, nil), card.HideTyped(why, nil))
}

// ErrNothingChanged: no such merchant, terminal or policy.
var ErrNothingChanged = errors.New("no such merchant, terminal or policy")

// changeReference changes reference data, writes the audit row and moves the
// directory's version, so that hosts take it up; all or nothing. The change
// may say more exactly what it did: an empty text keeps c.What.
//
// The version moves first: whoever changes reference data holds its row from the
// beginning on, so changes come one after the other, none waits for a row that
// another one holds, and what one looks for before it stores stays so until then.
func changeReference(
	ctx context.Context, db ledger.TxBeginner, c PolicyChange, change func(context.Context, pgx.Tx) (what string, err error),
) error {
	if c.Who == "" || c.Why == "" {
		return errors.New("change policy: who changes it and why must be said")
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := moveDirectory(ctx, tx); err != nil {
			return err
		}
		what, err := change(ctx, tx)
		if err != nil {
			return err
		}
		entry := AuditEntry{At: time.Now(), Kind: cmp.Or(c.Kind, "policy_changed"), Subject: cmp.Or(what, c.What), Detail: byWhom(c.Who, c.Why)}
		if utf8.RuneCountInString(what) > maxAuditSubject { // a detail has more room, and nothing of it may be lost
			entry.Subject, entry.Detail = c.What, what+", "+entry.Detail
		}
		return AppendAudit(ctx, tx, entry)
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", c.What, err)
	}
	return nil
}

// execute runs a statement that has to change something.
func execute(ctx context.Context, tx pgx.Tx, sql string, args ...any) error {
	tag, err := tx.Exec(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNothingChanged
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
	what, sql, key := fmt.Sprintf("%s %s of merchant %s", verb, right, mid), `UPDATE merchants SET `+column+` = $2 WHERE mid = $1`, mid
	if tid != "" {
		what, sql, key = fmt.Sprintf("%s %s of terminal %s", verb, right, tid), `UPDATE terminals SET `+column+` = $2 WHERE tid = $1`, tid
	}
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what}, func(ctx context.Context, tx pgx.Tx) (string, error) {
		return "", execute(ctx, tx, sql, key, allowed)
	})
}

// ErrPolicyValue: a setting does not take the value.
var ErrPolicyValue = errors.New("the setting does not take this value")

// SetPolicy sets one setting of a policy, as [PolicySettings] has them; an
// empty value takes the limit away. It needs the owner's privileges.
//
// Errors: [ErrPolicyValue], [ErrNothingChanged].
func SetPolicy(ctx context.Context, db ledger.TxBeginner, policy, setting, value, who, why string) error {
	s := policySetting(setting)
	if s == nil {
		return fmt.Errorf("%q is no setting of a policy", setting)
	}
	value = strings.TrimSpace(value)
	what := fmt.Sprintf("policy %s: %s = %s", policy, setting, valueOrNone(value))
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what}, func(ctx context.Context, tx pgx.Tx) (string, error) {
		was, is, err := s.store(ctx, tx, policy, value)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("policy %s: %s = %s, was %s", policy, setting, valueOrNone(is), valueOrNone(was)), nil
	})
}

// store sets a policy's value, and returns the one before and the one that is
// stored. Errors: [ErrPolicyValue], [ErrNothingChanged].
func (s *PolicySetting) store(ctx context.Context, tx pgx.Tx, policy, value string) (was, is string, err error) {
	err = tx.QueryRow(ctx, `
		WITH was AS (SELECT policy_id, `+s.Name+`::text AS value FROM policies WHERE name = $1 FOR UPDATE)
		UPDATE policies p SET `+s.Name+` = nullif($2, '')::`+s.column+` FROM was WHERE p.policy_id = was.policy_id
		RETURNING coalesce(was.value, ''), coalesce(p.`+s.Name+`::text, '')`, policy, value).Scan(&was, &is)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", "", ErrNothingChanged
	case refusesValue(err):
		return "", "", fmt.Errorf("%w: it takes %s", ErrPolicyValue, s.Values)
	case err != nil:
		return "", "", fmt.Errorf("store: %w", err)
	}
	return was, is, nil
}

func valueOrNone(value string) string { return cmp.Or(value, "none") }

// refusesValue tells whether the column's type or one of its checks refused.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func refusesValue(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{
		"22P02", // invalid_text_representation
		"22003", // numeric_value_out_of_range
		"23502", // not_null_violation
		"23514", // check_violation
	}, e.Code)
}
