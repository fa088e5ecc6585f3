package node

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/host"
	"meridian/internal/hsm/mac"
	"meridian/switch"
)

// audited are the kind, subject and detail of the newest n rows of the audit
// log, the oldest first.
func (w *town) audited(n int) []string {
	w.t.Helper()
	return one[[]string](w, `SELECT coalesce(array_agg(text ORDER BY audit_id), '{}') FROM (
		SELECT audit_id, kind || ': ' || subject || ': ' || detail AS text FROM audit_log ORDER BY audit_id DESC LIMIT $1) AS newest`, n)
}

// TestConversationDenied: who is not let in has a row in the audit log for each
// message, and nothing else is stored.
func TestConversationDenied(t *testing.T) {
	eachDialect(t, func(w *town, dialect string) {
		digit := dialectDigit(dialect)
		other := dialectDigit(map[string]string{"nac": "ascii", "ascii": "nac"}[dialect])
		w.sql(`UPDATE terminals SET certificate_sha256 = sha256('another') WHERE tid = $1`, digit+bound)
		w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
		w.must(w.node.Switch().Refresh(t.Context()))
		for _, test := range []struct{ name, tid, mid, code, row string }{
			{"unknown terminal", digit + "9999999", shop, "97", `denied_unknown_terminal: address 127.0.0.1: terminal "` + digit + `9999999": 0200 on ` + dialect + ` from 127.0.0.1`},
			{"terminal of another dialect", other + till, shop, "97", `denied_unknown_terminal: address 127.0.0.1: terminal "` + other + till + `": 0200 on ` + dialect + ` from 127.0.0.1`},
			{"unknown merchant", digit + till, "104110000000999", "03", `denied_unknown_merchant: terminal ` + digit + till + `: 0200 on ` + dialect + ` from 127.0.0.1`},
			{"another's terminal", digit + till, kiosk, "97", `denied_terminal_not_of_merchant: terminal ` + digit + till + `: 0200 on ` + dialect + ` from 127.0.0.1`},
			{"inactive terminal", digit + retired, shop, "58", `denied_terminal_inactive: terminal ` + digit + retired + `: 0200 on ` + dialect + ` from 127.0.0.1`},
			{"inactive merchant", digit + haunted, ghost, "03", `denied_unknown_merchant: terminal ` + digit + haunted + `: 0200 on ` + dialect + ` from 127.0.0.1`},
			{"without its certificate", digit + bound, shop, "63", `denied_security_violation: terminal ` + digit + bound + `: 0200 on ` + dialect + ` from 127.0.0.1`},
		} {
			x := w.terminal(dialect, till, test.mid)
			x.tid = test.tid
			before, rows := w.stored(), one[int](w, `SELECT count(*) FROM audit_log`)
			x.do(test.code, "0200", amount(10_00), typed(everyday))
			x.nothingStored(before)
			if n := one[int](w, `SELECT count(*) FROM audit_log`); n != rows+1 {
				t.Errorf("%s: %d rows in the audit log", test.name, n-rows)
			}
			if got := w.audited(1); got[0] != test.row {
				t.Errorf("%s: audited\n%s, want\n%s", test.name, got[0], test.row)
			}
		}
		// What a terminal that was let in asks in vain is a transaction, and no denied attempt.
		rows := one[int](w, `SELECT count(*) FROM audit_log`)
		w.terminal(dialect, till, shop).do("51", "0200", typed(everyday), amount(opened+1))
		if n := one[int](w, `SELECT count(*) FROM audit_log`); n != rows {
			t.Errorf("a decline has %d rows in the audit log", n-rows)
		}
	})
}

// TestConversationLocked: ten wrong MACs lock a terminal, for hosts that start
// later too, until a person or the time unlocks it.
func TestConversationLocked(t *testing.T) {
	wrong, err := mac.New(mac.X919, []byte("fedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	eachDialect(t, func(w *town, dialect string) {
		tid := dialectDigit(dialect) + sealed
		attack := func(n int, want string) {
			t.Helper()
			x := w.terminal(dialect, sealed, shop)
			x.mac = wrong
			for range n {
				if m, _ := x.exchange(x.payload("0200", x.fill("0200", typed(everyday).but(amount(1))))); m.Get(39) != want || m.Has(37) {
					t.Fatalf("a wrong MAC was answered %s, want %s", m.Get(39), want)
				}
			}
		}
		sale := func(want string) {
			t.Helper()
			x := w.terminal(dialect, sealed, shop)
			x.stan = one[int](w, `SELECT count(*) FROM transactions`) + 100
			if m, _ := x.exchange(x.payload("0200", x.fill("0200", typed(everyday).but(amount(1_00))))); m.Get(39) != want {
				t.Fatalf("the terminal was answered %s, want %s", m.Get(39), want)
			}
		}
		locked := func(want int) {
			t.Helper()
			w.eventually(func() bool {
				locks, err := switching.TerminalLocks(t.Context(), w.owner, w.clock.Now())
				w.must(err)
				return len(locks) == want && strings.Contains(w.metrics(), fmt.Sprintf("\nmeridian_terminals_locked %d\n", want))
			})
		}
		attack(9, "63")
		sale("00") // a right one: the count begins anew
		attack(10, "63")
		sale("58")
		attack(1, "58")
		locked(1)
		// The lock, the tenth wrong MAC and what was refused after it are written side by side.
		rows := w.audited(4)
		for _, want := range []string{
			"terminal_locked: terminal " + tid + ": 10 wrong MACs in a row within 0s, the last from 127.0.0.1: locked until 2026-03-10 12:15:00Z",
			"denied_terminal_locked: terminal " + tid + ": 0200 on " + dialect,
		} {
			if !slices.ContainsFunc(rows, func(row string) bool { return strings.HasPrefix(row, want) }) {
				t.Errorf("audited %q, want one that begins %q", rows, want)
			}
		}
		if n := one[int](w, `SELECT count(*) FROM audit_log WHERE kind = 'mac_failure'`); n != 19 {
			t.Errorf("%d rows about wrong MACs", n)
		}

		first := w.node
		w.open() // another host
		sale("58")
		w.must(switching.UnlockTerminal(t.Context(), w.owner, w.clock.Now(), tid, "ann", "its key was loaded anew"))
		if err := switching.UnlockTerminal(t.Context(), w.owner, w.clock.Now(), tid, "ann", "again"); !errors.Is(err, switching.ErrNotLocked) {
			t.Errorf("unlocked twice: %v", err)
		}
		locked(0)
		sale("00")
		if got := w.audited(1)[0]; got != "terminal_unlocked: terminal "+tid+": by ann: its key was loaded anew" {
			t.Errorf("audited %q", got)
		}

		// The other host has heard of it as well, and locks it again, for both.
		w.node = first
		locked(0)
		attack(10, "63")
		locked(1)
		w.clock.set(w.clock.Now().Add(15 * time.Minute))
		sale("00")
		locked(0)
		v, err := switching.VerifyAudit(t.Context(), w.owner, nil)
		w.must(err)
		if v.Problem != nil {
			t.Error(v.Problem)
		}
	})
}

// metrics as the ops address tells them.
func (w *town) metrics() string {
	w.t.Helper()
	response, err := http.Get("http://" + w.node.Addresses()["ops"] + "/metrics")
	w.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	w.must(err)
	return string(text)
}

// eventually asks until it is so.
func (w *town) eventually(so func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			w.t.Fatal("it does not come")
		}
	}
}

// TestConversationUnknownFlood: strangers get a few answers and then none, and
// their connection and everybody else go on.
func TestConversationUnknownFlood(t *testing.T) {
	town := newTownWith(t, func(w *town) {
		w.admission.Refusals = host.Rate{PerSecond: 0.001, Burst: 5}
	})
	for dialect := range framings {
		t.Run(dialect, func(t *testing.T) {
			w := town.in(t)
			before := w.stored()
			x := w.terminal(dialect, "9999999", shop)
			const sent = 200
			for range sent {
				x.write(x.payload("0200", x.fill("0200", typed(everyday).but(amount(1)))))
			}
			y := w.terminal(dialect, till, shop)
			y.do("00", "0800", fields{3: "990000"})
			// An echo of a terminal that is known ends what the strangers got.
			z := *x
			z.tid, z.mid = y.tid, y.mid
			x.write(z.payload("0800", z.fill("0800", fields{3: "990000"})))
			answers := 0
			for {
				m, err := x.spec.Parse(x.read())
				w.must(err)
				if m.MTI() == "0810" {
					break
				}
				if m.Get(39) != "97" {
					t.Fatalf("a stranger was answered %s", m.Get(39))
				}
				answers++
			}
			if answers > 5 {
				t.Errorf("%d answers", answers)
			}
			y.nothingStored(before)
		})
	}
	if n := one[int](town, `SELECT count(*) FROM audit_log WHERE kind = 'denied_unknown_terminal'`); n != 5 {
		t.Errorf("%d rows for five answers", n)
	}
}
