package switching_test

import (
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
	if len(one.Findings) != 4 {
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
