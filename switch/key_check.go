package switching

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/ledger"
)

// CheckedKey is a stored key as the security module sees it.
type CheckedKey struct {
	Key        string `json:"key"`
	Algorithm  string `json:"algorithm,omitempty"`
	CheckValue string `json:"check_value,omitempty"`
	// Problem says why it does not open; empty for one that does.
	Problem string `json:"problem,omitempty"`
}

const storedKeysSQL = `
SELECT key, use, wrapped FROM (
	SELECT 1 AS part, '' AS tid, 'transport key ' || name AS key, 5::smallint AS use, kbpk_wrapped AS wrapped FROM transport_keys
	UNION ALL SELECT 2, '', 'base key ' || name, 6::smallint, bdk_wrapped FROM base_keys
	UNION ALL SELECT 3, t.tid, k.name || ' key of terminal ' || t.tid, k.use, k.wrapped FROM terminals t,
		LATERAL (VALUES ('terminal-master', 1::smallint, t.tmk_wrapped), ('mac', 2::smallint, t.mak_wrapped), ('pin', 3::smallint, t.pik_wrapped))
			AS k(name, use, wrapped)
	UNION ALL SELECT 4, t.tid, k.name || ' key of terminal ' || t.tid || ', generation ' || w.generation, k.use, k.wrapped
	FROM working_keys w JOIN terminals t USING (terminal_id),
		LATERAL (VALUES ('mac', 2::smallint, w.mak_wrapped), ('pin', 3::smallint, w.pik_wrapped), ('track', 4::smallint, w.tdk_wrapped))
			AS k(name, use, wrapped)
) AS stored WHERE wrapped IS NOT NULL AND ($1 = '' OR tid = $1) ORDER BY part, key`

// CheckKeys opens every stored key, or those of one terminal, and calls found with what it came to. An error
// of the module that is not the key's ends it.
func CheckKeys(ctx context.Context, db ledger.TxBeginner, module hsm.Module, tid string, found func(CheckedKey)) error {
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, storedKeysSQL, tid)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		var one CheckedKey
		var use hsm.Use
		var stored []byte
		_, err = pgx.ForEachRow(rows, []any{&one.Key, &use, &stored}, func() error {
			checked, err := checkKey(ctx, module, one.Key, use, stored)
			if err == nil {
				found(checked)
			}
			return err
		})
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return fmt.Errorf("check keys: %w", err)
	}
	return nil
}

func checkKey(ctx context.Context, module hsm.Module, name string, use hsm.Use, stored []byte) (CheckedKey, error) {
	c := CheckedKey{Key: name}
	key, err := hsm.ParseKey(stored, use)
	if err != nil {
		c.Problem = err.Error()
		return c, nil //nolint:nilerr // that it does not open is what was found
	}
	c.Algorithm = key.Algorithm.String()
	value, err := module.CheckValue(ctx, key)
	switch {
	case errors.Is(err, hsm.ErrKey), errors.Is(err, hsm.ErrUse), errors.Is(err, hsm.ErrAlgorithm):
		c.Problem = err.Error()
	case err != nil:
		return c, err
	default:
		c.CheckValue = value.String()
	}
	return c, nil
}
