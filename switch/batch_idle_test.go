package switching_test

import (
	"fmt"
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// idle closes the idle batches and says which.
func (w *world) idle(before string) (closed []string) {
	w.t.Helper()
	date, err := ledger.ParseDate(before)
	w.must(err)
	list, err := switching.CloseIdleBatches(w.t.Context(), w.pool, w.clock.Now(), date, switching.PolicyChange{Who: "ann", Why: "terminals lost"})
	w.must(err)
	for _, b := range list {
		closed = append(closed, b.TID)
	}
	return closed
}

func TestIdleBatchesAreClosed(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.BatchOutOfBalance, w.settlement(0, net(0, 0)))
	w.do(switching.Approved, w.request(switching.KindSale, 5_00, at(shop, till2)))
	w.do(switching.InvalidCard, w.request(switching.KindSale, 5_00, at(kiosk, booth), withCard(77)))
	w.clock.advance(24 * time.Hour)
	w.do(switching.Approved, w.request(switching.KindSale, 7_00, at(shop, till2)))
	if closed := w.idle("2026-03-10"); len(closed) != 0 {
		t.Fatalf("closed batches of terminals that have sold since: %v", closed)
	}
	if _, err := switching.CloseIdleBatches(t.Context(), w.pool, w.clock.Now(), ledger.MakeDate(2026, 3, 11), switching.PolicyChange{Who: "ann"}); err == nil {
		t.Fatal("closed without a reason")
	}
	// One that waits for an upload and one of declined sales alone, but not the one that goes on.
	if closed := w.idle("2026-03-11"); len(closed) != 2 || closed[0] != till || closed[1] != booth {
		t.Fatalf("closed %v", closed)
	}
	if b := w.wantBatch(1, switching.BatchClosed); b.ClosedBy != switching.ClosedByPerson || b.Totals.SaleMinor != 10_00 {
		t.Fatalf("closed batch: %+v", b.BatchSummary)
	}
	var rows int
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM audit_log WHERE kind = 'batch_closed' AND detail = 'by ann: terminals lost'`).Scan(&rows))
	if rows != 2 {
		t.Errorf("%d rows in the audit log", rows)
	}
	if closed := w.idle("2026-03-11"); len(closed) != 0 {
		t.Fatalf("closed again: %v", closed)
	}
	w.verify()
	// Who comes back settles what was closed, and goes on.
	w.do(switching.Approved, w.settlement(1, net(1, 10_00)))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.verify()
}

// A sale that is under way while its batch is found to be idle keeps it open.
func TestABatchThatIsUsedAgainIsLeft(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, withCard(1)))
	w.clock.advance(24 * time.Hour)
	w.do(switching.Approved, w.request(switching.KindSale, 5_00, at(shop, till2))) // the date's windows are there
	seller := w.second()
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	sold, closed := make(chan switching.Response, 1), make(chan error, 1)
	seller.Submit(w.request(switching.KindSale, 2_00), func(r switching.Response) { sold <- r })
	w.waiting(1, func() bool { return len(sold) > 0 })
	go func() {
		list, err := switching.CloseIdleBatches(t.Context(), w.pool, w.clock.Now(), ledger.MakeDate(2026, 3, 11), switching.PolicyChange{Who: "ann", Why: "lost"})
		if len(list) != 0 {
			err = fmt.Errorf("closed that of terminal %s", list[0].TID)
		}
		closed <- err
	}()
	w.waiting(2, func() bool { return len(closed) > 0 })
	w.must(card.Rollback(t.Context()))
	if r := <-sold; r.Reason != switching.Approved {
		t.Errorf("sale answered %s", r.Reason)
	}
	w.must(<-closed)
	w.wantBatch(1, switching.BatchOpen)
	w.verify()
}
