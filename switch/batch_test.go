package switching_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// settlement of a batch, 0 for the current one, with totals.
func (w *world) settlement(batchNo int32, stated *switching.StatedTotals, change ...func(*switching.Request)) *switching.Request {
	r := w.request(switching.KindSettlement, 0, change...)
	r.PAN, r.Expiry, r.Token = switching.Request{}.PAN, "", [16]byte{}
	r.BatchNo, r.Stated = batchNo, stated
	return r
}

func trailer(r *switching.Request) { r.Kind = switching.KindTrailer }

// upload of a transaction with a STAN, as the terminal has it.
func (w *world) upload(original *switching.Request, change ...func(*switching.Request)) *switching.Request {
	r := w.request(switching.KindUpload, original.AmountMinor)
	r.PAN, r.Token = original.PAN, original.Token
	r.UploadedKind = original.Kind
	r.Original = switching.Reference{STAN: original.STAN, HasSTAN: true}
	for _, c := range change {
		c(r)
	}
	return r
}

func net(count int32, minor int64) *switching.StatedTotals {
	return &switching.StatedTotals{Form: switching.TotalsNet, SaleCount: count, SaleMinor: minor}
}

func split(sales int32, salesMinor int64, refunds int32, refundsMinor int64) *switching.StatedTotals {
	return &switching.StatedTotals{
		Form: switching.TotalsSplit, SaleCount: sales, SaleMinor: salesMinor, RefundCount: refunds, RefundMinor: refundsMinor,
	}
}

// current batch of the till.
func (w *world) current() *switching.BatchReport { return w.batch(0) }

func (w *world) batch(number int32) *switching.BatchReport {
	w.t.Helper()
	b, err := switching.ShowBatch(context.Background(), w.pool, till, number)
	w.must(err)
	return b
}

func (w *world) wantBatch(number int32, state switching.BatchState) *switching.BatchReport {
	w.t.Helper()
	b := w.batch(number)
	if b.State != state {
		w.t.Fatalf("batch %d is %s, want %s", number, b.State, state)
	}
	return b
}

// sameAnswer expects a second answer to be the first one's.
func (w *world) sameAnswer(first, second switching.Response) {
	w.t.Helper()
	if second.RRN != first.RRN || second.Reason != first.Reason || second.AuthCode != first.AuthCode ||
		!second.AcceptedAt.Equal(first.AcceptedAt) || !second.Stored {
		w.t.Fatalf("repeat answered %+v, first %+v", second, first)
	}
}

func copyOf(r *switching.Request, change ...func(*switching.Request)) *switching.Request {
	again := *r
	for _, c := range change {
		c(&again)
	}
	return &again
}

func TestBalancedSettlement(t *testing.T) {
	w := newWorld(t)
	first := w.request(switching.KindSale, 10_00)
	sale := w.do(switching.Approved, first)
	w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.do(switching.Approved, w.request(switching.KindAuthorization, 5_00))  // counts nowhere
	w.do(switching.ExceedsAmountLimit, w.request(switching.KindSale, 9e12)) // nor does this
	w.do(switching.Approved, w.request(switching.KindVoid, 10_00, of(sale)))
	undone := w.request(switching.KindSale, 7_00)
	w.do(switching.Approved, undone)
	w.do(switching.Approved, w.request(switching.KindReversal, 7_00, stan(undone.STAN)))
	if got, want := w.current().Totals, (switching.Totals{SaleCount: 2, SaleMinor: 30_00, VoidCount: 1, VoidMinor: 10_00}); got != want {
		t.Fatalf("totals %+v, want %+v", got, want)
	}

	settle := w.settlement(1, net(1, 20_00))
	answer := w.do(switching.Approved, settle)
	closed := w.wantBatch(1, switching.BatchClosed)
	if closed.ClosedBy != switching.ClosedBySettlement || closed.Totals.SaleCount != 2 || closed.Totals.VoidMinor != 10_00 ||
		*closed.Stated != *net(1, 20_00) || closed.ClosedDate.String() != "2026-03-10" || closed.Differences != 0 {
		t.Fatalf("closed batch: %+v", closed.BatchSummary)
	}
	w.wantBatch(0, switching.BatchOpen)
	if n := w.current().BatchNo; n != 2 {
		t.Fatalf("current batch %d", n)
	}
	w.clock.advance(time.Minute)
	// The answer was lost: the same message again, marked, or as a new one.
	w.sameAnswer(answer, w.do(switching.Approved, copyOf(settle)))
	w.sameAnswer(answer, w.do(switching.Approved, copyOf(settle, func(r *switching.Request) { r.Repeat = true })))
	w.sameAnswer(answer, w.do(switching.Approved, w.settlement(1, net(1, 20_00))))
	w.sameAnswer(answer, w.do(switching.Approved, w.settlement(0, net(1, 20_00))))
	w.do(switching.RepeatDiffers, copyOf(settle, func(r *switching.Request) { r.Stated = net(1, 20_01) }))
	w.do(switching.BatchOutOfBalance, w.settlement(1, net(1, 20_01)))
	w.do(switching.UnknownBatch, w.settlement(7, net(1, 20_00)))
	if n := w.current().BatchNo; n != 2 {
		t.Fatalf("repeats opened batch %d", n)
	}

	// The terminal begins its STANs anew: the same sale is another one.
	again := w.do(switching.Approved, copyOf(first))
	if again.RRN == sale.RRN || again.Stored {
		t.Fatal("a STAN of the settled batch was taken for a repeat")
	}
	w.do(switching.Approved, w.settlement(2, split(1, 10_00, 0, 0)))

	// An empty batch balances with nothing, and with nothing else.
	w.do(switching.Approved, w.settlement(3, net(0, 0)))
	w.do(switching.BatchOutOfBalance, w.settlement(4, net(1, 1)))
	w.do(switching.Approved, w.settlement(4, net(0, 0))) // it found its mistake
	w.wantBatch(5, switching.BatchOpen)
}

func TestFormsOfTotals(t *testing.T) {
	w := newWorld(t)
	old := w.do(switching.Approved, w.request(switching.KindSale, 50_00))
	w.do(switching.Approved, w.settlement(1, net(1, 50_00)))
	w.clock.advance(24 * time.Hour)
	for i, c := range []struct {
		name   string
		stated *switching.StatedTotals
		want   switching.Reason
	}{
		{"net", net(2, 70_00), switching.Approved},
		{"net, count off", net(3, 70_00), switching.BatchOutOfBalance},
		{"net, amount off", net(2, 69_99), switching.BatchOutOfBalance},
		{"gross", split(3, 100_00, 2, 35_00), switching.Approved},
		{"voids off the sales", split(2, 70_00, 1, 5_00), switching.Approved},
		{"voids off, no refunds", split(2, 70_00, 0, 0), switching.BatchOutOfBalance},
		{"voids twice", split(2, 70_00, 2, 35_00), switching.BatchOutOfBalance},
		{"voids nowhere", split(3, 100_00, 1, 5_00), switching.BatchOutOfBalance},
	} {
		// The same in every batch.
		w.do(switching.Approved, w.request(switching.KindRefund, 5_00, of(old)))
		auth := w.do(switching.Approved, w.request(switching.KindAuthorization, 25_00))
		w.do(switching.Approved, w.request(switching.KindCompletion, 25_00, of(auth)))
		w.do(switching.Approved, w.request(switching.KindAdvice, 45_00))
		wrong := w.do(switching.Approved, w.request(switching.KindSale, 30_00))
		w.do(switching.Approved, w.request(switching.KindCancel, 30_00, of(wrong)))
		batchNo := int32(i + 2)
		if got := w.ask(w.settlement(batchNo, c.stated)); got.Reason != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.Reason, c.want)
		}
		if c.want != switching.Approved {
			w.do(switching.Approved, w.settlement(batchNo, c.stated, trailer))
		}
	}
}

func TestUnbalancedSettlement(t *testing.T) {
	w := newWorld(t)
	matching, other, missing := w.request(switching.KindSale, 10_00), w.request(switching.KindSale, 20_00), w.request(switching.KindSale, 30_00)
	for _, r := range []*switching.Request{matching, other, missing} {
		w.do(switching.Approved, r)
	}
	wrong := w.request(switching.KindSale, 40_00)
	sold := w.do(switching.Approved, wrong)
	void := w.request(switching.KindVoid, 40_00, of(sold))
	w.do(switching.Approved, void)
	declined := w.request(switching.KindSale, 9e12)
	w.do(switching.ExceedsAmountLimit, declined)

	settle := w.settlement(1, net(9, 99_99))
	out := w.do(switching.BatchOutOfBalance, settle)
	w.wantBatch(0, switching.BatchUploading)
	w.sameAnswer(out, w.do(switching.BatchOutOfBalance, copyOf(settle)))

	// Nothing but uploads, reversals and repeats until the trailer.
	for _, kind := range []switching.Kind{switching.KindSale, switching.KindAuthorization, switching.KindBalance} {
		w.do(switching.BatchInUpload, w.request(kind, 1_00))
	}
	w.do(switching.BatchInUpload, w.request(switching.KindCancel, 0, of(sold)))
	w.do(switching.Approved, copyOf(matching))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, at(shop, till2))) // another terminal's batch
	late := w.request(switching.KindReversal, 30_00, stan(missing.STAN))
	w.do(switching.Approved, late)
	w.do(switching.Approved, late)

	match := w.upload(matching)
	shown := w.do(switching.Approved, match)
	w.clock.advance(time.Second)
	w.sameAnswer(shown, w.do(switching.Approved, copyOf(match)))
	w.do(switching.Approved, w.upload(matching)) // shown twice is no difference
	w.do(switching.Approved, w.upload(other, func(r *switching.Request) {
		r.AmountMinor = 20_01
		withCard(1)(r)
		r.Original.RRN, r.Original.HasRRN = 1, true
		r.UploadedKind = switching.KindRefund
	}))
	w.do(switching.Approved, w.upload(missing)) // which is reversed
	w.do(switching.Approved, w.upload(declined))
	w.do(switching.Approved, w.upload(wrong)) // shown without its void
	w.do(switching.Approved, w.upload(matching, func(r *switching.Request) { r.Original.STAN = 999 }))

	end := w.settlement(1, net(9, 99_99), trailer)
	answer := w.do(switching.Approved, end)
	closed := w.wantBatch(1, switching.BatchClosed)
	var differing []string
	for _, d := range closed.Differing {
		differing = append(differing, fmt.Sprintf("%d %s", d.STAN, d.Kind))
	}
	want := []string{
		fmt.Sprintf("%d amount_differs", other.STAN), fmt.Sprintf("%d card_differs", other.STAN),
		fmt.Sprintf("%d kind_differs", other.STAN), fmt.Sprintf("%d rrn_differs", other.STAN),
		fmt.Sprintf("%d not_standing", missing.STAN), fmt.Sprintf("%d missing_from_terminal", void.STAN),
		fmt.Sprintf("%d not_standing", declined.STAN), "999 unknown_to_host",
	}
	if !slices.Equal(differing, want) {
		t.Fatalf("differences\n%s, want\n%s", strings.Join(differing, "\n"), strings.Join(want, "\n"))
	}
	if first := closed.Differing[0]; *first.TerminalMinor != 20_01 || *first.HostMinor != 20_00 {
		t.Fatalf("difference %+v", first)
	}
	// The host's records win.
	if want := (switching.Totals{SaleCount: 3, SaleMinor: 70_00, VoidCount: 1, VoidMinor: 40_00}); closed.Totals != want ||
		closed.ClosedBy != switching.ClosedByTrailer {
		t.Fatalf("closed with %+v by %s", closed.Totals, closed.ClosedBy)
	}
	w.wantAvailable(10_00 + 20_00 + 1_00)
	w.wantExceptions("batch_out_of_balance", 1)

	w.clock.advance(time.Second)
	w.sameAnswer(answer, w.do(switching.Approved, copyOf(end)))
	w.sameAnswer(answer, w.do(switching.Approved, w.settlement(1, net(9, 99_99), trailer)))
	w.sameAnswer(answer, w.do(switching.Approved, w.settlement(1, nil, trailer)))
	w.sameAnswer(shown, w.do(switching.Approved, copyOf(match))) // late
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, stan(matching.STAN)))
	w.do(switching.Approved, w.settlement(2, net(1, 1_00)))
}

func (w *world) wantExceptions(kind string, n int) {
	w.t.Helper()
	var found int
	w.must(w.pool.QueryRow(context.Background(), `SELECT count(*) FROM exceptions WHERE kind = $1`, kind).Scan(&found))
	if found != n {
		w.t.Fatalf("%d exceptions of kind %s, want %d", found, kind, n)
	}
}

func (w *world) close(tid string, next int32) error {
	_, err := switching.CloseBatch(context.Background(), w.pool, w.clock.Now(),
		switching.BatchClosing{TID: tid, Who: "ann", Why: "terminal lost", Next: next})
	return err
}

func TestRepeatsAcrossARollover(t *testing.T) {
	t.Run("closed by the host", func(t *testing.T) {
		w := newWorld(t)
		sale, reversed := w.request(switching.KindSale, 10_00), w.request(switching.KindSale, 20_00)
		first := w.do(switching.Approved, sale)
		w.do(switching.Approved, reversed)
		// This reversal is here before its original.
		w.do(switching.Approved, w.request(switching.KindReversal, 3_00, stan(500)))
		w.must(w.close(till, 0))
		w.clock.advance(5 * time.Minute)
		w.sameAnswer(first, w.do(switching.Approved, copyOf(sale)))
		w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(reversed.STAN)))
		w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(reversed.STAN)))
		w.wantAvailable(10_00)
		w.do(switching.ReversedBefore, w.request(switching.KindSale, 3_00, stan(500)))
		// Other content is another transaction.
		other := w.do(switching.Approved, w.request(switching.KindSale, 10_01, stan(sale.STAN)))
		if other.RRN == first.RRN {
			t.Fatal("another amount was taken for a repeat")
		}
		w.wantAvailable(20_01)
	})
	t.Run("too late", func(t *testing.T) {
		w := newWorld(t)
		sale := w.request(switching.KindSale, 10_00)
		w.do(switching.Approved, sale)
		w.must(w.close(till, 0))
		w.clock.advance(15 * time.Minute)
		if w.do(switching.Approved, copyOf(sale)).Stored {
			t.Fatal("a repeat after 15 minutes")
		}
		w.wantAvailable(20_00)
	})
	t.Run("settled by the terminal", func(t *testing.T) {
		w := newWorld(t)
		sale, advice := w.request(switching.KindSale, 10_00), w.request(switching.KindAdvice, 20_00)
		sold, advised := w.do(switching.Approved, sale), w.do(switching.Approved, advice)
		w.do(switching.Approved, w.settlement(1, net(2, 30_00)))
		w.clock.advance(time.Minute)
		// Marked, and what terminals count before they are answered.
		w.sameAnswer(sold, w.do(switching.Approved, copyOf(sale, func(r *switching.Request) { r.Repeat = true })))
		w.sameAnswer(advised, w.do(switching.Approved, copyOf(advice)))
		w.wantAvailable(30_00)
		// A reversal means this batch's transaction, which did not come.
		w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN)))
		w.wantAvailable(30_00)
		// Unless it was not the terminal that settled.
		w.wantExceptions("reversal_after_settlement", 1)
		w.clock.advance(14 * time.Minute)
		w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(advice.STAN)))
		w.wantExceptions("reversal_after_settlement", 1)
	})
	t.Run("missing from the upload", func(t *testing.T) {
		w := newWorld(t)
		shown, lost := w.request(switching.KindSale, 10_00), w.request(switching.KindSale, 20_00)
		w.do(switching.Approved, shown)
		answer := w.do(switching.Approved, lost)
		w.do(switching.BatchOutOfBalance, w.settlement(1, net(1, 10_00)))
		w.do(switching.Approved, w.upload(shown))
		w.do(switching.Approved, w.settlement(1, net(1, 10_00), trailer))
		w.clock.advance(time.Minute)
		w.sameAnswer(answer, w.do(switching.Approved, copyOf(lost)))
		if w.do(switching.Approved, copyOf(shown)).Stored {
			t.Fatal("what the terminal knows of was repeated to it")
		}
		w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(lost.STAN)))
		w.wantAvailable(20_00)
	})
	t.Run("settled after the host", func(t *testing.T) {
		w := newWorld(t)
		sale := w.request(switching.KindSale, 10_00)
		w.do(switching.Approved, sale)
		w.must(w.close(till, 0))
		settle := w.settlement(1, net(1, 10_00))
		answer := w.do(switching.Approved, settle)
		w.clock.advance(time.Minute)
		w.sameAnswer(answer, w.do(switching.Approved, w.settlement(1, net(1, 10_00))))
		if w.do(switching.Approved, copyOf(sale)).Stored {
			t.Fatal("its STANs begin anew, now that it has settled")
		}
	})
	t.Run("disagrees after the host", func(t *testing.T) {
		w := newWorld(t)
		sale := w.request(switching.KindSale, 10_00)
		w.do(switching.Approved, sale)
		w.must(w.close(till, 0))
		w.do(switching.BatchOutOfBalance, w.settlement(1, net(2, 10_00)))
		w.do(switching.Approved, w.upload(sale))
		if n := w.batch(1).Differences; n != 0 {
			t.Fatalf("%d differences", n)
		}
		w.do(switching.Approved, w.settlement(1, net(2, 10_00), trailer))
		w.wantExceptions("batch_out_of_balance", 1)
		if n := w.current().BatchNo; n != 2 {
			t.Fatalf("current batch %d", n)
		}
	})
}

func TestVoidOfAClosedBatch(t *testing.T) {
	for name, c := range map[string]struct {
		policy string
		want   string
	}{
		"settled by date":  {"settled_by_batch = false", "void R16"},
		"settled by batch": {"settled_by_batch = true", "refund R29"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.policy(c.policy)
			sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
			open := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
			if v := w.do(switching.Approved, w.request(switching.KindCancel, 0, of(open))); v.Became != switching.KindVoid {
				t.Fatalf("cancel in the open batch became %s", v.Became)
			}
			w.do(switching.Approved, w.settlement(1, net(1, 10_00)))
			cancelled := w.do(switching.Approved, w.request(switching.KindCancel, 0, of(sale)))
			if got := cancelled.Became.String() + " " + cancelled.Rule.String(); got != c.want {
				t.Fatalf("cancel after the batch became %s, want %s", got, c.want)
			}
			w.wantAvailable(0)
			// The closed batch keeps its totals, and this one has the void or refund.
			if got := w.batch(1).Totals; got != (switching.Totals{SaleCount: 2, SaleMinor: 30_00, VoidCount: 1, VoidMinor: 20_00}) {
				t.Fatalf("closed batch: %+v", got)
			}
			w.do(switching.Approved, w.settlement(2, split(0, 0, 1, 10_00)))
		})
	}
}

func TestReinstatedSaleInTotals(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 30_00)
	sold := w.do(switching.Approved, sale)
	w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(sale.STAN), func(r *switching.Request) {
		r.ReplacementMinor, r.HasReplacement = 20_00, true
	}))
	void := w.request(switching.KindVoid, 20_00, of(sold))
	w.do(switching.Approved, void)
	if got := w.current().Totals; got != (switching.Totals{SaleCount: 1, SaleMinor: 20_00, VoidCount: 1, VoidMinor: 20_00}) {
		t.Fatalf("voided: %+v", got)
	}
	w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(void.STAN)))
	if got := w.current().Totals; got != (switching.Totals{SaleCount: 1, SaleMinor: 20_00}) {
		t.Fatalf("reinstated: %+v", got)
	}
	w.do(switching.Approved, w.settlement(1, net(1, 20_00)))
}

// TestReversalOfAVoidedSaleInTotals: nothing stands of it either way, and both
// stay in the totals.
func TestReversalOfAVoidedSaleInTotals(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 30_00)
	sold := w.do(switching.Approved, sale)
	w.do(switching.Approved, w.request(switching.KindVoid, 30_00, of(sold)))
	w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(sale.STAN)))
	if got := w.current().Totals; got != (switching.Totals{SaleCount: 1, SaleMinor: 30_00, VoidCount: 1, VoidMinor: 30_00}) {
		t.Fatalf("totals %+v", got)
	}
	w.do(switching.Approved, w.settlement(1, net(0, 0)))
}

func TestBatchesCloseAtTheCutoff(t *testing.T) {
	w := newWorld(t)
	w.policy("auto_close_batch = true")
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.Approved, w.request(switching.KindSale, 5_00, at(shop, till2)))
	w.do(switching.InvalidCard, w.request(switching.KindSale, 5_00, at(kiosk, booth), withCard(77)))
	w.clock.set(time.Date(2026, 3, 10, 14, 59, 59, 999_999_999, time.UTC))
	w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.clock.advance(time.Nanosecond) // 23:00 in Shanghai
	// The first request of the new date closes its terminal's batch before it.
	next := w.request(switching.KindSale, 40_00)
	if got := w.do(switching.Approved, next).BusinessDate.String(); got != "2026-03-11" {
		t.Fatalf("business date %s", got)
	}
	closed := w.wantBatch(1, switching.BatchClosed)
	if closed.ClosedBy != switching.ClosedByCutoff || closed.Totals != (switching.Totals{SaleCount: 2, SaleMinor: 30_00}) || closed.Stated != nil {
		t.Fatalf("closed batch: %+v", closed.BatchSummary)
	}
	if now := w.wantBatch(2, switching.BatchOpen); now.Totals != (switching.Totals{SaleCount: 1, SaleMinor: 40_00}) {
		t.Fatalf("current batch: %+v", now.BatchSummary)
	}
	// The silent terminal's batch is closed by the job, the one without totals goes on.
	w.must(w.sw.CloseDueBatches(t.Context()))
	w.must(w.sw.CloseDueBatches(t.Context()))
	w.verify()
	for tid, want := range map[string]int32{till: 2, till2: 2, booth: 1} {
		b, err := switching.ShowBatch(t.Context(), w.pool, tid, 0)
		w.must(err)
		if b.BatchNo != want {
			t.Errorf("terminal %s is in batch %d, want %d", tid, b.BatchNo, want)
		}
	}
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, at(kiosk, booth)))
	// The terminal, which knows of none of this, settles its batch.
	w.do(switching.Approved, w.settlement(1, net(2, 30_00)))
	w.do(switching.Approved, w.settlement(2, net(1, 40_00)))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.verify()
	b, err := switching.ShowBatch(t.Context(), w.pool, booth, 1)
	w.must(err)
	if b.State != switching.BatchClosed || b.Totals.SaleMinor != 1_00 {
		t.Fatalf("booth's batch: %+v", b.BatchSummary)
	}
}

func TestClosingByHand(t *testing.T) {
	w := newWorld(t)
	if err := w.close(till, 0); !errors.Is(err, switching.ErrNoBatch) {
		t.Fatalf("no batch yet: %v", err)
	}
	if err := w.close("99999999", 0); !errors.Is(err, switching.ErrNoBatch) {
		t.Fatalf("no terminal: %v", err)
	}
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.BatchOutOfBalance, w.settlement(0, net(0, 0)))
	if err := w.close(till, 1); !errors.Is(err, switching.ErrBatchNumberUsed) {
		t.Fatalf("used number: %v", err)
	}
	if _, err := switching.CloseBatch(t.Context(), w.pool, w.clock.Now(), switching.BatchClosing{TID: till, Who: "ann"}); err == nil {
		t.Fatal("closed without a reason")
	}
	w.must(w.close(till, 123))
	if b := w.wantBatch(1, switching.BatchClosed); b.ClosedBy != switching.ClosedByPerson || b.Totals.SaleMinor != 10_00 {
		t.Fatalf("closed batch: %+v", b.BatchSummary)
	}
	var detail string
	w.must(w.pool.QueryRow(t.Context(), `SELECT subject || ' ' || detail FROM audit_log WHERE kind = 'batch_closed'`).Scan(&detail))
	if detail != "terminal 10000001 batch 000001 by ann: terminal lost" {
		t.Fatalf("audit log: %s", detail)
	}
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.do(switching.Approved, w.settlement(123, net(1, 1_00)))
	// After 999999 the first number that was never used.
	w.must(w.close(till, 999_999))
	w.do(switching.Approved, w.settlement(999_999, net(0, 0)))
	if n := w.current().BatchNo; n != 2 {
		t.Fatalf("after 999999 came %d", n)
	}
	list, err := switching.ListBatches(t.Context(), w.pool, switching.BatchFilter{TID: till})
	w.must(err)
	var numbers []int32
	for _, b := range list {
		numbers = append(numbers, b.BatchNo)
	}
	if len(numbers) != 5 || numbers[0] != 2 {
		t.Fatalf("batches %v", numbers)
	}
}

// TestSettlementInOneUnit: what comes in one unit of work sees each other.
func TestSettlementInOneUnit(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	// Another transaction holds the batch, so that everything below gathers behind the first request.
	ctx := t.Context()
	holder, err := pgx.Connect(ctx, w.url)
	w.must(err)
	defer func() { w.must(holder.Close(context.WithoutCancel(ctx))) }()
	tx, err := holder.Begin(ctx)
	w.must(err)
	_, err = tx.Exec(ctx, `SELECT FROM batches FOR UPDATE`)
	w.must(err)
	sale := w.request(switching.KindSale, 20_00)
	upload := w.upload(sale)
	steps := []struct {
		request *switching.Request
		want    switching.Reason
	}{
		{w.request(switching.KindSale, 2_00), switching.Approved}, // goes alone
		{sale, switching.Approved},
		{w.request(switching.KindReversal, 20_00, stan(sale.STAN)), switching.Approved},
		{w.settlement(1, net(2, 3_00)), switching.Approved},
		{w.settlement(1, net(2, 3_00)), switching.Approved}, // answered before
		{w.request(switching.KindSale, 5_00, stan(sale.STAN)), switching.Approved},
		{w.settlement(2, net(1, 5_01)), switching.BatchOutOfBalance},
		{w.request(switching.KindSale, 1_00), switching.BatchInUpload},
		{upload, switching.Approved},
		{w.settlement(2, net(1, 5_01), trailer), switching.Approved},
		{w.request(switching.KindSale, 6_00), switching.Approved},
		{w.settlement(3, net(1, 6_00)), switching.Approved},
	}
	got := make([]switching.Reason, len(steps))
	var answered sync.WaitGroup
	for i := range steps {
		answered.Add(1)
		w.sw.Submit(steps[i].request, func(r switching.Response) {
			got[i] = r.Reason
			answered.Done()
		})
	}
	w.must(tx.Rollback(ctx))
	answered.Wait()
	for i := range steps {
		if got[i] != steps[i].want {
			t.Errorf("step %d, %s: %s, want %s", i, steps[i].request.Kind, got[i], steps[i].want)
		}
	}
	w.verify()
	w.wantBatch(4, switching.BatchOpen)
	// The upload shows 20.00 of what is 5.00 with the host.
	if b := w.batch(2); len(b.Differing) != 1 || b.Differing[0].Kind != "amount_differs" || *b.Differing[0].HostMinor != 5_00 {
		t.Errorf("differences %+v", b.Differing)
	}
}

// TestSettlementsRaceSales: batches are closed from two hosts while the same
// terminals sell through both. Every sale is in exactly one batch's totals.
func TestSettlementsRaceSales(t *testing.T) {
	w := newWorld(t)
	hosts := []*switching.Switch{w.sw, w.second()}
	terminals := []string{till, till2}
	const (
		sellers = 6
		sales   = 80
		closes  = 60
	)
	var stans, approved atomic.Int32
	ask := func(sw *switching.Switch, r *switching.Request) switching.Response {
		answered := make(chan switching.Response, 1)
		sw.Submit(r, func(resp switching.Response) { answered <- resp })
		return <-answered
	}
	var running sync.WaitGroup
	for i := range sellers {
		running.Go(func() {
			for n := range sales {
				r := &switching.Request{
					Kind: switching.KindSale, MID: shop, TID: terminals[n%2], Dialect: "nac", STAN: stans.Add(1),
					AmountMinor: 1, HasAmount: true, PAN: cardNumber(i), Expiry: "3012",
				}
				r.Token = token(r.PAN)
				switch got := ask(hosts[(i+n/2)%2], r); got.Reason {
				case switching.Approved:
					approved.Add(1)
				case switching.BatchInUpload:
				default:
					t.Errorf("sale answered %s", got.Reason)
				}
			}
		})
	}
	for i := range 2 {
		running.Go(func() {
			for n := range closes {
				r := &switching.Request{
					Kind: []switching.Kind{switching.KindSettlement, switching.KindTrailer}[n%2],
					MID:  shop, TID: terminals[i], Dialect: "nac", STAN: stans.Add(1), Stated: net(1, int64(n)),
				}
				if got := ask(hosts[(i+n/3)%2], r); got.Reason != switching.Approved && got.Reason != switching.BatchOutOfBalance {
					t.Errorf("%s answered %s", r.Kind, got.Reason)
				}
			}
		})
	}
	running.Wait()
	w.verify()
	list, err := switching.ListBatches(t.Context(), w.pool, switching.BatchFilter{})
	w.must(err)
	var total int32
	closed := 0
	for _, b := range list {
		total += b.Totals.SaleCount
		if b.State == switching.BatchClosed {
			closed++
		}
	}
	if total != approved.Load() || total == 0 {
		t.Errorf("%d sales approved, %d in batches", approved.Load(), total)
	}
	if closed < closes/2 {
		t.Errorf("only %d batches were closed", closed)
	}
	t.Logf("%d sales in %d closed batches", total, closed)
}

// waiting returns when so many of the database's sessions wait for a lock, or
// earlier when done says so.
func (w *world) waiting(sessions int, done func() bool) {
	w.t.Helper()
	c, err := pgx.Connect(w.t.Context(), w.url)
	w.must(err)
	defer func() { w.must(c.Close(context.Background())) }()
	for begun := time.Now(); !done(); {
		if time.Since(begun) > hung {
			w.t.Fatal("nobody waits for the lock")
		}
		var n int
		w.must(c.QueryRow(w.t.Context(), `
			SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n))
		if n >= sessions {
			return
		}
	}
}

func (w *world) hold(query string) pgx.Tx {
	w.t.Helper()
	c, err := pgx.Connect(w.t.Context(), w.url)
	w.must(err)
	w.t.Cleanup(func() { w.must(c.Close(context.Background())) })
	tx, err := c.Begin(w.t.Context())
	w.must(err)
	_, err = tx.Exec(w.t.Context(), query)
	w.must(err)
	return tx
}

// TestMissingIsAsOfTheTrailer: what is voided behind a trailer was missing from
// its batch all the same, also when the two come at once.
func TestMissingIsAsOfTheTrailer(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	held := w.hold(`SELECT FROM card_accounts WHERE card_id = 3 FOR UPDATE`)
	answers := make(chan switching.Response, 3)
	ask := func(r *switching.Request) { w.sw.Submit(r, func(r switching.Response) { answers <- r }) }
	ask(w.request(switching.KindSale, 1_00, withCard(2), at(kiosk, booth))) // holds the lane up until both are there
	w.waiting(1, func() bool { return false })
	ask(w.settlement(1, net(1, 20_01), trailer))
	ask(w.request(switching.KindVoid, 0, of(sale)))
	w.must(held.Rollback(t.Context()))
	for range 3 {
		if r := <-answers; !r.Approved() {
			t.Fatalf("answered %s", r.Reason)
		}
	}
	var kind string
	w.must(w.pool.QueryRow(t.Context(), `SELECT kind FROM batch_differences WHERE terminal_id = 1 AND batch_no = 1`).Scan(&kind))
	if kind != "missing_from_terminal" {
		t.Errorf("the sale is %s", kind)
	}
	w.verify()
}

// TestSettlementWaitsForASaleUnderWay: a sale that has read its batch holds it
// until it is in it.
func TestSettlementWaitsForASaleUnderWay(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, withCard(1)))
	seller, other := w.second(), w.second() // which wait for locks as long as it takes
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	sold, settled := make(chan switching.Response, 1), make(chan switching.Response, 1)
	seller.Submit(w.request(switching.KindSale, 2_00), func(r switching.Response) { sold <- r })
	w.waiting(1, func() bool { return len(sold) > 0 })
	other.Submit(w.settlement(1, net(2, 3_00)), func(r switching.Response) { settled <- r })
	w.waiting(2, func() bool { return len(settled) > 0 })
	w.must(card.Rollback(t.Context()))
	if r := <-sold; r.Reason != switching.Approved {
		t.Errorf("sale answered %s", r.Reason)
	}
	if r := <-settled; r.Reason != switching.Approved {
		t.Errorf("settlement answered %s", r.Reason)
	}
	w.verify()
	w.wantBatch(1, switching.BatchClosed)
}

// TestSaleWaitsForASettlementUnderWay: a sale that waits at the gate while its batch
// is closed goes into the next one.
func TestSaleWaitsForASettlementUnderWay(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	closing := w.hold(`SELECT gate FROM buckets FOR NO KEY UPDATE`)
	sold := make(chan switching.Response, 1)
	w.sw.Submit(w.request(switching.KindSale, 2_00), func(r switching.Response) { sold <- r })
	w.waiting(1, func() bool { return len(sold) > 0 })
	for _, query := range []string{
		`UPDATE batches SET state = 5, closed_at = opened_at, closed_date = opened_date, closed_by = 1, sale_count = 1, sale_minor = 100,
			void_count = 0, void_minor = 0, refund_count = 0, refund_minor = 0`,
		`INSERT INTO batches (bucket, terminal_id, batch_no, opened_at, opened_date, previous_no) SELECT bucket, terminal_id, 2, opened_at, opened_date, 1 FROM batches`,
	} {
		_, err := closing.Exec(t.Context(), query)
		w.must(err)
	}
	w.must(closing.Commit(t.Context()))
	if r := <-sold; r.Reason != switching.Approved {
		t.Errorf("sale answered %s", r.Reason)
	}
	w.verify()
	if b := w.wantBatch(2, switching.BatchOpen); b.Totals != (switching.Totals{SaleCount: 1, SaleMinor: 2_00}) {
		t.Errorf("next batch: %+v", b.Totals)
	}
}

func TestVerifyFindsWrongBatches(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.Approved, w.settlement(1, net(1, 10_00)))
	for name, c := range map[string]struct{ breaks, mends, check string }{
		"totals": {
			`UPDATE batches SET sale_minor = 1001 WHERE batch_no = 1`, `UPDATE batches SET sale_minor = 1000 WHERE batch_no = 1`,
			"a closed batch's totals equal its transactions",
		},
		"no current batch": {
			`UPDATE batches SET state = 5 WHERE batch_no = 2`, `UPDATE batches SET state = 1 WHERE batch_no = 2`,
			"a terminal has one current batch",
		},
		"a transaction without": {
			`UPDATE transactions SET batch_no = 77 WHERE kind = 20; UPDATE idempotency_keys SET batch_no = 77 WHERE class = 4`,
			`UPDATE transactions SET batch_no = 1 WHERE kind = 20; UPDATE idempotency_keys SET batch_no = 1 WHERE class = 4`,
			"transactions are in a batch",
		},
	} {
		w.sql(c.breaks)
		v, err := switching.Verify(t.Context(), w.pool)
		w.must(err)
		if len(v.Findings) != 1 || v.Findings[0].Check != c.check {
			t.Errorf("%s: findings %+v", name, v.Findings)
		}
		w.sql(c.mends)
		w.verify()
	}
}

func TestAnotherBatchThanTheCurrentOne(t *testing.T) {
	w := newWorld(t)
	inBatch := func(n int32) func(*switching.Request) { return func(r *switching.Request) { r.BatchNo = n } }
	sale := w.request(switching.KindSale, 10_00, inBatch(1))
	first := w.do(switching.Approved, sale)
	w.do(switching.NotCurrentBatch, w.request(switching.KindSale, 10_00, inBatch(2)))
	w.do(switching.Approved, w.settlement(1, net(1, 10_00)))
	w.do(switching.NotCurrentBatch, w.request(switching.KindSale, 10_00, inBatch(1)))
	w.sameAnswer(first, w.do(switching.Approved, copyOf(sale))) // a repeat names its own batch
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN), inBatch(1)))
	w.wantAvailable(0)
	// What is reversed after the close stays in the totals that were closed.
	if got := w.batch(1).Totals; got != (switching.Totals{SaleCount: 1, SaleMinor: 10_00}) {
		t.Fatalf("totals %+v", got)
	}
}

// A reversal has the key of its original, which may be in the batch before; it is
// shown in its own, by the batch and by a search.
func TestTransactionsOfABatch(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	kept := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.do(switching.Approved, w.request(switching.KindVoid, 20_00, of(kept)))
	w.do(switching.Approved, w.request(switching.KindReversal, 3_00, stan(500))) // whose original never comes
	first := w.current().BatchNo
	w.do(switching.Approved, w.settlement(0, net(1, 10_00)))
	w.do(switching.Approved, w.request(switching.KindSale, 30_00))
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN), func(r *switching.Request) { r.BatchNo = first }))
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN), func(r *switching.Request) { r.BatchNo = first })) // a repeat
	second := w.current().BatchNo
	for _, c := range []struct {
		asked switching.TransactionSearch
		want  int
	}{
		{switching.TransactionSearch{TID: till}, 7},
		{switching.TransactionSearch{TID: till, STAN: sale.STAN, HasSTAN: true}, 2},
		{switching.TransactionSearch{TID: till, STAN: 500, HasSTAN: true}, 1},
		{switching.TransactionSearch{TID: till, STAN: 501, HasSTAN: true}, 0},
		{switching.TransactionSearch{TID: "99999999"}, 0},
	} {
		page, err := switching.SearchTransactions(t.Context(), w.pool, c.asked)
		w.must(err)
		if len(page.Found) != c.want {
			t.Errorf("found %d with %+v, want %d", len(page.Found), c.asked, c.want)
		}
	}
	const sold, voided, reversed = switching.KindSale, switching.KindVoid, switching.KindReversal
	for number, want := range map[int32][]switching.Kind{
		first:      {sold, sold, voided, reversed, switching.KindSettlement},
		second:     {sold, reversed},
		second + 1: nil,
	} {
		page, err := switching.SearchTransactions(t.Context(), w.pool, switching.TransactionSearch{TID: till, BatchNo: number})
		w.must(err)
		var found, listed []switching.Kind
		for _, f := range page.Found {
			found = append(found, f.Asked)
		}
		if slices.Reverse(found); !slices.Equal(found, want) {
			t.Errorf("batch %d: found %v, want %v", number, found, want)
		}
		if number > second {
			continue
		}
		for _, one := range w.batch(number).Transactions {
			listed = append(listed, one.Kind)
		}
		if len(listed) != len(want) {
			t.Errorf("batch %d: listed %v, want %v", number, listed, want)
		}
	}
}
