package node

import (
	"strings"
	"testing"

	"meridian/host/wire"
	"meridian/internal/hsm/mac"
)

// TestConversationMAC: every transaction of a terminal that has a MAC, and every
// answer to it, carries one.
func TestConversationMAC(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, sealed, shop)
		x.do("00", "0800", fields{3: "920000"})
		sale := x.do("00", "0200", amount(10_00), swiped(everyday))
		x.repeat(sale)
		x.do("51", "0200", amount(opened), typed(everyday))
		x.do("30", "0200", typed(everyday), fields{4: ""})
		x.do("94", "0200", amount(11_00), typed(everyday), stan(sale))
		auth := x.do("00", "0100", amount(10_00), typed(everyday))
		x.do("00", "0220", amount(10_00), fields{90: auth.originalData()}) // its MAC is in F128
		verdict(t, x.do("00", "0200", processing("020000"), amount(10_00), refTo(sale)), "VOID R16")
		sale = x.do("00", "0200", amount(10_00), typed(everyday))
		x.do("00", "0400", amount(10_00), stan(sale))
		if n := w.stored().audits; n != 0 {
			t.Errorf("%d rows in the audit log", n)
		}
	})
}

// TestConversationMACRefused: a wrong or missing MAC is answered 63, has one row
// in the audit log, and nothing else happens.
func TestConversationMACRefused(t *testing.T) {
	other, err := mac.New(mac.X919, []byte("fedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	eachDialect(t, func(w *town, dialect string) {
		honest := w.terminal(dialect, sealed, shop)
		sale := honest.do("00", "0200", amount(10_00), typed(everyday))
		for problem, mac := range map[string]wire.MACAlgorithm{"missing": nil, "wrong": other} {
			for _, mti := range []string{"0100", "0200", "0201", "0220", "0400", "0421"} {
				honest.transmit("0201", sale.fields) // a right one in between keeps the terminal from being locked
				before := w.stored()
				x := w.terminal(dialect, sealed, shop)
				x.mac = mac
				f := x.fill(mti, typed(everyday).but(fields{4: "000000001000", 11: sale.stan()}))
				m, raw := x.exchange(x.payload(mti, f))
				if m.Get(39) != "63" || m.Has(37) || m.Has(38) || m.Has(15) || m.Get(11) != sale.stan() {
					t.Fatalf("%s with a %s MAC answered %s, fields %v", mti, problem, m.Get(39), m.Fields())
				}
				w.must(x.spec.VerifyMAC(raw, honest.mac))
				after := w.stored()
				if after.audits != before.audits+1 {
					t.Fatalf("%s with a %s MAC: %d rows in the audit log, before %d", mti, problem, after.audits, before.audits)
				}
				before.audits = after.audits
				if after != before {
					t.Fatalf("%s with a %s MAC: rows before %+v, after %+v", mti, problem, before, after)
				}
				row := one[string](w, `SELECT kind || ': ' || subject || ': ' || detail FROM audit_log ORDER BY audit_id DESC LIMIT 1`)
				want := "mac_failure: terminal " + x.tid + ": MAC " + problem + " in " + mti + " from 127.0.0.1"
				if row != want {
					t.Fatalf("audited %q, want %q", row, want)
				}
				w.spent(everyday, 10_00)
			}
		}
		// A network message needs none; and the terminal goes on as if nothing had been.
		honest.repeat(sale)
		w.settle()
	})
}

// TestConversationMACOfChangedBytes: an amount that was changed on the way.
func TestConversationMACOfChangedBytes(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		x := w.terminal(dialect, sealed, shop)
		payload := x.payload("0200", x.fill("0200", typed(everyday).but(amount(11_11))))
		from, to := "000000001111", "000000009999"
		if dialect == "nac" {
			from, to = "\x00\x00\x00\x00\x11\x11", "\x00\x00\x00\x00\x99\x99"
		}
		changed := []byte(strings.Replace(string(payload), from, to, 1))
		if m, _ := x.exchange(changed); m.Get(39) != "63" {
			t.Fatalf("answered %s", m.Get(39))
		}
		w.spent(everyday, 0)
		if m, _ := x.exchange(payload); m.Get(39) != "00" {
			t.Fatalf("answered %s", m.Get(39))
		}
		w.settle()
		w.spent(everyday, 11_11)
	})
}
