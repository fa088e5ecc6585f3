package switching

import (
	"testing"

	"meridian/ledger"
)

// What is known of cards is forgotten when unit after unit meets one that has
// changed, and not when one does now and then.
func TestShelfIsCleared(t *testing.T) {
	t.Parallel()
	s := &Switch{cards: ledger.NewCardShelf(10), oldCards: make(chan struct{}, 1)}
	l := newLane(s)
	known := func() bool {
		unknown, _ := s.cards.Take([][16]byte{{1}}, nil, func(*ledger.CardAccount) {})
		return len(unknown) == 0
	}
	s.cards.Put(map[*ledger.CardAccount]struct{}{{ID: 1, Token: [16]byte{1}}: {}})
	for meeting := range 3 {
		l.metOldCards()
		if !known() {
			t.Fatalf("cleared after meeting %d, long after the one before", meeting+1)
		}
		for range 10 {
			l.presumes.cardCaution.next()
		}
	}
	l.metOldCards()
	l.metOldCards()
	if known() {
		t.Error("nothing was forgotten after two meetings in a row")
	}
	select {
	case <-s.oldCards:
	default:
		t.Error("nobody is told to fill the shelf")
	}
}
