package switching_test

import (
	"context"
	"testing"
	"time"

	"meridian/switch"
)

// Two refunds on two hosts against the minimum balance.
func TestMinBalanceRace(t *testing.T) {
	w := newWorld(t)
	a := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	b := w.do(switching.Approved, w.request(switching.KindSale, 100_00, withCard(1)))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.policy("min_balance_minor = 10000") // 200.00 owed, 100.00 must stay
	other := w.second()
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	ca, cb := make(chan switching.Response, 1), make(chan switching.Response, 1)
	other.Submit(w.request(switching.KindRefund, 100_00, of(a)), func(r switching.Response) { ca <- r })
	w.waiting(1, func() bool { return false })
	other2 := w.second()
	other2.Submit(w.request(switching.KindRefund, 100_00, of(b), at(shop, till2)), func(r switching.Response) { cb <- r })
	w.waiting(2, func() bool { return len(cb) > 0 })
	w.must(card.Rollback(t.Context()))
	ra, rb := <-ca, <-cb
	if got := [2]switching.Reason{ra.Reason, rb.Reason}; got != [2]switching.Reason{switching.Approved, switching.InsufficientFunds} {
		t.Errorf("200.00 owed, 100.00 must stay: two refunds of 100.00 were answered %s and %s", got[0], got[1])
	}
	w.verify()
}

// Void limit on two hosts.
func TestVoidLimitRace(t *testing.T) {
	w := newWorld(t)
	w.policy("max_voids_per_day = 1")
	a := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	b := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	h1, h2 := w.second(), w.second()
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	ca, cb := make(chan switching.Response, 1), make(chan switching.Response, 1)
	h1.Submit(w.request(switching.KindVoid, 0, of(a)), func(r switching.Response) { ca <- r })
	w.waiting(1, func() bool { return false })
	h2.Submit(w.request(switching.KindVoid, 0, of(b)), func(r switching.Response) { cb <- r })
	w.waiting(2, func() bool { return len(cb) > 0 })
	w.must(card.Rollback(t.Context()))
	ra, rb := <-ca, <-cb
	if got := [2]switching.Reason{ra.Reason, rb.Reason}; got != [2]switching.Reason{switching.Approved, switching.ExceedsCountLimit} {
		t.Errorf("two voids with max_voids_per_day 1 were answered %s and %s", got[0], got[1])
	}
	w.verify()
}

// One void at two hosts, the first of which stores it while the second reads: it is a repeat of the first.
func TestVoidAtTwoHosts(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	void := w.request(switching.KindVoid, 10_00, of(sale))
	h1, h2 := w.second(), w.second()
	// From the second's view the void's STAN is an old one, and may be stored.
	if got := askAt(t, h2, w.request(switching.KindVoid, 5_00, of(w.do(switching.Approved, w.request(switching.KindSale, 5_00))))); !got.Approved() {
		t.Fatalf("the second's own void was answered %s", got.Reason)
	}
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	answers := []chan switching.Response{make(chan switching.Response, 1), make(chan switching.Response, 1)}
	h1.Submit(copyOf(void), func(r switching.Response) { answers[0] <- r })
	w.waiting(1, func() bool { return false })
	// The second comes to what paid back after the first has stored it.
	paid, locked := w.hold(`SELECT`), make(chan error, 1)
	go func() {
		_, err := paid.Exec(context.Background(), `LOCK TABLE paid_back IN ACCESS EXCLUSIVE MODE`)
		locked <- err
	}()
	w.waiting(2, func() bool { return false })
	h2.Submit(copyOf(void), func(r switching.Response) { answers[1] <- r })
	w.waiting(3, func() bool { return false })
	w.must(card.Rollback(t.Context()))
	first := <-answers[0]
	w.must(<-locked)
	w.must(paid.Rollback(t.Context()))
	if !first.Approved() {
		t.Fatalf("the void was answered %s", first.Reason)
	}
	w.sameAnswer(first, <-answers[1])
	w.verify()
}

// A late original on two hosts, after its tombstone.
func TestTombstoneRace(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.do(switching.Approved, w.request(switching.KindReversal, 5_00, stan(500)))
	h1, h2 := w.second(), w.second()
	batch := w.hold(`SELECT FROM transactions WHERE kind = 8 FOR UPDATE`)
	ca, cb := make(chan switching.Response, 1), make(chan switching.Response, 1)
	h1.Submit(w.request(switching.KindSale, 5_00, stan(500)), func(r switching.Response) { ca <- r })
	w.waiting(1, func() bool { return false })
	h2.Submit(w.request(switching.KindSale, 5_00, stan(500)), func(r switching.Response) { cb <- r })
	w.waiting(2, func() bool { return len(cb) > 0 })
	w.must(batch.Rollback(t.Context()))
	ra, rb := <-ca, <-cb
	if ra.Reason == switching.Approved || rb.Reason == switching.Approved {
		t.Errorf("the reversed sale was answered %s and %s", ra.Reason, rb.Reason)
	}
	w.verify()
}

// A reversal comes again at one host while its late original comes at another.
func TestReversalAgainBesideItsLateOriginal(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	reversal := w.request(switching.KindReversal, 5_00, stan(500))
	first := w.do(switching.Approved, reversal)
	h1, h2 := w.second(), w.second()
	held := w.hold(`SELECT FROM transactions WHERE kind = 8 FOR UPDATE`)
	late, again := make(chan switching.Response, 1), make(chan switching.Response, 1)
	h1.Submit(w.request(switching.KindSale, 5_00, stan(500)), func(r switching.Response) { late <- r })
	w.waiting(1, func() bool { return false })
	h2.Submit(copyOf(reversal), func(r switching.Response) { again <- r })
	w.waiting(2, func() bool { return false })
	w.must(held.Rollback(t.Context()))
	if got := <-late; got.Reason != switching.ReversedBefore {
		t.Errorf("the late original was answered %s", got.Reason)
	}
	w.sameAnswer(first, <-again)
	w.verify()
}
