package switching_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// A unit of work that comes to an authorization by way of what speaks of it, and to an older one at
// once, while housekeeping lets both holds expire: neither of the two waits for the other.
func TestOriginalsAgainstExpiry(t *testing.T) {
	w := newWorld(t)
	w.policy("hold_days = 1")
	authorize := func() switching.Response {
		time.Sleep(2 * time.Millisecond) // ids go by the time
		return w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00))
	}
	older, between, newer := authorize(), authorize(), authorize()
	tooMuch := w.request(switching.KindCompletion, 1000_00, of(newer))
	declined := w.do(switching.ExceedsAmountLimit, copyOf(tooMuch))
	w.clock.advance(25 * time.Hour)
	host, keeper := w.second(), w.second()
	lock := func(r switching.Response) string {
		return fmt.Sprintf(`SELECT FROM transactions WHERE rrn = %d FOR UPDATE`, r.RRN)
	}

	card, before := w.hold(`SELECT FROM card_accounts WHERE card_id = 4 FOR UPDATE`), make(chan switching.Response, 1)
	host.Submit(w.request(switching.KindSale, 1, withCard(3), at(kiosk, booth)), func(r switching.Response) { before <- r })
	w.waiting(1, func() bool { return false })
	reversed, completed := make(chan switching.Response, 1), make(chan switching.Response, 1)
	host.Submit(w.request(switching.KindReversal, 1000_00, stan(tooMuch.STAN)), func(r switching.Response) { reversed <- r })
	host.Submit(w.request(switching.KindCompletion, 5_00, of(older)), func(r switching.Response) { completed <- r })
	answered := func() bool { return len(reversed)+len(completed) > 0 }
	first, second := w.hold(lock(declined)), w.hold(lock(between))
	w.must(card.Rollback(t.Context()))
	<-before
	w.waiting(1, answered) // the unit, for what speaks of the newer one
	kept := make(chan error, 1)
	go func() { kept <- keeper.ExpireHolds(t.Context()) }()
	w.waiting(2, func() bool { return len(kept) > 0 }) // housekeeping has the newer one
	w.must(first.Rollback(t.Context()))
	time.Sleep(300 * time.Millisecond) // the unit goes on to the older one, and to the newer one
	w.waiting(2, answered)
	w.must(second.Rollback(t.Context()))
	if got := <-reversed; !got.Approved() { // of what was declined
		t.Errorf("the reversal was answered %s", got.Reason)
	}
	if got := <-completed; got.Reason != switching.InvalidTransaction { // a day too late
		t.Errorf("the completion was answered %s", got.Reason)
	}
	if err := <-kept; err != nil {
		t.Errorf("housekeeping: %v", err)
	}
	for _, r := range []switching.Response{older, between, newer} {
		if got := w.inspected(r).State; got != switching.StateExpired {
			t.Errorf("authorization %d is %s", r.RRN, got)
		}
	}
	w.wantNoDeadlock()
	w.verify()
}

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

// A refund's unit begins anew, to end the batch of a date that is over, and waits for that. An operator
// who is disabled meanwhile is not signed on when it is decided.
func TestOperatorDisabledWhileAUnitBeginsAnew(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	w.policy("require_operator = true, supervisor_for_refund = true, auto_close_batch = true")
	w.must(switching.AddOperator(t.Context(), owner, shop, "98", "4711", true, "ann", "a test"))
	w.must(w.sw.Refresh(t.Context()))
	sold := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.Approved, w.request(switching.KindLogon, 0, func(r *switching.Request) { r.OperatorNo, r.OperatorPassword = "98", "4711" }))
	w.clock.advance(24 * time.Hour) // and nobody has ended the batch yet
	host := w.second()              // has the card as it is
	gate := w.hold(`SELECT FROM buckets WHERE bucket = 0 FOR SHARE`)
	answer := make(chan switching.Response, 1)
	host.Submit(w.request(switching.KindRefund, 4_00, of(sold)), func(r switching.Response) { answer <- r })
	w.waiting(1, func() bool { return len(answer) > 0 })
	if len(answer) > 0 {
		t.Fatalf("did not wait: %s", (<-answer).Reason)
	}
	w.must(switching.DisableOperator(t.Context(), owner, shop, "98", "ann", "left"))
	w.must(gate.Rollback(t.Context()))
	if got := <-answer; got.Reason != switching.OperatorNotSignedOn {
		t.Errorf("a refund behind the operator's being disabled was answered %s", got.Reason)
	}
	w.verify()
}
