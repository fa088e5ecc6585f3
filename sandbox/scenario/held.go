package scenario

import (
	"sync"
	"sync/atomic"
	"time"

	"meridian/switch"
)

// delay is how long an answer is held back; 0 is the behaviour's own.
type delay time.Duration

func (d delay) or(standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return time.Duration(d)
}

// maxHeld answers are held back at once: a few megabytes. Beyond it they leave as
// always.
const maxHeld = 1000

// held are the answers that wait for a reversal.
type held struct {
	waiting atomic.Int64 // of all that are held back, for whatever reason

	mu      sync.Mutex
	answers map[original][]*answer
}

// original is what a reversal speaks of. A terminal whose answer did not come knows
// its STAN and nothing else.
type original struct {
	tid  string
	stan int32
}

// answer that is held back.
type answer struct{ send func() }

// reserve takes the place of one more answer, if there is one.
func (h *held) reserve() bool {
	if h.waiting.Add(1) > maxHeld {
		h.waiting.Add(-1)
		return false
	}
	return true
}

// hold gives an answer to the clock.
func (e *Engine) hold(d time.Duration) func(send func()) {
	return func(send func()) {
		if !e.held.reserve() {
			send()
			return
		}
		e.after(d, func() {
			e.held.waiting.Add(-1)
			send()
		})
	}
}

// untilReversed keeps an answer until its reversal has been answered. Without one
// it is dropped.
func (e *Engine) untilReversed(r *switching.Request) func(send func()) {
	key := original{r.TID, r.STAN}
	return func(send func()) {
		if !e.held.reserve() {
			send()
			return
		}
		one := &answer{send}
		e.held.add(key, one)
		e.after(HoldFor, func() { e.held.take(key, one) })
	}
}

func (h *held) add(key original, one *answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.answers == nil {
		h.answers = map[original][]*answer{}
	}
	h.answers[key] = append(h.answers[key], one)
}

// take removes an answer, or all of an original's, and returns what was still there.
func (h *held) take(key original, only *answer) []*answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	var taken, rest []*answer
	for _, one := range h.answers[key] {
		if only == nil || one == only {
			taken = append(taken, one)
		} else {
			rest = append(rest, one)
		}
	}
	if len(rest) == 0 {
		delete(h.answers, key)
	} else {
		h.answers[key] = rest
	}
	h.waiting.Add(-int64(len(taken)))
	return taken
}

// release is what is done when a reversal has been answered: what waits for it by
// then is sent.
func (h *held) release(r *switching.Request) func() {
	key := original{r.TID, r.STAN}
	if r.Original.HasSTAN {
		key.stan = r.Original.STAN
	}
	return func() {
		for _, one := range h.take(key, nil) {
			one.send()
		}
	}
}
