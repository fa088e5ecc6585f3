package switching

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
	"meridian/ledger"
)

// ErrCatalogueFull: a catalogue holds [maxEntries] entries.
var ErrCatalogueFull = errors.New("the catalogue is full")

// Bounds of what terminals take, as the tables have them.
const (
	maxParameterLength = 40
	ridBytes           = 5
	minAIDBytes        = 5
	maxAIDBytes        = 16
	maxElementsBytes   = 900
)

// checkName wants a name as the catalogue's table takes it. Errors: [FieldError].
func (e *CatalogueEntry) checkName(of Catalogue) error {
	field := catalogueTables[of].field
	switch {
	case of == TerminalParameters && (len(e.Code) != 2 || strings.Trim(e.Code, "0123456789") != ""):
		return wrong(field, "%q is not two digits", e.Code)
	case of == PublicKeys && len(e.RID) != ridBytes:
		return wrong(field, "%X has %d bytes, and a RID has %d", e.RID, len(e.RID), ridBytes)
	case of == ChipApplications && (len(e.AID) < minAIDBytes || len(e.AID) > maxAIDBytes):
		return wrong(field, "%X has %d bytes, and an AID has %d to %d", e.AID, len(e.AID), minAIDBytes, maxAIDBytes)
	}
	return nil
}

// check wants an entry as terminals take it. Errors: [FieldError].
func (e *CatalogueEntry) check(of Catalogue) error {
	if err := e.checkName(of); err != nil {
		return err
	}
	if of != TerminalParameters {
		if n := len(e.Parameters); n == 0 || n > maxElementsBytes {
			return wrong("hex", "has %d bytes, and terminals take 1 to %d", n, maxElementsBytes)
		}
		return nil
	}
	const field = "value"
	value := string(e.Parameters)
	switch {
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return wrong(field, "has a character that is not ASCII, or cannot be shown")
	case value == "" || len(value) > maxParameterLength:
		return wrong(field, "has %d characters, and it is 1 to %d", len(value), maxParameterLength)
	}
	return nil
}

// catalogueTables say how an entry is stored, and what it is to people: its noun, and
// the name of what names it.
var catalogueTables = map[Catalogue]struct {
	// Each table's was and remove return the value as people read it: of a terminal
	// parameter its own, of the others nothing.
	table, was, put, remove string
	noun, field             string
	key                     func(*CatalogueEntry) []any
	row                     func(*CatalogueEntry) []any
}{
	TerminalParameters: {
		"terminal_parameters",
		`SELECT value FROM terminal_parameters WHERE code = $1`,
		`INSERT INTO terminal_parameters AS t (code, value) VALUES ($1, $2)
		ON CONFLICT (code) DO UPDATE SET value = excluded.value WHERE t.value <> excluded.value`,
		`DELETE FROM terminal_parameters WHERE code = $1 RETURNING value`,
		"terminal parameter", "code",
		func(e *CatalogueEntry) []any { return []any{e.Code} },
		func(e *CatalogueEntry) []any { return []any{e.Code, string(e.Parameters)} },
	},
	PublicKeys: {
		"public_keys",
		`SELECT '' FROM public_keys WHERE rid = $1 AND key_index = $2`,
		`INSERT INTO public_keys AS t (rid, key_index, expires_on, parameters) VALUES ($1, $2, $3, $4)
		ON CONFLICT (rid, key_index) DO UPDATE SET expires_on = excluded.expires_on, parameters = excluded.parameters
		WHERE (t.expires_on, t.parameters) IS DISTINCT FROM (excluded.expires_on, excluded.parameters)`,
		`DELETE FROM public_keys WHERE rid = $1 AND key_index = $2 RETURNING ''`,
		"public key", "rid/index",
		func(e *CatalogueEntry) []any { return []any{e.RID, int16(e.KeyIndex)} },
		func(e *CatalogueEntry) []any {
			return []any{e.RID, int16(e.KeyIndex), e.ExpiresOn.Time(), e.Parameters}
		},
	},
	ChipApplications: {
		"chip_applications",
		`SELECT '' FROM chip_applications WHERE aid = $1`,
		`INSERT INTO chip_applications AS t (aid, parameters) VALUES ($1, $2)
		ON CONFLICT (aid) DO UPDATE SET parameters = excluded.parameters WHERE t.parameters <> excluded.parameters`,
		`DELETE FROM chip_applications WHERE aid = $1 RETURNING ''`,
		"chip application", "aid",
		func(e *CatalogueEntry) []any { return []any{e.AID} },
		func(e *CatalogueEntry) []any { return []any{e.AID, e.Parameters} },
	},
}

// PutCatalogue writes entries into a catalogue, over those of the same name, and
// moves its version if that changes anything: terminals are then asked to
// download. It needs the owner's privileges. Errors: [FieldError], [ErrCatalogueFull].
func PutCatalogue(ctx context.Context, db ledger.TxBeginner, of Catalogue, entries []CatalogueEntry, who, why string) error {
	table, ok := catalogueTables[of]
	if !ok {
		return fmt.Errorf("put into catalogue %d: there is none", of)
	}
	for i := range entries {
		if err := entries[i].check(of); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("catalogue of %s: %s", of, entriesText(len(entries)))
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what, Kind: "catalogue_changed"}, func(ctx context.Context, tx pgx.Tx) (string, error) {
		// In one order: two changes at once wait for each other, and no more.
		sorted := slices.SortedFunc(slices.Values(entries), func(a, b CatalogueEntry) int {
			return cmp.Or(cmp.Compare(a.Code, b.Code), bytes.Compare(a.name(), b.name()))
		})
		changed := int64(0)
		var told []string
		for i := range sorted {
			e := &sorted[i]
			was, there, err := valueWas(tx.QueryRow(ctx, table.was, table.key(e)...))
			if err != nil {
				return "", err
			}
			tag, err := tx.Exec(ctx, table.put, table.row(e)...)
			if err != nil {
				return "", fmt.Errorf("put: %w", err)
			}
			changed += tag.RowsAffected()
			told = append(told, e.put(was, there, tag.RowsAffected() > 0))
		}
		if err := moveVersion(ctx, tx, of, table.table, changed); err != nil {
			return "", err
		}
		return tellEntries(what, of, sorted, told), nil
	})
}

// toldEntries of a change are told with what became of them, more by their names alone; and
// namedEntries of those, so that a row of the audit log has room for the longest names.
const (
	toldEntries  = 4
	namedEntries = 20
)

// tellEntries says which entries a change put: what is how many there are.
func tellEntries(what string, of Catalogue, entries []CatalogueEntry, told []string) string {
	switch {
	case len(entries) == 0:
		return what
	case len(entries) <= toldEntries:
		return fmt.Sprintf("catalogue of %s: %s", of, strings.Join(told, "; "))
	}
	var names []string
	for i := range entries[:min(len(entries), namedEntries)] {
		names = append(names, entries[i].String())
	}
	if more := len(entries) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return what + ": " + strings.Join(names, ", ")
}

func entriesText(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// put says what became of an entry that was put: a terminal parameter's value and the one
// before, as of policies; whether another entry is new, other or what it was.
func (e *CatalogueEntry) put(was string, there, changed bool) string {
	switch {
	case e.Code != "":
		return fmt.Sprintf("%s = %s, was %s", e, valueOrNone(parameterText(string(e.Parameters))), valueOrNone(parameterText(was)))
	case !there:
		return e.String() + " added"
	case changed:
		return e.String() + " changed"
	default:
		return e.String() + " as it was"
	}
}

// parameterText is a terminal parameter's value without what fills it up, and without the
// card number that a telephone number is not.
func parameterText(value string) string { return card.HideTyped(strings.TrimRight(value, " "), nil) }

// valueWas reads what an entry was, and whether it was there.
func valueWas(row pgx.Row) (was string, there bool, err error) {
	switch err := row.Scan(&was); {
	case errors.Is(err, pgx.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("look for it: %w", err)
	}
	return was, true, nil
}

// RemoveFromCatalogue removes an entry by its name. Terminals that have it are
// asked to download and are not told of it any more. It needs the owner's
// privileges. Errors: [FieldError].
func RemoveFromCatalogue(ctx context.Context, db ledger.TxBeginner, of Catalogue, entry CatalogueEntry, who, why string) error {
	table, ok := catalogueTables[of]
	if !ok {
		return fmt.Errorf("remove from catalogue %d: there is none", of)
	}
	if err := entry.checkName(of); err != nil {
		return err
	}
	what := fmt.Sprintf("catalogue of %s: %s removed", of, &entry)
	return changeReference(ctx, db, PolicyChange{Who: who, Why: why, What: what, Kind: "catalogue_changed"}, func(ctx context.Context, tx pgx.Tx) (string, error) {
		was, there, err := valueWas(tx.QueryRow(ctx, table.remove, table.key(&entry)...))
		if err != nil {
			return "", err
		}
		if !there {
			return "", missing(table.field, "there is no %s %s", table.noun, &entry)
		}
		if err := moveVersion(ctx, tx, of, table.table, 1); err != nil {
			return "", err
		}
		if entry.Code == "" {
			return what, nil
		}
		return what + ", was " + valueOrNone(parameterText(was)), nil
	})
}

// moveVersion moves a catalogue's version if rows of it have changed.
func moveVersion(ctx context.Context, tx pgx.Tx, of Catalogue, table string, changed int64) error {
	if changed == 0 {
		return nil
	}
	var rows int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM `+table).Scan(&rows); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if rows > maxEntries {
		return fmt.Errorf("%w: %d entries, at most %d", ErrCatalogueFull, rows, maxEntries)
	}
	if _, err := tx.Exec(ctx, `UPDATE catalogues SET version = version + 1 WHERE catalogue = $1`, int16(of)); err != nil {
		return fmt.Errorf("move version: %w", err)
	}
	return nil
}
