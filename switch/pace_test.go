package switching

import (
	"testing"
	"time"
)

// TestPace plays lanes that get requests at a steady rate.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name string
		// every request, and what a unit of work takes.
		every, takes time.Duration
		// units hold at least and at most so many in the end.
		least, most int
	}{
		{"one now and then", 50 * time.Millisecond, time.Millisecond, 1, 1},
		{"one behind the other", time.Millisecond, time.Millisecond, 1, 2},
		{"a moderate load", 500 * time.Microsecond, time.Millisecond, 1, 3},
		{"a high load", 200 * time.Microsecond, time.Millisecond, 30, 34},
		{"a high load on slow commits", 200 * time.Microsecond, 20 * time.Millisecond, 95, 105},
		{"the highest load", 20 * time.Microsecond, 3 * time.Millisecond, paceEnough, 256},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p pace
			now := time.Unix(0, 0)
			arrived := 0 // of all, by now
			came := func() int { return int(now.Sub(time.Unix(0, 0)) / c.every) }
			held := 0
			for range 200 {
				for left := p.left(came()-arrived, now); left > 0 && came()-arrived < paceEnough; left = p.left(came()-arrived, now) {
					now = now.Add(min(left, c.every))
				}
				for came() == arrived { // idle: the next request wakes the lane
					now = now.Add(c.every)
				}
				held = came() - arrived
				arrived += held
				p.begin(held, now)
				now = now.Add(c.takes)
			}
			if held < c.least || held > c.most {
				t.Errorf("a unit holds %d, want %d to %d", held, c.least, c.most)
			}
		})
	}
}
