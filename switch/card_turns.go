package switching

import (
	"context"
	"sync"
	"time"
)

// cardTurns has units of one host that are about the same card run one after the
// other. Lanes know each other's units, and need not find out by the database that a
// card was changed under them: that costs a unit which has stored all its rows and must
// run again.
//
// It is no lock and nothing rests on it: what a unit stores of cards is stored only
// where they are as it took them, whoever changed them (package ledger). So a unit
// waits a moment at most, and then has Postgres wait: it locks its cards before it
// decides. Requests whose time ends meanwhile would have had no better with the
// database, which is what the unit before waits for.
type cardTurns struct {
	patience time.Duration
	mu       sync.Mutex
	last     map[[16]byte]chan struct{} // by card, closed when the last unit in its row has ended
}

// newCardTurns where units wait for those before them for a part of the time that they
// have: 0.1 s of 3, some commits.
func newCardTurns(storeTimeout time.Duration) *cardTurns {
	return &cardTurns{patience: storeTimeout / 30, last: map[[16]byte]chan struct{}{}}
}

// cardTurn is a unit's place behind those that have the same cards.
type cardTurn struct {
	turns  *cardTurns
	cards  [][16]byte
	before []chan struct{} // units that came before
	ended  chan struct{}
}

// take a place in the rows of all the jobs' cards at once: units only ever wait for
// those that came before, and so never for each other.
func (t *cardTurns) take(jobs []*job) *cardTurn {
	turn := &cardTurn{turns: t, cards: make([][16]byte, 0, len(jobs)), ended: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, j := range jobs {
		card := j.request.Token
		before := t.last[card]
		if card == [16]byte{} || before == turn.ended {
			continue
		}
		if before != nil {
			turn.before = append(turn.before, before)
		}
		t.last[card] = turn.ended
		turn.cards = append(turn.cards, card)
	}
	return turn
}

// wait for the units before. It tells whether all of them have ended, and how long that
// took.
func (t *cardTurn) wait(ctx context.Context) (ended bool, took time.Duration) {
	if len(t.before) == 0 {
		return true, 0
	}
	started := time.Now()
	patience := time.NewTimer(t.turns.patience)
	defer patience.Stop()
	for _, unit := range t.before {
		select {
		case <-unit:
		case <-patience.C:
			return false, time.Since(started)
		case <-ctx.Done():
			return false, time.Since(started)
		}
	}
	return true, time.Since(started)
}

// end lets those behind go on.
func (t *cardTurn) end() {
	t.turns.mu.Lock()
	defer t.turns.mu.Unlock()
	for _, card := range t.cards {
		if t.turns.last[card] == t.ended {
			delete(t.turns.last, card)
		}
	}
	close(t.ended)
}
