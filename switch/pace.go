package switching

import (
	"context"
	"time"
)

// pace leaves time between units of work, so that each has more requests. A unit
// costs the database some half a millisecond of a processor whatever it holds, and
// each request in it a fifteenth of that: under a moderate load, units that follow
// each other at once leave the processors as busy as the highest does, and everybody
// waits for them. A lane whose units hold one request each waits for nothing.
type pace struct {
	// began is when the last unit did.
	began time.Time
	// usual is how many requests a unit holds of late.
	usual float64
}

const (
	// paceEvery is from the beginning of one unit to that of the next, at least. It
	// is what a request waits longer at most, and nothing where commits take as long.
	paceEvery = 2 * time.Millisecond
	// paceEnough requests make a unit at once.
	paceEnough = 64
	// paceFrom: from so many requests in a unit, usually, there is something to gather.
	paceFrom = 1.5
	// paceMemory is how many units the usual is an average of.
	paceMemory = 8
)

// wait until the next unit is to begin, or ctx ends.
func (p *pace) wait(ctx context.Context, queued int) {
	if p.usual < paceFrom || queued >= paceEnough {
		return
	}
	left := paceEvery - time.Since(p.began)
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// begin counts a unit of so many requests that begins now.
func (p *pace) begin(requests int) {
	p.began = time.Now()
	p.usual += (float64(requests) - p.usual) / paceMemory
}
