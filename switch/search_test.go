package switching_test

import (
	"slices"
	"testing"
	"time"

	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

// found are the RRNs of a search's pages, read to the end in pages of two.
func (w *world) found(s switching.TransactionSearch) []string {
	w.t.Helper()
	var rrns []string
	for s.Limit = 2; ; {
		page, err := switching.SearchTransactions(w.t.Context(), w.pool, s)
		w.must(err)
		for _, f := range page.Found {
			rrns = append(rrns, f.RRN)
		}
		if page.Next == nil {
			return rrns
		}
		if s.After, err = switching.ParseTransactionPlace(page.Next.String()); err != nil || len(page.Found) != 2 {
			w.t.Fatalf("%d on a page before another, %v", len(page.Found), err)
		}
	}
}

func TestSearchTransactions(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 12_34))
	other := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	void := w.do(switching.Approved, w.request(switching.KindCancel, 0, of(sale)))
	declined := w.do(switching.InsufficientFunds, w.request(switching.KindSale, opened+1))
	w.clock.advance(24 * time.Hour)
	next := w.do(switching.Approved, w.request(switching.KindSale, 12_34))
	stan := w.stan

	rrn := func(responses ...switching.Response) []string {
		var list []string
		for _, r := range responses {
			found, err := switching.FindByRRN(t.Context(), w.pool, r.RRN)
			w.must(err)
			list = append(list, found[0].RRN)
		}
		return list
	}
	masked := cardNumber(0)
	day := func(text string) ledger.Date {
		d, err := ledger.ParseDate(text)
		w.must(err)
		return d
	}
	for name, c := range map[string]struct {
		search switching.TransactionSearch
		want   []string
	}{
		"all":              {switching.TransactionSearch{}, rrn(next, declined, void, other, sale)},
		"RRN":              {switching.TransactionSearch{RRN: void.RRN}, rrn(void)},
		"no RRN":           {switching.TransactionSearch{RRN: 1}, nil},
		"merchant":         {switching.TransactionSearch{MID: shop}, rrn(next, declined, void, other, sale)},
		"other merchant":   {switching.TransactionSearch{MID: kiosk}, nil},
		"nobody":           {switching.TransactionSearch{MID: "x"}, nil},
		"terminal":         {switching.TransactionSearch{TID: till}, rrn(next, declined, void, other, sale)},
		"other terminal":   {switching.TransactionSearch{TID: till2}, nil},
		"STAN":             {switching.TransactionSearch{STAN: stan, HasSTAN: true}, rrn(next)},
		"amount":           {switching.TransactionSearch{Amounts: []money.Amount{{Minor: 12_34, Currency: money.CNY}}}, rrn(next, void, sale)},
		"amount elsewhere": {switching.TransactionSearch{Amounts: []money.Amount{{Minor: 12_34, Currency: money.EUR}}}, nil},
		"no amount":        {switching.TransactionSearch{Amounts: []money.Amount{}}, nil},
		"card":             {switching.TransactionSearch{CardFirst: masked.Reveal()[:6], CardLast: masked.Last4()}, rrn(next, declined, void, other, sale)},
		"other card":       {switching.TransactionSearch{CardLast: cardNumber(1).Last4()}, nil},
		"kind":             {switching.TransactionSearch{Kind: switching.KindVoid}, rrn(void)},
		"state":            {switching.TransactionSearch{State: switching.StateVoided}, rrn(sale)},
		"first date":       {switching.TransactionSearch{To: day("2026-03-10")}, rrn(declined, void, other, sale)},
		"second date":      {switching.TransactionSearch{From: day("2026-03-11"), To: day("2026-03-11")}, rrn(next)},
		"batch":            {switching.TransactionSearch{BatchNo: 999}, nil},
	} {
		if got := w.found(c.search); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for _, text := range []string{"", "2026-03-10", "x.y", "2026-03-10.z"} {
		if _, err := switching.ParseTransactionPlace(text); err == nil {
			t.Errorf("%q is a place", text)
		}
	}
}
