package switching_test

import (
	"context"
	"slices"
	"testing"

	"meridian/switch"
)

// TestVerifyOnSeveralConnections: they find what one finds, in the same order.
func TestVerifyOnSeveralConnections(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.sql(`UPDATE card_accounts SET balance_minor = balance_minor + 1 WHERE card_id IN (1, 2)`)
	w.sql(`UPDATE batches SET state = 5`)
	one, err := switching.Verify(t.Context(), w.pool)
	w.must(err)
	if len(one.Findings) != 3 {
		t.Fatalf("findings of one connection: %+v", one.Findings)
	}
	for _, connections := range []int{0, 2, 4, 1000} { // the pool has fewer than that
		several, err := switching.VerifyOn(t.Context(), w.pool, connections)
		w.must(err)
		if several.Transactions != one.Transactions || several.Transfers != one.Transfers || !slices.Equal(several.Findings, one.Findings) {
			t.Errorf("on %d connections: %+v, on one: %+v", connections, several, one)
		}
	}
}

// TestVerifyBesideSales: connections that each looked at a moment of their own
// would find sales in transfers that are not in transactions.
func TestVerifyBesideSales(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sold := make(chan int)
	requests := make([]*switching.Request, 5000)
	for i := range requests {
		requests[i] = w.request(switching.KindSale, 1, withCard(i%10))
	}
	go func() {
		n := 0
		for _, r := range requests {
			if ctx.Err() != nil {
				break
			}
			answered := make(chan switching.Response, 1)
			w.sw.Submit(r, func(resp switching.Response) { answered <- resp })
			if resp := <-answered; resp.Approved() {
				n++
			}
		}
		sold <- n
	}()
	for range 5 {
		v, err := switching.VerifyOn(t.Context(), w.pool, 4)
		w.must(err)
		for _, f := range v.Findings {
			t.Errorf("ledger: %s: %s: %s", f.Check, f.Subject, f.Detail)
		}
	}
	cancel()
	if n := <-sold; n == 0 {
		t.Error("nothing was sold meanwhile")
	}
}

// TestVerifyEndsWhenAConnectionFails: no connection waits for the others' work.
func TestVerifyEndsWhenAConnectionFails(t *testing.T) {
	w := newWorld(t)
	w.sql(`ALTER TABLE reviews RENAME TO reviewed`)
	if _, err := switching.VerifyOn(t.Context(), w.pool, 4); err == nil {
		t.Error("verified without a table")
	}
	w.sql(`ALTER TABLE reviewed RENAME TO reviews`)
	w.verify()
}
