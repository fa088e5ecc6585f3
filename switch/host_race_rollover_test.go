package switching_test

import (
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// A unit of work begins anew because one of its batches ends with its business date, and meanwhile
// another host cuts the date of now: what the unit takes is of the next date, and the batches of
// all its terminals end before that.
func TestCutWhileAUnitBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.policy("auto_close_batch = true")
	w.do(switching.Approved, w.request(switching.KindSale, 1_00)) // the till's batch is of the 10th
	w.clock.set(time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC))
	w.cutover() // the 10th is closed; hosts have not come to the till's batch yet
	second := w.do(switching.Approved, w.request(switching.KindSale, 2_00, at(shop, till2)))
	w.clock.set(time.Date(2026, 3, 11, 14, 59, 59, 0, time.UTC)) // a second before the cutoff
	host := w.second()
	answers := []chan switching.Response{make(chan switching.Response, 1), make(chan switching.Response, 1)}
	held, before := w.hold(`SELECT FROM card_accounts WHERE card_id = 4 FOR UPDATE`), make(chan switching.Response, 1)
	host.Submit(w.request(switching.KindSale, 1, withCard(3), at(kiosk, booth)), func(r switching.Response) { before <- r })
	w.waiting(1, func() bool { return false })
	host.Submit(w.request(switching.KindSale, 3_00), func(r switching.Response) { answers[0] <- r })
	late := w.request(switching.KindSale, 4_00, at(shop, till2))
	host.Submit(late, func(r switching.Response) { answers[1] <- r })
	// Another unit of the bucket is under way, so that the gate cannot be closed yet.
	gate := w.hold(`SELECT FROM buckets WHERE bucket = 0 FOR SHARE`)
	w.must(held.Rollback(t.Context()))
	if got := <-before; !got.Approved() {
		t.Fatalf("the sale before was answered %s", got.Reason)
	}
	w.waiting(1, func() bool { return len(answers[0])+len(answers[1]) > 0 })
	if len(answers[0])+len(answers[1]) > 0 {
		t.Fatal("the unit did not begin anew")
	}
	_, err := ledger.RunCutover(t.Context(), w.pool, time.Date(2026, 3, 11, 15, 0, 1, 0, time.UTC))
	w.must(err)
	w.must(gate.Rollback(t.Context()))
	for i, answer := range answers {
		if got := <-answer; !got.Approved() || got.BusinessDate != second.BusinessDate.AddDays(1) {
			t.Fatalf("sale %d was answered %s on %s", i, got.Reason, got.BusinessDate)
		}
	}
	var dates int
	w.must(w.pool.QueryRow(t.Context(), `
		SELECT count(DISTINCT business_date) FROM transactions
		WHERE terminal_id = 2 AND batch_no = (SELECT batch_no FROM transactions WHERE terminal_id = 2 AND stan = $1)`, late.STAN).Scan(&dates))
	if dates != 1 {
		t.Errorf("the other till's batch, which ends with its date, has sales of %d business dates", dates)
	}
	w.verify()
}
