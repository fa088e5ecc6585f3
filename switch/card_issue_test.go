package switching_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

// handedOut is a card that nobody has an account for.
func handedOut(number int, openingMinor int64) switching.NewCard {
	pan := cardNumber(number)
	return switching.NewCard{
		PAN: pan, Tokens: [][16]byte{{1}, token(pan)}, Expiry: card.Expiry{Year: 2030, Month: time.December}, Currency: money.CNY, OpeningMinor: openingMinor,
	}
}

// What several people do at once beside sales is done once.
func TestCardsAreAddedAndLoadedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const each, minor = 6, 100
	list := []switching.NewCard{handedOut(501, minor), handedOut(502, 0)}
	var waiting sync.WaitGroup
	together := func(do func() bool) (times int) {
		t.Helper()
		done := make(chan bool, each)
		for range each {
			waiting.Go(func() { done <- do() })
		}
		waiting.Wait()
		close(done)
		for one := range done {
			if one {
				times++
			}
		}
		return times
	}
	db := w.owner()
	if n := together(func() bool {
		added, err := switching.AddCards(t.Context(), db, list, "", w.clock.Now(), "ann", "a test")
		if err != nil {
			t.Error(err)
			return false
		}
		return added[0].Added && added[1].Added
	}); n != 1 {
		t.Errorf("two cards were added %d times", n)
	}
	ref := switching.CardRef{Tokens: [][16]byte{{9}, token(cardNumber(501))}}
	load := switching.CardLoad{Card: ref, Amount: money.Amount{Minor: minor, Currency: money.CNY}, Reference: "payment 7"}
	var sales [each]*switching.Request
	for i := range sales {
		sales[i] = w.request(switching.KindSale, 10, withCard(501))
	}
	answers := make(chan switching.Response, each)
	for _, sale := range sales {
		w.sw.Submit(sale, func(r switching.Response) { answers <- r })
	}
	if n := together(func() bool {
		loaded, err := switching.LoadCard(t.Context(), db, load, w.clock.Now(), "ann", "a test")
		if err != nil {
			t.Error(err)
			return false
		}
		return !loaded.Repeated
	}); n != 1 {
		t.Errorf("one reference was loaded %d times", n)
	}
	for range sales {
		if r := <-answers; r.Reason != switching.Approved {
			t.Errorf("a sale beside a load: %s", r.Reason)
		}
	}
	is, err := switching.FindCard(t.Context(), db, ref)
	if err != nil || is.BalanceMinor != 2*minor-each*10 {
		t.Errorf("%+v, %v", is, err)
	}
	w.verify()
}

// A load stays done when its transfer's day is long over.
func TestALoadIsRepeatedDaysLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	load := switching.CardLoad{
		Card: switching.CardRef{ID: 1}, Amount: money.Amount{Minor: 5, Currency: money.CNY}, Reference: "payment 7",
	}
	loaded, err := switching.LoadCard(t.Context(), w.owner(), load, w.clock.Now(), "ann", "a test")
	w.must(err)
	w.clock.advance(45 * 24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	again, err := switching.LoadCard(t.Context(), w.owner(), load, w.clock.Now(), "ann", "a test")
	w.must(err)
	if !again.Repeated || again.BusinessDate != loaded.BusinessDate || again.BalanceMinor != loaded.BalanceMinor {
		t.Errorf("%+v after %+v", again, loaded)
	}
	w.verify()
	// Nor does it need a business date.
	w.sql(`UPDATE windows SET state = 3`)
	again, err = switching.LoadCard(t.Context(), w.owner(), load, w.clock.Now(), "ann", "a test")
	w.must(err)
	if !again.Repeated || again.BusinessDate != loaded.BusinessDate {
		t.Errorf("%+v after %+v while no date is open", again, loaded)
	}
	load.Amount.Minor++
	_, err = switching.LoadCard(t.Context(), w.owner(), load, w.clock.Now(), "ann", "a test")
	refused(t, err, "reference", switching.ErrTaken)
	load.Reference = "payment 8"
	_, err = switching.LoadCard(t.Context(), w.owner(), load, w.clock.Now(), "ann", "a test")
	refused(t, err, "calendar", switching.ErrNotNow)
}

// lookingAt tells what bounds a transaction at its first queries.
type lookingAt struct {
	ledger.TxBeginner

	bounds string
}

type lookedAt struct {
	pgx.Tx

	by *lookingAt
}

func (l *lookingAt) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := l.TxBeginner.Begin(ctx)
	return lookedAt{tx, l}, err
}

func (l lookedAt) look(ctx context.Context) {
	if l.by.bounds == "" {
		_ = l.Tx.QueryRow(ctx, `SELECT current_setting('lock_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')`).Scan(&l.by.bounds)
	}
}

func (l lookedAt) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	l.look(ctx)
	return l.Tx.Query(ctx, sql, args...)
}

func (l lookedAt) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	l.look(ctx)
	return l.Tx.QueryRow(ctx, sql, args...)
}

// A change of cards that hangs holds nothing for long: the cutover waits for its window,
// and sales for its card.
func TestChangesOfCardsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db, now := w.owner(), w.clock.Now()
	for name, change := range map[string]func(db ledger.TxBeginner) error{
		"add": func(db ledger.TxBeginner) error {
			_, err := switching.AddCards(t.Context(), db, []switching.NewCard{handedOut(501, 1)}, "", now, "ann", "a test")
			return err
		},
		"load": func(db ledger.TxBeginner) error {
			_, err := switching.LoadCard(t.Context(), db, switching.CardLoad{
				Card: switching.CardRef{ID: 1}, Amount: money.Amount{Minor: 5, Currency: money.CNY}, Reference: "payment 7",
			}, now, "ann", "a test")
			return err
		},
		"block": func(db ledger.TxBeginner) error {
			_, err := switching.SetCardStatus(t.Context(), db, switching.CardRef{ID: 2}, ledger.CardLost, now, "ann", "a test")
			return err
		},
	} {
		looking := &lookingAt{TxBeginner: db}
		w.must(change(looking))
		if looking.bounds != "10s 10s" {
			t.Errorf("%s is bounded by %q", name, looking.bounds)
		}
	}
}

func TestCardsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.owner()
	for name, c := range map[string]struct {
		change func(*switching.NewCard)
		field  string
		kind   error
	}{
		"check digit": {func(n *switching.NewCard) { n.PAN, _ = card.ParsePAN("4000000000000003") }, "number", nil},
		"no expiry":   {func(n *switching.NewCard) { n.Expiry = card.Expiry{} }, "expiry", nil},
		"expired":     {func(n *switching.NewCard) { n.Expiry.Year = 2020 }, "expiry", nil},
		"no currency": {func(n *switching.NewCard) { n.Currency = 0 }, "currency", nil},
		"too much":    {func(n *switching.NewCard) { n.OpeningMinor = switching.MaxCardBalanceMinor + 1 }, "opening", nil},
		"another one": {func(n *switching.NewCard) { n.Tokens = [][16]byte{token(cardNumber(1))}; n.Currency = money.EUR }, "currency", switching.ErrTaken},
		"more on it":  {func(n *switching.NewCard) { n.Tokens = [][16]byte{token(cardNumber(1))}; n.OpeningMinor = opened + 1 }, "opening", switching.ErrTaken},
	} {
		n := handedOut(503, 1)
		c.change(&n)
		_, err := switching.AddCards(t.Context(), db, []switching.NewCard{handedOut(504, 1), n}, "", w.clock.Now(), "ann", name)
		refused(t, err, c.field, c.kind)
		if one, ok := errors.AsType[*switching.CardError](err); !ok || one.Index != 1 {
			t.Errorf("%s: %v does not name the card", name, err)
		}
	}
	// Of what was loaded before there were references nobody knows what a card was opened with.
	w.sql(`UPDATE card_loads SET reference = 'before-' || journal_id WHERE card_id = 2`)
	w.sql(`DELETE FROM card_loads WHERE card_id = 3`)
	before, empty := handedOut(503, 1), handedOut(503, 1)
	before.Tokens, empty.Tokens = [][16]byte{token(cardNumber(1))}, [][16]byte{token(cardNumber(2))}
	_, err := switching.AddCards(t.Context(), db, []switching.NewCard{before}, "", w.clock.Now(), "ann", "again")
	w.must(err)
	_, err = switching.AddCards(t.Context(), db, []switching.NewCard{empty}, "", w.clock.Now(), "ann", "again")
	refused(t, err, "opening", switching.ErrTaken)
	w.sql(`INSERT INTO card_loads SELECT 3, 'opening', amount_minor, bucket, business_date, journal_id, now() FROM transfers
		WHERE kind = 1 AND credit_account = (16::bigint << 48) + 3`)
	w.sql(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (2, 'berlin', 'Europe/Berlin', '23:00', '2026-01-01')`)
	_, err = switching.AddCards(t.Context(), db, []switching.NewCard{handedOut(504, 1)}, "", w.clock.Now(), "ann", "whose date")
	refused(t, err, "calendar", nil, "china", "berlin")
	if _, err := switching.FindCard(t.Context(), db, switching.CardRef{Tokens: handedOut(504, 0).Tokens}); !errors.Is(err, switching.ErrNoCard) {
		t.Errorf("one of several was added: %v", err)
	}
	if _, err := switching.SetCardStatus(t.Context(), db, switching.CardRef{ID: 9999}, ledger.CardLost, w.clock.Now(), "ann", "x"); !errors.Is(err, switching.ErrNoCard) {
		t.Error(err)
	}
	if _, err := switching.SetCardStatus(t.Context(), db, switching.CardRef{ID: 1}, ledger.CardActive, w.clock.Now(), "ann", "x"); !errors.Is(err, switching.ErrNothingChanged) {
		t.Error(err)
	}
	_, adding := switching.AddCards(t.Context(), db, nil, "", w.clock.Now(), "", "")
	_, loading := switching.LoadCard(t.Context(), db, switching.CardLoad{}, w.clock.Now(), "ann", "")
	_, blocking := switching.SetCardStatus(t.Context(), db, switching.CardRef{ID: 1}, ledger.CardLost, w.clock.Now(), "", "x")
	if adding == nil || loading == nil || blocking == nil {
		t.Error("a change by nobody, or for no reason")
	}
	w.verify()
}
