package switching_test

import (
	"testing"
	"time"

	"meridian/switch"
)

// Cards are read without a lock: what another unit does to one before the sale
// is stored must be seen all the same.
func TestCardChangesUnderASale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00)) // its batch is there
	for _, test := range []struct {
		change, back string
		want         switching.Reason
	}{
		{"balance_minor = balance_minor - 100000000", "balance_minor = balance_minor + 100000000", switching.InsufficientFunds},
		{"held_minor = held_minor + 100000000", "held_minor = held_minor - 100000000", switching.InsufficientFunds},
		{"status = 3", "status = 1", switching.LostCard},
		{"pin_failures = 2", "pin_failures = 0", switching.Approved},
	} {
		other := w.hold("UPDATE card_accounts SET " + test.change + " WHERE card_id = 1")
		answer := make(chan switching.Response, 1)
		w.sw.Submit(w.request(switching.KindSale, 1_00), func(r switching.Response) { answer <- r })
		w.waiting(1, func() bool { return len(answer) > 0 })
		w.must(other.Commit(t.Context()))
		if got := <-answer; got.Reason != test.want {
			t.Errorf("%s: %s, want %s", test.change, got.Reason, test.want)
		}
		w.sql("UPDATE card_accounts SET " + test.back + " WHERE card_id = 1")
		for range 70 { // units, after which the lane reads cards without a lock again
			w.do(switching.Approved, w.request(switching.KindBalance, 0, withCard(2)))
		}
	}
	w.verify()
}

// Holds that have run out are given back however busy their cards are.
func TestCardChangesUnderHoldsThatExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("hold_days = 1")
	host := w.second()
	for i := range 3 {
		w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00, withCard(i)))
	}
	w.clock.advance(24 * time.Hour)
	w.wantAvailable(10_00)
	other := w.hold(`UPDATE card_accounts SET pin_failures = 2 WHERE card_id = 2`)
	expired := make(chan error, 1)
	go func() { expired <- host.ExpireHolds(t.Context()) }()
	w.waiting(1, func() bool { return len(expired) > 0 })
	w.must(other.Commit(t.Context()))
	w.must(<-expired)
	w.wantAvailable(0)
	w.verify()
}
