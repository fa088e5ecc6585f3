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
