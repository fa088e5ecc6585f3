package switching_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"meridian/internal/hsm"
	"meridian/switch"
)

// A sign-in gives the keys that were asked for, under the terminal's master key,
// and the batch; a message with a MAC under them verifies.
func TestSignIn(t *testing.T) {
	w := newVaulted(t)
	for _, tt := range []struct {
		name          string
		form          switching.KeyForm
		singleMAC     bool
		pik, mak, tdk int
	}{
		{"001", switching.KeysSingle, false, 8, 8, 0},
		{"003", switching.KeysDouble, false, 16, 16, 0},
		{"003 with a single MAC key", switching.KeysDouble, true, 16, 8, 0},
		{"004", switching.KeysWithTrack, false, 16, 16, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := w.ask(signIn(signing, func(r *switching.Request) { r.WorkingKeys, r.SingleMAC = tt.form, tt.singleMAC }))
			s := openedKeys(t, resp)
			if len(s.pik) != tt.pik || len(s.mak) != tt.mak || len(s.tdk) != tt.tdk {
				t.Fatalf("keys of %d, %d and %d bytes", len(s.pik), len(s.mak), len(s.tdk))
			}
			if resp.BatchNo != 1 || resp.RRN == 0 || resp.AcceptedAt.IsZero() || resp.Became != switching.KindLogon {
				t.Errorf("answered %+v", resp)
			}
			c, ok := verified(t, w.sw, signing, nil, s.mac)
			if !ok || !c.SignedIn || len(c.PINKeys) != 1 {
				t.Fatalf("a message under the new key: %t, %+v", ok, c)
			}
			if tt.tdk == 0 {
				if _, err := w.sw.DecryptTrack(signing, "6217120000000000013=30122010000012345"); !errors.Is(err, hsm.ErrKey) {
					t.Errorf("a track without a track key: %v", err)
				}
			}
		})
	}
	var rows int
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM working_keys`).Scan(&rows))
	if rows != 4 {
		t.Errorf("%d rows of keys", rows)
	}
}

// Every sign-in draws other keys, and none of them is in the database in clear.
func TestSignInDrawsKeys(t *testing.T) {
	w := newVaulted(t)
	seen := map[string]bool{}
	for range 3 {
		s := openedKeys(t, w.ask(signIn(signing)))
		for _, key := range [][]byte{s.mak, s.pik} {
			if seen[string(key)] {
				t.Fatal("a key came again")
			}
			seen[string(key)] = true
			var n int
			w.must(w.pool.QueryRow(t.Context(), `
				SELECT count(*) FROM working_keys WHERE position($1 IN mak_wrapped || pik_wrapped) > 0`, key).Scan(&n))
			if n != 0 {
				t.Fatal("a key is in the database in clear")
			}
		}
	}
}

// The batch that a sign-in tells is the terminal's open one.
func TestSignInTellsTheBatch(t *testing.T) {
	w := newVaulted(t)
	w.sql(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at, closed_at, closed_by, closed_date,
			sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor)
		VALUES (0, 31, 6, 5, now(), now(), 4, '2026-03-10', 0, 0, 0, 0, 0, 0)`)
	w.sql(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at) VALUES (0, 31, 7, 1, now())`)
	if resp := w.ask(signIn(signing)); resp.BatchNo != 7 {
		t.Errorf("batch %d", resp.BatchNo)
	}
}

func TestFixedWorkingKeys(t *testing.T) {
	known := []byte("a key that is public in a sandb")
	var w *vaulted
	w = newVaulted(t, func(o *switching.Options) {
		o.FixedWorkingKeys = func(_ context.Context, tid string, use hsm.Use, algorithm hsm.Algorithm) (hsm.Key, error) {
			if tid != signing {
				t.Errorf("a key of %s", tid)
			}
			return w.module.Enter(use, algorithm, known[int(use):][:algorithm.KeyBytes()])
		}
	})
	s := openedKeys(t, w.ask(signIn(signing)))
	if !bytes.Equal(s.mak, known[hsm.UseMAC:][:16]) || !bytes.Equal(s.pik, known[hsm.UsePIN:][:16]) {
		t.Errorf("keys %q and %q", s.mak, s.pik)
	}
	single := openedKeys(t, w.ask(signIn(signing, func(r *switching.Request) { r.WorkingKeys = switching.KeysSingle })))
	if !bytes.Equal(single.mak, s.mak[:8]) {
		t.Errorf("a single-length key %q", single.mak)
	}
}

func TestSignInRefused(t *testing.T) {
	w := newVaulted(t)
	w.sql(`UPDATE terminals SET mac_algorithm = 'x919' WHERE tid = $1`, signing2)
	other := w.enter(hsm.UseMAC, hsm.TDES2, clearTMK)
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, mac_algorithm, key_scheme, tmk_wrapped)
		VALUES (41, '30000041', 1, 'unionpay', 'unionpay-ecb', 'session', $1), (42, '30000042', 1, 'unionpay', 'unionpay-ecb', 'session', '\x00')`, other)
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(t.Context()))
	single := func(r *switching.Request) { r.WorkingKeys = switching.KeysSingle }
	nac := func(r *switching.Request) { r.Dialect = "nac" }
	for name, tt := range map[string]struct {
		request *switching.Request
		want    switching.Reason
	}{
		"a terminal with static keys":             {signIn(sealed, nac), switching.FunctionNotSupported},
		"a key that the MAC does not take":        {signIn(signing2, single), switching.FunctionNotSupported},
		"a master key that is a MAC key":          {signIn("30000041"), switching.SystemMalfunction},
		"a master key that is none":               {signIn("30000042"), switching.SystemMalfunction},
		"a terminal that there is not":            {signIn("30000099"), switching.UnknownTerminal},
		"an operator whose password is not right": {signIn(signing, func(r *switching.Request) { r.OperatorNo, r.OperatorPassword = "01", "1" }), switching.WrongOperatorPassword},
	} {
		resp := w.ask(tt.request)
		if resp.Reason != tt.want || len(resp.Keys) != 0 || resp.BatchNo != 0 {
			t.Errorf("%s: %s with %d keys, want %s", name, resp.Reason, len(resp.Keys), tt.want)
		}
	}
	if rows := w.generations(signing) + w.generations(signing2) + w.generations("30000041"); rows != "" {
		t.Errorf("keys were stored:%s", rows)
	}
}

// Without a session nothing is done for a terminal that needs one but telling it
// to sign in; what belongs to no session is answered.
func TestSignInRequired(t *testing.T) {
	w := newVaulted(t)
	kinds := map[switching.Kind]bool{
		switching.KindSale: true, switching.KindAuthorization: true, switching.KindCompletion: true, switching.KindAdvice: true,
		switching.KindVoid: true, switching.KindRefund: true, switching.KindCancel: true, switching.KindReversal: true,
		switching.KindBalance: true, switching.KindScript: true, switching.KindAdjustment: true,
		switching.KindSettlement: true, switching.KindUpload: true, switching.KindTrailer: true,
		switching.KindEcho: false, switching.KindLogon: false, switching.KindSignOff: false,
	}
	unionPay := func(r *switching.Request) { r.TID, r.Dialect = signing, "unionpay" }
	for kind, needed := range kinds {
		resp := w.ask(w.request(kind, 10_00, unionPay))
		if refused := resp.Reason == switching.SignInRequired && resp.Demand == switching.DemandSignIn && resp.RRN == 0; refused != needed {
			t.Errorf("%s without a session: %s, asked for %d", kind, resp.Reason, resp.Demand)
		}
	}
	signedIn := func(r *switching.Request) { r.Credentials.SignedIn = true }
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, unionPay, signedIn))
	// Others need none.
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
}

// A sign-off ends the session at every host, and its keys are gone.
func TestSignOff(t *testing.T) {
	w := newVaulted(t)
	other := w.another(t)
	s := openedKeys(t, w.ask(signIn(signing)))
	for _, host := range []*switching.Switch{w.sw, other} {
		if _, ok := verified(t, host, signing, nil, s.mac); !ok {
			t.Fatal("the session is not there")
		}
	}
	off := &switching.Request{Kind: switching.KindSignOff, MID: shop, TID: signing, Dialect: "unionpay"}
	for range 2 { // a repeat does no harm
		if resp := w.ask(off); resp.Reason != switching.Approved || resp.Became != switching.KindSignOff || resp.RRN == 0 {
			t.Fatalf("sign-off answered %+v", resp)
		}
	}
	if got := w.generations(signing); !strings.HasPrefix(got, " 1") || !strings.Contains(got, "ended") {
		t.Errorf("generations%s", got)
	}
	w.must(other.CatchUp(t.Context()))
	for _, host := range []*switching.Switch{w.sw, other} {
		set, _, err := keysOf(t, host, host.Terminal(signing), nil)
		w.must(err)
		if set.SignedIn() {
			t.Error("the session goes on")
		}
		if _, ok := verified(t, host, signing, nil, s.mac); ok {
			t.Error("a key of the session is taken")
		}
	}
	again := openedKeys(t, askAt(t, other, signIn(signing)))
	if _, ok := verified(t, w.sw, signing, nil, again.mac); !ok {
		t.Error("the next session is not there")
	}
	if _, ok := verified(t, w.sw, signing, nil, s.mac); ok {
		t.Error("a key of the last session is taken in this one")
	}
}

// The same sign-in at two hosts at once: whichever answer the terminal goes on
// with, its messages verify at both.
func TestSignInAtTwoHostsAtOnce(t *testing.T) {
	w := newVaulted(t)
	other := w.another(t)
	for round := range 5 {
		answers := make(chan switching.Response, 2)
		for _, host := range []*switching.Switch{w.sw, other} {
			host.Submit(signIn(signing), func(r switching.Response) { answers <- r })
		}
		first, second := openedKeys(t, <-answers), openedKeys(t, <-answers)
		chosen := []session{first, second}[round%2]
		for _, host := range []*switching.Switch{other, w.sw} {
			if _, ok := verified(t, host, signing, nil, chosen.mac); !ok {
				t.Fatalf("round %d: the keys of an answer are not taken", round)
			}
		}
	}
}

// Somebody who signs a terminal in again and again takes nothing from it.
func TestSignInsOfOthersDoNoHarm(t *testing.T) {
	w := newVaulted(t)
	s := openedKeys(t, w.ask(signIn(signing)))
	for range 10 {
		if _, ok := verified(t, w.sw, signing, nil, s.mac); !ok {
			t.Fatal("the keys in use are not taken any more")
		}
		w.awaitUsed(signing, 1)
		for range 3 {
			openedKeys(t, w.ask(signIn(signing)))
		}
	}
	if _, ok := verified(t, w.sw, signing, nil, s.mac); !ok {
		t.Fatal("the keys in use are not taken any more")
	}
}

// awaitUsed waits until the first use of a generation is stored.
func (w *vaulted) awaitUsed(tid string, generation int) {
	w.t.Helper()
	w.await(func() bool {
		var used bool
		w.must(w.pool.QueryRow(context.Background(), `
			SELECT coalesce(bool_or(first_used_at IS NOT NULL), false) FROM working_keys k JOIN terminals t USING (terminal_id)
			WHERE t.tid = $1 AND generation = $2`, tid, generation).Scan(&used))
		return used
	})
}

// Sign-ins in a terminal's name that are held up keep neither its sales out nor other
// terminals' sign-ins: those that are too many are answered at once.
func TestSignInsHeldUp(t *testing.T) {
	w := newVaulted(t)
	host := w.second(func(o *switching.Options) { o.Module = w.module })
	signedIn := openedKeys(t, askAt(t, host, signIn(signing)))
	if _, ok := verified(t, host, signing, nil, signedIn.mac); !ok {
		t.Fatal("a message under the new key is not taken")
	}
	held := w.hold(`LOCK TABLE working_keys IN EXCLUSIVE MODE`)
	const sent = 20
	answers := make(chan switching.Response, sent)
	for range sent {
		host.Submit(signIn(signing), func(r switching.Response) { answers <- r })
	}
	for range sent - 4 { // which wait
		if r := <-answers; r.Reason != switching.StoreUnavailable {
			t.Fatalf("a sign-in that is too many was answered %s", r.Reason)
		}
	}
	if got := askAt(t, host, w.request(switching.KindSale, 1_00)); !got.Approved() {
		t.Errorf("a sale beside them: %s", got.Reason)
	}
	w.must(held.Rollback(t.Context()))
	for range 4 {
		openedKeys(t, <-answers)
	}
}

// A module that does not answer is an outage, and nothing is stored.
func TestSignInWithoutTheModule(t *testing.T) {
	w := newVaulted(t)
	away := w.another(t, func(o *switching.Options) { o.Module = awayModule{w.module} })
	if resp := askAt(t, away, signIn(signing)); resp.Reason != switching.SystemMalfunction {
		t.Errorf("answered %s", resp.Reason)
	}
	none := w.another(t, func(o *switching.Options) { o.Module = nil })
	if resp := askAt(t, none, signIn(signing)); resp.Reason != switching.FunctionNotSupported {
		t.Errorf("without a module answered %s", resp.Reason)
	}
	if _, _, err := keysOf(t, none, none.Terminal(signing), nil); !errors.Is(err, switching.ErrNoModule) {
		t.Errorf("keys without a module: %v", err)
	}
	if got := w.generations(signing); got != "" {
		t.Errorf("generations%s", got)
	}
}

// awayModule is a module that cannot be reached.
type awayModule struct{ hsm.Module }

var errAway = errors.New("module is away")

func (awayModule) Generate(context.Context, hsm.Use, hsm.Algorithm) (hsm.Key, error) {
	return hsm.Key{}, errAway
}

func (awayModule) MAC(context.Context, hsm.Key, string) (hsm.MAC, error) { return nil, errAway }

func (awayModule) VerifyPIN(context.Context, hsm.PINCheck) (hsm.PINResult, error) { return 0, errAway }
