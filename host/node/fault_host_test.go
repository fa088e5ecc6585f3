package node_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// until waits for what a test cannot be told of.
func (w *world) until(what string, happened func() bool) {
	w.t.Helper()
	for limit := time.Now().Add(stepTimeout); !happened(); time.Sleep(5 * time.Millisecond) {
		if w.t.Failed() {
			w.t.FailNow()
		}
		if time.Now().After(limit) {
			w.t.Fatalf("waited too long for %s", what)
		}
	}
}

// approvals so far.
func (b *book) approved() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.approvals)
}

// business is a crowd at work in the background.
type business struct {
	w      *world
	crowd  []*terminal
	closed atomic.Bool
	all    sync.WaitGroup
}

// open lets the crowd play until close.
func (w *world) open(crowd []*terminal) *business {
	b := &business{w: w, crowd: crowd}
	b.all.Go(func() {
		parallel(w.t, posts(crowd), func(p post, rng *rand.Rand) {
			p.day(rng, p.line, func() bool { return !b.closed.Load() })
		})
	})
	return b
}

// goOn waits for count more approvals.
func (b *business) goOn(count int) {
	b.w.t.Helper()
	enough := b.w.book.approved() + count
	b.w.until("approvals", func() bool { return b.w.book.approved() >= enough })
}

// close lets every story come to its end.
func (b *business) close() {
	b.closed.Store(true)
	b.all.Wait()
	closeAll(b.crowd)
}

// crowdUnderFault is enough to keep every lane busy, and leaves the machine
// room to hurt somebody.
const crowdUnderFault = 40

// TestFaultHostEnds kills the host, and drains it, in the middle of load. What
// was approved is in the ledger once, and who had no answer gets one, the same
// however often it is asked for.
func TestFaultHostEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		clean  bool
	}{
		{"kill", syscall.SIGKILL, false},
		{"drain", syscall.SIGTERM, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			h := w.spawn()
			crowd := w.terminals(h, crowdUnderFault, true)
			b := w.open(crowd)
			for range 3 * soakFactor() {
				b.goOn(250)
				if err := h.signal(c.signal); c.clean && err != nil {
					t.Errorf("the host did not drain: %v", err)
				}
				h.respawn()
			}
			b.goOn(250)
			b.close()
			h.wantSound()
			if err := h.signal(syscall.SIGTERM); err != nil {
				t.Errorf("the host did not drain: %v", err)
			}
			w.wantSoundBooks()
		})
	}
}
