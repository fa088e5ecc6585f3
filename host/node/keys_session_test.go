package node

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/internal/hsm"
	"meridian/internal/hsm/mac"
	"meridian/internal/vault"
	"meridian/switch"
)

// A session begins at one node, goes on at another and after a restart, and ends
// at both.
func TestSessionAtTwoNodes(t *testing.T) {
	w := newKeyTown(t)
	second := w.beside(posListener())
	p := w.pos(posTID)
	for _, at := range []*pos{p, p.at(second)} {
		at.refused("77", "0200", at.sale(), nil, 0)
		at.refused("77", "0200", at.sale(), mustMAC(t, []byte("no session's key")), 0)
		at.refused("77", "0400", at.sale(), nil, 0)
	}
	p.signIn()
	p.do("00", "0200", p.sale())
	q := p.at(second)
	q.do("00", "0200", q.sale())
	q.do("00", "0200", q.sale(q.withPIN(everyPIN)))

	// Wrong, missing, and another terminal's.
	other := w.pos(posTID2)
	other.signIn()
	for _, by := range []mac.Algorithm{mustMAC(t, []byte("nobody's own key")), other.session.mac} {
		q.refused("A0", "0200", q.sale(), by, 1)
	}
	q.refused("A0", "0200", q.sale(), nil, 1)
	q.do("00", "0200", q.sale())
	// The MAC comes first, then the batch.
	q.refused("A0", "0200", q.sale(fields{60: "22000009"}), other.session.mac, 1)
	if m, _ := q.exchange("0200", q.sale(fields{60: "22000009"}), q.session.mac); m.Get(39) != "77" {
		t.Errorf("another batch answered %s", m.Get(39))
	}

	third := w.beside(posListener())
	r := q.at(third)
	r.do("00", "0200", r.sale())

	m, _ := r.exchange("0820", r.common(fields{60: "00" + r.session.batch + "002"}), nil)
	if m.Get(39) != "00" {
		t.Fatalf("sign-off answered %s", m.Get(39))
	}
	for _, n := range []*town{w, second, third} {
		w.must(n.node.Switch().CatchUp(context.Background()))
		x := r.at(n)
		x.refused("77", "0200", x.sale(), x.session.mac, 0)
		x.refused("77", "0500", x.common(fields{48: strings.Repeat("0", 62), 49: "156", 60: "00" + x.session.batch + "201", 63: "01 "}), nil, 0)
	}
	w.settle()
}

func mustMAC(t testing.TB, key []byte) mac.Algorithm {
	t.Helper()
	alg, err := mac.New(mac.UnionPayECB, key)
	if err != nil {
		t.Fatal(err)
	}
	return alg
}

// While a terminal is given new keys again and again, at two nodes, its sales go
// on under those it has: none is refused, and every answer is under the keys of
// its request.
func TestRolloverLosesNoMessage(t *testing.T) {
	w := newKeyTown(t)
	second := w.beside(posListener())
	signing := w.pos(posTID)
	signing.signIn()
	var mu sync.Mutex
	current := signing.session
	done := make(chan struct{})
	var senders sync.WaitGroup
	sold := make([]int, 4)
	for i := range sold {
		p := signing.at([]*town{w, second}[i%2])
		p.stan = (i + 1) * 10_000
		senders.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				p.session = current
				mu.Unlock()
				m, raw := p.exchange("0200", p.sale(fields{4: "000000000001"}), p.session.mac)
				if err := p.spec.VerifyMAC(raw, p.session.mac); m.Get(39) != "00" || err != nil {
					t.Errorf("a sale answered %s, its MAC: %v", m.Get(39), err)
					return
				}
				sold[i]++
			}
		})
	}
	nodes := []*pos{signing, signing.at(second)}
	for i := range 15 {
		next := nodes[i%2].askSession()
		mu.Lock()
		current = next
		mu.Unlock()
		nodes[i%2].session = next
		nodes[i%2].do("00", "0200", nodes[i%2].sale(fields{4: "000000000001"}))
	}
	close(done)
	senders.Wait()
	for i, n := range sold {
		if n == 0 {
			t.Errorf("terminal %d has sold nothing", i)
		}
	}
	if n := w.stored().audits; n != 0 {
		t.Errorf("%d rows in the audit log", n)
	}
	w.settle()
}

// Three wrong PINs lock the card; the fourth answer says so, whatever the PIN.
func TestWrongPINsOverTCP(t *testing.T) {
	w := newKeyTown(t)
	p := w.pos(posTID)
	p.signIn()
	p.do("00", "0200", p.sale(p.withPIN(everyPIN)))
	for range 3 {
		p.do("55", "0200", p.sale(p.withPIN("0000")))
	}
	for _, pin := range []string{"0000", everyPIN} {
		if m, _ := p.exchange("0200", p.sale(p.withPIN(pin)), p.session.mac); m.Get(39) != "75" && m.Get(39) != "38" {
			t.Errorf("a locked card answered %s", m.Get(39))
		}
	}
	// The same over the other dialects, where the card is locked as well.
	eachOf(w, func(dialect string) {
		x := w.terminal(dialect, sealed, shop)
		x.do("75", "0200", swiped(everyday))
		x.do("00", "0200", swiped(second))
		x.do("55", "0200", swiped(second), fields{52: encipherPIN(second, "0000")})
		x.do("00", "0200", typed(everyday))
	})
	w.settle()
}

func eachOf(_ *town, do func(dialect string)) {
	for _, dialect := range []string{"nac", "ascii"} {
		do(dialect)
	}
}

// A terminal whose key does not open is answered 96, without a MAC and without a
// trace but the error in the log; everybody else goes on.
func TestKeyThatDoesNotOpenOverTCP(t *testing.T) {
	other, err := vault.Open(mustMaster(t))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := hsm.NewSoftware(other, other.FirstDataKeys()).Generate(t.Context(), hsm.UseMAC, hsm.TDES2)
	if err != nil {
		t.Fatal(err)
	}
	w := newKeyTown(t, func(w *town) {
		w.sql(`UPDATE terminals SET mak_wrapped = $1 WHERE tid = $2`, foreign.Bytes(), "1"+sealed)
		w.sql(`UPDATE terminals SET tmk_wrapped = $1 WHERE tid = $2`, foreign.Bytes(), posTID2)
	})
	x := w.terminal("nac", sealed, shop)
	before := w.stored()
	for range 3 {
		m, _ := x.exchange(x.payload("0200", x.fill("0200", typed(everyday))))
		if m.Get(39) != "96" || m.Has(64) {
			t.Fatalf("answered %s, MAC %t", m.Get(39), m.Has(64))
		}
	}
	p := w.pos(posTID2)
	m, _ := p.exchange("0800", p.common(fields{60: "00000000003", 63: "01 "}), nil)
	if m.Get(39) != "96" || m.Has(62) {
		t.Fatalf("sign-in answered %s", m.Get(39))
	}
	if after := w.stored(); after != before {
		t.Errorf("rows %+v, before %+v", after, before)
	}
	good := w.pos(posTID)
	good.signIn()
	good.do("00", "0200", good.sale())
	if text := w.log.String(); !strings.Contains(text, "MAC cannot be verified") || strings.Contains(text, string(sealedKey)) {
		t.Error("the log does not say what is wrong, or too much")
	}
}

func mustMaster(t testing.TB) vault.MasterKey {
	t.Helper()
	master, err := vault.ParseMasterKey(strings.Repeat("3f", vault.MasterKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return master
}

// A master key is exchanged while hosts run: one that knows both, one that knows
// the new one alone.
func TestMasterKeyIsExchangedBesideTraffic(t *testing.T) {
	w := newKeyTown(t)
	p := w.pos(posTID)
	p.signIn()
	p.do("00", "0200", p.sale(p.withPIN(everyPIN)))
	p.w.terminal("nac", sealed, shop).do("00", "0200", swiped(second))

	both, err := vault.Open(mustMaster(t), vault.SandboxMasterKey())
	w.must(err)
	knowsBoth := *w
	knowsBoth.vault = both
	next := knowsBoth.beside(posListener())
	q := p.at(next)
	q.do("00", "0200", q.sale(q.withPIN(everyPIN)))

	done := make(chan struct{})
	var selling sync.WaitGroup
	for _, x := range []*pos{p, q} {
		selling.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if m, _ := x.exchange("0200", x.sale(x.withPIN(everyPIN), fields{4: "000000000001"}), x.session.mac); m.Get(39) != "00" {
					t.Errorf("a sale answered %s", m.Get(39))
					return
				}
			}
		})
	}
	module := hsm.NewSoftware(both, both.FirstDataKeys())
	result, err := switching.RewrapKeys(t.Context(), w.owner, module, both, "ann", "a test")
	w.must(err)
	close(done)
	selling.Wait()
	// Two data keys, two TMKs, a MAC key and a PIN key for each dialect's terminals, and a session.
	if result.Keys == 0 || len(result.Broken) != 0 {
		t.Fatalf("rewrapped %+v", result)
	}
	again, err := switching.RewrapKeys(t.Context(), w.owner, module, both, "ann", "a test")
	if err != nil || again.Keys != 0 || again.Current != result.Keys+result.Current {
		t.Fatalf("rewrapped again %+v after %+v, %v", again, result, err)
	}

	alone, err := vault.Open(mustMaster(t))
	w.must(err)
	knowsNew := *w
	knowsNew.vault = alone
	last := knowsNew.beside(posListener())
	r := q.at(last)
	r.do("00", "0200", r.sale(r.withPIN(everyPIN)))
	last.terminal("nac", sealed, shop).do("00", "0200", swiped(second), fields{11: "900001"})
	r.signIn()
	r.do("00", "0200", r.sale(r.withPIN(everyPIN)))
	w.settle()
}

// A terminal with static keys goes over to its next ones; a minute after the
// first message under them the old ones are refused, at both nodes.
func TestStaticKeysRollOver(t *testing.T) {
	w := newKeyTown(t)
	second := w.beside()
	old, err := mac.New(mac.X919, sealedKey)
	w.must(err)
	nextKey := []byte("the next MAC key")
	next, err := mac.New(mac.X919, nextKey)
	w.must(err)
	nodes := []*town{w, second}
	sell := func(code string, by mac.Algorithm) {
		t.Helper()
		for i, n := range nodes {
			x := n.terminal("nac", sealed, shop)
			x.stan = int(w.stored().transactions+w.stored().audits)*10 + i + 1
			x.mac = by
			m, _ := x.exchange(x.payload("0200", x.fill("0200", typed(everyday))))
			if m.Get(39) != code {
				t.Fatalf("node %d answered %s, want %s", i, m.Get(39), code)
			}
		}
	}
	sell("00", old)
	sell("63", next)
	keys := hsm.NewSoftware(w.vault, w.vault.FirstDataKeys())
	mak, err := keys.Enter(hsm.UseMAC, hsm.TDES2, nextKey)
	w.must(err)
	w.sql(`INSERT INTO working_keys (bucket, terminal_id, slot, generation, mak_wrapped, issued_at, changed_at)
		SELECT 0, terminal_id, 0, 1, $1, now(), clock_timestamp() FROM terminals WHERE tid = $2`, mak.Bytes(), "1"+sealed)
	sell("00", old)
	sell("00", next)
	sell("00", old)
	w.clock.set(w.clock.Now().Add(time.Minute))
	for _, n := range nodes {
		w.must(n.node.Switch().CatchUp(context.Background()))
	}
	sell("63", old)
	sell("00", next)
}
