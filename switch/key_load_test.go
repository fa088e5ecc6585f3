package switching_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/internal/hsm"
	"meridian/internal/vault"
	"meridian/switch"
)

// keyRoom is a world with a security module.
type keyRoom struct {
	*world

	vault  *vault.Vault
	module *hsm.Software
}

func newKeyRoom(t *testing.T) *keyRoom {
	t.Helper()
	w := newWorld(t)
	v, err := vault.Open(vault.SandboxMasterKey())
	w.must(err)
	return &keyRoom{world: w, vault: v, module: hsm.NewSoftware(v, v.FirstDataKeys())}
}

func (k *keyRoom) draw(use hsm.Use, algorithm hsm.Algorithm) hsm.Key {
	k.t.Helper()
	key, err := k.module.Generate(k.t.Context(), use, algorithm)
	k.must(err)
	return key
}

func (k *keyRoom) load(target switching.KeyTarget, key hsm.Key) (*switching.LoadedKey, error) {
	return switching.LoadKey(k.t.Context(), k.owner(), k.module, target, key, k.clock.Now(), "ann", "a test")
}

func ofTill(use hsm.Use) switching.KeyTarget { return switching.KeyTarget{TID: till, Use: use} }

// A terminal's first key is its row's; the next ones are generations, and each
// carries on what is not replaced.
func TestKeysAreLoaded(t *testing.T) {
	k := newKeyRoom(t)
	k.sql(`UPDATE terminals SET mac_algorithm = 'none' WHERE tid = $1`, till)
	mak, pik := k.draw(hsm.UseMAC, hsm.TDES2), k.draw(hsm.UsePIN, hsm.TDES2)
	for _, one := range []struct {
		target     switching.KeyTarget
		key        hsm.Key
		generation int32
	}{
		{ofTill(hsm.UseMAC), mak, 0},
		{ofTill(hsm.UsePIN), pik, 0},
		{ofTill(hsm.UseTerminalMaster), k.draw(hsm.UseTerminalMaster, hsm.TDES2), 0},
		{ofTill(hsm.UseMAC), k.draw(hsm.UseMAC, hsm.TDES2), 1},
		{ofTill(hsm.UsePIN), k.draw(hsm.UsePIN, hsm.TDES2), 2},
		{ofTill(hsm.UseTerminalMaster), k.draw(hsm.UseTerminalMaster, hsm.TDES3), 0},
		{switching.KeyTarget{BaseKey: "acme-2026"}, k.draw(hsm.UseDUKPTBase, hsm.AES128), 0},
		{switching.KeyTarget{Transport: "zmk.1"}, k.draw(hsm.UseKeyBlock, hsm.AES256), 0},
	} {
		loaded, err := k.load(one.target, one.key)
		k.must(err)
		check, err := k.module.CheckValue(t.Context(), one.key)
		k.must(err)
		if loaded.Generation != one.generation || loaded.CheckValue != check.String() || loaded.Key != one.target.String() || loaded.Algorithm != one.key.Algorithm.String() {
			t.Errorf("%s: %+v, want generation %d", one.target, loaded, one.generation)
		}
		if a := k.audited(); a.Kind != "key_loaded" || a.Subject != one.target.String() || !strings.Contains(a.Detail, "check value "+check.String()) ||
			!strings.HasSuffix(a.Detail, "by ann: a test") {
			t.Errorf("audited %+v", a)
		}
		back, err := switching.TargetKey(t.Context(), k.owner(), one.target)
		k.must(err)
		if string(back.Bytes()) != string(one.key.Bytes()) {
			t.Errorf("%s: another key is read", one.target)
		}
	}
	// The second generation has the first one's MAC key beside its own PIN key.
	state, err := switching.FindTerminal(t.Context(), k.pool, till)
	k.must(err)
	if len(state.Generations) != 2 || len(state.Generations[0].Keys) != 2 || state.Generations[0].Number != 2 {
		t.Errorf("generations %+v", state.Generations)
	}
	var found []switching.CheckedKey
	k.must(switching.CheckKeys(t.Context(), k.owner(), k.module, "", func(c switching.CheckedKey) { found = append(found, c) }))
	if len(found) != 9 || found[0].Key != "transport key zmk.1" || slices.ContainsFunc(found, func(c switching.CheckedKey) bool { return c.Problem != "" || len(c.CheckValue) != 6 }) {
		t.Errorf("checked %+v", found)
	}
	k.sql(`UPDATE base_keys SET bdk_wrapped = set_byte(bdk_wrapped, 40, get_byte(bdk_wrapped, 40) # 1)`)
	k.sql(`UPDATE terminals SET pik_wrapped = mak_wrapped WHERE tid = $1`, till)
	found = nil
	k.must(switching.CheckKeys(t.Context(), k.owner(), k.module, "", func(c switching.CheckedKey) { found = append(found, c) }))
	var broken []string
	for _, c := range found {
		if c.Problem != "" {
			broken = append(broken, c.Key)
		}
	}
	if !slices.Equal(broken, []string{"base key acme-2026", "pin key of terminal " + till}) {
		t.Errorf("broken %q", broken)
	}
	found = nil
	k.must(switching.CheckKeys(t.Context(), k.owner(), k.module, till2, func(c switching.CheckedKey) { found = append(found, c) }))
	if len(found) != 0 {
		t.Errorf("keys of another terminal: %+v", found)
	}
	k.intact(8)
}

// Both keys of a terminal change in one generation.
func TestGenerationIsLoaded(t *testing.T) {
	k := newKeyRoom(t)
	load := func(keys ...hsm.Key) []*switching.LoadedKey {
		t.Helper()
		loaded, err := switching.LoadGeneration(t.Context(), k.owner(), k.module, till, keys, k.clock.Now(), "ann", "a test")
		k.must(err)
		return loaded
	}
	for generation := range int32(3) {
		for _, l := range load(k.draw(hsm.UseMAC, hsm.TDES2), k.draw(hsm.UsePIN, hsm.TDES2)) {
			if l.Generation != generation {
				t.Errorf("%+v, want generation %d", l, generation)
			}
		}
	}
	for _, wrong := range [][]hsm.Key{nil, {k.draw(hsm.UseTerminalMaster, hsm.TDES2)}, {k.draw(hsm.UseDUKPTBase, hsm.TDES2)}} {
		if _, err := switching.LoadGeneration(t.Context(), k.owner(), k.module, till, wrong, k.clock.Now(), "ann", "a test"); err == nil {
			t.Errorf("loaded %v", wrong)
		}
	}
	// A PIN key of a terminal that has generations of MAC keys alone is in a generation too.
	k.sql(`UPDATE terminals SET mac_algorithm = 'none', mak_wrapped = NULL, pik_wrapped = NULL WHERE tid = $1`, till)
	k.sql(`UPDATE working_keys SET pik_wrapped = NULL`)
	if l := load(k.draw(hsm.UsePIN, hsm.TDES2)); l[0].Generation != 3 {
		t.Errorf("loaded %+v", l[0])
	}
	k.intact(7)
}

func TestKeysThatAreNotLoaded(t *testing.T) {
	k := newKeyRoom(t)
	_, err := k.load(switching.KeyTarget{BaseKey: "acme"}, k.draw(hsm.UseDUKPTBase, hsm.TDES2))
	k.must(err)
	k.sql(`UPDATE terminals SET tmk_wrapped = 'x', key_scheme = 'session', mac_algorithm = 'unionpay-ecb' WHERE tid = $1`, till2)
	k.sql(`UPDATE terminals SET key_scheme = 'dukpt-tdes', base_key_id = 1, initial_ksn = '\x0102030405060708090a' WHERE tid = $1`, booth)
	k.sql(`UPDATE terminals SET mak_wrapped = 'x', mac_algorithm = 'aes-cmac' WHERE tid = $1`, till)
	mak := k.draw(hsm.UseMAC, hsm.TDES2)
	rows := k.chain().Rows
	for _, one := range []struct {
		target switching.KeyTarget
		key    hsm.Key
		want   error
	}{
		{switching.KeyTarget{TID: "99999999", Use: hsm.UseMAC}, mak, switching.ErrKeyTarget},
		{switching.KeyTarget{TID: till2, Use: hsm.UseMAC}, mak, switching.ErrKeyTarget},
		{switching.KeyTarget{TID: booth, Use: hsm.UseMAC}, mak, switching.ErrKeyTarget},
		{switching.KeyTarget{TID: till, Use: hsm.UseTrack}, k.draw(hsm.UseTrack, hsm.TDES2), switching.ErrKeyTarget},
		{switching.KeyTarget{TID: till, Use: hsm.UsePIN}, mak, hsm.ErrUse},
		{ofTill(hsm.UseMAC), mak, hsm.ErrAlgorithm},
		{switching.KeyTarget{BaseKey: "acme"}, k.draw(hsm.UseDUKPTBase, hsm.TDES2), switching.ErrKeyExists},
		{switching.KeyTarget{BaseKey: "a b"}, k.draw(hsm.UseDUKPTBase, hsm.TDES2), switching.ErrKeyTarget},
		{switching.KeyTarget{Transport: "9999990000000014"}, k.draw(hsm.UseKeyBlock, hsm.TDES2), switching.ErrKeyTarget},
		{switching.KeyTarget{Transport: "'; DROP"}, k.draw(hsm.UseKeyBlock, hsm.TDES2), switching.ErrKeyTarget},
	} {
		if _, err := k.load(one.target, one.key); !errors.Is(err, one.want) {
			t.Errorf("%s: %v, want %v", one.target, err, one.want)
		}
	}
	if n := k.chain().Rows; n != rows {
		t.Errorf("%d audit rows for nothing", n-rows)
	}
	for target, want := range map[switching.KeyTarget]error{
		{Transport: "none"}: switching.ErrNoKey, {BaseKey: "none"}: switching.ErrNoKey,
		{TID: till, Use: hsm.UsePIN}: switching.ErrNoKey, {TID: till2, Use: hsm.UseMAC}: switching.ErrKeyTarget,
	} {
		if _, err := switching.TargetKey(t.Context(), k.owner(), target); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", target, err, want)
		}
	}
	base, ksn, err := switching.InitialSerial(t.Context(), k.owner(), booth)
	k.must(err)
	if base.Algorithm != hsm.TDES2 || hex.EncodeToString(ksn) != "0102030405060708090a" {
		t.Errorf("%s, %x", base, ksn)
	}
	for tid, want := range map[string]error{till: switching.ErrNoKey, "99999999": switching.ErrNoTerminal} {
		if _, _, err := switching.InitialSerial(t.Context(), k.owner(), tid); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", tid, err, want)
		}
	}
}

func component(b byte) vault.Secret {
	content := make([]byte, 16)
	for i := range content {
		content[i] = b + byte(i)*7
	}
	return vault.NewSecret(content)
}

func (k *keyRoom) start(target switching.KeyTarget, parts int) *switching.Ceremony {
	k.t.Helper()
	c, err := switching.StartCeremony(k.t.Context(), k.owner(), target, hsm.TDES2, parts, k.clock.Now(), "ann", "new terminal")
	k.must(err)
	return c
}

func (k *keyRoom) enter(id string, component vault.Secret, who string) (*switching.EnteredComponent, error) {
	return switching.EnterComponent(k.t.Context(), k.owner(), k.module, k.vault,
		switching.Component{Ceremony: id, Content: component, Who: who}, k.clock.Now())
}

// count rows of a table.
func (k *keyRoom) count(table string) (n int) {
	k.t.Helper()
	k.must(k.owner().QueryRow(k.t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
	return n
}

// Two people bring a key; nothing of it is left where it waited.
func TestKeyOfComponents(t *testing.T) {
	k := newKeyRoom(t)
	c := k.start(ofTill(hsm.UseTerminalMaster), 2)
	first, err := k.enter(c.ID, component(1), "ann")
	k.must(err)
	if first.Loaded != nil || first.Part != 1 || first.Parts != 2 || len(first.CheckValue) != 6 {
		t.Errorf("entered %+v", first)
	}
	for _, again := range []string{"ann", "ANN", "  Ann "} {
		if _, err := k.enter(c.ID, component(2), again); !errors.Is(err, switching.ErrSamePerson) {
			t.Errorf("%q: %v", again, err)
		}
	}
	if _, err := k.enter(c.ID, component(1), "bob"); !errors.Is(err, hsm.ErrComponents) {
		t.Errorf("the same component again: %v", err)
	}
	if _, err := k.enter(c.ID, vault.NewSecret([]byte("short")), "bob"); !errors.Is(err, hsm.ErrComponents) {
		t.Errorf("a short component: %v", err)
	}
	list, err := switching.Ceremonies(t.Context(), k.owner(), k.clock.Now())
	k.must(err)
	if len(list) != 1 || !slices.Equal(list[0].EnteredBy, []string{"ann"}) || list[0].Key != "terminal-master key of terminal "+till {
		t.Errorf("listed %+v", list[0])
	}
	last, err := k.enter(c.ID, component(2), "bob")
	k.must(err)
	want, err := k.module.FormKey(t.Context(), hsm.UseTerminalMaster, hsm.TDES2, component(1), component(2))
	k.must(err)
	check, err := k.module.CheckValue(t.Context(), want)
	k.must(err)
	if last.Loaded == nil || last.Loaded.CheckValue != check.String() || last.CheckValue == first.CheckValue {
		t.Errorf("entered %+v", last)
	}
	if n := k.count("key_components") + k.count("key_ceremonies"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if _, err := k.enter(c.ID, component(3), "eve"); !errors.Is(err, switching.ErrNoCeremony) {
		t.Errorf("after the last one: %v", err)
	}
	var kinds []string
	rows, err := switching.AuditLog(t.Context(), k.pool, "", 10)
	k.must(err)
	for _, r := range rows {
		kinds = append(kinds, r.Kind)
		for _, secret := range []vault.Secret{component(1), component(2)} {
			if strings.Contains(strings.ToLower(r.Detail), hex.EncodeToString(secret.Reveal())) {
				t.Error("a component is in the audit log")
			}
		}
	}
	if !slices.Equal(kinds, []string{"key_component_entered", "key_loaded", "key_component_entered", "key_ceremony_started"}) ||
		!strings.Contains(rows[1].Detail, "by ann and bob: new terminal") {
		t.Errorf("audited %+v", rows)
	}
}

func TestCeremoniesEnd(t *testing.T) {
	k := newKeyRoom(t)
	cancelled, over := k.start(switching.KeyTarget{Transport: "zmk"}, 3), k.start(switching.KeyTarget{BaseKey: "acme"}, 2)
	_, err := k.enter(cancelled.ID, component(1), "ann")
	k.must(err)
	_, err = k.enter(over.ID, component(1), "ann")
	k.must(err)
	k.must(switching.CancelCeremony(t.Context(), k.owner(), cancelled.ID, k.clock.Now(), "ann", "a mistake"))
	if n := k.count("key_components"); n != 1 {
		t.Errorf("%d components after one was cancelled", n)
	}
	if err := switching.CancelCeremony(t.Context(), k.owner(), cancelled.ID, k.clock.Now(), "ann", "again"); !errors.Is(err, switching.ErrNoCeremony) {
		t.Errorf("cancelled twice: %v", err)
	}
	k.clock.advance(24 * time.Hour)
	if _, err := k.enter(over.ID, component(2), "bob"); !errors.Is(err, switching.ErrNoCeremony) {
		t.Errorf("a day later: %v", err)
	}
	k.start(switching.KeyTarget{BaseKey: "acme"}, 2)
	if n := k.count("key_components"); n != 0 {
		t.Errorf("%d components a day later", n)
	}
	k.clock.advance(24 * time.Hour)
	if list, err := switching.Ceremonies(t.Context(), k.owner(), k.clock.Now()); err != nil || len(list) != 0 {
		t.Errorf("listed %+v, %v", list, err)
	}
}

// Three people at once: each component counts once, in some order.
func TestComponentsAtOnce(t *testing.T) {
	k := newKeyRoom(t)
	c := k.start(switching.KeyTarget{Transport: "zmk"}, 3)
	var entering sync.WaitGroup
	var mu sync.Mutex
	var loaded []*switching.LoadedKey
	for i, who := range []string{"ann", "bob", "cid"} {
		owner := k.owner()
		entering.Go(func() {
			one := switching.Component{Ceremony: c.ID, Content: component(byte(i + 1)), Who: who}
			e, err := switching.EnterComponent(t.Context(), owner, k.module, k.vault, one, k.clock.Now())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if e.Loaded != nil {
				loaded = append(loaded, e.Loaded)
			}
		})
	}
	entering.Wait()
	want, err := k.module.FormKey(t.Context(), hsm.UseKeyBlock, hsm.TDES2, component(1), component(2), component(3))
	k.must(err)
	check, err := k.module.CheckValue(t.Context(), want)
	k.must(err)
	if len(loaded) != 1 || loaded[0].CheckValue != check.String() {
		t.Errorf("loaded %+v, want %s", loaded, check)
	}
}

// What waits is put under the newest master key with everything else.
func TestComponentsAreRewrapped(t *testing.T) {
	k := newKeyRoom(t)
	c := k.start(switching.KeyTarget{Transport: "zmk"}, 2)
	_, err := k.load(switching.KeyTarget{Transport: "other"}, k.draw(hsm.UseKeyBlock, hsm.TDES2))
	k.must(err)
	_, err = k.enter(c.ID, component(1), "ann")
	k.must(err)
	master, err := vault.NewMasterKey([]byte("0123456789abcdef0123456789abcdeF"))
	k.must(err)
	both, err := vault.Open(master, vault.SandboxMasterKey())
	k.must(err)
	done, err := switching.RewrapKeys(t.Context(), k.owner(), hsm.NewSoftware(both, both.FirstDataKeys()), both, "ann", "yearly")
	k.must(err)
	if done.Keys != 2 || len(done.Broken) != 0 {
		t.Errorf("rewrapped %+v", done)
	}
	alone, err := vault.Open(master)
	k.must(err)
	k.vault, k.module = alone, hsm.NewSoftware(alone, alone.FirstDataKeys())
	last, err := k.enter(c.ID, component(2), "bob")
	k.must(err)
	if last.Loaded == nil {
		t.Error("no key was formed")
	}
}

func TestPINTriesAreReset(t *testing.T) {
	w := newWorld(t)
	w.sql(`UPDATE card_accounts SET pin_failures = 3 WHERE card_id IN (1, 2)`)
	card, err := switching.ResetPINTries(t.Context(), w.owner(), switching.CardRef{ID: 1}, w.clock.Now(), "ann", "the holder came in")
	w.must(err)
	if card != "card:1 "+cardNumber(0).Masked() {
		t.Errorf("reset %q", card)
	}
	if a := w.audited(); a.Kind != "pin_tries_reset" || a.Subject != card || a.Detail != "3 wrong PINs, by ann: the holder came in" {
		t.Errorf("audited %+v", a)
	}
	if _, err := switching.ResetPINTries(t.Context(), w.owner(), switching.CardRef{ID: 1}, w.clock.Now(), "ann", "again"); !errors.Is(err, switching.ErrNoPINTries) {
		t.Errorf("reset twice: %v", err)
	}
	_, err = switching.ResetPINTries(t.Context(), w.owner(), switching.CardRef{Tokens: [][16]byte{{1}, token(cardNumber(1))}}, w.clock.Now(), "ann", "by its number")
	w.must(err)
	var left int
	w.must(w.pool.QueryRow(t.Context(), `SELECT sum(pin_failures) FROM card_accounts`).Scan(&left))
	if left != 0 {
		t.Errorf("%d tries left", left)
	}
}
