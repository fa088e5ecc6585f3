package switching_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// The same two sales come to two hosts in another order, as when terminals whose host is slow go to
// another one: neither unit of work waits for the other.
func TestSalesInAnotherOrderAtTwoHosts(t *testing.T) {
	w := newWorld(t)
	for _, where := range []func(*switching.Request){at(shop, till), at(shop, till2), at(kiosk, booth)} {
		w.do(switching.Approved, w.request(switching.KindSale, 1_00, where))
	}
	one, two := w.request(switching.KindSale, 10_00, at(shop, till), withCard(1)), w.request(switching.KindSale, 20_00, at(shop, till2), withCard(2))
	answers := make(chan switching.Response, 6)
	var held []pgx.Tx
	for i, pair := range [][2]*switching.Request{{one, two}, {two, one}} {
		host := w.second()
		card, before := w.hold(fmt.Sprintf(`SELECT FROM card_accounts WHERE card_id = %d FOR UPDATE`, 4+i)), make(chan switching.Response, 1)
		host.Submit(w.request(switching.KindSale, 1, withCard(3+i), at(kiosk, booth)), func(r switching.Response) { before <- r })
		w.waiting(1+i, func() bool { return false })
		between := w.request(switching.KindSale, 5_00, at(kiosk, booth), withCard(5+i))
		for _, r := range []*switching.Request{copyOf(pair[0]), between, copyOf(pair[1])} {
			host.Submit(r, func(r switching.Response) { answers <- r })
		}
		// Each unit stores its first key, and waits at its second.
		held = append(held, w.hold(fmt.Sprintf(`
			INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, tombstone, business_date, transaction_id)
			VALUES (0, 2, 3, 1, %d, 1, false, '2026-03-10', gen_random_uuid())`, between.STAN)))
		w.must(card.Rollback(t.Context()))
		if got := <-before; !got.Approved() {
			t.Fatalf("the sale before was answered %s", got.Reason)
		}
		w.waiting(1+i, func() bool { return len(answers) > 0 })
	}
	for _, tx := range held {
		w.must(tx.Rollback(t.Context()))
	}
	for range cap(answers) {
		if got := <-answers; !got.Approved() {
			t.Errorf("answered %s", got.Reason)
		}
	}
	w.wantNoDeadlock()
	w.verify()
}

// wantNoDeadlock waits for the server's count, which comes a moment later.
func (w *world) wantNoDeadlock() {
	w.t.Helper()
	var deadlocks int
	for range 100 {
		w.must(w.pool.QueryRow(context.Background(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks))
		if deadlocks > 0 {
			w.t.Fatalf("Postgres ended %d transactions of two that waited for each other", deadlocks)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
