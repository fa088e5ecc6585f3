package ledger

import (
	"slices"
	"sync"
)

// CardShelf keeps cards as this host last saw them committed, so that a unit of
// work need not read them first. Nothing rests on what is kept: a unit that takes
// a card from the shelf stores it in any case, changed or not, and what it stores
// is stored only where the card is as it was taken ([QueueCardChanges]). What
// another host has changed meanwhile ends the unit; it drops the card and reads it.
//
// Cards are in two generations, and the older one goes when the younger is full:
// between one and two times its room. Safe for concurrent use.
type CardShelf struct {
	mu         sync.Mutex
	room       int
	young, old shelved
}

// shelved are cards by token, and their tokens by id. Neither has pointers: Go's
// collector passes over a shelf of a million cards without looking into it, where it
// would take the processors from units of work for as long as it followed them.
type shelved struct {
	cards  map[[16]byte]shelvedCard
	tokens map[int64][16]byte
}

// shelvedCard is all of a card but its token and what its PIN is verified against: that is
// read each time.
type shelvedCard struct {
	id    int64
	state cardState
}

func newShelved() shelved {
	return shelved{cards: map[[16]byte]shelvedCard{}, tokens: map[int64][16]byte{}}
}

// NewCardShelf makes a shelf with room for so many cards in each generation.
func NewCardShelf(room int) *CardShelf {
	return &CardShelf{room: room, young: newShelved(), old: newShelved()}
}

// Take hands a copy of each card that is on the shelf to found, and returns those
// tokens and ids that have none. No token and no id is named twice; a card that both
// name is handed over once.
func (s *CardShelf) Take(tokens [][16]byte, ids []int64, found func(*CardAccount)) (otherTokens [][16]byte, otherIDs []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range tokens {
		if kept, known := s.find(token); known {
			found(kept.taken(token))
		} else {
			otherTokens = append(otherTokens, token)
		}
	}
	for _, id := range ids {
		token, known := s.tokenOf(id)
		kept, alsoKnown := s.find(token)
		switch {
		case !known || !alsoKnown || kept.id != id: // the number may be another account's by now
			otherIDs = append(otherIDs, id)
		case !slices.Contains(tokens, token):
			found(kept.taken(token))
		}
	}
	return otherTokens, otherIDs
}

// taken is a copy for a unit of work, to be stored where the card is still as it is on
// the shelf.
func (c shelvedCard) taken(token [16]byte) *CardAccount {
	return &CardAccount{
		ID: c.id, Token: token, Expiry: c.state.expiry, Currency: c.state.currency, Status: c.state.status,
		BalanceMinor: c.state.balanceMinor, HeldMinor: c.state.heldMinor, PINFailures: c.state.pinFailures,
		Presumed: true, read: c.state,
	}
}

// find looks for a card, which is young from then on.
func (s *CardShelf) find(token [16]byte) (card shelvedCard, known bool) {
	if card, known = s.young.cards[token]; known {
		return card, true
	}
	if card, known = s.old.cards[token]; known {
		s.keep(token, card)
	}
	return card, known
}

func (s *CardShelf) tokenOf(id int64) ([16]byte, bool) {
	if token, young := s.young.tokens[id]; young {
		return token, true
	}
	token, old := s.old.tokens[id]
	return token, old
}

func (s *CardShelf) keep(token [16]byte, card shelvedCard) {
	kept, known := s.young.cards[token]
	if !known && len(s.young.cards) >= s.room {
		s.old, s.young = s.young, newShelved()
	}
	s.young.cards[token] = card
	if !known || kept.id != card.id {
		s.young.tokens[card.id] = token
	}
}

// Put keeps cards as they were committed.
func (s *CardShelf) Put(cards map[*CardAccount]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for card := range cards {
		s.keep(card.Token, shelvedCard{card.ID, card.state()})
	}
}

// fill keeps a card that was read, unless it is known already.
func (s *CardShelf) fill(card *CardAccount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.find(card.Token); !known && len(s.young.cards) < s.room {
		s.keep(card.Token, shelvedCard{card.ID, card.state()})
	}
}

// Clear forgets every card.
func (s *CardShelf) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.young, s.old = newShelved(), newShelved()
}

// Drop forgets cards.
func (s *CardShelf) Drop(cards map[[16]byte]*CardAccount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, card := range cards {
		for _, generation := range []shelved{s.young, s.old} {
			delete(generation.cards, token)
			delete(generation.tokens, card.ID)
		}
	}
}
