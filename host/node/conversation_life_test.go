package node

import (
	"strings"
	"testing"
	"time"
)

// afterCutoff is in the shop's next business date.
var afterCutoff = time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)

func TestConversationEchoAndLogon(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		before := w.stored()
		x.do("00", "0800", fields{70: "301"})
		x.do("00", "0800", fields{3: "990000"})
		x.do("00", "0800", fields{3: "990000", 42: ""})
		x.do("00", "0800", fields{70: "301", 41: "", 42: ""})
		x.do("00", "0801", fields{70: "301"})
		x.do("40", "0800", fields{70: "161"})
		logon := x.do("00", "0800", fields{3: "920000"})
		x.do("00", "0800", fields{70: "001", 42: ""})
		if dialect == "nac" && (logon.answer.Get(12) != "200000" || logon.answer.Get(13) != "0310") {
			t.Errorf("logon answers the time %s %s, want Shanghai's", logon.answer.Get(13), logon.answer.Get(12))
		}
		x.do("30", "0800", fields{70: "001", 41: ""})
		w.terminal(dialect, till, kiosk).do("97", "0800", fields{3: "920000"})
		w.terminal(dialect, "9999999", shop).do("97", "0800", fields{3: "920000"})
		w.terminal(dialect, retired, shop).do("58", "0800", fields{3: "920000"})
		x.nothingStored(before)
	})
}

func TestConversationSale(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		sale := x.do("00", "0200", amount(12_34), swiped(everyday))
		w.spent(everyday, 12_34)
		if got := sale.answer.Get(15); got != "0310" {
			t.Errorf("business date %s", got)
		}
		switch {
		case dialect == "ascii" && (sale.answer.Get(7) != "0310120000" || sale.answer.Get(12) != "120000" || sale.answer.Get(13) != "0310"):
			t.Errorf("answer's times %q %q %q are not the request's", sale.answer.Get(7), sale.answer.Get(12), sale.answer.Get(13))
		case dialect == "nac" && (sale.answer.Has(7) || sale.answer.Get(12) != "200000" || sale.answer.Get(13) != "0310"):
			t.Errorf("answer's times %q %q %q are not the merchant's", sale.answer.Get(7), sale.answer.Get(12), sale.answer.Get(13))
		}
		x.repeat(sale)
		w.spent(everyday, 12_34)

		// The same key with other content.
		for name, change := range map[string]fields{
			"amount": amount(12_35), "card": typed(second), "type": processing("310000"), "cashback": {3: "090000", 54: "000000000100"},
		} {
			before := w.stored()
			f := sale.fields.but(fields{35: "", 52: ""}).but(typed(everyday)).but(change)
			got := x.transmit("0200", f)
			if got.answer.Get(39) != "94" || got.answer.Has(37) || got.answer.Has(15) {
				t.Errorf("changed %s answered %s with RRN %q", name, got.answer.Get(39), got.answer.Get(37))
			}
			x.nothingStored(before)
		}
		// Which leaves the first one as it was.
		x.repeat(sale)
		w.spent(everyday, 12_34)

		// The currency may be left to the merchant, or be spelt.
		x.do("00", "0200", amount(1_00), typed(everyday), fields{49: ""})
		x.do("00", "0200", amount(1_00), typed(everyday), fields{49: "CNY"})
		// The last that a card has can be spent.
		x.do("00", "0200", amount(10_00), typed(broke))
		x.do("51", "0200", amount(1), typed(broke))
		// At another terminal the same STAN is another key.
		other := w.terminal(dialect, till2, shop)
		other.do("00", "0200", amount(5_00), typed(everyday), stan(sale))
		w.spent(everyday, 12_34+2_00+5_00)
	})
}

func TestConversationCashback(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		sale := x.do("00", "0200", processing("090000"), amount(50_00), typed(everyday), fields{54: "000000002000"})
		x.repeat(sale)
		x.do("00", "0200", processing("090000"), amount(30_00), typed(everyday), fields{54: "0040156D000000001000"})
		w.spent(everyday, 80_00)
		if got := one[int64](w, `SELECT sum(cashback_minor) FROM transactions`); got != 30_00 {
			t.Errorf("%d handed out", got)
		}
		x.do("13", "0200", processing("090000"), amount(10_00), typed(everyday), fields{54: "000000001001"})
		x.do("30", "0200", processing("090000"), amount(10_00), typed(everyday), fields{54: "all of it"})
		void := x.do("00", "0200", processing("020000"), amount(50_00), refTo(sale))
		verdict(t, void, "VOID R16")
		w.spent(everyday, 30_00)
	})
}

func verdict(t *testing.T, s *sent, want string) {
	t.Helper()
	if got := s.answer.Get(63); got != want {
		t.Errorf("%s answered %s, F63 %q, want %q", s.mti, s.answer.Get(39), got, want)
	}
}

func TestConversationAuthorization(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		auth := x.do("00", "0100", amount(100_00), typed(everyday))
		w.spent(everyday, 100_00)
		x.repeat(auth)

		x.do("61", "0220", amount(115_01), refTo(auth))
		x.do("14", "0220", amount(100_00), refTo(auth), typed(second))
		completion := x.do("00", "0220", amount(85_00), refTo(auth))
		w.spent(everyday, 85_00)
		x.repeat(completion)
		x.do("12", "0220", amount(1_00), refTo(auth)) // a hold is used once
		w.spent(everyday, 85_00)

		void := x.do("00", "0200", processing("020000"), amount(85_00), refTo(completion))
		verdict(t, void, "VOID R30")
		w.spent(everyday, 100_00) // the hold is back
		x.do("00", "0220", amount(115_00), fields{90: auth.originalData()})
		w.spent(everyday, 115_00)

		// An authorization that is not needed.
		unused := x.do("00", "0100", amount(20_00), typed(everyday))
		void = x.do("00", "0200", processing("290000"), fields{4: ""}, refTo(unused))
		verdict(t, void, "VOID R31")
		x.do("12", "0220", amount(20_00), refTo(unused))
		w.spent(everyday, 115_00)
	})
}

func TestConversationOfflineAdvice(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		advice := x.do("00", "0220", amount(25_00), typed(everyday))
		w.spent(everyday, 25_00)
		x.repeat(advice)
		// What was handed over is owed, also when the card has less.
		x.do("00", "0220", amount(15_00), typed(broke))
		if got := w.available(broke); got != -5_00 {
			t.Errorf("%d available", got)
		}
		x.do("30", "0220", amount(25_00)) // neither card nor reference
		void := x.do("00", "0200", processing("290000"), amount(25_00), refTo(advice))
		verdict(t, void, "VOID R16")
		w.spent(everyday, 0)
	})
}

func TestConversationBalance(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		x.do("00", "0200", amount(100_00), typed(everyday))
		x.do("00", "0100", amount(50_00), typed(everyday))
		balance := x.do("00", "0200", processing("310000"), fields{4: ""}, swiped(everyday))
		if got := balance.answer.Get(54); got != "0002156C000000085000" {
			t.Errorf("balance %q", got)
		}
		x.do("00", "0200", amount(1_00), typed(everyday))
		x.repeat(balance) // tells what it told
		x.do("00", "0100", processing("310000"), fields{4: ""}, typed(everyday))
		w.spent(everyday, 151_00)

		x.do("00", "0220", amount(15_00), typed(broke))
		overdrawn := x.do("00", "0200", processing("310000"), fields{4: ""}, typed(broke))
		if got := overdrawn.answer.Get(54); got != "0002156D000000000500" {
			t.Errorf("balance %q", got)
		}
		x.do("12", "0200", processing("020000"), fields{4: ""}, refTo(balance)) // nothing to void
	})
}

func TestConversationVoidAndRefund(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		early := x.do("00", "0200", amount(10_00), typed(everyday))
		void := x.do("00", "0200", processing("020000"), amount(10_00), typed(everyday), refTo(early))
		verdict(t, void, "VOID R16")
		w.spent(everyday, 0)
		x.repeat(void)
		again := x.do("12", "0200", processing("020000"), amount(10_00), refTo(early))
		verdict(t, again, "DECLINE R13")
		x.repeat(again)

		late := x.do("00", "0200", amount(20_00), typed(everyday))
		verdict(t, x.do("64", "0200", processing("020000"), amount(19_99), refTo(late)), "DECLINE R17")
		verdict(t, x.do("13", "0200", processing("290000"), amount(0), refTo(late)), "DECLINE R15")
		verdict(t, x.do("14", "0200", processing("290000"), typed(second), amount(20_00), refTo(late)), "DECLINE R9")
		verdict(t, x.do("12", "0200", processing("290000"), fields{49: "978"}, amount(20_00), refTo(late)), "DECLINE R14")
		verdict(t, x.do("25", "0200", processing("290000"), amount(20_00), fields{37: "999999999999"}), "DECLINE R7")
		verdict(t, w.terminal(dialect, till2, shop).do("22", "0200", processing("020000"), amount(20_00), refTo(late)), "DECLINE R9")
		verdict(t, w.terminal(dialect, cart, stall).do("25", "0200", processing("290000"), amount(20_00), refTo(late)), "DECLINE R7")
		w.spent(everyday, 20_00)

		w.clock.set(afterCutoff)
		part := x.do("00", "0200", processing("290000"), amount(5_00), refTo(late))
		verdict(t, part, "REFUND R29")
		if got := part.answer.Get(15); got != "0311" {
			t.Errorf("refund posted on %s", got)
		}
		x.repeat(part)
		x.repeat(void) // a repeat across the cutoff has its first answer
		verdict(t, x.do("61", "0200", processing("200000"), amount(15_01), refTo(late)), "DECLINE R24")
		verdict(t, x.do("00", "0200", processing("020000"), fields{4: ""}, refTo(late)), "REFUND R29")
		w.spent(everyday, 0)
		verdict(t, x.do("61", "0200", processing("290000"), amount(1), refTo(late)), "DECLINE R24")
	})
}

// TestConversationStrictModes: a void means void and a refund means refund, and
// "cancel, you decide" still decides.
func TestConversationStrictModes(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, cart, stall)
		first := x.do("00", "0200", amount(10_00), typed(everyday))
		verdict(t, x.do("22", "0200", processing("200000"), amount(10_00), refTo(first)), "DECLINE R21")
		second := x.do("00", "0200", amount(20_00), typed(everyday))
		verdict(t, x.do("00", "0200", processing("290000"), amount(20_00), refTo(second)), "VOID R16")
		w.clock.set(afterCutoff)
		verdict(t, x.do("22", "0200", processing("020000"), amount(10_00), refTo(first)), "DECLINE R18")
		verdict(t, x.do("00", "0200", processing("290000"), amount(4_00), refTo(first)), "REFUND R29")
		verdict(t, x.do("00", "0200", processing("200000"), amount(6_00), refTo(first)), "REFUND R29")
		w.spent(everyday, 0)
	})
}

// TestConversationReferences: by RRN, by the original's data in F90 and, in NAC,
// by its batch and STAN or by its invoice.
func TestConversationReferences(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		invoice := 0
		sale := func() *sent {
			invoice++
			return x.do("00", "0200", amount(10_00), typed(everyday), fields{62: strings.Repeat("0", 5) + string(rune('0'+invoice))})
		}
		ways := []func(s *sent) fields{
			refTo,
			func(s *sent) fields { return fields{90: s.originalData()} },
			func(s *sent) fields { return fields{37: s.rrn(), 90: strings.Repeat("9", 42)} }, // F37 counts
		}
		if dialect == "nac" {
			ways = append(ways,
				func(s *sent) fields { return fields{60: "000001" + s.stan()} },
				func(s *sent) fields { return fields{62: s.fields[62]} },
				func(s *sent) fields { return fields{62: s.fields[62], 60: "000000001000"} }) // F60 is the original amount
		}
		for _, way := range ways {
			s := sale()
			verdict(t, x.do("00", "0200", processing("020000"), amount(10_00), way(s)), "VOID R16")
			w.spent(everyday, 0)
		}
		s := sale()
		x.do("25", "0200", processing("020000"), amount(10_00), fields{90: "0200999999" + strings.Repeat("0", 32)})
		x.do("25", "0200", processing("020000"), amount(10_00), fields{37: "NONE OF OURS"})
		if dialect == "nac" {
			x.do("25", "0200", processing("020000"), amount(10_00), fields{60: "000002" + s.stan()}) // another batch
			x.do("25", "0200", processing("020000"), amount(10_00), fields{62: "777777"})
			// An invoice that stands for two is no reference.
			x.do("00", "0200", amount(10_00), typed(everyday), fields{62: s.fields[62]})
			verdict(t, x.do("25", "0200", processing("020000"), amount(10_00), fields{62: s.fields[62]}), "DECLINE R8")
			// A completion is found by its own invoice, too.
			auth := x.do("00", "0100", amount(30_00), typed(second), fields{62: "000100"})
			x.do("00", "0220", amount(30_00), refTo(auth), fields{62: "000101"})
			verdict(t, x.do("00", "0200", processing("020000"), amount(30_00), fields{62: "000101"}), "VOID R30")
		} else {
			// F60 and F62 are private to others in this dialect.
			x.do("58", "0200", processing("020000"), amount(10_00), fields{60: "000001" + s.stan(), 62: s.fields[62]})
		}
	})
}
