package node

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/switch"
)

// TestDecisionReference are the names that the void-or-refund reference lists,
// one after the other, as terminals see them. Those of its list that need more
// than one town's clock are elsewhere:
//
//	exact-cutoff-instant, 1 ns before/after     TestDecisionInstants
//	DST, leap day, holiday value date           TestDecisionInstants
//	year boundary with F13 MMDD only            TestDecisionAtTheYearsEnd, TestDecisionInstants
//	yesterday's sale before cut-off             TestDecisionAfterMidnight
//	refund on day 180 ok / 181 → 22             TestDecisionRefundWindow
//	operator wrong password, lockout            TestDecisionByPeople
//	void vs cut-off race ×1000, two hosts       TestVoidAgainstCutover in package switching
//	void with old batch → 77                    TestAnotherBatchThanTheCurrentOne there: see notYet
func TestDecisionReference(t *testing.T) {
	eachDecisionTown(t,
		decisionPart{"two voids racing", "", twoVoidsRacing},
		decisionPart{"void vs cut-off race", "", voidAgainstCutoff},
		decisionPart{"void vs reversal race", "", voidAgainstReversal},
		decisionPart{"refund ×N concurrent Σ ≤ amount", "max_refunds = 1000", refundsAtOnce},
		decisionPart{"refund after full refund 61", "", func(s *scene) {
			sale := s.old10()
			s.says(s.x.do("00", "0200", asRefund, refTo(sale)), "REFUND R29")
			s.says(s.x.do("61", "0200", asRefund, refTo(sale)), "DECLINE R24")
			s.says(s.x.do("61", "0200", asRefund, amount(1), refTo(sale)), "DECLINE R24")
		}},
		decisionPart{"partial+partial+overflow", "", func(s *scene) {
			sale := s.old10()
			s.says(s.x.do("00", "0200", asRefund, amount(4_00), refTo(sale)), "REFUND R29")
			s.says(s.x.do("00", "0200", asCancel, amount(5_99), refTo(sale)), "REFUND R29")
			s.says(s.x.do("61", "0200", asRefund, amount(2), refTo(sale)), "DECLINE R24")
			s.says(s.x.do("00", "0200", asRefund, amount(1), refTo(sale)), "REFUND R29")
		}},
		decisionPart{"void after partial refund 12", "", func(s *scene) {
			a := refundedInPartAndOpen(asVoid)(s)
			s.says(a.from.do("12", "0200", a.fields), "DECLINE R19")
		}},
		decisionPart{"void wrong amount 64", "", func(s *scene) {
			s.says(s.x.do("64", "0200", asVoid, amount(10_01), refTo(s.sale(10_00))), "DECLINE R17")
		}},
		decisionPart{"void wrong terminal 22/25", "", func(s *scene) {
			sale := s.sale(10_00)
			s.says(s.y.do("22", "0200", asVoid, refTo(sale)), "DECLINE R9")
			s.says(s.at(annexTill, annex).counting(s.x).do("25", "0200", asVoid, refTo(sale)), "DECLINE R9")
		}},
		decisionPart{"void PAN mismatch 14", "", func(s *scene) {
			s.says(s.x.do("14", "0200", asVoid, typed(second), refTo(s.sale(10_00))), "DECLINE R9")
		}},
		decisionPart{"void of reversed sale 12", "", func(s *scene) {
			sale := s.sale(10_00)
			s.x.do("00", "0400", stan(sale))
			s.says(s.x.do("12", "0200", asVoid, refTo(sale)), "DECLINE R13")
		}},
		decisionPart{"reversal before original then original arrives", "", func(s *scene) {
			available := s.available(everyday)
			f := s.x.fill("0200", typed(everyday).but(amount(10_00)))
			s.x.do("00", "0400", typed(everyday), amount(10_00), fields{11: f[11]})
			late := s.x.transmit("0200", f)
			s.x.expect("12", late)
			if len(s.inspect(late.rrn()).Transfers) != 0 || s.available(everyday) != available {
				s.t.Fatal("the late original was posted")
			}
		}},
		decisionPart{"reversal twice 00/00 one posting", "", func(s *scene) {
			available := s.available(everyday)
			sale := s.sale(10_00)
			reversal := s.x.do("00", "0400", stan(sale))
			s.x.repeat(reversal)
			other := s.x.do("00", "0420", fields{90: sale.originalData()})
			if n := len(s.inspect(reversal.rrn()).Transfers) + len(s.inspect(other.rrn()).Transfers); n != 1 || s.available(everyday) != available {
				s.t.Fatalf("%d postings", n)
			}
		}},
		decisionPart{"reversal unknown 25 + tombstone", "", func(s *scene) {
			x := s.terminal(s.dialect, till2, shop, s.dialect+"-strict")
			x.stan = s.y.stan
			f := x.fill("0200", typed(everyday).but(amount(10_00)))
			x.do("25", "0400", typed(everyday), amount(10_00), fields{11: f[11]})
			x.expect("12", x.transmit("0200", f))
		}},
		decisionPart{"void reversal before cut-off re-instates; after → exception", "", voidReversed},
		decisionPart{"batch rollover", "", batchRollover},
		decisionPart{"0500 balanced/unbalanced, repeat 0500, repeat 0320 idempotent", "", batchSettled},
		decisionPart{"duplicate STAN after batch rollover accepted", "", func(s *scene) {
			x := s.at(freshTill(5), shop)
			first := x.do("00", "0200", amount(10_00), typed(everyday))
			x.settleBatch("00", 1, 10_00)
			again := x.do("00", "0200", amount(10_00), typed(everyday), stan(first))
			if again.rrn() == first.rrn() {
				s.t.Fatal("answered as a repeat")
			}
		}},
		decisionPart{"void count limit", "max_voids_per_day = 2", func(s *scene) {
			s.settled()
			for _, want := range []string{"00", "00", "65"} {
				s.x.do(want, "0200", asVoid, refTo(s.sale(10_00)))
			}
			s.y.do("00", "0200", asVoid, refTo(s.y.do("00", "0200", amount(10_00), typed(everyday)))) // a terminal's own limit
			s.settled()
			s.x.do("00", "0200", asVoid, refTo(s.sale(10_00))) // and a day's
		}},
		decisionPart{"unreferenced refund without permission 58", "", func(s *scene) {
			for _, kind := range []fields{asRefund, asVoid, asCancel} {
				s.says(s.x.do("58", "0200", kind, typed(everyday)), "DECLINE R32")
			}
		}},
	)
}

// old10 is a sale of 10.00 whose date is over.
func (s *scene) old10() *sent {
	s.t.Helper()
	sale := s.sale(10_00)
	s.settled()
	return sale
}

// asked is a message on a line of its own, for a race.
type asked struct {
	x   *terminal
	mti string
	f   fields
}

// race sends all at once and reads what each was answered.
func (s *scene) race(all []asked) []*sent {
	s.t.Helper()
	payloads := make([][]byte, len(all))
	for i, a := range all {
		payloads[i] = a.x.payload(a.mti, a.f)
	}
	got := make([]*sent, len(all))
	start := make(chan struct{})
	var racing sync.WaitGroup
	for i, a := range all {
		racing.Go(func() {
			<-start
			answer, raw, err := a.x.exchangeOrFail(payloads[i])
			if err != nil {
				s.t.Error(err)
				return
			}
			got[i] = &sent{mti: a.mti, fields: a.f, answer: answer, raw: raw}
		})
	}
	close(start)
	racing.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	s.settle()
	return got
}

// answers are the codes and verdicts of a race, sorted.
func answers(list []*sent) string {
	var all []string
	for _, s := range list {
		all = append(all, strings.TrimSpace(s.answer.Get(39)+" "+s.answer.Get(63)))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// twin is another line of the same till, which counts its STANs elsewhere.
func (s *scene) twin() *terminal {
	x := s.at(till, shop)
	x.stan = s.x.stan + 25
	return x
}

const races = 12

func twoVoidsRacing(s *scene) {
	s.t.Helper()
	other := s.twin()
	for range races {
		available := s.available(everyday)
		sale := s.sale(10_00)
		got := answers(s.race([]asked{
			{s.x, "0200", s.x.fill("0200", asVoid.but(refTo(sale)))}, {other, "0200", other.fill("0200", asCancel.but(refTo(sale)))},
		}))
		if got != "00 VOID R16, 12 DECLINE R13" {
			s.t.Fatalf("answered %s", got)
		}
		if s.available(everyday) != available {
			s.t.Fatal("given back twice, or not at all")
		}
	}
}

func voidAgainstReversal(s *scene) {
	s.t.Helper()
	other := s.twin()
	for range races {
		available := s.available(everyday)
		sale := s.sale(10_00)
		got := answers(s.race([]asked{
			{s.x, "0200", s.x.fill("0200", asVoid.but(refTo(sale)))}, {other, "0400", other.fill("0400", stan(sale))},
		}))
		if got != "00, 00 VOID R16" && got != "00, 12 DECLINE R13" {
			s.t.Fatalf("answered %s", got)
		}
		if s.available(everyday) != available {
			s.t.Fatal("given back twice, or not at all")
		}
	}
}

// refundsAtOnce: however many ask for a part of it, no more than the sale is
// paid back.
func refundsAtOnce(s *scene) {
	s.t.Helper()
	const askers, partMinor = 16, 1_50 // of 10.00, six fit
	sale := s.old10()
	available := s.available(everyday)
	var all []asked
	for i := range askers {
		x := s.at(till, shop)
		x.stan = s.x.stan + i
		all = append(all, asked{x, "0200", x.fill("0200", asRefund.but(refTo(sale)).but(amount(partMinor)))})
	}
	approved := 0
	for _, got := range s.race(all) {
		switch got.answer.Get(39) + " " + got.answer.Get(63) {
		case "00 REFUND R29":
			approved++
		case "61 DECLINE R24":
		default:
			s.t.Fatalf("answered %s %s", got.answer.Get(39), got.answer.Get(63))
		}
	}
	if i := s.inspect(sale.rrn()); approved != 6 || i.RefundedMinor != 9_00 || s.available(everyday)-available != 9_00 {
		s.t.Fatalf("%d approved, %d refunded, %d given", approved, i.RefundedMinor, s.available(everyday)-available)
	}
}

// voidAgainstCutoff: the clock passes the cutoff and the job runs while a cancel
// is on its way. It is a void of the old date or a refund in the new one.
func voidAgainstCutoff(s *scene) {
	s.t.Helper()
	outcomes := map[string]int{}
	for round := range races {
		available := s.available(everyday)
		sale := s.sale(10_00)
		day := dayOf(s.clock.Now())
		s.clock.set(cutoffOf(day).Add(-time.Nanosecond))
		message := s.x.fill("0200", asCancel.but(refTo(sale)))
		var cutting sync.WaitGroup
		s.x.write(s.x.payload("0200", message))
		for range round { // a little later each time
			_ = one[int](s.town, `SELECT 1`)
		}
		cutting.Go(func() {
			s.clock.set(cutoffOf(day))
			if err := s.node.Switch().CatchUp(s.t.Context()); err != nil {
				s.t.Error(err)
			}
		})
		raw := s.x.read()
		cutting.Wait()
		answer, err := s.x.spec.Parse(raw)
		s.must(err)
		got := &sent{mti: "0200", fields: message, answer: answer, raw: raw}
		s.approved.add(got.rrn())
		s.catchUp()
		i := s.inspect(sale.rrn())
		switch text := got.answer.Get(63); text {
		case "VOID R16":
			s.posted(got, mmdd(day))
			if i.State != switching.StateVoided || i.RefundedMinor != 0 {
				s.t.Fatalf("voided, and stored as %s", i.State)
			}
		case "REFUND R29":
			s.posted(got, mmdd(day+1))
			if i.State != switching.StateApproved || i.RefundedMinor != 10_00 {
				s.t.Fatalf("refunded, and stored as %s with %d", i.State, i.RefundedMinor)
			}
		default:
			s.t.Fatalf("answered %s %s", got.answer.Get(39), text)
		}
		outcomes[got.answer.Get(63)]++
		if s.available(everyday) != available {
			s.t.Fatal("given back twice, or not at all")
		}
		s.settle()
	}
	s.t.Logf("%v", outcomes)
}

// voidReversed: the reversal of a void lets the sale stand again while its date
// is open; after it, a person has to look.
func voidReversed(s *scene) {
	s.t.Helper()
	exceptions := func() int64 { return s.stored().exceptions }
	available, before := s.available(everyday), exceptions()
	sale := s.sale(10_00)
	void := s.x.do("00", "0200", asVoid, refTo(sale))
	s.x.do("00", "0400", asVoid, stan(void))
	if i := s.inspect(sale.rrn()); i.State != switching.StateApproved || i.CapturedMinor != 10_00 || available-s.available(everyday) != 10_00 {
		s.t.Fatalf("the sale is %s with %d", i.State, i.CapturedMinor)
	}
	second := s.x.do("00", "0200", asVoid, refTo(sale)) // which can be voided again
	s.says(second, "VOID R16")
	if exceptions() != before {
		s.t.Fatal("an exception, before the cutoff")
	}
	s.settled()
	s.x.do("21", "0400", asVoid, stan(second))
	if i := s.inspect(sale.rrn()); i.State != switching.StateVoided || s.available(everyday) != available || exceptions() != before+1 {
		s.t.Fatalf("the sale is %s, %d exceptions", i.State, exceptions()-before)
	}
}

// batchRollover: what the ended batch holds can be cancelled by its RRN while its
// business date is open; a reference by that batch is one to it.
func batchRollover(s *scene) {
	s.t.Helper()
	x := s.at(freshTill(0), shop)
	first, other := x.do("00", "0200", amount(10_00), typed(everyday)), x.do("00", "0200", amount(10_00), typed(everyday))
	x.settleBatch("00", 2, 20_00)
	s.says(x.do("00", "0200", asVoid, refTo(first)), "VOID R16")
	byStatedBatch := fields{90: other.originalData()}
	if s.dialect == "nac" {
		byStatedBatch = fields{60: "000001" + other.stan()}
	}
	s.says(x.do("00", "0200", asVoid, byStatedBatch), "VOID R16")
}

func batchSettled(s *scene) {
	s.t.Helper()
	x := s.at(freshTill(4), shop)
	sale := x.do("00", "0200", amount(10_00), typed(everyday))
	unbalanced := x.settleBatch("95", 1, 9_00)
	x.repeatOfBatch(unbalanced)
	f := x.fill("0320", fields{3: "000000", 4: "000000001000", 22: "", 25: "", 37: sale.rrn(), 60: "0200" + sale.stan() + sale.rrn()})
	upload := x.batchMessage("00", "0320", f)
	x.repeatOfBatch(upload)
	trailer := x.batchMessage("00", "0500", x.fill("0500", fields{3: "960000", 4: "", 22: "", 25: "", 49: "", 63: fmt.Sprintf("%03d%012d%015d", 1, 10_00, 0)}))
	x.repeatOfBatch(trailer)
	x.do("00", "0200", amount(5_00), typed(everyday))
	balanced := x.settleBatch("00", 1, 5_00)
	x.repeatOfBatch(balanced)
	if n := one[int](s.town, `SELECT count(*) FROM batches b JOIN terminals USING (terminal_id) WHERE tid = $1 AND state = 5`, x.tid); n != 2 {
		s.t.Fatalf("%d batches are closed, want 2", n)
	}
}

// batchMessage is about a batch: its answer names no RRN.
func (x *terminal) batchMessage(code, mti string, f fields) *sent {
	x.t.Helper()
	s := &sent{mti: mti, fields: f}
	s.answer, s.raw = x.exchange(x.payload(mti, f))
	if got := s.answer.Get(39); got != code {
		x.t.Fatalf("%s %s answered %s, want %s", mti, f[3], got, code)
	}
	x.w.noteApprovals()
	x.w.settle()
	return s
}

// repeatOfBatch is answered the same and changes nothing.
func (x *terminal) repeatOfBatch(s *sent) {
	x.t.Helper()
	before := x.w.stored()
	again := x.batchMessage(s.answer.Get(39), s.mti[:3]+"1", s.fields)
	if again.answer.Get(39) != s.answer.Get(39) || again.answer.Get(63) != s.answer.Get(63) {
		x.t.Fatalf("the repeat of %s was answered %s", s.mti, again.answer.Get(39))
	}
	x.nothingStored(before)
}
