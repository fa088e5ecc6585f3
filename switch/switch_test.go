package switching_test

import (
	"testing"
	"time"

	"meridian/switch"
)

func TestSaleMovesMoneyOnce(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 12_34)
	first := w.do(switching.Approved, sale)
	w.wantAvailable(12_34)
	if first.RRN == 0 || len(first.AuthCode) != 6 || first.BusinessDate.String() != "2026-03-10" {
		t.Fatalf("incomplete answer %+v", first)
	}
	again := *sale
	again.Repeat = true
	second := w.do(switching.Approved, &again)
	w.wantAvailable(12_34)
	if second.RRN != first.RRN || second.AuthCode != first.AuthCode || !second.AcceptedAt.Equal(first.AcceptedAt) || !second.Stored {
		t.Fatalf("repeat answered %+v, first %+v", second, first)
	}
	other := *sale
	other.AmountMinor = 99_99
	w.do(switching.RepeatDiffers, &other)
	w.wantAvailable(12_34)
}

func TestLifeOfAnAuthorization(t *testing.T) {
	w := newWorld(t)
	auth := w.do(switching.Approved, w.request(switching.KindAuthorization, 100_00))
	w.wantAvailable(100_00)
	w.do(switching.ExceedsAmountLimit, w.request(switching.KindCompletion, 115_01, of(auth)))
	done := w.do(switching.Approved, w.request(switching.KindCompletion, 85_00, of(auth)))
	w.wantAvailable(85_00)
	w.do(switching.InvalidTransaction, w.request(switching.KindCompletion, 1_00, of(auth)))
	w.do(switching.InvalidTransaction, w.request(switching.KindVoid, 0, of(auth)))

	void := w.do(switching.Approved, w.request(switching.KindVoid, 85_00, of(done)))
	if void.Became != switching.KindVoid || void.Rule.String() != "R30" {
		t.Fatalf("void of a completion: %s %s", void.Became, void.Rule)
	}
	w.wantAvailable(100_00) // the hold is back
	w.do(switching.Approved, w.request(switching.KindCompletion, 115_00, of(auth)))
	w.wantAvailable(115_00)
}

func TestVoidBeforeAndRefundAfterTheCutoff(t *testing.T) {
	w := newWorld(t)
	early := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	late := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	void := w.do(switching.Approved, w.request(switching.KindCancel, 0, of(early)))
	if void.Became != switching.KindVoid || void.Rule.String() != "R16" {
		t.Fatalf("cancel before the cutoff became %s by %s", void.Became, void.Rule)
	}
	w.wantAvailable(20_00)
	again := w.do(switching.InvalidTransaction, w.request(switching.KindCancel, 0, of(early)))
	if again.Rule.String() != "R13" {
		t.Fatalf("second cancel: rule %s", again.Rule)
	}

	w.clock.set(time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)) // 23:00 in Shanghai, to the nanosecond
	refund := w.do(switching.Approved, w.request(switching.KindCancel, 5_00, of(late)))
	if refund.Became != switching.KindRefund || refund.Rule.String() != "R29" || refund.BusinessDate.String() != "2026-03-11" {
		t.Fatalf("cancel at the cutoff became %s by %s on %s", refund.Became, refund.Rule, refund.BusinessDate)
	}
	w.wantAvailable(15_00)
	over := w.do(switching.ExceedsAmountLimit, w.request(switching.KindRefund, 15_01, of(late)))
	if over.Rule.String() != "R24" {
		t.Fatalf("over-refund: rule %s", over.Rule)
	}
	w.do(switching.Approved, w.request(switching.KindRefund, 15_00, of(late)))
	w.wantAvailable(0)
}

func TestReversals(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN)))
	w.wantAvailable(0)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN)))
	w.wantAvailable(0)

	// Before its original: the late original is declined and not posted.
	w.do(switching.Approved, w.request(switching.KindReversal, 7_00, stan(500)))
	w.do(switching.ReversedBefore, w.request(switching.KindSale, 7_00, stan(500)))
	w.do(switching.ReversedBefore, w.request(switching.KindSale, 7_00, stan(500)))
	w.wantAvailable(0)

	partial := w.request(switching.KindSale, 30_00)
	sold := w.do(switching.Approved, partial)
	w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(partial.STAN), func(r *switching.Request) {
		r.ReplacementMinor, r.HasReplacement = 20_00, true
	}))
	w.wantAvailable(20_00)

	void := w.request(switching.KindVoid, 20_00, of(sold))
	w.do(switching.Approved, void)
	w.wantAvailable(0)
	w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(void.STAN)))
	w.wantAvailable(20_00)
}

func TestInspection(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	void := w.do(switching.Approved, w.request(switching.KindVoid, 10_00, of(sale)))
	found, err := switching.FindByRRN(t.Context(), w.pool, sale.RRN)
	w.must(err)
	if len(found) != 1 || found[0].State != switching.StateVoided || len(found[0].Transfers) != 1 ||
		found[0].Transfers[0].Debit != "card:1" || len(found[0].ReferredToByRRNs) != 1 {
		t.Fatalf("sale: %+v", found)
	}
	found, err = switching.FindByRRN(t.Context(), w.pool, void.RRN)
	w.must(err)
	if len(found) != 1 || found[0].Rule != 16 || found[0].Decision == nil || found[0].OriginalID.String() == "" {
		t.Fatalf("void: %+v", found)
	}
	list, err := switching.ListTransactions(t.Context(), w.pool, switching.TransactionFilter{TID: till})
	w.must(err)
	if len(list) != 2 || list[0].Kind != switching.KindVoid {
		t.Fatalf("list: %+v", list)
	}
}

// TestAnswersShowTheMerchantsTime: first answers and repeats, of what is stored
// and of what is not.
func TestAnswersShowTheMerchantsTime(t *testing.T) {
	w := newWorld(t)
	w.clock.set(time.Date(2026, 3, 10, 20, 30, 0, 0, time.UTC))
	sale := w.request(switching.KindSale, 1_00)
	again := *sale
	for name, r := range map[string]*switching.Request{
		"sale": sale, "repeat": &again, "logon": w.request(switching.KindLogon, 0), "declined": w.request(switching.KindSale, 50_000_00),
	} {
		if got := w.ask(r).AcceptedAt.Format("0102 15:04 -07:00"); got != "0311 04:30 +08:00" {
			t.Errorf("%s: answered at %s, want Shanghai's time", name, got)
		}
	}
}
