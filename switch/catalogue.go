package switching

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// Terminals download what they cannot know: their parameters, the public keys
// and the applications of chip cards. Each catalogue has a version that moves
// with every change, and a terminal has the version that it took last; where the
// two differ, its sign-in is answered with the demand to download. Catalogues are
// reference data: every host has them in memory.

// Catalogue is one of the things that terminals download. Numbers are stored.
type Catalogue uint8

const (
	// TerminalParameters are a terminal's own: times, telephone numbers, what it offers.
	TerminalParameters Catalogue = 1
	// PublicKeys are those of chip cards' networks.
	PublicKeys Catalogue = 2
	// ChipApplications are what a terminal does with each application of chip cards.
	ChipApplications Catalogue = 3
	// ForeignKeys are public keys of algorithms that are not kept here: there are none.
	ForeignKeys Catalogue = 4
)

var catalogueNames = [...]string{
	TerminalParameters: "terminal parameters", PublicKeys: "public keys", ChipApplications: "chip applications", ForeignKeys: "foreign keys",
}

// String names the catalogue for people.
func (c Catalogue) String() string {
	if int(c) < len(catalogueNames) && catalogueNames[c] != "" {
		return catalogueNames[c]
	}
	return "unknown"
}

// catalogueDemands are in the order in which a terminal is asked.
var catalogueDemands = []struct {
	catalogue Catalogue
	demand    Demand
}{
	{TerminalParameters, DemandDownload},
	{PublicKeys, DemandPublicKeys},
	{ChipApplications, DemandApplications},
}

// maxEntries of a catalogue. Real terminals hold some dozens of keys and
// applications; a status report names them by two digits.
const maxEntries = 99

// CatalogueEntry is one thing of a catalogue.
type CatalogueEntry struct {
	// RID (5 bytes), KeyIndex and ExpiresOn of a public key.
	RID       []byte
	KeyIndex  uint8
	ExpiresOn ledger.Date
	// AID (5 to 16 bytes) of a chip application.
	AID []byte
	// Code (two digits) of a terminal parameter.
	Code string
	// Parameters as a terminal takes them.
	Parameters []byte
}

// name is what a download asks for: a key's RID and index, an application's AID;
// nothing for terminal parameters, which are one.
func (e *CatalogueEntry) name() []byte {
	if e.RID != nil {
		return append(slices.Clone(e.RID), e.KeyIndex)
	}
	return e.AID
}

// String names the entry for people: a parameter's code, a key's RID and index, or an
// application's AID.
func (e *CatalogueEntry) String() string {
	switch {
	case e.Code != "":
		return e.Code
	case e.RID != nil:
		return fmt.Sprintf("%X/%02X", e.RID, e.KeyIndex)
	default:
		return fmt.Sprintf("%X", e.AID)
	}
}

// KeyName is what a download of a public key asks for.
func KeyName(rid []byte, index uint8) []byte { return append(slices.Clone(rid), index) }

// catalogue as a host knows it.
type catalogue struct {
	version int64
	entries []CatalogueEntry
	// since is when this host learned of the version, and before the one that it had until then:
	// the same, and no instant, where the catalogue has not changed since the host started.
	since  time.Time
	before int64
}

// follow tells what has changed in catalogues since the directory that was read before.
func (d *Directory) follow(last *Directory, now time.Time) {
	for of, c := range d.catalogues {
		c.before = c.version
		if last != nil {
			was := last.catalogues[of]
			if c.before, c.since = was.before, was.since; was.version != c.version {
				c.before, c.since = was.version, now
			}
		}
		d.catalogues[of] = c
	}
}

// catalogued answers a status report or a download, out of memory.
func (s *Switch) catalogued(r *Request) Response {
	out := Response{Reason: Approved, Became: r.Kind, AcceptedAt: s.now(), Currency: r.merchant.Currency}
	c := s.directory.Load().catalogues[r.Catalogue]
	s.downloads.serve(r, c.version, out.AcceptedAt)
	switch {
	case r.Kind == KindStatus:
		out.Catalogue = c.entries[min(max(r.Skip, 0), len(c.entries)):]
	case r.Catalogue == TerminalParameters:
		for i := range c.entries {
			out.Data = append(out.Data, c.entries[i].Code...)
			out.Data = append(out.Data, c.entries[i].Parameters...)
		}
	default:
		for i := range c.entries {
			if bytes.Equal(c.entries[i].name(), r.Data) {
				out.Data = c.entries[i].Parameters
			}
		}
	}
	return out
}

// readCatalogues reads all of them, each in the order of its names.
func (d *Directory) readCatalogues(ctx context.Context, tx pgx.Tx) error {
	var of Catalogue
	var version int64
	var e CatalogueEntry
	var expires time.Time
	keep := func() {
		c := d.catalogues[of]
		c.entries = append(c.entries, e)
		d.catalogues[of] = c
		e = CatalogueEntry{} // the next row must not write into this one's
	}
	for _, read := range []struct {
		of   Catalogue
		sql  string
		into []any
		row  func()
	}{
		{
			0, `SELECT catalogue, version FROM catalogues`,
			[]any{&of, &version},
			func() { d.catalogues[of] = catalogue{version: version} },
		},
		{
			TerminalParameters, `SELECT code, convert_to(value, 'UTF8') FROM terminal_parameters ORDER BY code`,
			[]any{&e.Code, &e.Parameters},
			keep,
		},
		{
			PublicKeys, `SELECT rid, key_index, expires_on, parameters FROM public_keys ORDER BY rid, key_index`,
			[]any{&e.RID, &e.KeyIndex, &expires, &e.Parameters},
			func() {
				e.ExpiresOn = ledger.DateOf(expires)
				keep()
			},
		},
		{
			ChipApplications, `SELECT aid, parameters FROM chip_applications ORDER BY aid`,
			[]any{&e.AID, &e.Parameters},
			keep,
		},
	} {
		rows, err := tx.Query(ctx, read.sql)
		if err != nil {
			return fmt.Errorf("catalogues: %w", err)
		}
		of = read.of
		if _, err := pgx.ForEachRow(rows, read.into, func() error {
			read.row()
			return nil
		}); err != nil {
			return fmt.Errorf("catalogues: %w", err)
		}
	}
	return nil
}
