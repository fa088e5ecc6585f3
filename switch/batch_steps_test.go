package switching_test

import (
	"slices"
	"testing"
	"time"

	"meridian/switch"
)

// inSteps is how a terminal that settles in two steps asks: it names its batch.
func inSteps(batchNo int32) func(*switching.Request) {
	return func(r *switching.Request) { r.TwoStep, r.BatchNo = true, batchNo }
}

func gross(debits int32, debitMinor int64, credits int32, creditMinor int64) *switching.StatedTotals {
	return &switching.StatedTotals{
		Form: switching.TotalsGross, SaleCount: debits, SaleMinor: debitMinor, RefundCount: credits, RefundMinor: creditMinor,
	}
}

// compares states totals in the first step.
func (w *world) compares(batchNo int32, stated *switching.StatedTotals) *switching.Request {
	return w.settlement(batchNo, stated, func(r *switching.Request) { r.TwoStep = true })
}

// ends is the second step.
func (w *world) ends(batchNo int32, change ...func(*switching.Request)) *switching.Request {
	r := w.settlement(batchNo, nil, trailer, func(r *switching.Request) { r.TwoStep = true })
	for _, c := range change {
		c(r)
	}
	return r
}

func afterUpload(r *switching.Request) { r.AfterUpload = true }

func TestTwoStepsBalanced(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, inSteps(1)))
	voided := w.do(switching.Approved, w.request(switching.KindSale, 5_00, inSteps(1)))
	w.do(switching.Approved, w.request(switching.KindVoid, 5_00, inSteps(1), of(voided)))
	// Gross: what was voided is a debit still, and its void a credit.
	w.do(switching.BatchOutOfBalance, w.compares(1, gross(1, 10_00, 0, 0)))
	w.wantBatch(1, switching.BatchSettling)
	compared := w.compares(1, gross(2, 15_00, 1, 5_00))
	first := w.do(switching.Approved, compared)
	w.wantBatch(1, switching.BatchBalanced)
	w.sameAnswer(first, w.do(switching.Approved, copyOf(compared)))
	if got := w.wantBatch(1, switching.BatchBalanced); got.ClosedAt != nil || got.Stated.SaleMinor != 15_00 {
		t.Fatalf("batch %+v", got.BatchSummary)
	}
	end := w.ends(1)
	closed := w.do(switching.Approved, end)
	b := w.wantBatch(1, switching.BatchClosed)
	if b.ClosedBy != switching.ClosedBySettlement || b.Totals != (switching.Totals{SaleCount: 2, SaleMinor: 15_00, VoidCount: 1, VoidMinor: 5_00}) ||
		len(b.Differing) != 0 || *b.Stated != *gross(2, 15_00, 1, 5_00) {
		t.Fatalf("closed batch %+v, differing %v", b.BatchSummary, b.Differing)
	}
	w.wantBatch(2, switching.BatchOpen)
	w.wantExceptions("batch_out_of_balance", 0)

	// The end again, with the same trace number and with another.
	w.sameAnswer(closed, w.do(switching.Approved, copyOf(end)))
	w.sameAnswer(closed, w.do(switching.Approved, w.ends(1)))
	w.wantBatch(2, switching.BatchOpen)
	// Everything else of the batch is over.
	w.do(switching.NotCurrentBatch, w.request(switching.KindSale, 1_00, inSteps(1)))
	w.do(switching.NotCurrentBatch, w.compares(1, gross(2, 15_00, 1, 5_00)))
	w.do(switching.NotCurrentBatch, w.ends(3))
	w.do(switching.NotCurrentBatch, w.ends(999_999))
	// And a batch later, so is its end.
	w.do(switching.Approved, w.ends(2))
	w.do(switching.NotCurrentBatch, w.ends(1))
	w.do(switching.Approved, w.ends(2))
	w.wantBatch(3, switching.BatchOpen)
	w.wantExceptions("batch_without_totals", 0) // nothing was stated of nothing
}

// A terminal that lost the answer to its totals goes on selling: the comparison
// has changed nothing, and the end compares anew.
func TestTwoStepsTakeSalesBetween(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, inSteps(1)))
	w.do(switching.Approved, w.compares(1, gross(1, 10_00, 0, 0)))
	w.do(switching.Approved, w.request(switching.KindSale, 7_00, inSteps(1)))
	w.do(switching.Approved, w.ends(1))
	if b := w.wantBatch(1, switching.BatchClosed); b.ClosedBy != switching.ClosedByTrailer || b.Totals.SaleMinor != 17_00 {
		t.Fatalf("closed batch %+v", b.BatchSummary)
	}
	w.wantExceptions("batch_out_of_balance", 1)

	w.do(switching.Approved, w.request(switching.KindSale, 1_00, inSteps(2)))
	w.do(switching.BatchOutOfBalance, w.compares(2, gross(0, 0, 0, 0)))
	w.do(switching.Approved, w.request(switching.KindSale, 2_00, inSteps(2)))
	w.do(switching.Approved, w.compares(2, gross(2, 3_00, 0, 0)))
	w.do(switching.Approved, w.ends(2))
	w.wantExceptions("batch_out_of_balance", 1)

	w.do(switching.Approved, w.request(switching.KindSale, 1_00, inSteps(3)))
	w.do(switching.Approved, w.ends(3)) // without having stated anything
	w.wantExceptions("batch_without_totals", 1)
	w.wantBatch(4, switching.BatchOpen)
}

func TestTwoStepsUpload(t *testing.T) {
	w := newWorld(t)
	right := w.request(switching.KindSale, 10_00, inSteps(1))
	wrong := w.request(switching.KindSale, 20_00, inSteps(1), withCard(1))
	missing := w.request(switching.KindSale, 30_00, inSteps(1))
	for _, sale := range []*switching.Request{right, wrong, missing} {
		w.do(switching.Approved, sale)
	}
	undone := w.do(switching.Approved, w.request(switching.KindSale, 40_00, inSteps(1)))
	void := w.request(switching.KindVoid, 40_00, inSteps(1), of(undone))
	w.do(switching.Approved, void)
	w.do(switching.BatchOutOfBalance, w.compares(1, gross(3, 31_00, 0, 0)))
	show := func(shown ...switching.ShownTransaction) *switching.Request {
		return w.request(switching.KindUpload, 0, inSteps(1), func(r *switching.Request) {
			r.PAN, r.Token, r.Expiry, r.Shown = switching.Request{}.PAN, [16]byte{}, "", shown
		})
	}
	one := func(sale *switching.Request, minor int64, card int) switching.ShownTransaction {
		return switching.ShownTransaction{
			STAN: sale.STAN, AmountMinor: minor, HasAmount: true, Tokens: [][16]byte{{}, token(cardNumber(card))},
		}
	}
	upload := show(one(right, 10_00, 0), one(wrong, 21_00, 2), switching.ShownTransaction{STAN: 900_000, AmountMinor: 1_00, HasAmount: true})
	first := w.do(switching.Approved, upload)
	w.sameAnswer(first, w.do(switching.Approved, copyOf(upload)))
	w.do(switching.RepeatDiffers, copyOf(upload, func(r *switching.Request) { r.Shown = r.Shown[:1] }))
	w.do(switching.Approved, show(one(void, 40_00, 0)))
	w.do(switching.Approved, show())
	w.do(switching.NotCurrentBatch, w.request(switching.KindUpload, 0, inSteps(2)))
	// Reversals go on: the terminal may have had no answer.
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(right.STAN), inSteps(1)))
	w.do(switching.Approved, w.ends(1, afterUpload))
	b := w.wantBatch(1, switching.BatchClosed)
	var kinds []string
	for _, d := range b.Differing {
		kinds = append(kinds, d.Kind)
	}
	slices.Sort(kinds)
	want := []string{"amount_differs", "card_differs", "missing_from_terminal", "unknown_to_host"}
	if !slices.Equal(kinds, want) || b.ClosedBy != switching.ClosedByTrailer {
		t.Fatalf("closed by %s, differences %v, want %v", b.ClosedBy, kinds, want)
	}
	for _, d := range b.Differing {
		if d.Kind == "missing_from_terminal" && d.STAN != missing.STAN {
			t.Errorf("missing is %d", d.STAN)
		}
	}
	w.wantExceptions("batch_out_of_balance", 1)
}

// What the host has closed meanwhile is over for its terminal too, which is told
// by the end of it, or by whatever else it asks.
func TestTwoStepsClosedByTheHost(t *testing.T) {
	w := newWorld(t)
	w.policy("auto_close_batch = true")
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, inSteps(1)))
	w.do(switching.Approved, w.compares(1, gross(1, 10_00, 0, 0)))
	w.clock.set(cutoff10.Add(time.Hour))
	// The next request finds the batch closed at the cutoff, though it was compared.
	w.do(switching.NotCurrentBatch, w.request(switching.KindSale, 1_00, inSteps(1)))
	if b := w.wantBatch(1, switching.BatchClosed); b.ClosedBy != switching.ClosedByCutoff || b.Stated == nil {
		t.Fatalf("closed batch %+v", b.BatchSummary)
	}
	end := w.ends(1)
	first := w.do(switching.Approved, end)
	w.sameAnswer(first, w.do(switching.Approved, copyOf(end)))
	w.sameAnswer(first, w.do(switching.Approved, w.ends(1)))
	w.wantBatch(2, switching.BatchOpen)
	// The silent one is closed by the job.
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, inSteps(2)))
	w.do(switching.BatchOutOfBalance, w.compares(2, gross(2, 10_00, 0, 0)))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CloseDueBatches(t.Context()))
	w.wantBatch(2, switching.BatchClosed)
	w.verify()
}

// A request that names a batch which has not begun keeps no key of it.
func TestNothingIsKeptOfABatchToCome(t *testing.T) {
	w := newWorld(t)
	early := w.request(switching.KindSale, 10_00, inSteps(2))
	refused := w.do(switching.NotCurrentBatch, early)
	if refused.Demand != switching.DemandSignIn || refused.RRN != 0 {
		t.Errorf("refused with %+v", refused)
	}
	w.do(switching.Approved, w.ends(1))
	w.do(switching.Approved, copyOf(early))
	w.wantAvailable(10_00)
	// To a cancel it is rule 3 of the table.
	if got := w.do(switching.NotCurrentBatch, w.request(switching.KindVoid, 10_00, inSteps(1))); got.Rule != 3 {
		t.Errorf("a void is refused by rule %d", got.Rule)
	}
}

// The batch of the second step is locked against sales like that of the first.
func TestTwoStepsInOneUnit(t *testing.T) {
	w := newWorld(t)
	answers := make(chan switching.Response, 5)
	for _, r := range []*switching.Request{
		w.request(switching.KindSale, 10_00, inSteps(1)),
		w.compares(1, gross(1, 10_00, 0, 0)),
		w.ends(1),
		w.request(switching.KindSale, 20_00, inSteps(2)),
		w.compares(2, gross(1, 20_00, 0, 0)),
	} {
		w.sw.Submit(r, func(r switching.Response) { answers <- r })
	}
	for range 5 {
		if r := <-answers; r.Reason != switching.Approved {
			t.Errorf("answered %s", r.Reason)
		}
	}
	w.verify()
	w.wantBatch(1, switching.BatchClosed)
	w.wantBatch(2, switching.BatchBalanced)
	w.wantExceptions("batch_out_of_balance", 0)
}
