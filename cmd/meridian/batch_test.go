package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meridian/switch"
)

// terminal runs the test terminal, of a dialect or a TID.
func (w *world) terminal(line string) outcome {
	w.t.Helper()
	return w.call(append([]string{"terminal"}, strings.Fields(line)...)...)
}

func (w *world) batch(line string) switching.BatchReport {
	w.t.Helper()
	var b switching.BatchReport
	o := w.call(append(strings.Fields("batch show "+line), "-o", "json")...).want(w.t, 0)
	var shown struct {
		State  string `json:"state"`
		Totals switching.Totals
		Number int32                          `json:"batch"`
		Listed []switching.ReportedDifference `json:"differing"`
		Closed string                         `json:"closed_by"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &shown); err != nil {
		w.t.Fatal(err)
	}
	b.BatchSummary = &switching.BatchSummary{BatchNo: shown.Number, Totals: shown.Totals}
	b.Differing = shown.Listed
	return b
}

// Over TCP, with a terminal that shares no code with the host's side: both
// dialects, with and without a MAC.
func TestTerminalsSettleTheirBatches(t *testing.T) {
	w := newWorld(t)
	for _, tid := range []string{"10000001", "10000002", "10000003", "10000004"} {
		t.Run(tid, func(t *testing.T) {
			as := " --tid " + tid
			// Balanced: a sale, its void, a sale that was reversed, a completion.
			w.terminal("sale --amount 12.34"+as).want(t, 0)
			w.terminal("void"+as).want(t, 0, "VOID R16")
			w.terminal("sale --amount 5 --card low"+as).want(t, 0)
			w.terminal("reversal"+as).want(t, 0)
			w.terminal("preauth --amount 7"+as).want(t, 0)
			w.terminal("complete --amount 6"+as).want(t, 0)
			w.terminal("settle"+as).want(t, 0, "→ 0500", "← 0510", "settle approved 00, batch 000001")
			w.terminal("settle --repeat"+as).want(t, 0, "settle, repeated", "settle approved 00")
			if b := w.batch(tid + " --number 1"); b.Totals != (switching.Totals{SaleCount: 2, SaleMinor: 18_34, VoidCount: 1, VoidMinor: 12_34}) {
				t.Errorf("totals %+v", b.Totals)
			}
			// Unbalanced: 95, nothing but the upload is taken, and then the trailer.
			w.terminal("sale --amount 3"+as).want(t, 0)
			w.terminal("sale --amount 4"+as).want(t, 0)
			w.terminal("settle --no-upload --totals 009000000000999"+as).want(t, exitFailure, "settle declined 95: totals out of balance")
			w.terminal("sale --amount 1"+as).want(t, exitFailure, "sale declined 95")
			w.terminal("echo"+as).want(t, 0)
			w.terminal("reversal"+as).want(t, 0) // of the sale of 4
			w.call("batch", "list", "--current", "--tid", tid).want(t, 0, "uploading")
			w.terminal("settle --totals 009000000000999"+as).want(t, 0, "settle declined 95", "→ 0320", "← 0330", "trailer approved 00, batch 000002")
			w.terminal("sale --amount 2"+as).want(t, 0)
			w.terminal("settle --form 15"+as).want(t, 0, "settle approved 00, batch 000003")
			if b := w.batch(tid + " --number 2"); b.Totals != (switching.Totals{SaleCount: 1, SaleMinor: 3_00}) || len(b.Differing) != 0 {
				t.Errorf("batch 2: %+v %+v", b.Totals, b.Differing)
			}
			if b := w.batch(tid); b.BatchNo != 4 {
				t.Errorf("current batch %d", b.BatchNo)
			}
		})
	}
	w.call("ledger", "verify").want(t, 0, "everything holds")
}

func TestBatches(t *testing.T) {
	w := newWorld(t)
	w.call("batch", "list").want(t, 0)
	w.call("batch", "show", "10000001").want(t, exitFailure, "has no such batch", "batch list")
	w.call("batch", "show", "99999999").want(t, exitFailure, `there is no terminal "99999999"`)
	w.call("batch", "close", "99999999", "--by", "Ann Lee", "--reason", "replaced").want(t, exitFailure, `there is no terminal "99999999"`)
	w.terminal("sale --amount 12.34").want(t, 0)
	w.terminal("sale --amount 20").want(t, 0)
	// The host loses nothing that the terminal forgets: it is missing from the upload.
	w.terminal("sale --amount 30 --tid 10000001").want(t, 0)
	forget(t, w.dataDir)
	w.terminal("settle").want(t, 0, "settle declined 95", "trailer approved 00")
	w.call("batch", "list", "--differing").want(t, 0, "000001", "closed", "trailer", "3: 62.34 CNY")
	o := w.call("batch", "show", "10000001", "--number", "1").want(t, 0,
		"batch 000001 of terminal 10000001, merchant 104110000000001: closed", "sales    3: 62.34 CNY",
		"stated sales 0: 0.00 CNY, refunds 0: 0.00 CNY", "missing from terminal", "settlement", "trailer")
	if n := strings.Count(o.stdout, "missing from terminal"); n != 3 {
		t.Errorf("%d missing:\n%s", n, o.stdout)
	}
	w.call("exceptions", "list").want(t, 0, "batch_out_of_balance")

	w.terminal("sale --amount 1").want(t, 0)
	sign := []string{"--by", "Ann Lee", "--reason", "terminal replaced"}
	closing := func(more ...string) outcome {
		t.Helper()
		return w.call(append(append([]string{"batch", "close", "10000001"}, more...), sign...)...)
	}
	w.call("batch", "close", "10000001").want(t, exitUsage, "--by is missing")
	closing("--next", "1").want(t, exitUsage, "has had a batch of that number")
	closing("--next", "1000000").want(t, exitUsage, "1 to 999999")
	closing("--next", "123").want(t, 0, "batch 000002 of terminal 10000001 closed", "the current one is 000123")
	w.call("audit", "list", "--kind", "batch_closed").want(t, 0, "terminal 10000001 batch 000002", "by Ann Lee: terminal replaced")
	w.terminal("sale --amount 2 --tid 10000001").want(t, 0)
	forget(t, w.dataDir)
	w.terminal("settle --batch 123 --form 15 --totals 001000000000200").want(t, 0, "settle approved 00, batch 000123")
	w.terminal("settle --batch 77 --form 15 --totals 001000000000200 --no-upload").want(t, exitFailure, "settle declined 95")
	w.call("batch", "list", "--limit", "0").want(t, exitUsage, "1 to 1000")
	w.call("ledger", "verify").want(t, 0, "everything holds")
}

// forget makes the NAC terminal lose what it remembers of its batch.
func forget(t *testing.T, dataDir string) {
	t.Helper()
	path := filepath.Join(dataDir, "terminal-10000001.json")
	var state map[string]any
	if err := json.Unmarshal([]byte(readFile(t, path)), &state); err != nil {
		t.Fatal(err)
	}
	delete(state, "batch")
	content, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
