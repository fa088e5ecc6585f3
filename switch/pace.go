package switching

import (
	"context"
	"time"
)

// pace leaves time between units of work, so that each has more requests. A unit
// costs the database some half a millisecond of a processor whatever it holds, and
// each request in it a fifteenth of that: under load, small units that follow each
// other at once keep the processors busy with little, and everybody waits for them.
//
// The time from the beginning of one unit to that of the next is as many times
// [paceFor] as units hold requests of late. It settles by itself: a lane that gets
// fewer requests than one in that time makes ever smaller units at ever shorter
// times, until each has a request or two and is waited for by nobody; a lane that
// gets more comes to [paceMost].
type pace struct {
	// began is when the last unit did.
	began time.Time
	// usual is how many requests a unit holds of late.
	usual float64
}

const (
	paceFor = 250 * time.Microsecond
	// paceMost is what a request waits longer at most, and nothing where commits
	// take as long. No terminal sees it.
	paceMost = 8 * time.Millisecond
	// paceEnough requests make a unit at once: with as many, its own cost is less than theirs.
	paceEnough = 32
	// paceFrom: from so many requests in a unit, usually, there is something to gather.
	paceFrom = 1.5
	// paceMemory is how many units the usual is an average of.
	paceMemory = 8
)

// wait until the next unit is to begin: its time has come, there are enough
// requests, or ctx ends.
func (p *pace) wait(ctx context.Context, queued int, enough <-chan struct{}) {
	left := p.left(queued, time.Now())
	if left <= 0 {
		return
	}
	select {
	case <-enough: // of a unit before
	default:
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-enough:
	case <-timer.C:
	}
}

// left until the next unit, with so many requests for it, is to begin.
func (p *pace) left(queued int, now time.Time) time.Duration {
	if p.usual < paceFrom || queued >= paceEnough {
		return 0
	}
	return min(time.Duration(p.usual*float64(paceFor)), paceMost) - now.Sub(p.began)
}

// begin counts a unit of so many requests that begins now.
func (p *pace) begin(requests int, now time.Time) {
	p.began = now
	p.usual += (float64(requests) - p.usual) / paceMemory
}
