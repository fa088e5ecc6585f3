package switching_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/internal/hsm/mac"
	"meridian/internal/vault"
	"meridian/switch"
)

func newMAC(t testing.TB, name string, key []byte) mac.Algorithm {
	t.Helper()
	alg, err := mac.New(name, key)
	if err != nil {
		t.Fatal(err)
	}
	return alg
}

// Keys are taken until their successors have been in use for a minute, at every
// host and after a restart.
func TestRollover(t *testing.T) {
	w := newVaulted(t)
	other := w.another(t)
	hosts := []*switching.Switch{w.sw, other}
	want := func(s session, taken bool, when string) {
		t.Helper()
		for i, host := range hosts {
			if _, ok := verified(t, host, signing, nil, s.mac); ok != taken {
				t.Fatalf("%s: taken at host %d: %t, want %t", when, i, ok, taken)
			}
		}
	}
	first := openedKeys(t, w.ask(signIn(signing)))
	want(first, true, "signed in")
	w.awaitUsed(signing, 1)
	second := openedKeys(t, askAt(t, other, signIn(signing)))
	w.clock.advance(time.Hour)
	want(first, true, "an hour after the next sign-in, which nobody has used")
	if _, ok := verified(t, other, signing, nil, second.mac); !ok {
		t.Fatal("the new keys are not taken")
	}
	w.awaitUsed(signing, 2)
	w.clock.advance(59 * time.Second)
	want(first, true, "59 s after the first use of the next keys")
	hosts = append(hosts, w.another(t)) // one that has seen nothing
	w.clock.advance(time.Second)
	w.must(w.sw.CatchUp(t.Context())) // tells it that the other one has been shown the new keys
	want(first, false, "a minute after it")
	want(second, true, "a minute after it")
	third := openedKeys(t, w.ask(signIn(signing)))
	want(second, true, "signed in again")
	want(third, true, "signed in again")
}

// A terminal with static keys goes over to the next ones that people load in the
// same way, PIN keys with them.
func TestRolloverOfStaticKeys(t *testing.T) {
	w := newVaulted(t)
	old, next := newMAC(t, mac.X919, clearMAK), newMAC(t, mac.X919, clearMAK2)
	c, ok := verified(t, w.sw, sealed, nil, old)
	if !ok || !c.SignedIn || len(c.PINKeys) != 1 {
		t.Fatalf("the static key: %t, %+v", ok, c)
	}
	if _, ok := verified(t, w.sw, sealed, nil, next); ok {
		t.Fatal("a key that was not loaded is taken")
	}
	w.sql(`INSERT INTO working_keys (bucket, terminal_id, slot, generation, mak_wrapped, issued_at, changed_at)
		VALUES (0, 33, 0, 1, $1, now(), clock_timestamp())`, w.enter(hsm.UseMAC, hsm.TDES2, clearMAK2))
	for _, by := range []mac.Algorithm{old, next, old, next} {
		if _, ok := verified(t, w.sw, sealed, nil, by); !ok {
			t.Fatal("one of both keys is not taken")
		}
	}
	w.clock.advance(time.Minute)
	if _, ok := verified(t, w.sw, sealed, nil, old); ok {
		t.Error("the old key is taken for ever")
	}
	if c, ok := verified(t, w.sw, sealed, nil, next); !ok || len(c.PINKeys) != 0 {
		t.Errorf("the next keys, which have no PIN key: %t, %d PIN keys", ok, len(c.PINKeys))
	}
}

// While a terminal signs in again and again, at two hosts, and goes over to the
// new keys when it has them, no message of its is refused.
func TestRolloverUnderLoad(t *testing.T) {
	w := newVaulted(t)
	hosts := []*switching.Switch{w.sw, w.another(t)}
	var mu sync.Mutex
	current := openedKeys(t, w.ask(signIn(signing)))
	now := func() session {
		mu.Lock()
		defer mu.Unlock()
		return current
	}
	done := make(chan struct{})
	var senders sync.WaitGroup
	sent := make([]int, 4)
	var signIns atomic.Int64
	for i := range sent {
		senders.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				before := signIns.Load()
				s := now()
				if _, ok := verified(t, hosts[(i+sent[i])%2], signing, nil, s.mac); !ok {
					if signIns.Load() > before {
						continue // overtaken by two sign-ins: its keys are two generations old
					}
					t.Error("a message was refused")
					return
				}
				sent[i]++
			}
		})
	}
	for i := range 30 {
		next := openedKeys(t, askAt(t, hosts[i%2], signIn(signing)))
		mu.Lock()
		current = next
		mu.Unlock()
		signIns.Add(1)
	}
	close(done)
	senders.Wait()
	for i, n := range sent {
		if n == 0 {
			t.Errorf("sender %d has sent nothing", i)
		}
	}
}

// What other hosts change is known after a look, without a message that fails.
func TestFollowsOtherHosts(t *testing.T) {
	w := newVaulted(t)
	other := w.another(t)
	first := openedKeys(t, w.ask(signIn(signing)))
	if _, ok := verified(t, other, signing, nil, first.mac); !ok {
		t.Fatal("the session is not there")
	}
	before, fresh, err := keysOf(t, other, other.Terminal(signing), nil)
	if err != nil || fresh {
		t.Fatalf("fresh %t, %v", fresh, err)
	}
	w.awaitUsed(signing, 1)
	w.must(other.CatchUp(t.Context()))
	w.must(other.CatchUp(t.Context()))
	settled, _, err := keysOf(t, other, other.Terminal(signing), nil)
	w.must(err)
	w.must(other.CatchUp(t.Context()))
	if again, fresh, err := keysOf(t, other, other.Terminal(signing), nil); again != settled || fresh || err != nil {
		t.Errorf("keys that nobody changed were read again: fresh %t, %v", fresh, err)
	}
	openedKeys(t, w.ask(signIn(signing)))
	w.must(other.CatchUp(t.Context()))
	after, fresh, err := keysOf(t, other, other.Terminal(signing), nil)
	if err != nil || !fresh || after == before {
		t.Errorf("keys that were changed were not read again: fresh %t, %v", fresh, err)
	}
}

// Keys are read once for all who wait, in the order of their asking, and a
// terminal's messages stay in theirs.
func TestKeysAreHandedOutInOrder(t *testing.T) {
	w := newVaulted(t)
	const messages = 200
	for range 5 {
		host := w.another(t)
		terminal := host.Terminal(sealed)
		order := make(chan int, messages)
		var stale *switching.KeySet
		for i := range messages {
			if i == messages/2 {
				stale, _, _ = keysOf(t, host, terminal, nil)
			}
			host.Keys(terminal, stale, func(_ *switching.KeySet, _ bool, err error) {
				if err != nil {
					t.Error(err)
				}
				order <- i
			})
		}
		for i := range messages {
			if got := <-order; got != i {
				t.Fatalf("message %d came in the place of %d", got, i)
			}
		}
	}
}

// Who finds what was read too old, from inside the call that hands it out, has it
// read again, and does not hold up the host.
func TestKeysAreReadAgainForWhoFindsThemTooOld(t *testing.T) {
	w := newVaulted(t)
	for range 20 {
		host := w.another(t)
		terminal := host.Terminal(sealed)
		const messages = 50
		served := make(chan bool, messages)
		for range messages {
			var ask func(stale *switching.KeySet)
			ask = func(stale *switching.KeySet) {
				host.Keys(terminal, stale, func(set *switching.KeySet, fresh bool, err error) {
					if err != nil || fresh {
						served <- err == nil
						return
					}
					ask(set)
				})
			}
			ask(nil)
		}
		for range messages {
			select {
			case ok := <-served:
				if !ok {
					t.Fatal("keys cannot be read")
				}
			case <-time.After(hung):
				t.Fatal("somebody waits for ever")
			}
		}
	}
}

// Without a database who waits is told so; what is known goes on, and when the
// database is back, so does the rest.
func TestKeysWithoutTheDatabase(t *testing.T) {
	w := newVaulted(t)
	if _, ok := verified(t, w.sw, sealed, nil, newMAC(t, mac.X919, clearMAK)); !ok {
		t.Fatal("the key is not taken")
	}
	lock := w.lockKeys()
	host := w.another(t, func(o *switching.Options) { o.StoreTimeout = 50 * time.Millisecond })
	if _, _, err := keysOf(t, host, host.Terminal(signing), nil); err == nil {
		t.Fatal("keys were read from a table that is locked")
	}
	if _, ok := verified(t, w.sw, sealed, nil, newMAC(t, mac.X919, clearMAK)); !ok {
		t.Error("a key that is known is not taken")
	}
	lock()
	w.await(func() bool {
		_, _, err := keysOf(t, host, host.Terminal(signing), nil)
		return err == nil
	})
}

// lockKeys keeps everybody from the working keys until it is called again.
func (w *vaulted) lockKeys() func() {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.url)
	w.must(err)
	_, err = conn.Exec(w.t.Context(), `BEGIN; LOCK working_keys IN ACCESS EXCLUSIVE MODE`)
	w.must(err)
	return func() {
		w.must(conn.Close(context.Background()))
	}
}

// A host that stops tells those who wait.
func TestKeysWhenTheHostStops(t *testing.T) {
	w := newVaulted(t)
	unlock := w.lockKeys()
	defer unlock()
	host := w.another(t)
	got := make(chan error, 1)
	host.Keys(host.Terminal(signing), nil, func(_ *switching.KeySet, _ bool, err error) { got <- err })
	stop, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()
	w.must(host.Shutdown(stop))
	if err := <-got; err == nil {
		t.Error("keys were read")
	}
	if _, _, err := keysOf(t, host, host.Terminal(signing), nil); err == nil {
		t.Error("keys were read after the end")
	}
}

// A key that does not open, that is for something else, or that the algorithm
// does not take, says nothing about a message.
func TestKeysThatCannotBeUsed(t *testing.T) {
	w := newVaulted(t)
	otherVault, err := vault.Open(mustMaster(t, 7))
	w.must(err)
	foreign, err := hsm.NewSoftware(otherVault, otherVault.FirstDataKeys()).Generate(t.Context(), hsm.UseMAC, hsm.TDES2)
	w.must(err)
	changed := w.enter(hsm.UseMAC, hsm.TDES2, clearMAK)
	changed[len(changed)-1] ^= 1
	for name, tt := range map[string]struct {
		mak  []byte
		want error
	}{
		"under another master key": {foreign.Bytes(), vault.ErrOtherKey},
		"with a changed bit":       {changed, hsm.ErrKey},
		"that is a PIN key":        {w.enter(hsm.UsePIN, hsm.TDES2, clearMAK), hsm.ErrUse},
		"that is none":             {[]byte("nothing"), hsm.ErrKey},
		"of another algorithm":     {w.enter(hsm.UseMAC, hsm.AES128, clearMAK), hsm.ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			w.sql(`UPDATE terminals SET mak_wrapped = $1 WHERE tid = $2`, tt.mak, sealed)
			w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
			w.must(w.sw.Refresh(t.Context()))
			set, _, err := keysOf(t, w.sw, w.sw.Terminal(sealed), nil)
			w.must(err)
			verifiers, err := set.Verifiers(t.Context(), nil)
			if len(verifiers) != 0 || !errors.Is(err, tt.want) {
				t.Fatalf("%d verifiers, %v; want %v", len(verifiers), err, tt.want)
			}
			if strings.Contains(err.Error(), string(clearMAK)) {
				t.Error("the error tells the key")
			}
			if set.Seal(t.Context(), nil) != nil {
				t.Error("answers are sealed all the same")
			}
			// The next key that is loaded makes the terminal whole.
			w.sql(`INSERT INTO working_keys (bucket, terminal_id, slot, generation, mak_wrapped, issued_at, changed_at)
				VALUES (0, 33, 0, 1, $1, now(), clock_timestamp())`, w.enter(hsm.UseMAC, hsm.TDES2, clearMAK2))
			defer w.sql(`DELETE FROM working_keys`)
			set, _, err = keysOf(t, w.sw, w.sw.Terminal(sealed), set)
			w.must(err)
			if verifiers, err = set.Verifiers(t.Context(), nil); len(verifiers) != 1 || !errors.Is(err, tt.want) {
				t.Errorf("with a good key beside: %d verifiers, %v", len(verifiers), err)
			}
		})
	}
}

func mustMaster(t testing.TB, fill byte) vault.MasterKey {
	t.Helper()
	key := make([]byte, vault.MasterKeyBytes)
	for i := range key {
		key[i] = fill + byte(i)
	}
	master, err := vault.NewMasterKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return master
}

// An answer to what could not be verified is under the keys that the terminal was
// last seen to have; where the algorithm lets its asker forge others, under none.
func TestSeal(t *testing.T) {
	w := newVaulted(t)
	openedKeys(t, w.ask(signIn(signing2)))
	set, _, err := keysOf(t, w.sw, w.sw.Terminal(signing2), nil)
	w.must(err)
	if set.Seal(t.Context(), nil) != nil {
		t.Error("sealed for a stranger under unionpay-ecb")
	}
	w.sql(`UPDATE terminals SET mac_algorithm = $2 WHERE tid = $1`, signing, mac.X919)
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(t.Context()))
	signedIn := func() mac.Algorithm {
		t.Helper()
		under, err := mac.New(mac.X919, openedKeys(t, w.ask(signIn(signing))).mak)
		w.must(err)
		return under
	}
	sum := func(a interface {
		Sum([]byte) ([8]byte, error)
	},
	) [8]byte {
		t.Helper()
		got, err := a.Sum(message)
		w.must(err)
		return got
	}
	sealed := func() [8]byte {
		t.Helper()
		set, _, err := keysOf(t, w.sw, w.sw.Terminal(signing), nil)
		w.must(err)
		return sum(set.Seal(t.Context(), nil))
	}
	first := signedIn()
	if sealed() != sum(first) {
		t.Error("not under the only keys")
	}
	verified(t, w.sw, signing, nil, first)
	second := signedIn()
	w.awaitUsed(signing, 1)
	if sealed() != sum(first) {
		t.Error("not under the keys in use")
	}
	verified(t, w.sw, signing, nil, second)
	if sealed() != sum(second) {
		t.Error("not under the keys that are in use now")
	}
}

func TestDecryptTrack(t *testing.T) {
	w := newVaulted(t)
	withTrack := func(r *switching.Request) { r.WorkingKeys = switching.KeysWithTrack }
	const track = "6217120000000000013D30122010000012345"
	first := openedKeys(t, w.ask(signIn(signing, withTrack)))
	verified(t, w.sw, signing, nil, first.mac)
	second := openedKeys(t, w.ask(signIn(signing, withTrack)))
	w.awaitUsed(signing, 1)
	for _, s := range []session{first, second, first} {
		verified(t, w.sw, signing, nil, s.mac)
		got, err := w.sw.DecryptTrack(signing, encipheredTrack(t, s.tdk, track))
		if err != nil || got != track {
			t.Errorf("deciphered %q, %v", got, err)
		}
	}
	if _, err := w.sw.DecryptTrack(signing2, track); err == nil {
		t.Error("a track of a terminal that has not signed in was deciphered")
	}
	if _, err := w.sw.DecryptTrack("nobody", track); err == nil {
		t.Error("a track of nobody was deciphered")
	}
}
