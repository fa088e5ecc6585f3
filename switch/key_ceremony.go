package switching

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/internal/vault"
	"meridian/ledger"
)

// A key that arrives in clear comes in components, each with another person: no
// one of them has the key, nor could one bring it in alone.
//
//	start ─▶ one enters a component ─▶ another one the next ─▶ the module forms the key, the components are gone
//	  └─ a day later, or cancelled: gone
//
// Between two people a component waits wrapped under the master key.

// ceremonyLife is how long components wait for each other: people of one shift,
// or of the next.
const ceremonyLife = 24 * time.Hour

// Errors of ceremonies.
var (
	// ErrNoCeremony: there is none of that name, or it is over.
	ErrNoCeremony = errors.New("no such ceremony, or it is over")
	// ErrCheckValue: the component is not the one that was meant.
	ErrCheckValue = errors.New("the component has another check value")
	// ErrSamePerson: each component is another person's.
	ErrSamePerson = errors.New("has entered a component of this key already: each is another person's")
)

// Ceremony is a key that waits for its components.
type Ceremony struct {
	ID        string        `json:"ceremony"`
	Target    KeyTarget     `json:"-"`
	Key       string        `json:"key"`
	Algorithm hsm.Algorithm `json:"-"`
	Cipher    string        `json:"algorithm"`
	Parts     int16         `json:"parts"`
	EnteredBy []string      `json:"entered_by"`
	StartedBy string        `json:"started_by"`
	Why       string        `json:"reason"`
	StartedAt time.Time     `json:"started_at"`
	ExpiresAt time.Time     `json:"expires_at"`
}

// componentUsage is what a waiting component is wrapped for.
func componentUsage(ceremony string, part int16) vault.Usage {
	return vault.Usage(fmt.Sprintf("key-component/%s/%d", ceremony, part))
}

// StartCeremony begins to wait for the components of a key. It needs the owner's
// privileges, as do all functions of ceremonies. Errors: [ErrKeyTarget], [ErrKeyExists].
func StartCeremony(
	ctx context.Context, db ledger.TxBeginner, t KeyTarget, algorithm hsm.Algorithm, parts int, now time.Time, who, why string,
) (*Ceremony, error) {
	if who == "" || why == "" {
		return nil, errors.New("start ceremony: who does it and why must be said")
	}
	c := &Ceremony{
		ID: strings.ToLower(rand.Text()[:8]), Target: t, Algorithm: algorithm, Parts: int16(parts), StartedBy: who, Why: why,
		StartedAt: now, ExpiresAt: now.Add(ceremonyLife), EnteredBy: []string{},
	}
	c.Key, c.Cipher = t.String(), algorithm.String()
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		place, err := findPlace(ctx, tx, t)
		if err != nil {
			return err
		}
		if place.exists && t.TID == "" {
			return ErrKeyExists
		}
		if err := endCeremonies(ctx, tx, now); err != nil {
			return err
		}
		if err := execute(ctx, tx, `
			INSERT INTO key_ceremonies (ceremony_id, key_use, algorithm, tid, base_key, transport, parts, started_at, expires_at, started_by, why)
			VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''), nullif($6, ''), $7, $8, $9, $10, $11)`,
			c.ID, int16(t.KeyUse()), int16(algorithm), t.TID, t.BaseKey, t.Transport, c.Parts, now, c.ExpiresAt, who, why); err != nil {
			return err
		}
		return AppendAudit(ctx, tx, AuditEntry{
			At: now, Kind: "key_ceremony_started", Subject: c.Key,
			Detail: fmt.Sprintf("ceremony %s, %s of %d components, %s", c.ID, algorithm, parts, byWhom(who, why)),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("start ceremony for %s: %w", t, err)
	}
	return c, nil
}

// endCeremonies destroys components that have waited too long.
func endCeremonies(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM key_ceremonies WHERE expires_at <= $1`, now); err != nil {
		return fmt.Errorf("end ceremonies: %w", err)
	}
	return nil
}

// EnteredComponent is what became of a component.
type EnteredComponent struct {
	Ceremony string `json:"ceremony"`
	Part     int16  `json:"part"`
	Parts    int16  `json:"parts"`
	// CheckValue of the component, to be compared with what its owner was given.
	CheckValue string `json:"check_value"`
	// Loaded is set when it was the last one.
	Loaded *LoadedKey `json:"loaded,omitempty"`
}

// Component is what one person brings.
type Component struct {
	Ceremony string
	Content  vault.Secret
	// CheckValue that it must have, in six hexadecimal capitals; empty for any.
	CheckValue string
	Who        string
}

// EnterComponent takes one person's component. With the last one the key is
// formed and loaded, and no component is left. Errors: [ErrNoCeremony],
// [ErrSamePerson], [ErrCheckValue], hsm.ErrComponents, those of [LoadKey].
func EnterComponent(
	ctx context.Context, db ledger.TxBeginner, module hsm.Module, v *vault.Vault, component Component, now time.Time,
) (*EnteredComponent, error) {
	if component.Who == "" {
		return nil, errors.New("enter component: who does it must be said")
	}
	entered := &EnteredComponent{Ceremony: component.Ceremony}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		return enterComponent(ctx, tx, module, v, &component, byPerson{now: now, who: component.Who}, entered)
	})
	if err != nil {
		return nil, fmt.Errorf("enter component of ceremony %s: %w", component.Ceremony, err)
	}
	return entered, nil
}

func enterComponent(
	ctx context.Context, tx pgx.Tx, module hsm.Module, v *vault.Vault, component *Component, change byPerson, entered *EnteredComponent,
) error {
	if err := endCeremonies(ctx, tx, change.now); err != nil {
		return err
	}
	// One after the other: who waits here sees what the other one entered.
	if _, err := tx.Exec(ctx, `SELECT FROM key_ceremonies WHERE ceremony_id = $1 FOR UPDATE`, entered.Ceremony); err != nil {
		return fmt.Errorf("lock ceremony: %w", err)
	}
	list, err := ceremonies(ctx, tx, `WHERE c.ceremony_id = $1`, entered.Ceremony)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return ErrNoCeremony
	}
	c := list[0]
	for _, other := range c.EnteredBy {
		if sameName(other, change.who) {
			return fmt.Errorf("%s %w", change.who, ErrSamePerson)
		}
	}
	check, err := hsm.ComponentCheckValue(c.Algorithm, component.Content)
	if err != nil {
		return err
	}
	if component.CheckValue != "" && component.CheckValue != check.String() {
		return fmt.Errorf("%w: it is %s", ErrCheckValue, check)
	}
	entered.Part, entered.Parts, entered.CheckValue = int16(len(c.EnteredBy)+1), c.Parts, check.String()
	change.why = c.Why
	audit := AuditEntry{
		At: change.now, Kind: "key_component_entered", Subject: c.Key,
		Detail: fmt.Sprintf("ceremony %s, component %d of %d, check value %s, by %s", c.ID, entered.Part, c.Parts, check, change.who),
	}
	if entered.Part < c.Parts {
		if err := keepComponent(ctx, tx, v, c.ID, entered.Part, component.Content, change); err != nil {
			return err
		}
		return AppendAudit(ctx, tx, audit)
	}
	components, err := keptComponents(ctx, tx, v, c.ID)
	if err != nil {
		return err
	}
	key, err := module.FormKey(ctx, c.Target.KeyUse(), c.Algorithm, append(components, component.Content)...)
	if err != nil {
		return err
	}
	if err := execute(ctx, tx, `DELETE FROM key_ceremonies WHERE ceremony_id = $1`, c.ID); err != nil {
		return err
	}
	people := strings.Join(append(c.EnteredBy, change.who), " and ")
	if entered.Loaded, err = loadKey(ctx, tx, module, c.Target, key, byPerson{change.now, people, c.Why}); err != nil {
		return err
	}
	return AppendAudit(ctx, tx, audit)
}

// sameName tells whether two names are one, however they are typed.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

func keepComponent(ctx context.Context, tx pgx.Tx, v *vault.Vault, id string, part int16, component vault.Secret, change byPerson) error {
	content := component.Reveal()
	defer clear(content)
	wrapped, err := v.Wrap(componentUsage(id, part), content)
	if err != nil {
		return fmt.Errorf("keep component: %w", err)
	}
	return execute(ctx, tx, `
		INSERT INTO key_components (ceremony_id, part, wrapped, entered_by, entered_at) VALUES ($1, $2, $3, $4, $5)`,
		id, part, wrapped, change.who, change.now)
}

func keptComponents(ctx context.Context, tx pgx.Tx, v *vault.Vault, id string) ([]vault.Secret, error) {
	rows, err := tx.Query(ctx, `SELECT part, wrapped FROM key_components WHERE ceremony_id = $1 ORDER BY part`, id)
	if err != nil {
		return nil, fmt.Errorf("read components: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (vault.Secret, error) {
		var part int16
		var wrapped []byte
		if err := row.Scan(&part, &wrapped); err != nil {
			return vault.Secret{}, err //nolint:wrapcheck // wrapped below
		}
		content, err := v.Unwrap(componentUsage(id, part), wrapped)
		defer clear(content)
		return vault.NewSecret(content), err
	})
	if err != nil {
		return nil, fmt.Errorf("read components: %w", err)
	}
	return list, nil
}

// Ceremonies lists the keys that wait for their components.
func Ceremonies(ctx context.Context, db ledger.Querier, now time.Time) ([]*Ceremony, error) {
	return ceremonies(ctx, db, `WHERE c.expires_at > $1 ORDER BY c.started_at, c.ceremony_id`, now)
}

func ceremonies(ctx context.Context, db ledger.Querier, where string, argument any) ([]*Ceremony, error) {
	rows, err := db.Query(ctx, `
		SELECT c.ceremony_id, c.key_use, c.algorithm, coalesce(c.tid, ''), coalesce(c.base_key, ''), coalesce(c.transport, ''), c.parts,
			c.started_at, c.expires_at, c.started_by, c.why,
			(SELECT coalesce(array_agg(k.entered_by ORDER BY k.part), '{}') FROM key_components k WHERE k.ceremony_id = c.ceremony_id)
		FROM key_ceremonies c `+where, argument)
	if err != nil {
		return nil, fmt.Errorf("read ceremonies: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Ceremony, error) {
		var c Ceremony
		err := row.Scan(&c.ID, &c.Target.Use, &c.Algorithm, &c.Target.TID, &c.Target.BaseKey, &c.Target.Transport, &c.Parts,
			&c.StartedAt, &c.ExpiresAt, &c.StartedBy, &c.Why, &c.EnteredBy)
		c.Key, c.Cipher = c.Target.String(), c.Algorithm.String()
		return &c, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("read ceremonies: %w", err)
	}
	return list, nil
}

// CancelCeremony destroys the components that are there. Errors: [ErrNoCeremony].
func CancelCeremony(ctx context.Context, db ledger.TxBeginner, id string, now time.Time, who, why string) error {
	if who == "" || why == "" {
		return errors.New("cancel ceremony: who does it and why must be said")
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := endCeremonies(ctx, tx, now); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM key_ceremonies WHERE ceremony_id = $1`, id)
		if err != nil {
			return fmt.Errorf("destroy components: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return ErrNoCeremony
		}
		return AppendAudit(ctx, tx, AuditEntry{At: now, Kind: "key_ceremony_cancelled", Subject: "ceremony " + id, Detail: byWhom(who, why)})
	})
	if err != nil {
		return fmt.Errorf("cancel ceremony %s: %w", id, err)
	}
	return nil
}
