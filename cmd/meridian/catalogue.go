package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/ledger"
	"meridian/switch"
)

func newCatalogueCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "catalogue",
		Short: "Look at and change what UnionPay terminals download",
		Long: `Terminal parameters, public keys and applications of chip cards. Every change moves a catalogue's version, and a terminal
that has an older one is asked to download when it signs in.

Changes are in the audit log, and running hosts take them up within a second or two. They need the login that owns the schema.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newCatalogueListCommand(g, database),
		newCataloguePutCommand(g, database),
		newCatalogueRemoveCommand(g, database),
	)
	return command
}

// Names of what an entry is, in arguments.
const (
	entryParameter   = "parameter"
	entryKey         = "key"
	entryApplication = "application"
)

// catalogueView is a catalogue for people and programs.
type catalogueView struct {
	Catalogue string      `json:"catalogue"`
	Version   int64       `json:"version"`
	Terminals int         `json:"terminals_up_to_date"`
	Entries   []entryView `json:"entries"`
}

// entryView is an entry by the arguments that name it.
type entryView struct {
	Entry      string `json:"entry"`
	Name       string `json:"name"`
	Expires    string `json:"expires,omitempty"`
	Parameters string `json:"parameters"` // hex, of a terminal parameter text
}

func viewOfCatalogue(c *switching.CatalogueContent) catalogueView {
	v := catalogueView{Catalogue: c.Catalogue.String(), Version: c.Version, Terminals: c.Terminals, Entries: []entryView{}}
	for i := range c.Entries {
		e := &c.Entries[i]
		one := entryView{Entry: entryApplication, Name: e.String(), Parameters: upperHex(e.Parameters)}
		switch {
		case e.Code != "":
			one.Entry, one.Parameters = entryParameter, string(e.Parameters)
		case e.RID != nil:
			one.Entry, one.Expires = entryKey, e.ExpiresOn.String()
		}
		v.Entries = append(v.Entries, one)
	}
	return v
}

func upperHex(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

func newCatalogueListCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List what there is, by catalogue",
		Example: "  meridian catalogue list",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			all, err := switching.Catalogues(c.Context(), pool)
			if err != nil {
				return databaseError(err)
			}
			list := make([]catalogueView, 0, len(all))
			for i := range all {
				list = append(list, viewOfCatalogue(&all[i]))
			}
			return g.print(list, func(w io.Writer) { writeCatalogues(w, list) })
		},
	}
}

// shownCharacters of an entry's parameters; -o json has the whole.
const shownCharacters = 48

func writeCatalogues(w io.Writer, list []catalogueView) {
	for _, c := range list {
		_, _ = fmt.Fprintf(w, "%s, version %d, taken by %d terminals\n", c.Catalogue, c.Version, c.Terminals)
	}
	var rows [][]string
	for _, c := range list {
		for _, e := range c.Entries {
			text := e.Parameters
			if len(text) > shownCharacters {
				text = text[:shownCharacters] + "…"
			}
			rows = append(rows, []string{e.Entry, e.Name, orDash(e.Expires), strings.TrimRight(text, " ")})
		}
	}
	if len(rows) > 0 {
		_, _ = fmt.Fprintln(w)
		table(w, []string{"ENTRY", "NAME", "EXPIRES", "PARAMETERS"}, rows)
	}
}

func newCataloguePutCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "put parameter CODE VALUE | key HEX | application HEX",
		Short: "Add an entry, or write over the one of its name",
		Long: `A terminal parameter is a code of two digits and its value. A download has them one after the other and nothing between, so a
value has the length that terminals expect for its code, filled up with spaces: 2 for 11, 12 and 19; 14 for 14 to 17; 40 for 22; 1 for
13, 18, 20, 21 and 23. Other codes are between you and a terminal's maker: their values are 1 to 40 characters, and put as they are.
A public key and an application are BER-TLV in hexadecimal, as terminals take them: a key with 9F06 (RID), 9F22 (index) and
DF05 (expiry, eight digits) among its elements, an application with 9F06 (AID).`,
		Example: `  meridian catalogue put parameter 12 60 --by "Ann Lee" --reason "slow lines"
  meridian catalogue put application 9F0608A000000333010101DF010100 --by "Ann Lee" --reason "debit cards"`,
		Args: cobra.RangeArgs(2, 3),
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if err := why.check(); err != nil {
			return err
		}
		of, entry, err := putEntry(arguments)
		if err != nil {
			return err
		}
		return changeCatalogue(c, g, database, why, "put", entry, func(db ledger.TxBeginner) error {
			return switching.PutCatalogue(c.Context(), db, of, []switching.CatalogueEntry{entry}, why.by, why.reason)
		})
	}
	return command
}

func newCatalogueRemoveCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:     "remove parameter CODE | key RID/INDEX | application AID",
		Short:   "Remove an entry by its name",
		Example: `  meridian catalogue remove key A000000333/0B --by "Ann Lee" --reason "withdrawn by the network"`,
		Args:    cobra.ExactArgs(2),
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if err := why.check(); err != nil {
			return err
		}
		of, entry, err := namedEntry(arguments[0], arguments[1])
		if err != nil {
			return err
		}
		return changeCatalogue(c, g, database, why, "removed", entry, func(db ledger.TxBeginner) error {
			return switching.RemoveFromCatalogue(c.Context(), db, of, entry, why.by, why.reason)
		})
	}
	return command
}

func changeCatalogue(
	c *cobra.Command, g *globals, database *databaseFlags, why change, done string, entry switching.CatalogueEntry, do func(ledger.TxBeginner) error,
) error {
	pool, err := database.open(c.Context(), g)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := do(pool); err != nil {
		return enrolError(c, err, "")
	}
	content := switching.CatalogueContent{Entries: []switching.CatalogueEntry{entry}}
	e := viewOfCatalogue(&content).Entries[0]
	return g.done(fmt.Sprintf("%s %s is %s", e.Entry, e.Name, done), why)
}

// putEntry reads the arguments of put.
func putEntry(arguments []string) (switching.Catalogue, switching.CatalogueEntry, error) {
	var none switching.CatalogueEntry
	if arguments[0] == entryParameter {
		if len(arguments) != 3 {
			return 0, none, usagef("a terminal parameter has a code and a value")
		}
		of, entry, err := namedEntry(entryParameter, arguments[1])
		entry.Parameters = []byte(arguments[2])
		if length, known := dialect.ParameterLength(entry.Code); err == nil && known && len(arguments[2]) != length {
			return 0, none, usagef("VALUE: terminals expect %d characters for code %s and it has %d (spaces behind it fill it up)",
				length, entry.Code, len(arguments[2]))
		}
		return of, entry, err
	}
	if len(arguments) != 2 {
		return 0, none, usagef("put %s takes its elements in hexadecimal", arguments[0])
	}
	elements, err := hex.DecodeString(arguments[1])
	if err != nil {
		return 0, none, usagef("%s: not hexadecimal", arguments[0])
	}
	entry := switching.CatalogueEntry{Parameters: elements}
	var name, index, expires []byte
	err = wire.WalkTLV(elements, func(tag uint32, value []byte) bool {
		switch tag {
		case 0x9F06:
			name = slices.Clone(value)
		case 0x9F22:
			index = value
		case 0xDF05:
			expires = value
		}
		return true
	})
	switch {
	case err != nil:
		return 0, none, usagef("%s: %s", arguments[0], err)
	case arguments[0] == entryApplication && name != nil:
		entry.AID = name
		return switching.ChipApplications, entry, nil
	case arguments[0] == entryApplication:
		return 0, none, usagef("application: no element 9F06")
	case arguments[0] != entryKey:
		return 0, none, noEntry(arguments[0])
	case name == nil || len(index) != 1 || len(expires) != len("20060102"):
		return 0, none, usagef("key: no elements 9F06, 9F22 (one byte) and DF05 (eight digits)")
	}
	ends, err := time.Parse("20060102", string(expires))
	if err != nil {
		return 0, none, usagef("key: element DF05 is no date")
	}
	entry.RID, entry.KeyIndex, entry.ExpiresOn = name, index[0], ledger.DateOf(ends)
	return switching.PublicKeys, entry, nil
}

// namedEntry reads the name of an entry.
func namedEntry(what, name string) (switching.Catalogue, switching.CatalogueEntry, error) {
	var entry switching.CatalogueEntry
	switch what {
	case entryParameter:
		entry.Code = name
		return switching.TerminalParameters, entry, nil
	case entryApplication:
		aid, err := hex.DecodeString(name)
		if err != nil || len(aid) == 0 {
			return 0, entry, usagef("application %q: not hexadecimal", name)
		}
		entry.AID = aid
		return switching.ChipApplications, entry, nil
	case entryKey:
		ridText, indexText, _ := strings.Cut(name, "/")
		rid, err1 := hex.DecodeString(ridText)
		index, err2 := strconv.ParseUint(indexText, 16, 8)
		if err := errors.Join(err1, err2); err != nil || len(rid) == 0 {
			return 0, entry, usagef("key %q: not RID/INDEX in hexadecimal, such as A000000333/0B", name)
		}
		entry.RID, entry.KeyIndex = rid, uint8(index)
		return switching.PublicKeys, entry, nil
	default:
		return 0, entry, noEntry(what)
	}
}

func noEntry(what string) error {
	return usagef("%q is no entry: it is %s, %s or %s", what, entryParameter, entryKey, entryApplication)
}
