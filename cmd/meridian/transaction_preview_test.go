package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPreviewCancel(t *testing.T) {
	w := newWorld(t)
	w.call("terminal", "sale", "--amount", "12.34").want(t, 0)
	rrn := w.rrns()[0]
	preview := func(more ...string) outcome {
		t.Helper()
		return w.call(append([]string{"transaction", "preview-cancel", rrn}, more...)...)
	}
	golden(t, "preview_void.txt", preview().want(t, 0).stdout)
	w.call("clock", "advance", "3h").want(t, 0)
	golden(t, "preview_refund.txt", preview().want(t, 0).stdout)
	golden(t, "preview.json", preview("-o", "json").want(t, 0).stdout)
	w.call("transaction", "preview-cancel", "000000000001").want(t, exitFailure, "no transaction has RRN 000000000001")
	// A preview does nothing, and what it says becomes true.
	if n := len(w.rrns()); n != 1 {
		t.Errorf("%d transactions", n)
	}
	w.call("terminal", "cancel", "--rrn", rrn).want(t, 0, "REFUND R29")
	preview().want(t, 0, "DECLINE R24", "reason", "exceeds_amount_limit")
	w.call("ledger", "verify").want(t, 0, "everything holds")
}

// Whose clock it is depends on whose database it is.
func TestClockOfAPreview(t *testing.T) {
	w := newWorld(t)
	w.call("terminal", "sale", "--amount", "12.34").want(t, 0)
	rrn := w.rrns()[0]
	preview := func(dataDir, url string) outcome {
		t.Helper()
		return call(t, "transaction", "preview-cancel", rrn, "--data-dir", dataDir, "--database-url", url)
	}
	other := t.TempDir()
	preview(w.dataDir, w.url).want(t, 0, "2026-11-24T12:00:00Z", "by the sandbox's clock")
	preview(other, w.url).want(t, 0, "by the real clock, because no sandbox runs on "+other)
	writeManifest(t, other, strings.Replace(w.url, "127.0.0.1", "192.0.2.1", 1))
	preview(other, w.url).want(t, 0, "by the real clock, because the sandbox on "+other+" has another database")
	execSQL(t, w.url, `UPDATE installation SET kind = 'production'`)
	o := call(t, "transaction", "preview-cancel", rrn, "--data-dir", w.dataDir, "-o", "json").want(t, 0)
	var shown shownPreview
	if err := json.Unmarshal([]byte(o.stdout), &shown); err != nil || shown.Clock != "real" {
		t.Errorf("clock %q, %v", shown.Clock, err)
	}
}
