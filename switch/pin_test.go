package switching_test

import (
	"slices"
	"sync"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/vault"
	"meridian/switch"
)

// pinKeys are the credentials of a terminal with the static PIN key.
func (w *vaulted) pinKeys() switching.Credentials {
	w.t.Helper()
	set, _, err := keysOf(w.t, w.sw, w.sw.Terminal(till), nil)
	w.must(err)
	return set.Unverified(nil)
}

// withPIN puts a PIN of format 0 under the static PIN key.
func (w *vaulted) withPIN(pin string) func(*switching.Request) {
	credentials := w.pinKeys()
	return func(r *switching.Request) {
		r.Credentials = credentials
		r.PIN = &switching.PINEntry{Block: enciphered(w.t, clearPIK, pin, r.PAN)}
	}
}

// failures are the wrong PINs of card i in a row.
func (w *vaulted) failures(i int) (n int) {
	w.t.Helper()
	w.must(w.pool.QueryRow(w.t.Context(), `SELECT pin_failures FROM card_accounts WHERE card_id = $1`, i+1).Scan(&n))
	return n
}

func TestPIN(t *testing.T) {
	w := newVaulted(t)
	right, wrong := w.withPIN(rightPIN), w.withPIN(wrongPIN)
	want := func(n int) {
		t.Helper()
		if got := w.failures(0); got != n {
			t.Fatalf("%d wrong PINs in a row, want %d", got, n)
		}
	}
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, right))
	w.do(switching.Approved, w.request(switching.KindBalance, 0, right))
	w.do(switching.IncorrectPIN, w.request(switching.KindSale, 1_00, wrong))
	w.do(switching.IncorrectPIN, w.request(switching.KindBalance, 0, wrong))
	want(2)
	// A repeat is not another try, whatever its block.
	w.do(switching.IncorrectPIN, w.request(switching.KindBalance, 0, wrong, stan(w.stan)))
	w.do(switching.IncorrectPIN, w.request(switching.KindBalance, 0, right, stan(w.stan-1)))
	w.stan -= 2
	want(2)
	// The right one forgets the wrong ones, whatever becomes of the rest.
	w.do(switching.InsufficientFunds, w.request(switching.KindSale, opened*10, right))
	want(0)
	// Without a PIN nothing is counted.
	w.do(switching.IncorrectPIN, w.request(switching.KindAuthorization, 1_00, wrong))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	want(1)
	w.do(switching.IncorrectPIN, w.request(switching.KindSale, 1_00, wrong))
	w.do(switching.IncorrectPIN, w.request(switching.KindSale, 1_00, wrong))
	want(3)
	// From the third on the right one is refused, too, at every host.
	w.do(switching.PINTriesExceeded, w.request(switching.KindSale, 1_00, right))
	w.do(switching.PINTriesExceeded, w.request(switching.KindSale, 1_00, wrong))
	if resp := askAt(t, w.another(t), w.request(switching.KindSale, 1_00, right)); resp.Reason != switching.PINTriesExceeded {
		t.Errorf("another host answered %s", resp.Reason)
	}
	want(3)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, withCard(1), w.withPIN(rightPIN)))
	// Somebody resets it.
	w.sql(`UPDATE card_accounts SET pin_failures = 0 WHERE card_id = 1`)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, right))
}

// What is wrong with the card comes before its PIN, and tells nothing about it.
func TestPINComesAfterTheCard(t *testing.T) {
	w := newVaulted(t)
	w.sql(`UPDATE card_accounts SET status = 3 WHERE card_id = 2`)
	w.do(switching.LostCard, w.request(switching.KindSale, 1_00, withCard(1), w.withPIN(wrongPIN)))
	w.do(switching.WrongExpiry, w.request(switching.KindSale, 1_00, w.withPIN(wrongPIN), func(r *switching.Request) { r.Expiry = "3001" }))
	w.do(switching.InvalidAmount, w.request(switching.KindSale, 0, w.withPIN(wrongPIN)))
	if w.failures(0)+w.failures(1) != 0 {
		t.Error("a try was counted")
	}
}

// A void, a refund or a completion with a PIN is refused before anything of it is
// decided; a reversal undoes whatever its PIN.
func TestPINOfCancels(t *testing.T) {
	w := newVaulted(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	card := withCard(0)
	for _, kind := range []switching.Kind{switching.KindVoid, switching.KindCancel, switching.KindRefund} {
		resp := w.do(switching.IncorrectPIN, w.request(kind, 1_00, of(sale), card, w.withPIN(wrongPIN)))
		if resp.Rule != switching.RuleAdmission {
			t.Errorf("%s: rule %q", kind, resp.Rule)
		}
		w.sql(`UPDATE card_accounts SET pin_failures = 0`)
	}
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 2_00))
	w.do(switching.IncorrectPIN, w.request(switching.KindCompletion, 2_00, of(hold), card, w.withPIN(wrongPIN)))
	w.do(switching.Approved, w.request(switching.KindCompletion, 2_00, of(hold), card, w.withPIN(rightPIN)))
	w.do(switching.Approved, w.request(switching.KindVoid, 1_00, of(sale), card, w.withPIN(rightPIN)))
	// A PIN without its card cannot be verified.
	other := w.do(switching.Approved, w.request(switching.KindSale, 3_00))
	right := w.withPIN(rightPIN)
	w.do(switching.IncorrectPIN, w.request(switching.KindVoid, 3_00, of(other), card, right, func(r *switching.Request) { r.Token = [16]byte{} }))
	w.do(switching.Approved, w.request(switching.KindReversal, 3_00, stan(w.stan-1), card, w.withPIN(wrongPIN)))
	if got := w.failures(0); got != 0 {
		t.Errorf("%d wrong PINs in a row", got)
	}
}

// A PIN that cannot be verified is refused, and is no try.
func TestPINThatCannotBeVerified(t *testing.T) {
	w := newVaulted(t)
	noKeys := func(r *switching.Request) {
		set, _, err := keysOf(t, w.sw, w.sw.Terminal(pinless), nil)
		w.must(err)
		r.TID, r.Credentials = pinless, set.Unverified(nil)
	}
	w.sql(`UPDATE card_accounts SET pin_reference = NULL WHERE card_id = 3`)
	block := func(b []byte) func(*switching.Request) { return func(r *switching.Request) { r.PIN.Block = b } }
	for name, tt := range map[string]struct {
		change []func(*switching.Request)
		want   switching.Reason
	}{
		"no key at the terminal": {[]func(*switching.Request){w.withPIN(rightPIN), noKeys}, switching.PINFormat},
		"no PIN of the card":     {[]func(*switching.Request){withCard(2), w.withPIN(rightPIN)}, switching.IncorrectPIN},
		"under another key": {[]func(*switching.Request){w.withPIN(rightPIN), func(r *switching.Request) {
			r.PIN.Block = enciphered(t, clearMAK, rightPIN, r.PAN)
		}}, switching.PINFormat},
		"of another card": {[]func(*switching.Request){w.withPIN(rightPIN), func(r *switching.Request) {
			r.PIN.Block = enciphered(t, clearPIK, rightPIN, cardNumber(5))
		}}, switching.PINFormat},
		"empty":          {[]func(*switching.Request){w.withPIN(rightPIN), block(nil)}, switching.PINFormat},
		"short":          {[]func(*switching.Request){w.withPIN(rightPIN), block(make([]byte, 7))}, switching.PINFormat},
		"of zeros":       {[]func(*switching.Request){w.withPIN(rightPIN), block(make([]byte, 8))}, switching.PINFormat},
		"as long as AES": {[]func(*switching.Request){w.withPIN(rightPIN), block(make([]byte, 16))}, switching.PINFormat},
	} {
		resp := w.ask(w.request(switching.KindSale, 1_00, tt.change...))
		if resp.Reason != tt.want {
			t.Errorf("%s: %s, want %s", name, resp.Reason, tt.want)
		}
	}
	if got := w.failures(0) + w.failures(2); got != 0 {
		t.Errorf("%d tries were counted", got)
	}
	w.wantAvailable(0)
	w.verify()
}

// A key that does not open, or a module that is away, is a failure of the system:
// nothing is counted and nothing posted.
func TestPINWithoutTheModule(t *testing.T) {
	w := newVaulted(t)
	request := func() *switching.Request { return w.request(switching.KindSale, 1_00, w.withPIN(rightPIN)) }
	away := w.another(t, func(o *switching.Options) { o.Module = awayModule{w.module} })
	if resp := askAt(t, away, request()); resp.Reason != switching.SystemMalfunction {
		t.Errorf("a module that is away: %s", resp.Reason)
	}
	for name, change := range map[string]func(*hsm.Key){
		"with a changed bit":        func(k *hsm.Key) { k.Wrapped = slices.Clone(k.Wrapped); k.Wrapped[len(k.Wrapped)-1] ^= 1 },
		"that says it is a MAC key": func(k *hsm.Key) { k.Use = hsm.UseMAC },
		"of another algorithm":      func(k *hsm.Key) { k.Algorithm = hsm.TDES3 },
	} {
		r := request()
		key := r.Credentials.PINKeys[0]
		change(&key)
		r.Credentials.PINKeys = []hsm.Key{key}
		if resp := w.ask(r); resp.Reason != switching.SystemMalfunction {
			t.Errorf("a key %s: %s", name, resp.Reason)
		}
	}
	w.sql(`UPDATE card_accounts SET pin_reference = '\x00' WHERE card_id = 1`)
	w.do(switching.SystemMalfunction, request())
	w.wantAvailable(0)
	if got := w.failures(0); got != 0 {
		t.Errorf("%d tries were counted", got)
	}
}

// Formats: a request's own comes before the terminal's.
func TestPINFormats(t *testing.T) {
	w := newVaulted(t)
	key, err := hsm.TDES2.Block(clearPIK)
	w.must(err)
	for profile, format := range map[string]hsm.PINFormat{"iso-0": hsm.PINFormat0, "iso-1": hsm.PINFormat1, "iso-3": hsm.PINFormat3} {
		w.sql(`UPDATE terminals SET pin_format = $1 WHERE tid = $2`, profile, till)
		w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
		w.must(w.sw.Refresh(t.Context()))
		sent := func(as, said hsm.PINFormat) func(*switching.Request) {
			return func(r *switching.Request) {
				block, err := pinblock.Encrypt(as, key, vault.NewSecret([]byte(rightPIN)), r.PAN)
				w.must(err)
				r.Credentials, r.PIN = w.pinKeys(), &switching.PINEntry{Block: block, Format: said}
			}
		}
		w.do(switching.Approved, w.request(switching.KindSale, 1_00, sent(format, 0)))
		w.do(switching.Approved, w.request(switching.KindSale, 1_00, sent(hsm.PINFormatNoPAN, hsm.PINFormatNoPAN)))
		other := map[hsm.PINFormat]hsm.PINFormat{hsm.PINFormat0: hsm.PINFormat1, hsm.PINFormat1: hsm.PINFormat3, hsm.PINFormat3: hsm.PINFormat1}[format]
		w.do(switching.PINFormat, w.request(switching.KindSale, 1_00, sent(other, 0)))
	}
}

// During a rollover without MACs the key that opens the block is the right one.
func TestPINUnderEitherGeneration(t *testing.T) {
	w := newVaulted(t)
	next := []byte("pik that follows")
	w.sql(`INSERT INTO working_keys (bucket, terminal_id, slot, generation, pik_wrapped, issued_at, changed_at)
		VALUES (0, 1, 0, 1, $1, now(), clock_timestamp())`, w.enter(hsm.UsePIN, hsm.TDES2, next))
	for _, key := range [][]byte{clearPIK, next, clearPIK} {
		w.do(switching.Approved, w.request(switching.KindSale, 1_00, w.withPIN(rightPIN), func(r *switching.Request) {
			r.PIN.Block = enciphered(t, key, rightPIN, r.PAN)
		}))
	}
	if n := len(w.pinKeys().PINKeys); n != 2 {
		t.Errorf("%d PIN keys", n)
	}
}

// Wrong PINs of one card at two hosts at once: three are tries, the rest finds the
// card locked.
func TestPINTriesAtTwoHosts(t *testing.T) {
	w := newVaulted(t)
	hosts := []*switching.Switch{w.sw, w.another(t)}
	const tries = 12
	reasons := make(chan switching.Reason, tries)
	var asking sync.WaitGroup
	for i := range tries {
		r := w.request(switching.KindSale, 1_00, w.withPIN(wrongPIN))
		asking.Go(func() { reasons <- askAt(t, hosts[i%2], r).Reason })
	}
	asking.Wait()
	close(reasons)
	count := map[switching.Reason]int{}
	for reason := range reasons {
		count[reason]++
	}
	if count[switching.IncorrectPIN] != 3 || count[switching.PINTriesExceeded] != tries-3 || w.failures(0) != 3 {
		t.Errorf("answers %v, %d counted", count, w.failures(0))
	}
	w.verify()
}

// The right PIN is no answer any more when the card is locked for PINs between
// being read and being stored, also where nothing else of the card changes: who
// guesses at many places at once must not be told which guess was right.
func TestRightPINWhileTheCardIsLocked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*switching.Request){
		"told a balance":    func(*switching.Request) {},
		"declined for more": func(r *switching.Request) { r.Kind, r.AmountMinor, r.HasAmount = switching.KindSale, opened*10, true },
	} {
		w := newVaulted(t)
		w.do(switching.Approved, w.request(switching.KindSale, 1_00)) // its batch is there
		wrong := w.hold(`UPDATE card_accounts SET pin_failures = 3 WHERE card_id = 1`)
		answer := make(chan switching.Response, 1)
		w.sw.Submit(w.request(switching.KindBalance, 0, w.withPIN(rightPIN), change), func(r switching.Response) { answer <- r })
		w.waiting(1, func() bool { return len(answer) > 0 })
		w.must(wrong.Commit(t.Context()))
		if got := <-answer; got.Reason != switching.PINTriesExceeded {
			t.Errorf("%s: answered %s", name, got.Reason)
		}
	}
}

// Nothing of a PIN's block is stored.
func TestPINIsKeptNowhere(t *testing.T) {
	w := newVaulted(t)
	right := w.request(switching.KindSale, 1_00, w.withPIN(rightPIN))
	block := slices.Clone(right.PIN.Block)
	w.do(switching.Approved, right)
	for _, table := range []string{"transactions", "idempotency_keys", "audit_log", "exceptions"} {
		var n int
		w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` AS t WHERE t::text ILIKE '%' || encode($1, 'hex') || '%'`, block).Scan(&n))
		if n != 0 {
			t.Errorf("the block is in %s", table)
		}
	}
}
