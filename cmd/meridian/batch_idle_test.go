package main

import "testing"

func TestBatchCloseIdle(t *testing.T) {
	w := newWorld(t) // noon of 24 November, business date 24
	idle := func(more ...string) outcome {
		t.Helper()
		return w.call(append([]string{"batch", "close-idle"}, more...)...)
	}
	sign := []string{"--by", "Ann Lee", "--reason", "not seen since"}
	idle().want(t, exitUsage, "--before is missing")
	idle("--before", "yesterday").want(t, exitUsage, `--before "yesterday" is not YYYY-MM-DD`)
	idle("--before", "2026-11-24").want(t, exitUsage, "--by is missing")
	idle(append(sign, "--before", "2026-11-25")...).want(t, exitUsage, "it is 2026-11-24", "batches in use would be closed")
	w.terminal("sale --amount 12.00").want(t, 0, "approved 00")
	w.call("clock", "advance", "2d").want(t, 0)
	idle("--before", "2026-11-24", "--dry-run").want(t, 0, "0 batches without a transaction since 2026-11-24: would be closed")
	idle("--before", "2026-11-25", "--dry-run").want(t, 0, "10000001  000001  2026-11-24", "1 batches without a transaction since 2026-11-25: would be closed")
	idle(append(sign, "--before", "2026-11-25")...).want(t, 0, "10000001  000001  2026-11-24", "closed with the host's totals, by the sandbox's clock")
	idle(append(sign, "--before", "2026-11-25", "-o", "json")...).want(t, 0, `"batches": []`, `"clock": "sandbox"`)
	w.call("audit", "list", "--kind", "batch_closed").want(t, 0, "terminal 10000001 batch 000001", "by Ann Lee: not seen since")
	w.call("ledger", "verify").want(t, 0, "everything holds")
}
