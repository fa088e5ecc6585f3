//go:build !race

package host

import (
	"context"
	"testing"
)

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

func TestTapUnwatchedAllocatesNothing(t *testing.T) {
	measure := func(tap *Tap) float64 {
		r := newPipelineRig(t)
		r.pipeline.o.Tap = tap
		payload := r.pack("nac", sale("0200", openTID, nil), nil)
		buffer := make([]byte, len(payload))
		return testing.AllocsPerRun(200, func() {
			copy(buffer, payload)
			r.pipeline.Handle(context.Background(), &Message{Listener: "nac", Payload: buffer}, func(Answer) {})
		})
	}
	if without, with := measure(nil), measure(NewTap()); with > without {
		t.Errorf("%.1f allocations without a tap, %.1f with one", without, with)
	}
}
