package main

import (
	"encoding/json"
	"errors"
	"os/exec"
	"testing"
)

// Every measurement of ours runs, for a moment, and the ledger holds after it.
// What it comes to is of no interest here, nor are pgbench's five million rows.
func TestBenchMeasuresEverything(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), binary(t), "bench", "--output", "json",
		"--rounds", "1", "--each", "200ms", "--merchants", "16", "--cards", "400", "--connections", "1,8", "--idle", "50", "--stored", "500", "--months", "3",
		"--only", "approval|ledger path|sales|mix|echo|killed")
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderrOf(err))
	}
	var report struct {
		Verified bool `json:"verified"`
		Killed   struct {
			Answered, Repeated, Unheard, Lost, Twice int
		} `json:"killed"`
		Measurements []struct {
			Name string  `json:"name"`
			PerS float64 `json:"per_s"`
		} `json:"measurements"`
	}
	if err := json.Unmarshal(output, &report); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	measured := map[string]bool{}
	for _, m := range report.Measurements {
		measured[m.Name] = m.PerS > 0
	}
	for _, name := range []string{
		"one approval per transaction, 1 client", "one approval per transaction, 8 clients",
		"ledger path in process", "sales, 1 connections", "sales, 8 connections", "UnionPay sales, 1 connections", "UnionPay sales, 8 connections",
		"mix, 8 connections", "sales at half load", "echo without database, 8 connections", "mix beside idle connections",
	} {
		if !measured[name] {
			t.Errorf("%q was not measured: %v", name, measured)
		}
	}
	if k := report.Killed; k.Answered == 0 || k.Repeated != 8 || k.Unheard < 0 || k.Unheard > 8 || k.Lost != 0 || k.Twice != 0 {
		t.Errorf("killed: %+v", k)
	}
	if !report.Verified {
		t.Error("the ledger was not verified")
	}
}

func stderrOf(err error) string {
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(ended.Stderr)
	}
	return ""
}
