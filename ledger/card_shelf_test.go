package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// shelfCard is card number n with a balance.
func shelfCard(n int, balanceMinor int64) *CardAccount {
	c := &CardAccount{ID: int64(n), Token: shelfToken(n), Status: CardActive, BalanceMinor: balanceMinor}
	c.read = c.state()
	return c
}

func shelfToken(n int) (t [16]byte) {
	binary.BigEndian.PutUint64(t[:], uint64(n))
	return t
}

func put(s *CardShelf, cards ...*CardAccount) {
	set := map[*CardAccount]struct{}{}
	for _, c := range cards {
		set[c] = struct{}{}
	}
	s.Put(set)
}

// balance of card n as it is on the shelf.
func balance(s *CardShelf, n int) (minor int64, kept bool) {
	s.Take([][16]byte{shelfToken(n)}, nil, func(c *CardAccount) { minor, kept = c.BalanceMinor, true })
	return minor, kept
}

func (s *CardShelf) len() int { return len(s.young.cards) + len(s.old.cards) }

func TestShelfKeepsTwoGenerations(t *testing.T) {
	t.Parallel()
	const room = 10
	s := NewCardShelf(room)
	for n := 1; n <= 10*room; n++ {
		put(s, shelfCard(n, int64(n)))
		if s.len() > 2*room || len(s.young.tokens) != len(s.young.cards) || len(s.old.tokens) != len(s.old.cards) {
			t.Fatalf("after %d cards: %d and %d, their tokens %d and %d", n, len(s.young.cards), len(s.old.cards), len(s.young.tokens), len(s.old.tokens))
		}
		if minor, kept := balance(s, 1); !kept || minor != 1 { // what is used stays
			t.Fatalf("after %d cards, the one that is used is not there", n)
		}
	}
	if _, kept := balance(s, 10*room); !kept {
		t.Error("the last one is not there")
	}
	if _, kept := balance(s, 5*room); kept {
		t.Error("one that nobody uses is there")
	}
	// As many as a generation has room for are all kept, however often they change.
	s = NewCardShelf(room)
	for turn := range 7 {
		for n := 1; n <= room; n++ {
			if _, kept := balance(s, n); turn > 0 && !kept {
				t.Fatalf("card %d is not there in turn %d", n, turn)
			}
			put(s, shelfCard(n, int64(turn)))
		}
	}
}

func TestShelfHandsOutCopies(t *testing.T) {
	t.Parallel()
	s := NewCardShelf(4)
	put(s, shelfCard(1, 100), shelfCard(2, 200))
	var taken []*CardAccount
	take := func(c *CardAccount) { taken = append(taken, c) }
	tokens, ids := s.Take([][16]byte{shelfToken(1), shelfToken(3)}, []int64{1, 2, 4}, take)
	if len(tokens) != 1 || tokens[0] != shelfToken(3) || len(ids) != 1 || ids[0] != 4 {
		t.Errorf("not there: %v, %v", tokens, ids)
	}
	// Named by its token and by its id, a card is one.
	if len(taken) != 2 || taken[0].ID != 1 || taken[1].ID != 2 {
		t.Fatalf("took %v", taken)
	}
	for _, c := range taken {
		if !c.Presumed || c.read != c.state() {
			t.Errorf("card %d: presumed %t, read as %+v", c.ID, c.Presumed, c.read)
		}
		c.BalanceMinor = 0
	}
	if minor, _ := balance(s, 1); minor != 100 {
		t.Errorf("the shelf's own card has %d", minor)
	}
	s.Drop(map[[16]byte]*CardAccount{shelfToken(1): taken[0]})
	if _, kept := balance(s, 1); kept {
		t.Error("dropped, and still there")
	}
	if _, other := s.Take(nil, []int64{1}, take); len(other) != 1 {
		t.Error("dropped, and still there by its id")
	}
	// In the older generation, too.
	put(s, shelfCard(5, 5), shelfCard(6, 6), shelfCard(7, 7), shelfCard(8, 8))
	s.Drop(map[[16]byte]*CardAccount{shelfToken(2): shelfCard(2, 0)})
	if _, kept := balance(s, 2); kept {
		t.Error("dropped from the older generation, and still there")
	}
	s.Clear()
	for id := 1; id <= 8; id++ {
		if _, kept := balance(s, id); kept {
			t.Errorf("card %d is there after everything was cleared", id)
		}
	}
}

// A number that has moved to another account is that one's, and the account that it
// belonged to is not known any more.
func TestShelfOfANumberThatMoved(t *testing.T) {
	t.Parallel()
	s := NewCardShelf(4)
	put(s, shelfCard(1, 100))
	moved := shelfCard(2, 200)
	moved.Token = shelfToken(1)
	put(s, moved)
	var taken []int64
	_, other := s.Take(nil, []int64{1, 2}, func(c *CardAccount) { taken = append(taken, c.ID) })
	if len(other) != 1 || other[0] != 1 || len(taken) != 1 || taken[0] != 2 {
		t.Errorf("took %v, and not %v", taken, other)
	}
	if minor, _ := balance(s, 1); minor != 200 {
		t.Errorf("the number has %d", minor)
	}
}

// What is put again takes its own place.
func TestShelfPutsInPlace(t *testing.T) {
	t.Parallel()
	s := NewCardShelf(4)
	put(s, shelfCard(1, 100))
	again := shelfCard(1, 70)
	again.PINReference = []byte{1}
	put(s, again)
	var got *CardAccount
	s.Take(nil, []int64{1}, func(c *CardAccount) { got = c })
	if got == nil || got.BalanceMinor != 70 || got.PINReference != nil || s.len() != 1 {
		t.Errorf("on the shelf: %+v, of %d", got, s.len())
	}
}

// cardRows are rows of cards, as a database gives them; only what is scanned.
type cardRows struct {
	pgx.Rows

	cards []*CardAccount
	err   error
}

func (r *cardRows) Next() bool { return len(r.cards) > 0 }
func (r *cardRows) Close()     {}
func (r *cardRows) Err() error { return r.err }

func (r *cardRows) Scan(into ...any) error {
	c := r.cards[0]
	r.cards = r.cards[1:]
	*into[0].(*int64), *into[1].(*[]byte), *into[5].(*int64) = c.ID, c.Token[:], c.BalanceMinor
	return nil
}

type cardTable struct {
	Querier

	cards []*CardAccount
	err   error
	limit int
}

func (d *cardTable) Query(_ context.Context, _ string, args ...any) (pgx.Rows, error) {
	d.limit = args[0].(int)
	return &cardRows{cards: d.cards, err: d.err}, nil
}

// What is read ahead is older than what units have stored meanwhile, and takes no
// more than a generation.
func TestFillReplacesNothing(t *testing.T) {
	t.Parallel()
	const room = 6
	s := NewCardShelf(room)
	put(s, shelfCard(1, 11))
	db := &cardTable{}
	for n := 1; n <= 2*room; n++ {
		db.cards = append(db.cards, shelfCard(n, 5))
	}
	if err := s.Fill(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if db.limit != room || s.len() != room {
		t.Errorf("asked for %d cards and keeps %d, want %d", db.limit, s.len(), room)
	}
	for n, want := range map[int]int64{1: 11, 2: 5, room: 5} {
		if minor, kept := balance(s, n); !kept || minor != want {
			t.Errorf("card %d has %d (kept: %t), want %d", n, minor, kept, want)
		}
	}
	// Full, it drives nothing out; and one that is old is not overwritten either.
	put(s, shelfCard(50, 50))
	if err := s.Fill(t.Context(), &cardTable{cards: []*CardAccount{shelfCard(1, 5), shelfCard(50, 5)}}); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int64{1: 11, 50: 50} {
		if minor, _ := balance(s, n); minor != want {
			t.Errorf("card %d has %d, want %d", n, minor, want)
		}
	}
	away := errors.New("away")
	if err := s.Fill(t.Context(), &cardTable{err: away}); !errors.Is(err, away) {
		t.Errorf("a database that is away: %v", err)
	}
}

// Lanes take, put and drop at once, while cards are read ahead: nobody gets a card
// that is half another's, and what was put last by its only writer is found.
func TestShelfConcurrently(t *testing.T) {
	t.Parallel()
	const (
		lanes, cards, turns = 4, 50, 300
		room                = lanes * cards
	)
	s := NewCardShelf(room)
	var working sync.WaitGroup
	working.Go(func() {
		table := &cardTable{}
		for n := range lanes * cards {
			table.cards = append(table.cards, shelfCard(n+1, 0))
		}
		for range turns / 10 {
			if err := s.Fill(context.Background(), &cardTable{cards: table.cards}); err != nil {
				t.Error(err)
			}
		}
	})
	for lane := range lanes {
		working.Go(func() {
			for turn := int64(1); turn <= turns; turn++ {
				n := lane*cards + int(turn)%cards + 1
				put(s, shelfCard(n, turn))
				found := map[int64]*CardAccount{}
				s.Take([][16]byte{shelfToken(n)}, []int64{int64((lane+1)%lanes*cards + 1)}, func(c *CardAccount) { found[c.ID] = c })
				for id, c := range found {
					if c.Token != shelfToken(int(id)) {
						t.Errorf("card %d has another's token", id)
					}
					c.BalanceMinor = -1 // one's own copy
				}
				if minor, kept := balance(s, n); !kept || minor != turn {
					t.Errorf("card %d has %d (kept: %t), want %d", n, minor, kept, turn)
				}
				if turn%10 == 0 {
					s.Drop(map[[16]byte]*CardAccount{shelfToken(n): shelfCard(n, 0)})
				}
			}
		})
	}
	working.Wait()
	if s.len() > 2*room {
		t.Errorf("keeps %d cards", s.len())
	}
}

// What a shelf keeps has nothing that a collector would have to follow.
func TestShelfHasNoPointers(t *testing.T) {
	t.Parallel()
	var follow func(what string, v reflect.Type)
	follow = func(what string, v reflect.Type) {
		switch v.Kind() {
		case reflect.Struct:
			for field := range v.Fields() {
				follow(what+"."+field.Name, field.Type)
			}
		case reflect.Array:
			follow(what, v.Elem())
		case reflect.Bool, reflect.Int16, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Int32:
		default:
			t.Errorf("%s is a %s", what, v.Kind())
		}
	}
	for name, kept := range map[string]reflect.Type{"cards": reflect.TypeOf(newShelved().cards), "tokens": reflect.TypeOf(newShelved().tokens)} {
		follow(name, kept.Key())
		follow(name, kept.Elem())
	}
}
