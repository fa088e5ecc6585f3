package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"meridian/switch"
)

// until runs a terminal's sale until it ends with a code.
func (w *world) until(code int, arguments ...string) outcome {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		if o := w.call(arguments...); o.code == code || time.Now().After(end) {
			return o.want(w.t, code)
		}
	}
}

func TestTerminalsAreSuspended(t *testing.T) {
	w := newWorld(t)
	list := w.call("terminals", "list", "--mid", "104110000000001").want(t, 0, "TERMINAL", "10000001", "active", "x919", "static").stdout
	if strings.Contains(list, "104110000000002") || strings.Contains(list, "suspended") {
		t.Errorf("listed\n%s", list)
	}
	w.call("terminals", "list", "--mid", "1").want(t, exitFailure, "no merchant 1")
	w.call("terminals", "show", "99").want(t, exitFailure, `no terminal "99"`)
	sale := []string{"terminal", "sale", "--amount", "1", "--tid", "10000001"}
	sign := []string{"--by", "Ann Lee", "--reason", "stolen"}
	w.call(sale...).want(t, 0)
	w.call("terminals", "suspend", "10000001").want(t, exitUsage, "--by")
	w.call(append([]string{"terminals", "suspend", "10000001"}, sign...)...).want(t, 0, "is suspended", "running hosts")
	w.call(append([]string{"terminals", "suspend", "10000001"}, sign...)...).want(t, exitFailure, "suspended already")
	w.until(exitFailure, sale...)
	w.call("terminals", "show", "10000001").want(t, 0, "terminal 10000001 of merchant 104110000000001", "suspended")
	w.call(append([]string{"terminals", "activate", "10000001"}, sign...)...).want(t, 0, "is active")
	w.until(0, sale...)
	w.call("audit", "list", "--limit", "50").want(t, 0, "terminal_suspended", "terminal_activated", "denied_terminal_inactive", "by Ann Lee: stolen")
	w.call("audit", "verify").want(t, 0)
}

func TestTerminalsAreUnlocked(t *testing.T) {
	w := newWorld(t)
	w.call("terminals", "list", "--locked", "-o", "json").want(t, 0, "[]")
	for range 10 {
		w.call("terminal", "sale", "--amount", "1", "--tid", "10000002", "--mac", "none").want(t, 1, "63")
	}
	sale := []string{"terminal", "sale", "--amount", "1", "--tid", "10000002"}
	w.call(sale...).want(t, 1, "58")
	var list []terminalView
	for end := time.Now().Add(30 * time.Second); len(list) == 0 && time.Now().Before(end); {
		if err := json.Unmarshal([]byte(w.call("terminals", "list", "--locked", "-o", "json").want(t, 0).stdout), &list); err != nil {
			t.Fatal(err)
		}
	}
	if len(list) != 1 || list[0].TID != "10000002" || list[0].State != "locked" || list[0].Lock.Failures != 10 {
		t.Fatalf("locked: %+v", list)
	}
	w.call("terminals", "show", "10000002").want(t, 0, "locked until 2026-11-24 12:15:00 UTC", "after 10 wrong MACs")
	unlock := []string{"terminals", "unlock", "10000002", "--by", "Ann Lee", "--reason", "new key"}
	w.call(unlock...).want(t, 0, "terminal 10000002 is unlocked")
	w.call(unlock...).want(t, exitFailure, "is not locked")
	w.until(0, sale...)
	w.call("terminals", "show", "10000002").want(t, 0, "active", "unlocked 2026-11-24 12:00:00")
	w.call("audit", "list", "--kind", "terminal_unlocked").want(t, 0, "by Ann Lee: new key")
}

// A listing is as long as the fleet, though the database hands it out in parts.
func TestListingsAreWhole(t *testing.T) {
	w := newWorld(t)
	count := func(arguments ...string) int {
		t.Helper()
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(w.call(append(arguments, "-o", "json")...).want(t, 0).stdout), &list); err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for what, insert := range map[string]string{
		"terminals": `INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) SELECT 1000 + n, (70000000 + n)::text, 1, 'nac' FROM generate_series(1, $1::int) n`,
		"merchant": `INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id)
			SELECT 1000 + n, 0, (104110000100000 + n)::text, 'Shop ' || n, 156, 1, 1 FROM generate_series(1, $1::int) n`,
	} {
		before := count(what, "list")
		const more = switching.TerminalsListed + 1
		execSQL(t, w.url, insert, more)
		if got := count(what, "list"); got != before+more {
			t.Errorf("%s list has %d, want %d", what, got, before+more)
		}
	}
}

// Nothing is not what a terminal or merchant has done that is not there.
func TestNobodysListsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, list := range [][]string{
		{"key", "check", "--tid", "77"}, {"batch", "list", "--tid", "77"}, {"batch", "list", "--current", "--tid", "77", "-o", "json"}, {"transaction", "list", "--terminal", "77"},
	} {
		if o := w.call(list...).want(t, exitFailure, "there is no terminal", "77"); o.stdout != "" {
			t.Errorf("%v writes %q", list, o.stdout)
		}
	}
	for _, list := range [][]string{{"batch", "list", "--mid", "nope"}, {"transaction", "list", "--mid", "nope"}} {
		w.call(list...).want(t, exitFailure, "there is no merchant nope")
	}
	execSQL(t, w.url, `UPDATE terminals SET tmk_wrapped = NULL, mak_wrapped = NULL, pik_wrapped = NULL WHERE tid = '10000001'`)
	w.call("key", "check", "--tid", "10000001").want(t, exitFailure, "terminal 10000001 has no keys: nothing was checked")
	w.call("key", "check", "--tid", "10000002").want(t, 0, "opens")
	w.call("batch", "list", "--tid", "10000001", "-o", "json").want(t, 0, "[]")
	w.call("transaction", "list", "--mid", "104110000000001", "-o", "json").want(t, 0, "[]")
}
