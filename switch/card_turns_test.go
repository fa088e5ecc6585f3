package switching

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func jobsOf(cards ...byte) (jobs []*job) {
	for _, card := range cards {
		jobs = append(jobs, &job{request: &Request{Token: [16]byte{card}}})
	}
	return jobs
}

// waits tells whether a turn has to wait for another one.
func waits(turn *cardTurn) bool {
	for _, before := range turn.before {
		select {
		case <-before:
		default:
			return true
		}
	}
	return false
}

func TestCardTurns(t *testing.T) {
	t.Parallel()
	turns := newCardTurns(time.Hour)
	first := turns.take(jobsOf(1, 2, 1, 0))
	other := turns.take(jobsOf(3, 0)) // no card is no card
	second := turns.take(jobsOf(2, 4))
	third := turns.take(jobsOf(4, 1))
	fourth := turns.take(jobsOf(2))
	for i, turn := range []*cardTurn{first, other} {
		if len(turn.before) > 0 {
			t.Errorf("turn %d waits for nobody's cards", i)
		}
	}
	other.end()
	if !waits(second) || !waits(third) || !waits(fourth) {
		t.Error("does not wait for the first")
	}
	first.end()
	if waits(second) || !waits(third) || !waits(fourth) {
		t.Error("after the first it is the second's turn, and the others' after it")
	}
	second.end()
	if waits(third) || waits(fourth) {
		t.Error("wait for one that has ended")
	}
	fourth.end()
	third.end()
	if len(turns.last) > 0 {
		t.Errorf("%d rows are left", len(turns.last))
	}
}

// Who waits too long goes on, and so does who is told to stop.
func TestCardTurnsEnd(t *testing.T) {
	t.Parallel()
	turns := newCardTurns(time.Millisecond)
	first := turns.take(jobsOf(1))
	defer first.end()
	if ended, _ := first.wait(t.Context()); !ended {
		t.Error("nobody is before it")
	}
	second := turns.take(jobsOf(1))
	if ended, took := second.wait(t.Context()); ended || took <= 0 {
		t.Errorf("after %s the first had ended: %t", took, ended)
	}
	turns.patience = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ended, _ := second.wait(ctx); ended {
		t.Error("the first has not ended")
	}
	second.end()
	third := turns.take(jobsOf(1)) // the first still has it, but who was in between is gone
	if waits(third) {
		t.Error("waits for one that has ended")
	}
	third.end()
}

// Many at few cards: never two at the same card, and all of them have an end.
func TestCardTurnsOfMany(t *testing.T) {
	t.Parallel()
	turns := newCardTurns(time.Hour)
	var at [8]atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 300 {
				var cards []byte
				for _, card := range rand.Perm(len(at))[:3] {
					cards = append(cards, byte(card+1))
				}
				turn := turns.take(jobsOf(cards...))
				if ended, _ := turn.wait(t.Context()); !ended {
					t.Error("who is before it has not ended")
				}
				for _, card := range cards {
					if at[card-1].Add(1) > 1 {
						t.Error("two are at one card")
					}
				}
				runtime.Gosched()
				for _, card := range cards {
					at[card-1].Add(-1)
				}
				turn.end()
			}
		})
	}
	all.Wait()
	if len(turns.last) > 0 {
		t.Errorf("%d rows are left", len(turns.last))
	}
}
