package node_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// book is what the terminals know: how much each card must have moved, and
// every approval that they were given. It knows nothing of the ledger's rules.
type book struct {
	mu        sync.Mutex
	cards     []position
	approvals map[approval]string // what was approved, and under which RRN
	untold    map[approval]bool   // reversed without waiting for the answer
	codes     map[string]int      // answers, by type and code
}

// position of a card, as a difference to what it opened with.
type position struct{ balanceMinor, heldMinor int64 }

// approval names a request that was approved; reversals carry their original's STAN.
type approval struct {
	tid      string
	stan     int
	reversal bool
}

func newBook(cards int) *book {
	return &book{cards: make([]position, cards), approvals: map[approval]string{}, untold: map[approval]bool{}, codes: map[string]int{}}
}

// move notes what a card must have moved by.
func (b *book) move(card int, balanceMinor, heldMinor int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cards[card].balanceMinor += balanceMinor
	b.cards[card].heldMinor += heldMinor
}

// approve notes an approval, or says how it differs from the one known.
func (b *book) approve(a approval, rrn string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.approvals[a]; ok && known != rrn {
		return fmt.Errorf("approved twice, under RRN %s and %s", known, rrn)
	}
	b.approvals[a] = rrn
	return nil
}

// giveUp notes a request that its terminal reversed without knowing its answer:
// it may be approved, and stands for nothing.
func (b *book) giveUp(a approval) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.untold[a] = true
}

func (b *book) count(mti, code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.codes[mti+" "+code]++
}

// answered is how many answers had the type and the code.
func (b *book) answered(mti, code string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.codes[mti+" "+code]
}

// compare looks for every approval in the database, exactly once, and for
// every card's balance.
func (b *book) compare(ctx context.Context, t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Logf("%d approvals; answers %v", len(b.approvals), b.codes)
	b.compareApprovals(ctx, t, pool)
	rows, err := pool.Query(ctx, `SELECT card_id, balance_minor, held_minor FROM card_accounts ORDER BY card_id`)
	if err != nil {
		t.Fatal(err)
	}
	var id, balance, held int64
	_, err = pgx.ForEachRow(rows, []any{&id, &balance, &held}, func() error {
		want := b.cards[id-1]
		if balance != openingMinor+want.balanceMinor || held != want.heldMinor {
			t.Errorf("card %d: balance moved by %d and held is %d; its terminals know of %d and %d",
				id, balance-openingMinor, held, want.balanceMinor, want.heldMinor)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// approvalsIn are the approvals that the database has, each once, with their RRNs.
func approvalsIn(ctx context.Context, t testing.TB, pool *pgxpool.Pool) map[approval]string {
	t.Helper()
	// kind 8 is a reversal; reason 1 is approved. The host's own reversals have
	// no terminal that knows of them.
	rows, err := pool.Query(ctx, `
		SELECT r.tid, t.stan, t.asked = 8, lpad(t.rrn::text, 12, '0')
		FROM transactions t JOIN terminals r USING (terminal_id)
		WHERE t.reason = 1 AND t.state <> 7 AND NOT (t.kind = 8 AND EXISTS (
			SELECT FROM idempotency_keys k WHERE k.bucket = t.bucket AND k.transaction_id = t.transaction_id AND k.class = 3))`)
	if err != nil {
		t.Fatal(err)
	}
	found := map[approval]string{}
	var a approval
	var rrn string
	_, err = pgx.ForEachRow(rows, []any{&a.tid, &a.stan, &a.reversal, &rrn}, func() error {
		if other, twice := found[a]; twice {
			t.Errorf("%+v is in the ledger twice, RRN %s and %s", a, other, rrn)
		}
		found[a] = rrn
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (b *book) compareApprovals(ctx context.Context, t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	found := approvalsIn(ctx, t, pool)
	for a, rrn := range b.approvals {
		switch found[a] {
		case rrn:
		case "":
			t.Errorf("%+v was approved under RRN %s and does not stand in the ledger, which has %s", a, rrn, stored(ctx, t, pool, a))
		default:
			t.Errorf("%+v was approved under RRN %s and is in the ledger under %s", a, rrn, found[a])
		}
	}
	for a, rrn := range found {
		if b.approvals[a] == "" && !b.untold[a] {
			t.Errorf("%+v is in the ledger as approved under RRN %s, which its terminal was not told", a, rrn)
		}
	}
}

// stored tells what the ledger has under a STAN.
func stored(ctx context.Context, t testing.TB, pool *pgxpool.Pool, a approval) string {
	t.Helper()
	rows, err := pool.Query(ctx, `
		SELECT string_agg(format('RRN %s kind %s state %s reason %s at %s', t.rrn, t.kind, t.state, t.reason, t.accepted_at), '; ' ORDER BY t.transaction_id)
		FROM transactions t JOIN terminals r USING (terminal_id) WHERE r.tid = $1 AND t.stan = $2`, a.tid, a.stan)
	if err != nil {
		t.Fatal(err)
	}
	text, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[*string])
	if err != nil {
		t.Fatal(err)
	}
	if text == nil {
		return "nothing"
	}
	return *text
}
