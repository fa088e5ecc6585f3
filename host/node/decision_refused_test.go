package node

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// eachDecisionTown runs the parts in both dialects, each part with a scene of
// its own in its dialect's town.
func eachDecisionTown(t *testing.T, parts ...decisionPart) {
	t.Helper()
	for _, dialect := range []string{"nac", "ascii"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			w := newDecisionTown(t)
			w.operators()
			all := &scenes{dialect: dialect}
			for _, part := range parts {
				t.Run(part.name, func(t *testing.T) { part.play(all.next(w.in(t), part.policy)) })
			}
		})
	}
}

// decisionPart is a conversation with a name, under a policy.
type decisionPart struct {
	name, policy string
	play         func(s *scene)
}

// TestDecisionBeforeTheTable: rows 1 to 3 and 6 decide before anything is looked
// at that a cancel speaks of.
func TestDecisionBeforeTheTable(t *testing.T) {
	eachDecisionTown(t, decisionPart{"R1", "", rowOne}, decisionPart{"R2", "", rowTwo}, decisionPart{"R3", "", rowThree}, decisionPart{"R6", "", rowSix})
}

// rowOne: who is not known, or not authentic, learns nothing and changes nothing.
func rowOne(s *scene) {
	s.t.Helper()
	sale := s.sale(10_00)
	void := s.x.do("00", "0200", asVoid, refTo(sale))
	other := s.sale(10_00)
	for _, c := range []struct {
		code string
		x    *terminal
	}{
		{"97", s.at("9999999", shop)},
		{"03", s.at(till, "999999999999999")},
		{"97", s.at(till, annex)},
		{"58", s.at(retired, shop)},
		{"03", s.at(haunted, ghost)},
	} {
		got := c.x.do(c.code, "0200", asCancel, refTo(other))
		s.says(got, "DECLINE R1")
		if got.rrn() != "" || got.answer.Has(15) {
			s.t.Fatalf("%s told RRN %q and date %q", c.code, got.rrn(), got.answer.Get(15))
		}
	}
	// A wrong MAC comes before a stored answer: even the repeat of what was
	// approved learns nothing.
	x := s.at(sealed, shop)
	theirs := x.do("00", "0200", amount(10_00), typed(everyday))
	mine := x.do("00", "0200", asVoid, refTo(theirs))
	before, audits := s.stored(), int64(0)
	for _, f := range []fields{mine.fields, x.fill("0200", asCancel.but(refTo(other)))} {
		payload := x.payload("0200", f)
		if last := len(payload) - 1; payload[last] == '0' { // a digit of the MAC, in hex or in binary
			payload[last] = '1'
		} else {
			payload[last] = '0'
		}
		answer, _ := x.exchange(payload)
		if answer.Get(39) != "63" || answer.Get(63) != "DECLINE R1" || answer.Has(37) || answer.Has(38) {
			s.t.Fatalf("a wrong MAC was answered %s %q with RRN %q", answer.Get(39), answer.Get(63), answer.Get(37))
		}
		audits++
	}
	after := s.stored()
	if after.audits != before.audits+audits {
		s.t.Fatalf("%d audit rows more, want %d", after.audits-before.audits, audits)
	}
	after.audits = before.audits
	if after != before {
		s.t.Fatalf("rows before %+v, after %+v", before, after)
	}
	s.settle()
	x.repeat(mine)
	s.x.repeat(void)
}

// rowTwo: the stored answer, byte for byte and across the cutoff; with other
// content, nothing but that.
func rowTwo(s *scene) {
	s.t.Helper()
	first, bigger := s.sale(10_00), s.sale(20_00)
	void := s.x.do("00", "0200", asCancel, refTo(first))
	s.says(void, "VOID R16")
	declined := s.x.do("64", "0200", asVoid, amount(19_99), refTo(bigger))
	s.settled()
	s.x.repeat(void)
	s.x.repeat(declined)
	refund := s.x.do("00", "0200", asCancel, amount(20_00), refTo(bigger))
	s.says(refund, "REFUND R29")
	s.x.repeat(refund)
	before := s.stored()
	for name, change := range map[string]fields{
		"amount": amount(19_99), "original": refTo(first), "card": typed(second), "kind": asRefund, "currency": {49: "978"}, "no amount": whole,
	} {
		got := s.x.transmit("0200", refund.fields.but(change))
		if got.answer.Get(39) != "94" || got.answer.Get(63) != "DECLINE R2" || got.rrn() != "" {
			s.t.Fatalf("another %s was answered %s %q", name, got.answer.Get(39), got.answer.Get(63))
		}
	}
	s.x.nothingStored(before)
	s.x.repeat(refund)
	// A cancel that its own reversal has overtaken.
	third := s.sale(10_00)
	f := s.x.fill("0200", asVoid.but(amount(10_00)).but(refTo(third)))
	s.x.do("00", "0400", asVoid, amount(10_00), fields{11: f[11]})
	late := s.x.transmit("0200", f)
	s.x.expect("12", late)
	s.says(late, "DECLINE R2")
	s.x.repeat(late)
}

// rowThree: a batch that is being uploaded takes nothing else.
func rowThree(s *scene) {
	s.t.Helper()
	x := s.at(freshTill(3), shop)
	sale := x.just("00", "0200", amount(10_00), typed(everyday))
	x.settleBatch("95", 1, 9_99)
	void := x.do("95", "0200", asVoid, refTo(sale))
	s.says(void, "DECLINE R3")
	if i := s.inspect(void.rrn()); i.Rule != 3 || len(i.Transfers) != 0 || i.State != switching.StateDeclined {
		s.t.Fatalf("stored by rule %s, %s, with %q", i.Rule, i.State, moves(i))
	}
	x.repeat(void)
}

// rowSix: the window's lock is not won in time. Nothing is stored, and the same
// request is decided when it comes again.
func rowSix(s *scene) {
	s.t.Helper()
	sale := s.sale(10_00)
	s.settle()
	before := s.stored()
	available := s.available(everyday)
	cutting, err := pgx.Connect(s.t.Context(), s.url)
	s.must(err)
	defer func() { s.must(cutting.Close(context.Background())) }()
	tx, err := cutting.Begin(s.t.Context())
	s.must(err)
	_, err = tx.Exec(s.t.Context(), `SELECT FROM windows WHERE calendar_id = 1 FOR UPDATE`)
	s.must(err)
	waited := s.x.ask("0200", asCancel, refTo(sale))
	s.must(tx.Rollback(s.t.Context()))
	if waited.answer.Get(39) != "90" || waited.rrn() != "" {
		s.t.Fatalf("answered %s with RRN %q", waited.answer.Get(39), waited.rrn())
	}
	s.says(waited, "DECLINE R6")
	s.x.nothingStored(before)
	again := s.x.transmit("0201", waited.fields)
	s.x.expect("00", again)
	s.says(again, "VOID R16")
	s.x.repeat(again)
	if gave := s.available(everyday) - available; gave != 10_00 {
		s.t.Fatalf("gave %d", gave)
	}
}

// notYet are the ways of a row that cannot come to pass, and why; reachable
// tells whether the reason has gone, and the row wants its case.
var notYet = []struct {
	row       switching.Rule
	what, why string
	reachable func(s *scene) bool
}{
	{
		3, "77, the request states another batch than the current one",
		"neither dialect has a field in which a financial request states its batch",
		func(s *scene) bool {
			sale := s.sale(10_00)
			void := s.x.ask("0200", asVoid, refTo(sale), fields{60: "000099"}) // where others state it
			return void.answer.Get(39) != "00"
		},
	},
	{
		3, "77, the terminal is not signed in",
		"terminals of these dialects need no sign-in: a sale is taken from one that has never logged on",
		func(s *scene) bool {
			return s.at(freshTill(4), shop).ask("0200", amount(10_00), typed(everyday)).answer.Get(39) != "00"
		},
	},
	{
		11, "the original is in flight or its outcome is unknown",
		"only links to issuers leave originals in flight, and all cards are on us",
		func(s *scene) bool {
			routes := one[string](s.town, `SELECT pg_get_constraintdef(oid) FROM pg_constraint
				WHERE conrelid = 'bin_ranges'::regclass AND pg_get_constraintdef(oid) LIKE '%route%'`)
			return routes != "CHECK ((route = 'onus'::text))"
		},
	},
}

// TestDecisionNotYet fails when something on the list has become possible.
func TestDecisionNotYet(t *testing.T) {
	var parts []decisionPart
	for _, n := range notYet {
		parts = append(parts, decisionPart{n.row.String() + " " + n.what, "", func(s *scene) {
			if n.reachable(s) {
				s.t.Errorf("it is possible now, and needs a case; it was not, because %s", n.why)
			}
			s.settle()
		}})
	}
	eachDecisionTown(t, parts...)
}

// TestDecisionRowsAreComplete: every row has a case, or stands on the list.
func TestDecisionRowsAreComplete(t *testing.T) {
	have := map[switching.Rule]bool{1: true, 2: true, 3: true, 6: true} // TestDecisionBeforeTheTable
	for _, c := range decisionTable() {
		have[c.row] = true
	}
	for _, n := range notYet {
		have[n.row] = true
	}
	const rows = 32
	for row := switching.Rule(1); row <= rows; row++ {
		if !have[row] {
			t.Errorf("%s (%s) has no case", row, row.Sentence())
		}
	}
	if switching.Rule(rows+1).Sentence() != "" {
		t.Errorf("there are more than %d rows", rows)
	}
}
