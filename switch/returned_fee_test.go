package switching_test

import (
	"testing"

	"meridian/switch"
)

func (w *world) wantReturned(date string, minor int64) {
	w.t.Helper()
	if s := w.statement(shop, date); s.DiscountReturnedMinor != minor {
		w.t.Errorf("%s: %d of the discount came back, want %d", date, s.DiscountReturnedMinor, minor)
	}
}

// Cash that was handed out was charged nothing, and returns nothing.
func TestCashbackReturnsNoFee(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, rate_millionths, returns_fee) VALUES (0, 20000, true)`)
	cash := func(minor int64) func(*switching.Request) {
		return func(r *switching.Request) { r.CashbackMinor = minor }
	}
	all := w.do(switching.Approved, w.request(switching.KindSale, 100_00, cash(100_00)))
	part := w.do(switching.Approved, w.request(switching.KindSale, 50_00, cash(20_00)))
	w.toCutoff(0)
	if s := w.statement(shop, "2026-03-10"); s.DiscountMinor != 60 {
		t.Fatalf("a discount of %d, want 2 %% of 30.00", s.DiscountMinor)
	}
	w.do(switching.Approved, w.request(switching.KindRefund, 100_00, of(all)))
	w.do(switching.Approved, w.request(switching.KindRefund, 25_00, of(part)))
	w.toCutoff(1)
	w.wantReturned("2026-03-11", 50)
	w.do(switching.Approved, w.request(switching.KindRefund, 25_00, of(part)))
	w.toCutoff(2)
	w.wantReturned("2026-03-12", 10)
}

// A fee of 10.08 rounded to 10 comes back as 10 with twenty refunds of 84, each
// of which alone would round up: over days, with one undone on another day, and
// one that waited for a review.
func TestManyRefundsReturnTheFeeOnce(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, rate_millionths, returns_fee) VALUES (0, 6000, true)`)
	sold := w.do(switching.Approved, w.request(switching.KindSale, 20*84))
	w.toCutoff(0)
	if s := w.statement(shop, "2026-03-10"); s.DiscountMinor != 10 {
		t.Fatalf("a discount of %d", s.DiscountMinor)
	}
	var last *switching.Request
	for range 6 {
		last = w.request(switching.KindRefund, 84, of(sold))
		w.do(switching.Approved, last)
	}
	w.toCutoff(1)
	w.wantReturned("2026-03-11", 3) // 0.6 % of 5.04 is 3.024
	w.do(switching.Approved, w.request(switching.KindReversal, 84, stan(last.STAN)))
	w.policy("review_threshold_minor = 0")
	waits := w.do(switching.UnderReview, w.request(switching.KindRefund, 84, of(sold)))
	w.policy("review_threshold_minor = NULL")
	w.toCutoff(2)
	w.wantReturned("2026-03-12", 0) // 2.52 rounds to 3 as well
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: waits.RRN, Approve: true, Who: "ann", Why: "due"}))
	for range 14 {
		w.do(switching.Approved, w.request(switching.KindRefund, 84, of(sold)))
	}
	w.toCutoff(3)
	w.wantReturned("2026-03-13", 7)
}

// A late reversal of a part and refunds of the rest return the fee once, on
// dates that are closed late and together.
func TestLateReversalsReturnTheFeeOnce(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, rate_millionths, returns_fee) VALUES (0, 6000, true)`)
	sale := w.request(switching.KindSale, 3*84)
	sold := w.do(switching.Approved, sale)
	w.clock.set(cutoff10) // nobody closes for three days
	w.do(switching.Approved, w.request(switching.KindReversal, 3*84, stan(sale.STAN), func(r *switching.Request) {
		r.ReplacementMinor, r.HasReplacement = 2*84, true
	}))
	for day := 1; day < 3; day++ {
		w.clock.set(cutoff10.AddDate(0, 0, day))
		w.do(switching.Approved, w.request(switching.KindRefund, 84, of(sold)))
	}
	w.toCutoff(3)
	if s := w.statement(shop, "2026-03-10"); s.DiscountMinor != 2 { // 1.512
		t.Fatalf("a discount of %d", s.DiscountMinor)
	}
	w.wantReturned("2026-03-11", 1) // 0.504
	w.wantReturned("2026-03-12", 0) // 1.008
	w.wantReturned("2026-03-13", 1) // 1.512
}
