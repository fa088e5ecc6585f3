package switching_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"meridian/ledger"
	"meridian/switch"
)

// catalogued asks for a download or what belongs to one.
func (w *world) catalogued(kind switching.Kind, of switching.Catalogue, change ...func(*switching.Request)) switching.Response {
	w.t.Helper()
	r := &switching.Request{Kind: kind, MID: shop, TID: till, Dialect: "nac", Catalogue: of}
	for _, c := range change {
		c(r)
	}
	got := w.ask(r)
	if got.Reason != switching.Approved {
		w.t.Fatalf("%s of %s answered %s", kind, of, got.Reason)
	}
	return got
}

func TestCatalogues(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	owner := w.owner()
	put := func(of switching.Catalogue, entries ...switching.CatalogueEntry) {
		t.Helper()
		w.must(switching.PutCatalogue(ctx, owner, of, entries, "ann", "new cards"))
		w.must(w.sw.CatchUp(ctx))
	}
	rid := []byte{0xA0, 0, 0, 3, 0x33}
	key := func(index uint8, text string) switching.CatalogueEntry {
		return switching.CatalogueEntry{RID: rid, KeyIndex: index, ExpiresOn: ledger.MakeDate(2030, 12, 31), Parameters: []byte(text)}
	}
	// Nothing is there, and nothing demanded.
	for _, of := range []switching.Catalogue{switching.TerminalParameters, switching.PublicKeys, switching.ChipApplications, switching.ForeignKeys} {
		if got := w.catalogued(switching.KindStatus, of); len(got.Catalogue) != 0 {
			t.Errorf("%s: %v", of, got.Catalogue)
		}
	}
	if got := w.catalogued(switching.KindDownloadEnd, switching.PublicKeys); got.Demand != switching.DemandNone {
		t.Errorf("demands %d of an empty host", got.Demand)
	}
	put(switching.PublicKeys, key(11, "eleven"), key(8, "eight"))
	put(switching.TerminalParameters, switching.CatalogueEntry{Code: "13", Parameters: []byte("3")}, switching.CatalogueEntry{Code: "11", Parameters: []byte("60")})
	put(switching.ChipApplications, switching.CatalogueEntry{AID: []byte{0xA0, 0, 0, 3, 0x33, 1, 1, 1}, Parameters: []byte("debit")})

	status := w.catalogued(switching.KindStatus, switching.PublicKeys)
	if len(status.Catalogue) != 2 || status.Catalogue[0].KeyIndex != 8 || status.Catalogue[0].ExpiresOn.String() != "2030-12-31" {
		t.Fatalf("public keys %+v", status.Catalogue)
	}
	for skip, want := range map[int]int{0: 2, 1: 1, 2: 0, 99: 0, -1: 2} {
		got := w.catalogued(switching.KindStatus, switching.PublicKeys, func(r *switching.Request) { r.Skip = skip })
		if len(got.Catalogue) != want {
			t.Errorf("after %d: %d keys, want %d", skip, len(got.Catalogue), want)
		}
	}
	for _, c := range []struct {
		of         switching.Catalogue
		name, want string
	}{
		{switching.PublicKeys, string(switching.KeyName(rid, 11)), "eleven"},
		{switching.PublicKeys, string(switching.KeyName(rid, 12)), ""},
		{switching.ChipApplications, "\xA0\x00\x00\x03\x33\x01\x01\x01", "debit"},
		{switching.ChipApplications, "\xA0\x00\x00\x03\x33\x01\x01", ""},
		{switching.TerminalParameters, "", "1160133"},
		{switching.ForeignKeys, "x", ""},
	} {
		got := w.catalogued(switching.KindDownload, c.of, func(r *switching.Request) { r.Data = []byte(c.name) })
		if string(got.Data) != c.want {
			t.Errorf("%s % X: %q, want %q", c.of, c.name, got.Data, c.want)
		}
	}
	// A terminal is asked for one after the other, until it has all.
	w.demands(switching.PublicKeys, switching.DemandDownload)
	w.demands(switching.TerminalParameters, switching.DemandApplications)
	w.demands(switching.ChipApplications, switching.DemandNone)
	// The same content again is no new version, other content is.
	put(switching.PublicKeys, key(8, "eight"))
	w.demands(switching.ChipApplications, switching.DemandNone)
	put(switching.PublicKeys, key(8, "eight anew"))
	w.demands(switching.ChipApplications, switching.DemandPublicKeys)
	w.demands(switching.PublicKeys, switching.DemandNone)
	w.must(switching.RemoveFromCatalogue(ctx, owner, switching.PublicKeys, key(8, ""), "ann", "withdrawn"))
	w.must(w.sw.CatchUp(ctx))
	w.demands(switching.ChipApplications, switching.DemandPublicKeys)
	if got := w.catalogued(switching.KindStatus, switching.PublicKeys); len(got.Catalogue) != 1 {
		t.Errorf("public keys %+v", got.Catalogue)
	}
	if row := w.audited(); row.Kind != "catalogue_changed" || !strings.Contains(row.Detail, "withdrawn") {
		t.Errorf("audit row %+v", row)
	}
}

// A row of the audit log names the entries of a change, and what a terminal parameter was before.
func TestChangesOfCataloguesAreTold(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	told := func(want string) {
		t.Helper()
		if row := w.audited(); row.Subject != want || row.Detail != "by ann: new cards" {
			t.Errorf("the audit log says %q, %q, want %q", row.Subject, row.Detail, want)
		}
	}
	put := func(of switching.Catalogue, entries ...switching.CatalogueEntry) {
		t.Helper()
		w.must(switching.PutCatalogue(t.Context(), owner, of, entries, "ann", "new cards"))
	}
	parameter := func(code, value string) switching.CatalogueEntry {
		return switching.CatalogueEntry{Code: code, Parameters: []byte(value)}
	}
	put(switching.TerminalParameters, parameter("12", "60"))
	told("catalogue of terminal parameters: 12 = 60, was none")
	put(switching.TerminalParameters, parameter("14", "555 0100      "), parameter("12", "45"))
	told("catalogue of terminal parameters: 12 = 45, was 60; 14 = 555 0100, was none")
	w.must(switching.RemoveFromCatalogue(t.Context(), owner, switching.TerminalParameters, parameter("12", ""), "ann", "new cards"))
	told("catalogue of terminal parameters: 12 removed, was 45")

	key := switching.CatalogueEntry{RID: []byte{0xA0, 0, 0, 3, 0x33}, KeyIndex: 11, ExpiresOn: ledger.MakeDate(2030, 12, 31), Parameters: []byte("eleven")}
	put(switching.PublicKeys, key)
	told("catalogue of public keys: A000000333/0B added")
	put(switching.PublicKeys, key)
	told("catalogue of public keys: A000000333/0B as it was")
	key.Parameters = []byte("anew")
	put(switching.PublicKeys, key)
	told("catalogue of public keys: A000000333/0B changed")
	w.must(switching.RemoveFromCatalogue(t.Context(), owner, switching.PublicKeys, key, "ann", "new cards"))
	told("catalogue of public keys: A000000333/0B removed")

	var entries []switching.CatalogueEntry
	for i := range 99 {
		entries = append(entries, switching.CatalogueEntry{AID: fmt.Appendf(nil, "application%05d", i), Parameters: []byte("x")})
	}
	put(switching.ChipApplications, entries[:5]...)
	row := w.audited()
	if all := row.Subject + row.Detail; !strings.Contains(all, "5 entries: 6170706C69636174696F6E3030303030, ") || !strings.Contains(all, "6E3030303034") {
		t.Errorf("of five: %+v", row)
	}
	put(switching.ChipApplications, entries...)
	row = w.audited()
	if row.Subject != "catalogue of chip applications: 99 entries" || !strings.HasSuffix(row.Detail, "3139, and 79 more, by ann: new cards") {
		t.Errorf("of all: %+v", row)
	}
}

// demands downloads and expects what is demanded after it.
func (w *world) demands(of switching.Catalogue, want switching.Demand) {
	w.t.Helper()
	w.catalogued(switching.KindStatus, of)
	w.took(of, want)
}

// took ends a download and expects what is demanded after it.
func (w *world) took(of switching.Catalogue, want switching.Demand) {
	w.t.Helper()
	if got := w.catalogued(switching.KindDownloadEnd, of).Demand; got != want {
		w.t.Errorf("after %s: demands %d, want %d", of, got, want)
	}
}

func TestCataloguesAreBounded(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	var entries []switching.CatalogueEntry
	for i := range 100 {
		entries = append(entries, switching.CatalogueEntry{AID: fmt.Appendf(nil, "application%d", i), Parameters: []byte("x")})
	}
	if err := switching.PutCatalogue(t.Context(), owner, switching.ChipApplications, entries, "ann", "all"); !errors.Is(err, switching.ErrCatalogueFull) {
		t.Errorf("a hundred applications: %v", err)
	}
	w.must(switching.PutCatalogue(t.Context(), owner, switching.ChipApplications, entries[:99], "ann", "nearly all"))
	for _, bad := range []switching.CatalogueEntry{{AID: []byte("four")}, {AID: []byte("seventeen letters")}, {Code: "1"}} {
		of := switching.ChipApplications
		if bad.Code != "" {
			of = switching.TerminalParameters
		}
		bad.Parameters = []byte("x")
		if err := switching.PutCatalogue(t.Context(), owner, of, []switching.CatalogueEntry{bad}, "ann", "wrong"); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := switching.PutCatalogue(t.Context(), owner, switching.ForeignKeys, nil, "ann", "none"); err == nil {
		t.Error("a catalogue that is not kept is taken")
	}
}
