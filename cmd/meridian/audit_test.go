package main

import (
	"encoding/json"
	"strings"
	"testing"

	"meridian/switch"
)

func TestAuditList(t *testing.T) {
	w := newWorld(t)
	w.call("audit", "list", "-o", "json").want(t, 0, "[]")
	// A terminal that has to seal its messages, and does not.
	w.call("terminal", "sale", "--amount", "1", "--tid", "10000002", "--mac", "none").want(t, 1)
	execSQL(t, w.url, `INSERT INTO audit_log (recorded_at, kind, subject, detail)
		VALUES ('2026-11-24T12:00:00Z', 'other', E'a\tb', E'clear \x1b[2J the screen')`)
	o := w.call("audit", "list").want(t, 0, "mac_failure", "10000002", "a?b", "clear ?[2J the screen")
	if lines := strings.Split(strings.TrimSpace(o.stdout), "\n"); len(lines) != 3 || !strings.Contains(lines[1], "other") {
		t.Errorf("not the newest first:\n%s", o.stdout)
	}
	var rows []switching.AuditRow
	o = w.call("audit", "list", "--kind", "mac_failure", "-o", "json").want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &rows); err != nil || len(rows) != 1 || rows[0].Kind != "mac_failure" {
		t.Errorf("%v\n%s", err, o.stdout)
	}
}

func TestAuditVerify(t *testing.T) {
	w := newWorld(t)
	w.call("audit", "verify").want(t, 0, "0 rows checked", "head 0 "+strings.Repeat("0", 64))
	verify := func(want int, more ...string) (v switching.AuditVerification) {
		t.Helper()
		o := w.call(append([]string{"audit", "verify", "-o", "json"}, more...)...).want(t, want)
		if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
			t.Fatalf("%v\n%s", err, o.stdout)
		}
		return v
	}
	set := func(value string) {
		t.Helper()
		w.call("policy", "set", "sandbox 104110000000001", "max_refunds", value, "--by", "ann", "--reason", "a test").want(t, 0)
	}
	set("3")
	set("4")
	held := verify(0)
	if held.Rows != 2 || held.Head.Sequence != 2 || held.Problem != nil {
		t.Errorf("got %+v", held)
	}
	set("5")
	head := held.Head.Hash.String()
	w.call("audit", "verify", "--expect-head", head).want(t, 0, "3 rows checked", "the expected head is row 2")
	w.call("audit", "verify", "--expect-head", "12").want(t, exitUsage, "--expect-head", "64 hex digits")
	w.call("ledger", "verify").want(t, 0)

	execSQL(t, w.url, `INSERT INTO audit_log (recorded_at, kind, subject, detail) VALUES ('2026-11-24T12:00:00Z', 'older', 'a', 'b')`)
	w.call("audit", "verify").want(t, exitInvariant, "audit_id 4: not chained", "audit adopt")
	w.call("audit", "adopt", "--by", "ann").want(t, exitUsage, "--reason")
	w.call("audit", "adopt", "--by", "ann", "--reason", "upgrade").want(t, 0, "1 rows taken into")
	if v := verify(0); v.Rows != 5 {
		t.Errorf("got %+v", v)
	}

	execSQL(t, w.url, `UPDATE audit_log SET detail = 'by bob: a test' WHERE sequence = 2`)
	w.call("audit", "verify").want(t, exitInvariant, "1 rows checked", "row 2 (audit_id 2): changed")
	w.call("ledger", "verify").want(t, exitInvariant, "row 2 (audit_id 2): changed")
	if v := verify(exitInvariant); v.Problem == nil || v.Problem.Fault != "changed" {
		t.Errorf("got %+v", v)
	}
	execSQL(t, w.url, `DELETE FROM audit_log WHERE sequence > 1`)
	w.call("audit", "verify").want(t, exitInvariant, "row 2: cut off", "the head says 5")
	execSQL(t, w.url, `UPDATE audit_head SET sequence = 1, hash = (SELECT hash FROM audit_log)`)
	w.call("audit", "verify").want(t, 0, "1 rows checked")
	w.call("audit", "verify", "--expect-head", head).want(t, exitInvariant, "not the one that was held", head)
}

func TestExceptionsList(t *testing.T) {
	w := newWorld(t)
	w.call("exceptions", "list", "-o", "json").want(t, 0, "[]")
	for _, amount := range []string{"12.34", "56.78"} {
		w.call("terminal", "sale", "--amount", amount).want(t, 0)
		w.call("clock", "advance", "1d").want(t, 0)
		w.call("terminal", "reversal").want(t, 0)
	}
	golden(t, "exceptions.txt", w.call("exceptions", "list").want(t, 0).stdout)
	var list []switching.RaisedException
	o := w.call("exceptions", "list", "--limit", "1", "-o", "json").want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil || len(list) != 1 || list[0].AmountMinor != 5678 {
		t.Errorf("%v\n%s", err, o.stdout)
	}
	w.call("transaction", "show", list[0].RRN).want(t, 0, "56.78 CNY")
}
