package switching_test

import (
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// adjusts changes what a sale at the till comes to.
func (w *world) adjusts(sale *switching.Request, totalMinor int64, change ...func(*switching.Request)) *switching.Request {
	return w.request(switching.KindAdjustment, totalMinor, append([]func(*switching.Request){func(r *switching.Request) {
		r.PAN, r.Token = sale.PAN, sale.Token
		r.Original = switching.Reference{STAN: sale.STAN, HasSTAN: true, BatchNo: 1, Kind: switching.KindSale, Exact: true}
	}}, change...)...)
}

func TestAdjustment(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 100_00)
	sold := w.do(switching.Approved, sale)
	tipped := w.adjusts(sale, 110_00, func(r *switching.Request) { r.TipMinor, r.Remark = 10_00, "tip 1000 minor units" })
	first := w.do(switching.Approved, tipped)
	w.wantAvailable(110_00)
	w.sameAnswer(first, w.do(switching.Approved, copyOf(tipped)))
	w.do(switching.RepeatDiffers, copyOf(tipped, func(r *switching.Request) { r.TipMinor = 9_00 }))
	w.wantAvailable(110_00)
	list, err := switching.FindByRRN(t.Context(), w.pool, first.RRN)
	w.must(err)
	if got := list[0]; got.Kind != switching.KindAdjustment || got.PreviousMinor != 100_00 || got.AmountMinor != 110_00 ||
		got.Remark != "tip 1000 minor units" || len(got.Transfers) != 1 || got.Transfers[0].Kind != "amount_change" {
		t.Errorf("recorded %+v", got)
	}
	// Down, below the first amount; nothing; and up again: each counts from the sale.
	w.do(switching.Approved, w.adjusts(sale, 90_00))
	w.do(switching.Approved, w.adjusts(sale, 90_00))
	w.do(switching.Approved, w.adjusts(sale, 115_00))
	w.wantAvailable(115_00)
	w.do(switching.ExceedsAmountLimit, w.adjusts(sale, 115_01))
	// The whole of what it comes to is voided, and not what it came to.
	w.do(switching.AmountMismatch, w.request(switching.KindVoid, 100_00, of(sold)))
	void := w.request(switching.KindVoid, 115_00, of(sold))
	w.do(switching.Approved, void)
	w.wantAvailable(0)
	w.do(switching.InvalidTransaction, w.adjusts(sale, 100_00)) // voided
	w.do(switching.Approved, w.request(switching.KindReversal, 115_00, stan(void.STAN)))
	w.wantAvailable(115_00)
	w.do(switching.Approved, w.adjusts(sale, 100_00))
	if got := w.current().Totals; got != (switching.Totals{SaleCount: 1, SaleMinor: 100_00}) {
		t.Errorf("totals %+v", got)
	}
	// A reversal repairs the sale, which its amount names.
	w.do(switching.Approved, w.adjusts(sale, 101_00))
	w.do(switching.Approved, w.request(switching.KindReversal, 100_00, stan(sale.STAN)))
	w.wantAvailable(0)
	if got := w.current().Totals; got != (switching.Totals{}) {
		t.Errorf("totals %+v", got)
	}
}

func TestAdjustmentRefused(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 100_00, func(r *switching.Request) { r.CashbackMinor = 20_00 })
	sold := w.do(switching.Approved, sale)
	held := w.request(switching.KindAuthorization, 50_00)
	w.do(switching.Approved, held)
	for name, c := range map[string]struct {
		reason switching.Reason
		change func(*switching.Request)
	}{
		"unknown":               {switching.OriginalNotFound, func(r *switching.Request) { r.Original.STAN = 900_000 }},
		"of another batch":      {switching.OriginalNotFound, func(r *switching.Request) { r.Original.BatchNo = 2 }},
		"of another date":       {switching.OriginalNotFound, func(r *switching.Request) { r.Original.Date = "0309" }},
		"of a hold":             {switching.OriginalNotFound, func(r *switching.Request) { r.Original.STAN = held.STAN }},
		"of a hold, loosely":    {switching.InvalidTransaction, func(r *switching.Request) { r.Original.STAN, r.Original.Kind = held.STAN, 0 }},
		"with another card":     {switching.CardMismatch, withCard(1)},
		"in another currency":   {switching.CurrencyMismatch, func(r *switching.Request) { r.Currency = 978 }},
		"to nothing":            {switching.InvalidAmount, func(r *switching.Request) { r.AmountMinor = 0 }},
		"below the cash":        {switching.InvalidAmount, func(r *switching.Request) { r.AmountMinor = 19_99 }},
		"a tip of the whole":    {switching.InvalidAmount, func(r *switching.Request) { r.TipMinor = 105_00 }},
		"above the limit":       {switching.ExceedsAmountLimit, func(r *switching.Request) { r.AmountMinor = 120_00 }},
		"from another merchant": {switching.OriginalNotFound, func(r *switching.Request) { r.MID, r.TID, r.Original = kiosk, booth, reference(sold) }},
		"from another terminal": {switching.WrongTerminal, func(r *switching.Request) { r.TID, r.Original = till2, reference(sold) }},
	} {
		t.Run(name, func(t *testing.T) { w.do(c.reason, w.adjusts(sale, 105_00, c.change)) })
	}
	adjustment := w.adjusts(sale, 105_00)
	adjusted := w.do(switching.Approved, adjustment)
	// An adjustment is neither cancelled nor reversed: another one changes it.
	w.do(switching.InvalidTransaction, w.request(switching.KindVoid, 105_00, of(adjusted)))
	w.do(switching.InvalidTransaction, w.request(switching.KindReversal, 105_00, stan(adjustment.STAN)))
	w.wantAvailable(105_00 + 50_00)
	// When the batch is closed, the amount stays.
	w.do(switching.Approved, w.settlement(0, net(1, 105_00)))
	w.do(switching.NotAllowedNow, w.adjusts(sale, 106_00))
	if got := w.batch(1).Totals; got != (switching.Totals{SaleCount: 1, SaleMinor: 105_00}) {
		t.Errorf("totals %+v", got)
	}
	later := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, later)
	w.clock.set(cutoff10)
	w.do(switching.NotAllowedNow, w.adjusts(later, 11_00, func(r *switching.Request) { r.Original.BatchNo = 2 }))
}

func reference(r switching.Response) switching.Reference {
	return switching.Reference{RRN: r.RRN, HasRRN: true}
}

// The discount is on what the sale comes to in the end, and a refund may reach it.
func TestAdjustmentInTheStatement(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, rate_millionths, fixed_minor, returns_fee) VALUES (1, 20000, 0, true)`)
	up, down, offline := w.request(switching.KindSale, 100_00), w.request(switching.KindSale, 50_00), w.request(switching.KindAdvice, 10_00)
	var raised switching.Response
	for _, r := range []*switching.Request{up, down, offline} {
		got := w.do(switching.Approved, r)
		if r == up {
			raised = got
		}
	}
	w.do(switching.Approved, w.adjusts(up, 110_00))
	w.do(switching.Approved, w.adjusts(down, 40_00))
	w.do(switching.Approved, w.adjusts(offline, 11_00))
	w.clock.set(cutoff10)
	w.cutover()
	w.wantFigures(w.statement(shop, "2026-03-10"), map[string]int64{
		"sale_count": 2, "sale_minor": 150_00, "advice_count": 1, "advice_minor": 10_00,
		"amount_change_count": 3, "amount_change_minor": 1_00, "gross_minor": 161_00,
		"discount_minor": 3_22, "closing_payable_minor": 161_00 - 3_22,
	})
	w.do(switching.ExceedsAmountLimit, w.request(switching.KindRefund, 110_01, of(raised)))
	w.do(switching.Approved, w.request(switching.KindRefund, 110_00, of(raised)))
	w.clock.advance(24 * time.Hour)
	w.cutover()
	s := w.statement(shop, "2026-03-11")
	if s.DiscountReturnedMinor != 2_20 || s.Refunds != (ledger.ClassTotal{Count: 1, Minor: 110_00}) {
		t.Errorf("returned %d, refunds %+v", s.DiscountReturnedMinor, s.Refunds)
	}
}

// What was committed after its terminal had been told of a failure is taken back.
func TestDoubtfulAdjustment(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 100_00)
	w.do(switching.Approved, sale)
	w.do(switching.Approved, w.adjusts(sale, 105_00))
	told, r, _ := w.doubt(func(w *world, _ *switching.Switch) *switching.Request { return w.adjusts(sale, 110_00) })
	if told.Reason != switching.SystemMalfunction {
		t.Fatalf("told %s", told.Reason)
	}
	w.wantAvailable(105_00)
	w.do(switching.SystemMalfunction, copyOf(r)) // and so it stays
	w.do(switching.Approved, w.adjusts(sale, 108_00))
	w.wantAvailable(108_00)
	if got := w.current().Totals; got != (switching.Totals{SaleCount: 1, SaleMinor: 108_00}) {
		t.Errorf("totals %+v", got)
	}
	w.do(switching.Approved, w.settlement(0, net(1, 108_00)))
}

func TestVerifyFindsWrongAdjustments(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 100_00)
	w.do(switching.Approved, sale)
	w.do(switching.Approved, w.adjusts(sale, 110_00))
	for name, c := range map[string]struct{ breaks, mends, check string }{
		"an amount that was not moved": {
			`UPDATE transactions SET previous_minor = 10001 WHERE kind = 17`, `UPDATE transactions SET previous_minor = 10000 WHERE kind = 17`,
			"approved transactions have exactly their transfers",
		},
		"a sale that does not stand for it": {
			`UPDATE transactions SET captured_minor = 10000 WHERE kind = 2`, `UPDATE transactions SET captured_minor = 11000 WHERE kind = 2`,
			"what stands equals what was moved",
		},
		"another merchant's money": {
			`UPDATE transfers SET credit_account = credit_account + 1 WHERE kind = 21`, `UPDATE transfers SET credit_account = credit_account - 1 WHERE kind = 21`,
			"transfers are their transaction's",
		},
	} {
		w.sql(c.breaks)
		found := false
		for _, f := range w.findings() {
			found = found || f.Check == c.check
		}
		if !found {
			t.Errorf("%s: findings %+v", name, w.findings())
		}
		w.sql(c.mends)
		w.verify()
	}
}
