package node

import (
	"fmt"
	"strings"
	"testing"
)

// replacement is F95: what a partial reversal leaves standing.
func replacement(minor int64) fields {
	return fields{95: fmt.Sprintf("%012d", minor) + strings.Repeat("0", 30)}
}

func TestConversationReversal(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		sale := x.do("00", "0200", amount(10_00), swiped(everyday))
		reversal := x.do("00", "0400", amount(10_00), swiped(everyday), stan(sale))
		w.spent(everyday, 0)
		if reversal.rrn() == sale.rrn() {
			t.Error("the reversal has its original's RRN")
		}
		x.repeat(reversal) // twice: done once
		x.repeat(sale)     // the original's stored answer does not change, nor does the money move again
		w.spent(everyday, 0)
		x.do("94", "0400", amount(9_00), swiped(everyday), stan(sale))

		// As an advice, by another STAN and the original's data.
		sale = x.do("00", "0200", amount(10_00), typed(everyday))
		advice := x.do("00", "0420", amount(10_00), typed(everyday), fields{90: sale.originalData()})
		w.spent(everyday, 0)
		x.repeat(advice)
		// Again under another key: it is reversed already.
		x.do("00", "0400", amount(10_00), stan(sale))
		x.do("00", "0421", amount(10_00), fields{90: sale.originalData()})
		w.spent(everyday, 0)

		// By RRN, without amount or card.
		sale = x.do("00", "0200", amount(10_00), typed(everyday))
		x.do("00", "0400", fields{4: ""}, refTo(sale))
		w.spent(everyday, 0)

		// Of what moved nothing.
		declined := x.do("51", "0200", amount(opened+1), typed(everyday))
		x.do("00", "0400", amount(opened+1), stan(declined))
		balance := x.do("00", "0200", processing("310000"), fields{4: ""}, typed(everyday))
		x.do("00", "0400", processing("310000"), fields{4: ""}, stan(balance))
		w.spent(everyday, 0)

		// That does not fit its original.
		sale = x.do("00", "0200", amount(10_00), typed(everyday))
		x.do("64", "0400", amount(9_99), stan(sale))
		sale2 := x.do("00", "0200", amount(10_00), typed(everyday))
		x.do("14", "0400", amount(10_00), typed(second), stan(sale2))
		sale3 := x.do("00", "0200", amount(10_00), typed(everyday))
		x.do("12", "0400", amount(10_00), fields{49: "978"}, stan(sale3))
		w.spent(everyday, 30_00)
	})
}

func TestConversationPartialReversal(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		sale := x.do("00", "0200", amount(30_00), typed(everyday))
		part := x.do("00", "0400", amount(30_00), stan(sale), replacement(20_00))
		w.spent(everyday, 20_00)
		x.repeat(part)
		w.spent(everyday, 20_00)
		verdict(t, x.do("00", "0200", processing("020000"), amount(20_00), refTo(sale)), "VOID R16")
		w.spent(everyday, 0)

		auth := x.do("00", "0100", amount(50_00), typed(everyday))
		x.do("00", "0420", amount(50_00), stan(auth), replacement(35_00))
		w.spent(everyday, 35_00)
		x.do("61", "0220", amount(40_26), refTo(auth)) // over 115 % of what is left
		x.do("00", "0220", amount(35_00), refTo(auth))
		w.spent(everyday, 35_00)

		// More than was sold cannot be left.
		sale = x.do("00", "0200", amount(10_00), typed(everyday))
		x.do("13", "0400", amount(10_00), stan(sale), replacement(10_01))
		w.spent(everyday, 45_00)
		// Zero leaves nothing: the whole is reversed.
		sale = x.do("00", "0200", amount(10_00), typed(everyday))
		x.do("00", "0400", amount(10_00), stan(sale), replacement(0))
		w.spent(everyday, 45_00)
		x.do("30", "0400", amount(10_00), stan(sale), fields{95: strings.Repeat(" ", 42)})
	})
}

// TestConversationReversalBeforeItsOriginal: the host says done or not found, as
// it is set, and either way the late original is declined and not posted.
func TestConversationReversalBeforeItsOriginal(t *testing.T) {
	for _, listener := range []struct{ suffix, code string }{{"", "00"}, {"-strict", "25"}} {
		t.Run("answered "+listener.code, func(t *testing.T) {
			eachDialect(t, func(w *town, dialect string) {
				x := w.terminal(dialect, till, shop, dialect+listener.suffix)
				for _, byData := range []bool{false, true} {
					late := x.nextSTAN()
					reference := fields{11: late}
					if byData {
						reference = fields{90: "0200" + late + "0310115900" + strings.Repeat("0", 22)}
					}
					reversal := x.do(listener.code, "0400", amount(10_00), typed(everyday), reference)
					x.repeat(reversal)
					original := x.do("12", "0200", amount(10_00), typed(everyday), fields{11: late})
					x.repeat(original)
					w.spent(everyday, 0)
					// Once more, now of something that was declined.
					if byData {
						x.do("00", "0420", amount(10_00), reference)
					}
					w.spent(everyday, 0)
				}
				// A reversal whose original is never seen is no debt of anybody's.
				x.do(listener.code, "0421", amount(1), fields{11: "999999"})
				w.spent(everyday, 0)
			})
		})
	}
}

// TestConversationReversalInFlight: sent before the sale's answer was waited for.
func TestConversationReversalInFlight(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		const n = 20
		var sales []fields
		for range n {
			sale := x.fill("0200", typed(everyday).but(amount(10_00)))
			sales = append(sales, sale)
			x.write(x.payload("0200", sale))
			x.write(x.payload("0400", sale))
		}
		for _, sale := range sales {
			for _, mti := range []string{"0210", "0410"} {
				m, err := x.spec.Parse(x.read())
				w.must(err)
				if m.MTI() != mti || m.Get(11) != sale[11] || m.Get(39) != "00" {
					t.Fatalf("answer %s %s for STAN %s, want %s 00 for %s", m.MTI(), m.Get(39), m.Get(11), mti, sale[11])
				}
				w.approved.add(m.Get(37))
			}
		}
		w.settle()
		w.spent(everyday, 0)
	})
}

// TestConversationReversalOfCancels: the answer to a void or a refund may be lost,
// too.
func TestConversationReversalOfCancels(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		sale := x.do("00", "0200", amount(10_00), typed(everyday))
		void := x.do("00", "0200", processing("020000"), amount(10_00), refTo(sale))
		w.spent(everyday, 0)
		reversal := x.do("00", "0400", processing("020000"), amount(10_00), stan(void))
		w.spent(everyday, 10_00) // the sale stands again
		x.repeat(reversal)
		void = x.do("00", "0200", processing("290000"), amount(10_00), refTo(sale))
		verdict(t, void, "VOID R16")
		w.spent(everyday, 0)

		sale = x.do("00", "0200", amount(20_00), typed(everyday))
		w.clock.set(afterCutoff)
		refund := x.do("00", "0200", processing("290000"), amount(5_00), refTo(sale))
		verdict(t, refund, "REFUND R29")
		x.do("00", "0400", processing("290000"), amount(5_00), stan(refund))
		w.spent(everyday, 20_00)
		verdict(t, x.do("00", "0200", processing("200000"), amount(20_00), refTo(sale)), "REFUND R29")
		w.spent(everyday, 0)

		// The day of that void is over: a person decides.
		exceptions := w.stored().exceptions
		x.do("21", "0400", processing("290000"), amount(10_00), stan(void))
		if got := w.stored().exceptions; got != exceptions+1 {
			t.Errorf("%d exceptions, before %d", got, exceptions)
		}
		w.spent(everyday, 0)
	})
}

// TestConversationReversalAfterTheCutoff: the day is sealed, so it is put right in
// today's and shown to a person.
func TestConversationReversalAfterTheCutoff(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		sale := x.do("00", "0200", amount(10_00), typed(everyday))
		w.clock.set(afterCutoff)
		reversal := x.do("00", "0400", amount(10_00), stan(sale))
		if got := reversal.answer.Get(15); got != "0311" {
			t.Errorf("posted on %s", got)
		}
		w.spent(everyday, 0)
		if got := w.stored().exceptions; got != 1 {
			t.Errorf("%d exceptions", got)
		}
		x.repeat(reversal)
		x.repeat(sale)
	})
}
