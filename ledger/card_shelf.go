package ledger

import "sync"

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

// shelved are cards by token, and their tokens by id. A card on the shelf is
// never changed.
type shelved struct {
	cards  map[[16]byte]*CardAccount
	tokens map[int64][16]byte
}

func newShelved() shelved {
	return shelved{cards: map[[16]byte]*CardAccount{}, tokens: map[int64][16]byte{}}
}

// NewCardShelf makes a shelf with room for so many cards in each generation.
func NewCardShelf(room int) *CardShelf {
	return &CardShelf{room: room, young: newShelved(), old: newShelved()}
}

// Take hands a copy of each card that is on the shelf to found, and returns those
// tokens and ids that have none. A card is handed over once, even if it is named twice.
func (s *CardShelf) Take(tokens [][16]byte, ids []int64, found func(*CardAccount)) (otherTokens [][16]byte, otherIDs []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := make(map[int64]struct{}, len(tokens)+len(ids))
	take := func(token [16]byte) bool {
		kept := s.find(token)
		if kept == nil {
			return false
		}
		if _, before := taken[kept.ID]; !before {
			taken[kept.ID] = struct{}{}
			card := *kept
			card.Presumed, card.read = true, kept.state()
			found(&card)
		}
		return true
	}
	for _, token := range tokens {
		if !take(token) {
			otherTokens = append(otherTokens, token)
		}
	}
	for _, id := range ids {
		token, known := s.tokenOf(id)
		if !known || !take(token) {
			otherIDs = append(otherIDs, id)
		}
	}
	return otherTokens, otherIDs
}

// find looks for a card, which is young from then on.
func (s *CardShelf) find(token [16]byte) *CardAccount {
	if card := s.young.cards[token]; card != nil {
		return card
	}
	card := s.old.cards[token]
	if card != nil {
		s.keep(card)
	}
	return card
}

func (s *CardShelf) tokenOf(id int64) ([16]byte, bool) {
	if token, young := s.young.tokens[id]; young {
		return token, true
	}
	token, old := s.old.tokens[id]
	return token, old
}

func (s *CardShelf) keep(card *CardAccount) {
	if len(s.young.cards) >= s.room {
		s.old, s.young = s.young, newShelved()
	}
	s.young.cards[card.Token], s.young.tokens[card.ID] = card, card.Token
}

// Put keeps cards as they were committed. They belong to the shelf from then on.
func (s *CardShelf) Put(cards map[*CardAccount]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for card := range cards {
		s.keep(card)
	}
}

// fill keeps a card that was read, unless it is known already.
func (s *CardShelf) fill(card *CardAccount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(card.Token) == nil && len(s.young.cards) < s.room {
		s.keep(card)
	}
}

// Drop forgets cards.
func (s *CardShelf) Drop(cards map[int64]*CardAccount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, card := range cards {
		for _, generation := range []shelved{s.young, s.old} {
			delete(generation.cards, card.Token)
			delete(generation.tokens, id)
		}
	}
}
