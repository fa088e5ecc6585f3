package switching_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"meridian/internal/card"
	"meridian/internal/hsm"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/mac"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/hsm/track"
	"meridian/internal/postgres"
	"meridian/internal/vault"
	"meridian/migrations"
	"meridian/switch"
)

// Terminals of the vaulted world, beside those of every world.
const (
	signing  = "30000001" // UnionPay's, with sessions
	signing2 = "30000002" // the same
	sealed   = "10000009" // NAC with X9.19 and a static key
	serial   = "10000010" // NAC with TDES DUKPT and X9.19
	serial2  = "10000011" // the same, with AES DUKPT and AES-CMAC
	pinless  = "10000012" // NAC without a PIN key
)

// Clear keys of the vaulted world.
var (
	clearTMK  = []byte("tmk of terminals")
	clearMAK  = []byte("mak of a static-")
	clearMAK2 = []byte("mak that follows")
	clearPIK  = []byte("pik of a static-")
	clearBDK  = []byte("base of TDES key")
	clearBDK2 = []byte("base of AES keys")

	initialTDES = []byte{0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 0}
	initialAES  = []byte{0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56}
)

const rightPIN, wrongPIN = "1234", "4321"

// vaulted is a world with a security module: terminals with keys, cards with PINs.
type vaulted struct {
	*world

	module *hsm.Software
}

func newVault(t testing.TB) *vault.Vault {
	t.Helper()
	v, err := vault.Open(vault.SandboxMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newVaulted(t testing.TB, change ...func(*switching.Options)) *vaulted {
	t.Helper()
	v := newVault(t)
	module := hsm.NewSoftware(v, v.FirstDataKeys())
	o := switching.Options{Module: module}
	for _, c := range change {
		c(&o)
	}
	w := &vaulted{world: newWorldWith(t, o), module: module}
	w.seedKeys()
	w.must(w.sw.Refresh(t.Context()))
	return w
}

// enter makes a stored key of a clear one.
func (w *vaulted) enter(use hsm.Use, algorithm hsm.Algorithm, key []byte) []byte {
	w.t.Helper()
	k, err := w.module.Enter(use, algorithm, key)
	w.must(err)
	return k.Bytes()
}

func (w *vaulted) seedKeys() {
	w.t.Helper()
	tmk := w.enter(hsm.UseTerminalMaster, hsm.TDES2, clearTMK)
	pik := w.enter(hsm.UsePIN, hsm.TDES2, clearPIK)
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, mac_algorithm, key_scheme, tmk_wrapped)
		VALUES (31, $1, 1, 'unionpay', 'unionpay-ecb', 'session', $3), (32, $2, 1, 'unionpay', 'unionpay-ecb', 'session', $3)`,
		signing, signing2, tmk)
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, mac_algorithm, mak_wrapped, pik_wrapped)
		VALUES (33, $1, 1, 'nac', 'x919', $2, $3)`, sealed, w.enter(hsm.UseMAC, hsm.TDES2, clearMAK), pik)
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES (36, $1, 1, 'nac')`, pinless)
	w.sql(`UPDATE terminals SET pik_wrapped = $1 WHERE terminal_id < 30`, pik)
	w.sql(`INSERT INTO base_keys (base_key_id, name, bdk_wrapped, created_at) VALUES (1, 'tdes', $1, now()), (2, 'aes', $2, now())`,
		w.enter(hsm.UseDUKPTBase, hsm.TDES2, clearBDK), w.enter(hsm.UseDUKPTBase, hsm.AES128, clearBDK2))
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, mac_algorithm, key_scheme, base_key_id, initial_ksn)
		VALUES (34, $1, 1, 'nac', 'x919', 'dukpt-tdes', 1, $3), (35, $2, 1, 'nac', 'aes-cmac', 'dukpt-aes', 2, $4)`,
		serial, serial2, initialTDES, initialAES)
	for i := range 10 {
		tok := token(cardNumber(i))
		reference, err := w.module.ReferenceClearPIN(rightPIN, tok)
		w.must(err)
		w.sql(`UPDATE card_accounts SET pin_reference = $2 WHERE card_id = $1`, i+1, reference)
	}
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
}

// another host over the same database.
func (w *vaulted) another(t testing.TB, change ...func(*switching.Options)) *switching.Switch {
	t.Helper()
	pool, err := postgres.Open(t.Context(), w.url, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience, LockTimeout: patience / 2})
	w.must(err)
	o := switching.Options{Pool: pool, Now: w.clock.Now, Refresh: time.Hour, Module: w.module, StoreTimeout: patience, AnswerTimeout: 2 * patience}
	for _, c := range change {
		c(&o)
	}
	sw, err := switching.Start(t.Context(), o)
	w.must(err)
	t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), hung)
		defer cancel()
		if err := sw.Shutdown(stop); err != nil {
			t.Error(err)
		}
		pool.Close()
	})
	return sw
}

// askAt submits to a host and waits.
func askAt(t testing.TB, sw *switching.Switch, r *switching.Request) switching.Response {
	t.Helper()
	answered := make(chan switching.Response, 1)
	sw.Submit(r, func(resp switching.Response) { answered <- resp })
	select {
	case resp := <-answered:
		return resp
	case <-time.After(hung):
		t.Fatal("no answer")
		return switching.Response{}
	}
}

// signIn of a terminal with sessions; form 3 unless changed.
func signIn(tid string, change ...func(*switching.Request)) *switching.Request {
	r := &switching.Request{
		Kind: switching.KindLogon, MID: shop, TID: tid, Dialect: "unionpay", STAN: 1, WorkingKeys: switching.KeysDouble,
	}
	for _, c := range change {
		c(r)
	}
	return r
}

// session is what a terminal makes of a sign-in's answer.
type session struct {
	mak, pik, tdk []byte
	mac           mac.Algorithm
}

// openedKeys deciphers the keys of an answer as a terminal does, and compares their
// check values.
func openedKeys(t testing.TB, resp switching.Response) session {
	t.Helper()
	if resp.Reason != switching.Approved {
		t.Fatalf("sign-in answered %s", resp.Reason)
	}
	master, err := cipherkey.TDES2.Block(clearTMK)
	if err != nil {
		t.Fatal(err)
	}
	var s session
	for _, k := range resp.Keys {
		key := make([]byte, len(k.Cryptogram))
		for at := 0; at < len(key); at += 8 {
			master.Decrypt(key[at:], k.Cryptogram[at:])
		}
		value, err := cipherkey.CheckValueOf(cipherkey.OfDES(len(key)), key)
		if err != nil {
			t.Fatal(err)
		}
		if string(value[:]) != string(k.CheckValue) {
			t.Fatalf("%s key: check value %X, want %X", k.Use, k.CheckValue, value)
		}
		switch k.Use {
		case hsm.UsePIN:
			s.pik = key
		case hsm.UseMAC:
			s.mak = key
		case hsm.UseTrack:
			s.tdk = key
		default:
			t.Fatalf("a %s key", k.Use)
		}
	}
	if s.mac, err = mac.New(mac.UnionPayECB, s.mak); err != nil {
		t.Fatal(err)
	}
	return s
}

// verified shows a host a message with a MAC, as the pipeline does, and returns
// its credentials; false where no key fits.
func verified(t testing.TB, sw *switching.Switch, tid string, ksn []byte, by mac.Algorithm) (switching.Credentials, bool) {
	t.Helper()
	terminal := sw.Terminal(tid)
	var stale *switching.KeySet
	for {
		set, fresh, err := keysOf(t, sw, terminal, stale)
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := fits(t, set, ksn, by); ok || fresh {
			return c, ok
		}
		stale = set
	}
}

func keysOf(t testing.TB, sw *switching.Switch, terminal *switching.Terminal, stale *switching.KeySet) (*switching.KeySet, bool, error) {
	t.Helper()
	type answer struct {
		set   *switching.KeySet
		fresh bool
		err   error
	}
	got := make(chan answer, 1)
	sw.Keys(terminal, stale, func(set *switching.KeySet, fresh bool, err error) { got <- answer{set, fresh, err} })
	select {
	case a := <-got:
		return a.set, a.fresh, a.err
	case <-time.After(hung):
		t.Fatal("no keys")
		return nil, false, nil
	}
}

var message = []byte("what a terminal sends")

func fits(t testing.TB, set *switching.KeySet, ksn []byte, by mac.Algorithm) (switching.Credentials, bool) {
	t.Helper()
	want, err := by.Sum(message)
	if err != nil {
		t.Fatal(err)
	}
	verifiers, err := set.Verifiers(t.Context(), ksn)
	if err != nil {
		t.Fatal(err)
	}
	for i := range verifiers {
		sum, err := verifiers[i].Request.Sum(message)
		if err != nil {
			t.Fatal(err)
		}
		if sum == want {
			return set.Verified(&verifiers[i]), true
		}
	}
	return switching.Credentials{}, false
}

// enciphered is a PIN block of format 0 under a double-length key.
func enciphered(t testing.TB, key []byte, pin string, pan card.PAN) []byte {
	t.Helper()
	block, err := cipherkey.OfDES(len(key)).Block(key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pinblock.Encrypt(pinblock.Format0, block, vault.NewSecret([]byte(pin)), pan)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// generations of a terminal as its rows have them.
func (w *vaulted) generations(tid string) string {
	w.t.Helper()
	rows, err := w.pool.Query(context.Background(), `
		SELECT generation, first_used_at IS NOT NULL, ended_at IS NOT NULL, k.mak_wrapped IS NOT NULL
		FROM working_keys k JOIN terminals t USING (terminal_id) WHERE t.tid = $1 ORDER BY generation`, tid)
	w.must(err)
	defer rows.Close()
	var text strings.Builder
	for rows.Next() {
		var number int32
		var used, ended, key bool
		w.must(rows.Scan(&number, &used, &ended, &key))
		if ended == key {
			w.t.Errorf("generation %d: ended %t, its key is there %t", number, ended, key)
		}
		fmt.Fprintf(&text, " %d", number)
		for mark, is := range map[string]bool{"used": used, "ended": ended} {
			if is {
				text.WriteString(mark)
			}
		}
	}
	w.must(rows.Err())
	return text.String()
}

// await asks until something has happened beside the test.
func (w *vaulted) await(happened func() bool) {
	w.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(hung)
	for !happened() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatal("it does not happen")
		}
	}
}

// encipheredTrack is a track as a terminal sends it under its track key.
func encipheredTrack(t testing.TB, key []byte, text string) string {
	t.Helper()
	block, err := cipherkey.TDES2.Block(key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := track.Encrypt(block, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
