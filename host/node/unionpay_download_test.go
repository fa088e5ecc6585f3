package node

import (
	"fmt"
	"testing"
	"time"

	"meridian/internal/loadgen"
	"meridian/ledger"
	"meridian/switch"
)

// put writes a catalogue and has the node read it.
func (w *town) put(of switching.Catalogue, entries ...switching.CatalogueEntry) {
	w.t.Helper()
	w.must(switching.PutCatalogue(w.t.Context(), w.owner, of, entries, "ann", "a test"))
	w.must(w.node.Switch().Refresh(w.t.Context()))
}

// listed asks what there is until nothing more is said, and cuts it into elements
// of so many bytes.
func (p *apartPOS) listed(code string, elementBytes int) []string {
	p.w.t.Helper()
	var list []string
	for {
		f62 := p.just("00", p.Management("0820", code, map[int]string{62: fmt.Sprintf("1%02d", len(list))})).answer.Field(62)
		heard := len(list)
		for rest := f62[1:]; rest != ""; rest = rest[elementBytes:] {
			list = append(list, rest[:elementBytes])
		}
		switch f62[0] {
		case '0', '1', '3':
			return list
		case '2':
			if len(list) == heard {
				p.w.t.Fatal("more is announced and nothing told")
			}
		default:
			p.w.t.Fatalf("a status report was answered %X", f62)
		}
	}
}

// TestUnionPayDownloads: a terminal that signs in is asked to download what it
// does not have, one list after the other, until it has them.
func TestUnionPayDownloads(t *testing.T) {
	t.Parallel()
	const keys = 30
	w := newUnionPayTown(t)
	p := w.apart(posTill)
	demands := func(want int) {
		t.Helper()
		if got := p.signIn(loadgen.SignInDouble).Demand(); got != want {
			t.Fatalf("the sign-in asks for %d, want %d", got, want)
		}
	}
	ends := func(code string, want int) {
		t.Helper()
		if got := p.do("00", p.Management("0800", code)).answer.Demand(); got != want {
			t.Fatalf("after the end %s the host asks for %d, want %d", code, got, want)
		}
	}
	demands(0)
	if list := p.listed(loadgen.StatusOfApps, 10); len(list) > 0 {
		t.Fatalf("%d applications in an empty catalogue", len(list))
	}
	if got := p.do("00", p.Management("0800", loadgen.GetApplication, map[int]string{62: "\x9F\x06\x05\xA0\x00\x00\x03\x33"})).answer.Field(62); got != "0" {
		t.Fatalf("what is not there is told as %X", got)
	}

	w.put(switching.TerminalParameters, switching.CatalogueEntry{Code: "11", Parameters: []byte("60")},
		switching.CatalogueEntry{Code: "22", Parameters: fmt.Appendf(nil, "%-40s", "SHOP AROUND THE CORNER")})
	rid := []byte("\xA0\x00\x00\x03\x33")
	var publicKeys []switching.CatalogueEntry
	for i := range keys {
		publicKeys = append(publicKeys, switching.CatalogueEntry{
			RID: rid, KeyIndex: uint8(i), ExpiresOn: ledger.MakeDate(2031, 12, 31), Parameters: fmt.Appendf(nil, "\x9F\x22\x01%c", i),
		})
	}
	w.put(switching.PublicKeys, publicKeys...)
	aid := []byte("\xA0\x00\x00\x03\x33\x01\x01\x01")
	w.put(switching.ChipApplications, switching.CatalogueEntry{AID: aid, Parameters: []byte("\xDF\x01\x01\x00")})

	demands(1)
	if got := p.do("00", p.Management("0820", loadgen.StatusOfParams, map[int]string{62: "100"})).answer.Field(62); got != "1" {
		t.Fatalf("parameters are announced by %q", got)
	}
	if got := p.do("00", p.Management("0800", loadgen.GetParameters)).answer.Field(62); got != "116022"+fmt.Sprintf("%-40s", "SHOP AROUND THE CORNER") {
		t.Fatalf("parameters %q", got)
	}
	ends(loadgen.EndParameters, 4)
	demands(4)
	// 9F06 and five bytes, 9F22 and one, DF05 and eight digits.
	list := p.listed(loadgen.StatusOfKeys, 8+4+11)
	if len(list) != keys {
		t.Fatalf("%d public keys are listed, want %d", len(list), keys)
	}
	for i, one := range list {
		want := "\x9F\x06\x05" + string(rid) + "\x9F\x22\x01" + string(rune(i)) + "\xDF\x05\x08" + "20311231"
		if one != want {
			t.Fatalf("public key %d is listed as %X", i, one)
		}
		if got := p.just("00", p.Management("0800", loadgen.GetPublicKey, map[int]string{62: one[:12]})).answer.Field(62); got != "1\x9F\x22\x01"+string(rune(i)) {
			t.Fatalf("public key %d is %X", i, got)
		}
	}
	ends(loadgen.EndPublicKeys, 5)
	if list := p.listed(loadgen.StatusOfApps, 3+len(aid)); len(list) != 1 || list[0] != "\x9F\x06\x08"+string(aid) {
		t.Fatalf("applications %X", list)
	}
	if got := p.do("00", p.Management("0800", loadgen.GetApplication, map[int]string{62: "\x9F\x06\x08" + string(aid)})).answer.Field(62); got != "1\xDF\x01\x01\x00" {
		t.Fatalf("application %X", got)
	}
	ends(loadgen.EndApplication, 0)
	demands(0)

	// A change of one asks for it again; blacklists there are none.
	w.must(switching.RemoveFromCatalogue(t.Context(), w.owner, switching.PublicKeys, publicKeys[3], "ann", "it was withdrawn"))
	w.must(w.node.Switch().Refresh(t.Context()))
	demands(4)
	if list := p.listed(loadgen.StatusOfKeys, 8+4+11); len(list) != keys-1 {
		t.Fatalf("%d public keys are left", len(list))
	}
	p.do("40", p.Management("0800", "390"))
	p.do("30", p.Management("0800", loadgen.GetPublicKey, map[int]string{62: "\x9F\x06\x05" + string(rid)}))
}

// TestUnionPayTracks: a track that goes enciphered under the session's track key
// is the card's; under another key it is nobody's.
func TestUnionPayTracks(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t)
	p := w.apart(posTill)
	p.signIn(loadgen.SignInTrack)
	sealed, err := loadgen.SealTrack(p.Keys().TDK, pay(everyday).Track2)
	w.must(err)
	under := map[int]string{35: sealed, 53: "0610000000000000"}
	p.twice("00", p.sale(10_00, under))
	with := p.pinOf(pay(everyday))
	with[53] = "2610000000000000"
	sale := p.twice("00", p.sale(10_00, map[int]string{35: sealed}, with))
	if sale.answer.Field(35) != "" || sale.answer.Field(2) != pay(everyday).PAN {
		t.Fatalf("the answer has card %q and track %q", sale.answer.Field(2), sale.answer.Field(35))
	}
	w.spent(everyday, 20_00)
	other, err := loadgen.SealTrack([]byte("0123456789abcdef"), pay(everyday).Track2)
	w.must(err)
	p.do("63", p.sale(10_00, map[int]string{35: other, 53: "0610000000000000"}))
	p.signIn(loadgen.SignInDouble) // keys without one for tracks: a minute after their first use there is none
	p.do("00", p.sale(10_00))
	w.clock.set(w.clock.Now().Add(2 * time.Minute))
	p.do("63", p.sale(10_00, under))
	w.spent(everyday, 30_00)
}
