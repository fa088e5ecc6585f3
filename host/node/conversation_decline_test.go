package node

import (
	"fmt"
	"testing"

	"meridian/internal/card"
)

// TestConversationDeclines: each reason that issue and design name for a decline,
// as the terminal sees it. A decline is stored and repeated; what never reached
// the ledger's door (unknown, not admitted, malformed) leaves no row.
func TestConversationDeclines(t *testing.T) {
	wrongLuhn := cardNumber(everyday).Reveal()
	wrongLuhn = wrongLuhn[:len(wrongLuhn)-1] + string('0'+(wrongLuhn[len(wrongLuhn)-1]-'0'+1)%10)
	foreign, err := card.WithCheckDigit("500000000000001")
	if err != nil {
		t.Fatal(err)
	}
	towns := map[string]*town{"nac": newTown(t), "ascii": newTown(t)}
	for _, test := range []struct {
		name, tid, mid, mti string
		code                string
		fields              []fields
	}{
		{"unknown terminal", "9999999", shop, "0200", "97", []fields{typed(everyday)}},
		{"unknown merchant", till, "999999999999999", "0200", "03", []fields{typed(everyday)}},
		{"terminal of another merchant", till, kiosk, "0200", "97", []fields{typed(everyday)}},
		{"inactive terminal", retired, shop, "0200", "58", []fields{typed(everyday)}},
		{"inactive merchant", haunted, ghost, "0200", "03", []fields{typed(everyday)}},
		{"blocked card", till, shop, "0200", "62", []fields{typed(blocked)}},
		{"lost card", till, shop, "0200", "41", []fields{typed(lost)}},
		{"stolen card", till, shop, "0200", "43", []fields{typed(stolen)}},
		{"frozen card", till, shop, "0200", "62", []fields{typed(frozen)}},
		{"closed card", till, shop, "0200", "62", []fields{typed(closed)}},
		{"expired card", till, shop, "0200", "54", []fields{typed(outworn)}},
		{"expired card without expiry", till, shop, "0200", "54", []fields{typed(outworn), {14: ""}}},
		{"wrong expiry", till, shop, "0200", "54", []fields{typed(everyday), {14: "3011"}}},
		{"wrong expiry on the track", till, shop, "0200", "54", []fields{{35: cardNumber(everyday).Reveal() + "=3011201"}}},
		{"expiry that is none", till, shop, "0200", "54", []fields{typed(everyday), {14: "3013"}}},
		{"two expiries", till, shop, "0200", "54", []fields{swiped(everyday), {14: "3011"}}},
		{"Luhn failure", till, shop, "0200", "14", []fields{{2: wrongLuhn, 14: "3012"}}},
		{"unknown card", till, shop, "0200", "14", []fields{{2: cardNumber(77).Reveal(), 14: "3012"}}},
		{"nobody's card", till, shop, "0200", "15", []fields{{2: foreign.Reveal(), 14: "3012"}}},
		{"insufficient funds", till, shop, "0200", "51", []fields{typed(everyday), amount(opened + 1)}},
		{"insufficient funds to hold", till, shop, "0100", "51", []fields{typed(everyday), amount(opened + 1)}},
		{"amount zero", till, shop, "0200", "13", []fields{typed(everyday), amount(0)}},
		{"amount zero to hold", till, shop, "0100", "13", []fields{typed(everyday), amount(0)}},
		{"amount over the limit", till, shop, "0200", "61", []fields{typed(everyday), amount(50_000_01)}},
		{"largest amount there is", till, shop, "0200", "61", []fields{typed(everyday), amount(999_999_999_999)}},
		{"currency not the merchant's", till, shop, "0200", "12", []fields{typed(everyday), {49: "978"}}},
		{"currency not the card's", till, shop, "0200", "12", []fields{typed(euro)}},
		{"currency that is none", till, shop, "0200", "12", []fields{typed(everyday), {49: "XQX"}}},
		{"authorization not allowed", booth, kiosk, "0100", "58", []fields{typed(everyday)}},
		{"cashback not allowed", booth, kiosk, "0200", "58", []fields{typed(everyday), {3: "090000", 54: "000000000100"}}},
		{"offline advice not allowed", booth, kiosk, "0220", "58", []fields{typed(everyday)}},
		{"void not allowed", booth, kiosk, "0200", "58", []fields{processing("020000"), {37: "606900000001"}}},
		{"refund not allowed", booth, kiosk, "0200", "58", []fields{processing("200000"), {37: "606900000001"}}},
		{"unreferenced refund", till, shop, "0200", "58", []fields{processing("200000"), typed(everyday)}},
		{"completion of nothing we know", till, shop, "0220", "25", []fields{{37: "606900000001"}}},
		{"function not supported", till, shop, "0200", "40", []fields{processing("010000"), typed(everyday)}},
		{"adjustment", till, shop, "0220", "40", []fields{processing("020000"), {37: "606900000001"}}},
		{"no card", till, shop, "0200", "30", nil},
		{"no amount", till, shop, "0200", "30", []fields{typed(everyday), {4: ""}}},
		{"no merchant", till, shop, "0200", "30", []fields{typed(everyday), {42: ""}}},
		{"no terminal", till, shop, "0200", "30", []fields{typed(everyday), {41: ""}}},
		{"no processing code", till, shop, "0200", "30", []fields{typed(everyday), {3: ""}}},
		{"two cards", till, shop, "0200", "30", []fields{typed(everyday), {35: cardNumber(second).Reveal() + "=3012201"}}},
		{"half a track", till, shop, "0200", "30", []fields{{35: cardNumber(everyday).Reveal()}}},
	} {
		for dialect, w := range towns {
			t.Run(dialect+" "+test.name, func(t *testing.T) {
				w := w.in(t)
				x := w.terminal(dialect, test.tid, test.mid)
				x.stan = int(w.stored().transactions) // the town's terminals have used that many
				before, available := w.stored(), w.available(everyday)
				got := x.do(test.code, test.mti, test.fields...)
				after := w.stored()
				decided := got.answer.Has(37)
				if rows := after.transactions - before.transactions; rows != map[bool]int64{true: 1}[decided] {
					t.Errorf("%d transactions stored; answered with an RRN: %t", rows, decided)
				}
				if after.transfers != before.transfers || after.holds != before.holds || w.available(everyday) != available {
					t.Errorf("a decline moved money: %+v, %+v", before, after)
				}
				x.repeat(got)
			})
		}
	}
}

// TestConversationWrongDialect: a terminal speaks one dialect, and is unknown in
// the other.
func TestConversationWrongDialect(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		x.tid = dialectDigit(map[string]string{"nac": "ascii", "ascii": "nac"}[dialect]) + till
		before := w.stored()
		x.do("97", "0200", typed(everyday))
		x.nothingStored(before)
	})
}

// TestConversationOrder: what is sent without waiting is answered in order.
func TestConversationOrder(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, till, shop)
		const n = 50
		for i := range n {
			f := x.fill("0200", typed(everyday).but(amount(1)).but(fields{11: fmt.Sprintf("%06d", 100+i)}))
			if i%5 == 0 {
				f = f.but(fields{4: ""}) // answered without the ledger
			}
			x.write(x.payload("0200", f))
		}
		for i := range n {
			m, err := x.spec.Parse(x.read())
			w.must(err)
			want := "00"
			if i%5 == 0 {
				want = "30"
			}
			if m.Get(11) != fmt.Sprintf("%06d", 100+i) || m.Get(39) != want {
				t.Fatalf("answer %d is for STAN %s: %s", i, m.Get(11), m.Get(39))
			}
			if want == "00" {
				w.approved.add(m.Get(37))
			}
		}
		w.settle()
		w.spent(everyday, n-n/5)
	})
}
