package switching_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/mac"
	"meridian/switch"
)

// tdesKSN and aesKSN are key serial numbers of the terminals with derived keys.
func tdesKSN(counter uint32) []byte {
	ksn := bytes.Clone(initialTDES)
	low := binary.BigEndian.Uint32(ksn[6:])
	binary.BigEndian.PutUint32(ksn[6:], low|counter)
	return ksn
}

func aesKSN(counter uint32) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(initialAES), counter)
}

// derivedKey is a transaction's key as its terminal derives it.
func derivedKey(t testing.TB, base hsm.Algorithm, bdk, ksn []byte, purpose dukpt.Purpose, working hsm.Algorithm) []byte {
	t.Helper()
	number, err := dukpt.Parse(base, ksn)
	if err != nil {
		t.Fatal(err)
	}
	initial, err := dukpt.InitialKey(base, bdk, number)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dukpt.WorkingKey(base, initial, number, purpose, working)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// counted is a request of the TDES terminal with a counter.
func counted(counter uint32) func(*switching.Request) {
	return func(r *switching.Request) {
		r.TID, r.Credentials = serial, switching.Credentials{SignedIn: true, KSN: tdesKSN(counter), Counts: true}
	}
}

func TestDerivedKeys(t *testing.T) {
	w := newVaulted(t)
	for _, tt := range []struct {
		tid, algorithm string
		base, working  hsm.Algorithm
		bdk            []byte
		ksn            func(uint32) []byte
	}{
		{serial, mac.X919, hsm.TDES2, hsm.TDES2, clearBDK, tdesKSN},
		{serial2, mac.AESCMAC, hsm.AES128, hsm.AES128, clearBDK2, aesKSN},
	} {
		for _, counter := range []uint32{1, 2, 3, 0x12345} {
			ksn := tt.ksn(counter)
			request := newMAC(t, tt.algorithm, derivedKey(t, tt.base, tt.bdk, ksn, dukpt.MACRequest, tt.working))
			answer := newMAC(t, tt.algorithm, derivedKey(t, tt.base, tt.bdk, ksn, dukpt.MACResponse, tt.working))
			c, ok := verified(t, w.sw, tt.tid, ksn, request)
			if !ok || !c.SignedIn || !c.Counts || !bytes.Equal(c.KSN, ksn) || len(c.PINKeys) != 1 || c.PINKeys[0].Use != hsm.UseDUKPTBase {
				t.Fatalf("%s, counter %d: %t, %+v", tt.tid, counter, ok, c)
			}
			if _, ok := verified(t, w.sw, tt.tid, ksn, answer); ok {
				t.Fatal("a MAC in the other direction is taken")
			}
			if _, ok := verified(t, w.sw, tt.tid, tt.ksn(counter+1), request); ok {
				t.Fatal("a MAC is taken under the next key")
			}
			set, _, err := keysOf(t, w.sw, w.sw.Terminal(tt.tid), nil)
			w.must(err)
			want, err := answer.Sum(message)
			w.must(err)
			if got, err := set.Seal(t.Context(), ksn).Sum(message); err != nil || got != want {
				t.Fatalf("answer sealed with %X, %v; want %X", got, err, want)
			}
		}
	}
}

// A terminal's keys are its own: another one's serial number under the same base
// key, or one of nobody's, verifies nothing and opens no PIN.
func TestSerialsOfOthers(t *testing.T) {
	w := newVaulted(t)
	other := tdesKSN(1)
	other[3] ^= 1
	set, _, err := keysOf(t, w.sw, w.sw.Terminal(serial), nil)
	w.must(err)
	for name, ksn := range map[string][]byte{
		"another terminal's": other, "none": nil, "of no transaction": initialTDES, "of AES": aesKSN(1),
		"skipped": tdesKSN(1<<21 - 1), "cut short": tdesKSN(1)[:9],
	} {
		verifiers, err := set.Verifiers(t.Context(), ksn)
		if len(verifiers) != 0 || !errors.Is(err, switching.ErrKSN) {
			t.Errorf("%s: %d verifiers, %v", name, len(verifiers), err)
		}
		if set.Seal(t.Context(), ksn) != nil {
			t.Errorf("%s: answers are sealed", name)
		}
		if c := set.Unverified(ksn); len(c.PINKeys) != 0 || c.KSN != nil {
			t.Errorf("%s: credentials %+v", name, c)
		}
	}
	if c := set.Unverified(tdesKSN(1)); len(c.PINKeys) != 1 || c.KSN == nil || c.Counts {
		t.Errorf("its own: credentials %+v", c)
	}
}

// A counter that came before is refused, and the message leaves nothing behind: not
// even the key that its terminal will need. Repeats have their answer.
func TestReplayedCounters(t *testing.T) {
	w := newVaulted(t)
	rows := func() (n int) {
		t.Helper()
		w.must(w.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM idempotency_keys)`).Scan(&n))
		return n
	}
	counter := func() (n int64) {
		t.Helper()
		w.must(w.pool.QueryRow(t.Context(), `SELECT counter FROM dukpt_counters WHERE bucket = 0 AND terminal_id = 34`).Scan(&n))
		return n
	}
	first := w.do(switching.Approved, w.request(switching.KindSale, 10_00, counted(5)))
	stanOfFirst := w.stan
	before := rows()
	for _, n := range []uint32{5, 4, 1} {
		if resp := w.do(switching.MACWrong, w.request(switching.KindSale, 10_00, counted(n))); resp.RRN != 0 {
			t.Errorf("counter %d has an RRN", n)
		}
	}
	if rows() != before || counter() != 5 {
		t.Fatalf("a replay left rows: %d, before %d; counter %d", rows(), before, counter())
	}
	// The message itself, shown again: the answer again.
	again := w.do(switching.Approved, w.request(switching.KindSale, 10_00, counted(5), stan(stanOfFirst)))
	if !again.Stored || again.RRN != first.RRN {
		t.Errorf("a repeat: %+v", again)
	}
	// The STANs of refused replays are free.
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, counted(6)))
	w.stan -= 2
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, counted(7)))
	w.stan++
	// What is declined, and what is refused for its content, has used its counter.
	w.do(switching.InvalidAmount, w.request(switching.KindSale, 0, counted(9)))
	w.do(switching.MACWrong, w.request(switching.KindSale, 10_00, counted(9)))
	w.do(switching.RepeatDiffers, w.request(switching.KindSale, 11_00, counted(10), stan(stanOfFirst)))
	w.do(switching.MACWrong, w.request(switching.KindSale, 10_00, counted(10)))
	// So has a repeat that was sent anew.
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, counted(12), stan(stanOfFirst)))
	w.do(switching.MACWrong, w.request(switching.KindSale, 10_00, counted(11)))
	// A reversal counts like any other, and one that was seen before is a repeat.
	reversal := func(n uint32) *switching.Request {
		return w.request(switching.KindReversal, 10_00, counted(n), stan(stanOfFirst), withCard(0))
	}
	w.do(switching.Approved, reversal(13))
	w.do(switching.Approved, reversal(13))
	if counter() != 13 {
		t.Errorf("counter %d", counter())
	}
	// After a restart, at another host.
	other := w.another(t)
	if resp := askAt(t, other, w.request(switching.KindSale, 10_00, counted(13))); resp.Reason != switching.MACWrong {
		t.Errorf("another host answered %s", resp.Reason)
	}
	if resp := askAt(t, other, w.request(switching.KindSale, 10_00, counted(14))); resp.Reason != switching.Approved {
		t.Errorf("another host answered %s", resp.Reason)
	}
	// New keys count from the beginning.
	fresh := bytes.Clone(initialTDES)
	fresh[2] ^= 0xFF
	w.sql(`UPDATE terminals SET initial_ksn = $1 WHERE tid = $2`, fresh, serial)
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, counted(1), func(r *switching.Request) {
		r.Credentials.KSN = append(bytes.Clone(fresh[:9]), 1)
	}))
	// Other terminals have nothing to do with it.
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
}

// One message, shown under many STANs at two hosts at once, is taken once.
func TestReplayAtTwoHosts(t *testing.T) {
	w := newVaulted(t)
	hosts := []*switching.Switch{w.sw, w.another(t)}
	for counter := uint32(1); counter <= 5; counter++ {
		const shown = 10
		reasons := make(chan switching.Reason, shown)
		var asking sync.WaitGroup
		for i := range shown {
			r := w.request(switching.KindSale, 1_00, counted(counter), withCard(i%10))
			asking.Go(func() { reasons <- askAt(t, hosts[i%2], r).Reason })
		}
		asking.Wait()
		close(reasons)
		taken := 0
		for reason := range reasons {
			switch reason {
			case switching.Approved:
				taken++
			case switching.MACWrong:
			default:
				t.Errorf("answered %s", reason)
			}
		}
		if taken != 1 {
			t.Fatalf("counter %d was taken %d times", counter, taken)
		}
	}
	w.verify()
}

// The PIN is under a key of the same transaction.
func TestDerivedPINKey(t *testing.T) {
	w := newVaulted(t)
	set, _, err := keysOf(t, w.sw, w.sw.Terminal(serial), nil)
	w.must(err)
	withPIN := func(pin string, counter, under uint32) func(*switching.Request) {
		return func(r *switching.Request) {
			counted(counter)(r)
			r.Credentials = set.Unverified(tdesKSN(counter))
			key := derivedKey(t, hsm.TDES2, clearBDK, tdesKSN(under), dukpt.PIN, hsm.TDES2)
			r.PIN = &switching.PINEntry{Block: enciphered(t, key, pin, r.PAN)}
		}
	}
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, withPIN(rightPIN, 1, 1)))
	w.do(switching.IncorrectPIN, w.request(switching.KindSale, 1_00, withPIN(wrongPIN, 2, 2)))
	w.do(switching.PINFormat, w.request(switching.KindSale, 1_00, withPIN(rightPIN, 3, 2)))
}
