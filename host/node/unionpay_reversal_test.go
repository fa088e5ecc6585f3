package node

import (
	"testing"

	"meridian/internal/loadgen"
)

// reversalReasons are F39 of a reversal: no answer in time, approved but not
// finished, the answer's MAC was wrong, and anything else.
var reversalReasons = []string{"98", "96", "A0", "06"}

// TestUnionPayReversals: whatever may be reversed is, once, by each reason, and
// nothing of it is left.
func TestUnionPayReversals(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t)
	p := w.signedIn(posTill)
	for _, reason := range reversalReasons {
		sale := p.just("00", p.sale(10_00, p.pinOf(pay(everyday))))
		w.spent(everyday, 10_00)
		reversal := p.twice("00", p.Reversal(sale.request, reason))
		w.spent(everyday, 0)
		if got := w.inspect(reversal.rrn()).Remark; got == "" || got[:2] != reason {
			t.Fatalf("a reversal for %s is remembered as %q", reason, got)
		}
	}
	hold := p.just("00", p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(20_00)))
	for _, c := range []struct {
		name           string
		what           func() *told
		before, during int64 // what is spent or held
	}{
		{"a void", func() *told { return p.just("00", p.about(loadgen.SaleVoid, of(p.just("00", p.sale(5_00))), 5_00)) }, 25_00, 20_00},
		{"a void of a hold", func() *told { return p.just("00", p.about(loadgen.PreauthVoid, holdOf(hold), 20_00)) }, 25_00, 5_00},
		{"a completion", func() *told { return p.just("00", p.about(loadgen.Completion, holdOf(hold), 15_00)) }, 25_00, 20_00},
		{"a void of a completion", func() *told {
			done := p.just("00", p.about(loadgen.Completion, holdOf(hold), 15_00))
			return p.just("00", p.about(loadgen.CompletionVoid, of(done), 15_00))
		}, 20_00, 25_00},
		{"a hold", func() *told {
			return p.just("00", p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(7_00)))
		}, 20_00, 27_00},
	} {
		done := c.what()
		w.spent(everyday, c.during)
		p.twice("00", p.Reversal(done.request, "98"))
		if got := opened - w.available(everyday); got != c.before {
			t.Fatalf("after the reversal of %s %d are spent, want %d", c.name, got, c.before)
		}
	}
}

// TestUnionPayReversalsThatAreNone: before its original, of nothing, of another
// amount, and of what is repeated and never reversed.
func TestUnionPayReversalsThatAreNone(t *testing.T) {
	t.Parallel()
	w := newTownWith(t, (*town).seedUnionPay, unionPayListener(), profiled("posp"))
	p := w.signedIn(posTill)

	// It comes first, or of nothing at all: the late original moves nothing. Hosts
	// differ in the answer, which ends the terminal's attempts in either case.
	for _, host := range []struct{ listener, code string }{{"unionpay-posp", "00"}, {"unionpay", "25"}} {
		ctx, cancel := w.patiently()
		w.must(p.Connect(ctx, w.node.Addresses()[host.listener]))
		cancel()
		late := p.sale(10_00)
		p.twice(host.code, p.Reversal(late, "98"))
		p.do("12", late)
		w.spent(everyday, 0)
	}

	sale := p.do("00", p.sale(10_00))
	p.do("64", p.Reversal(p.just("00", p.sale(10_00)).request.But(4, "000000000999"), "98"))
	p.do("14", p.Reversal(p.just("00", p.sale(10_00)).request.But(35, pay(second).Track2), "98"))
	w.spent(everyday, 30_00)

	// What is repeated until it is answered. 12 ends a terminal's attempts.
	offline := p.do("00", p.Request(loadgen.OfflineSale, pay(everyday).Keyed(), loadgen.Amount(5_00)))
	balance := p.do("00", p.Request(loadgen.Inquiry, pay(everyday).Swiped()))
	tip := p.do("00", p.about(loadgen.Tip, of(sale), 11_00))
	hold := p.do("00", p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(20_00)))
	advice := p.do("00", p.about(loadgen.CompletionAdvice, holdOf(hold), 20_00))
	for _, other := range []*told{offline, balance, tip, advice} {
		p.do("12", p.Reversal(other.request, "98"))
	}
	w.spent(everyday, 56_00)

	// Its original is settled: the money goes back on today's date, and people see it.
	settled := p.do("00", p.sale(10_00))
	w.settled()
	refund := p.do("00", p.about(loadgen.Refund, of(offline), 5_00, map[int]string{63: "CUP"}))
	p.do("12", p.Reversal(refund.request, "98"))
	w.spent(everyday, 61_00)
	p.twice("00", p.Reversal(settled.request, "98"))
	w.spent(everyday, 51_00)
	if n := one[int](w, `SELECT count(*) FROM exceptions WHERE kind = 'reversal_after_cutoff'`); n != 1 {
		t.Fatalf("%d exceptions about a late reversal", n)
	}
}
