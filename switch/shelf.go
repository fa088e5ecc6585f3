package switching

import (
	"context"
	"time"
)

// shelfPause is between two fillings of the shelf of cards, at least: reading a full
// one takes the database and the host some tenths of a second each.
const shelfPause = time.Minute

// keepShelf reads cards ahead of the units that want them: at the start, and when
// what was known of them has turned out to be old. One that is not known is read by
// its unit.
func (s *Switch) keepShelf(ctx context.Context) {
	for {
		if err := s.cards.Fill(ctx, s.pool); err != nil && ctx.Err() == nil {
			s.log.Warn("cards are not read ahead", "error", err)
		}
		pause := time.NewTimer(shelfPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-s.oldCards:
		}
	}
}

// metOldCards after a unit that took a card for what it was not any more. Where unit
// after unit does, another host has been at work on the same cards, and most of what
// is known is old: all of it is forgotten.
func (l *lane) metOldCards() {
	if !l.presumes.cardCaution.met() {
		return
	}
	l.sw.cards.Clear()
	select {
	case l.sw.oldCards <- struct{}{}:
	default:
	}
}
