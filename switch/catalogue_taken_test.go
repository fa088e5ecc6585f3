package switching_test

import (
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// What changes while a terminal downloads is demanded again: it has been shown what was before.
func TestChangesDuringADownload(t *testing.T) {
	w := newWorld(t)
	put := w.publicKeys()
	put("old")
	w.catalogued(switching.KindStatus, switching.PublicKeys)
	put("new")
	w.catalogued(switching.KindDownload, switching.PublicKeys)
	w.took(switching.PublicKeys, switching.DemandPublicKeys)
	w.took(switching.PublicKeys, switching.DemandPublicKeys) // its answer was lost
	w.demands(switching.PublicKeys, switching.DemandNone)
	w.took(switching.PublicKeys, switching.DemandNone)
	put("newer")
	w.demands(switching.PublicKeys, switching.DemandNone)
	// All parameters are one answer: who has it has all.
	w.must(switching.PutCatalogue(t.Context(), w.owner(), switching.TerminalParameters, []switching.CatalogueEntry{{Code: "11", Parameters: []byte("60")}}, "ann", "slow lines"))
	w.must(w.sw.CatchUp(t.Context()))
	w.catalogued(switching.KindDownload, switching.TerminalParameters)
	w.took(switching.TerminalParameters, switching.DemandNone)
}

// A download that began at another host may have begun before a change, or where that was not known yet.
func TestDownloadsBeginAtOtherHosts(t *testing.T) {
	w := newWorld(t)
	put := w.publicKeys()
	put("old")
	first, second := w.sw, w.second()
	put("new") // at the first alone
	at := func(sw *switching.Switch) { w.sw = sw }
	defer at(first)
	at(second)
	w.catalogued(switching.KindStatus, switching.PublicKeys)
	at(first)
	w.catalogued(switching.KindDownload, switching.PublicKeys)
	w.took(switching.PublicKeys, switching.DemandPublicKeys)
	w.must(second.CatchUp(t.Context()))
	// Begun anew at the first, shown on by the second, ended at the first.
	w.catalogued(switching.KindStatus, switching.PublicKeys)
	at(second)
	w.catalogued(switching.KindDownload, switching.PublicKeys)
	at(first)
	w.took(switching.PublicKeys, switching.DemandNone)
	// Long after a change nothing can have begun before it.
	put("newer")
	w.must(second.CatchUp(t.Context()))
	w.clock.advance(16 * time.Minute)
	at(second)
	w.catalogued(switching.KindStatus, switching.PublicKeys)
	at(first)
	w.took(switching.PublicKeys, switching.DemandNone)
}

// publicKeys puts one whose parameters are a text, and has the world's switch read it.
func (w *world) publicKeys() (put func(text string)) {
	w.t.Helper()
	owner := w.owner()
	return func(text string) {
		w.t.Helper()
		w.must(switching.PutCatalogue(w.t.Context(), owner, switching.PublicKeys, []switching.CatalogueEntry{
			{RID: []byte{0xA0, 0, 0, 3, 0x33}, KeyIndex: 8, ExpiresOn: ledger.MakeDate(2030, 12, 31), Parameters: []byte(text)},
		}, "ann", "new cards"))
		w.must(w.sw.CatchUp(w.t.Context()))
	}
}
