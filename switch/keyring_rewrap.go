package switching

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/internal/vault"
	"meridian/ledger"
)

// Rewrapped is what a run of [RewrapKeys] came to.
type Rewrapped struct {
	// Keys that were put under the newest master key, and those that were there.
	Keys    int `json:"keys"`
	Current int `json:"current"`
	// Broken are keys that do not open, by table, row and column. They stay as
	// they are, and so has the master key to stay that they may be under.
	Broken []string `json:"broken,omitempty"`
}

const (
	// rewrapRows is how many rows one transaction changes: its locks are gone
	// before a message that waits for one is late.
	rewrapRows = 64
	// rewrapPasses bounds the looks for keys that hosts stored meanwhile under the
	// older master key; those that know the newer one store none.
	rewrapPasses = 5
)

// RewrapKeys puts every stored key under the newest master key, in small
// transactions beside running hosts. All hosts have to know both keys by then;
// once it is done, the older one can go. It can be stopped and run again at any
// time. It needs the owner's privileges, and leaves a row in the audit log.
func RewrapKeys(ctx context.Context, db ledger.TxBeginner, module hsm.Module, v *vault.Vault, who, why string) (*Rewrapped, error) {
	job := &rewrap{db: db, module: module, vault: v}
	total := &Rewrapped{}
	for pass := 0; ; pass++ {
		job.found = Rewrapped{}
		for _, table := range keyTables() {
			if err := job.table(ctx, table); err != nil {
				return total, fmt.Errorf("rewrap keys of %s: %w", table.name, err)
			}
		}
		total.Keys += job.found.Keys
		total.Current, total.Broken = job.found.Current, job.found.Broken
		if job.found.Keys == 0 || pass == rewrapPasses {
			break
		}
	}
	total.Current -= total.Keys // the last pass has met them again
	change := PolicyChange{
		Who: who, Why: why, Kind: "keys_rewrapped",
		What: fmt.Sprintf("master key %s: %d keys put under it, %d were, %d do not open", v.KeyID(), total.Keys, total.Current, len(total.Broken)),
	}
	err := changeReference(ctx, db, change, func(context.Context, pgx.Tx) (string, error) { return "", nil })
	return total, err
}

// keyTable is a table with stored keys.
type keyTable struct {
	name    string
	primary []string // columns of the primary key
	columns []keyColumn
}

// keyColumn holds keys of one use.
type keyColumn struct {
	name string
	use  hsm.Use // 0 for what the vault has wrapped itself
}

// vaultUsages are what the vault has wrapped itself, by table and primary key.
var vaultUsages = map[string]func(primary []any) vault.Usage{
	"data_keys": func(primary []any) vault.Usage {
		purpose, _ := primary[0].(string)
		version, _ := primary[1].(int16)
		return vault.StoredDataKey{Purpose: vault.Purpose(purpose), Version: version}.Usage()
	},
	"key_components": func(primary []any) vault.Usage {
		ceremony, _ := primary[0].(string)
		part, _ := primary[1].(int16)
		return componentUsage(ceremony, part)
	},
}

func keyTables() []keyTable {
	return []keyTable{
		{"data_keys", []string{"purpose", "version"}, []keyColumn{{"wrapped", 0}}},
		{"base_keys", []string{"base_key_id"}, []keyColumn{{"bdk_wrapped", hsm.UseDUKPTBase}}},
		{"transport_keys", []string{"name"}, []keyColumn{{"kbpk_wrapped", hsm.UseKeyBlock}}},
		{"key_components", []string{"ceremony_id", "part"}, []keyColumn{{"wrapped", 0}}},
		{"terminals", []string{"terminal_id"}, []keyColumn{
			{"tmk_wrapped", hsm.UseTerminalMaster}, {"mak_wrapped", hsm.UseMAC}, {"pik_wrapped", hsm.UsePIN},
		}},
		{"working_keys", []string{"bucket", "terminal_id", "slot"}, []keyColumn{
			{"mak_wrapped", hsm.UseMAC}, {"pik_wrapped", hsm.UsePIN}, {"tdk_wrapped", hsm.UseTrack},
		}},
	}
}

type rewrap struct {
	db     ledger.TxBeginner
	module hsm.Module
	vault  *vault.Vault
	found  Rewrapped
}

// keyWrapping is a column of a row that gets another wrapping of the same key.
type keyWrapping struct {
	column   string
	primary  []any
	old, new []byte
}

func (w *rewrap) table(ctx context.Context, t keyTable) error {
	changes, err := w.read(ctx, t)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(changes, rewrapRows) {
		err := pgx.BeginFunc(ctx, w.db, func(tx pgx.Tx) error {
			b := &pgx.Batch{}
			for _, c := range some {
				b.Queue(t.update(c.column), append([]any{c.new, c.old}, c.primary...)...)
			}
			return tx.SendBatch(ctx, b).Close()
		})
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		w.found.Keys += len(some)
	}
	return nil
}

// update changes a column where it still holds what was read: a key that is new
// by now is left alone.
func (t keyTable) update(column string) string {
	var where strings.Builder
	for i, name := range t.primary {
		fmt.Fprintf(&where, " AND %s = $%d", name, i+3)
	}
	return fmt.Sprintf("UPDATE %s SET %s = $1 WHERE %s = $2%s", t.name, column, column, where.String())
}

// read looks at every key of a table, of which there are no more than a few for
// each terminal, and wraps those that need it.
func (w *rewrap) read(ctx context.Context, t keyTable) (changes []keyWrapping, err error) {
	names := slices.Clone(t.primary)
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	err = pgx.BeginFunc(ctx, w.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+strings.Join(names, ", ")+` FROM `+t.name)
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		defer rows.Close()
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return err //nolint:wrapcheck // wrapped below
			}
			primary := values[:len(t.primary):len(t.primary)]
			for i, c := range t.columns {
				old, _ := values[len(t.primary)+i].([]byte) // nil for NULL
				if old == nil {
					continue
				}
				wrapped, err := w.wrap(ctx, t, c, primary, old)
				switch {
				case err == nil && wrapped == nil:
					w.found.Current++
				case err == nil:
					changes = append(changes, keyWrapping{c.name, primary, old, wrapped})
				case isBroken(err):
					w.found.Broken = append(w.found.Broken, fmt.Sprintf("%s %v %s: %v", t.name, primary, c.name, err))
				default:
					return err
				}
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return changes, nil
}

// wrap returns the key under the newest master key; nil if it is already.
func (w *rewrap) wrap(ctx context.Context, t keyTable, c keyColumn, primary []any, old []byte) ([]byte, error) {
	if c.use == 0 {
		return w.wrapOwn(vaultUsages[t.name](primary), old)
	}
	key, err := hsm.ParseKey(old, c.use)
	if err != nil {
		return nil, err
	}
	if !w.module.NeedsRewrap(key) {
		return nil, nil
	}
	wrapped, err := w.module.Rewrap(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return wrapped.Bytes(), nil
}

func (w *rewrap) wrapOwn(usage vault.Usage, old []byte) ([]byte, error) {
	if !w.vault.NeedsRewrap(old) {
		return nil, nil
	}
	wrapped, err := w.vault.Rewrap(usage, old)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", usage, err)
	}
	return wrapped, nil
}

// isBroken tells a key that will not open from a module that is away.
func isBroken(err error) bool {
	for _, broken := range []error{hsm.ErrKey, hsm.ErrUse, hsm.ErrAlgorithm, vault.ErrNotWrapped, vault.ErrOtherKey, vault.ErrUnwrap} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}
