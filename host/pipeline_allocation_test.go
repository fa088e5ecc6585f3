//go:build !race

package host

import "testing"

// Under the race detector a pool drops what it is given, at random: this file is
// left out there.

// TestAllocationsOfASale keeps what a sale allocates in the host from growing: the
// request with its card and texts, which outlive the message, the exchange and the
// calls it waits for.
func TestAllocationsOfASale(t *testing.T) {
	const limit = 22
	if got := testing.AllocsPerRun(200, saleLoop(t)); got > limit {
		t.Errorf("%v allocations, want at most %d", got, limit)
	}
}
