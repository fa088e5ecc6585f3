//go:build !race

package mac_test

import (
	"testing"

	"meridian/internal/hsm/mac"
)

// Under the race detector a pool drops what it is given, at random: this file is
// left out there.

// TestSumDoesNotAllocate: every message of every terminal is authenticated twice.
func TestSumDoesNotAllocate(t *testing.T) {
	data := make([]byte, 201)
	for _, name := range []string{mac.UnionPayECB, mac.X99, mac.X919, mac.AESCMAC} {
		a, err := mac.New(name, []byte("0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		allocations := testing.AllocsPerRun(100, func() {
			if _, err := a.Sum(data); err != nil {
				t.Error(err)
			}
		})
		if allocations > 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}
