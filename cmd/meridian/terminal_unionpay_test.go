package main

import (
	"strings"
	"testing"
)

// TestTerminalUnionPay plays the commands of a UnionPay terminal against a sandbox, with the flags that no other dialect has.
func TestTerminalUnionPay(t *testing.T) {
	w := newWorld(t)
	nothing := strings.Repeat("0", 62)
	for _, c := range []struct {
		line string
		code int
		want string // parts of what it says, between bars
	}{
		{"sale --amount 1", exitUsage, "has not signed in: 'logon' first"},
		{"echo", 0, "→ 0820 echo|network management 301|echo approved 00"},
		{"logon --keys single", 0, "network management 001|PIN key |the host asks to download parameters"},
		{"logon --keys track", 0, "network management 004|PIN key |track key "},
		{"status", 0, "there are some"},
		{"status --list keys", 0, "key F1, expires"},
		{"status --list everything", exitUsage, "parameters, keys or applications"},
		{"download", 0, "MERIDIAN SANDBOX|A000000333010101, 15 parameters|download end approved 00"},
		{"logon --keys track", 0, "logon approved 00, batch 000001"},
		{"sale --amount 12.34 --pin card", 0, "F52  Personal identification number data    (8 bytes)|MAC ok|交易成功|sale approved 00, 12.34 CNY"},
		{"sale --repeat", 0, "sale, repeated,|sale approved 00, 12.34 CNY"},
		{"sale --amount 5 --seal-track --pin card", 0, "2610000000000000|sale approved 00"},
		{"sale --amount 5 --pin 654321", exitFailure, "sale declined 55: wrong PIN|shows 密码错，请重试"},
		{"sale --amount 5 --mak 0123456789ABCDEFFEDCBA9876543210", exitFailure, "sale declined A0: wrong MAC: sign in again|the host asks to sign in again"},
		{"sale --amount 5 --batch 9", exitFailure, "sale declined 77: sign in|the host asks to sign in again"},
		{"sale --amount 5 --tmk 00", exitUsage, "terminal master key: it is 1 bytes"},
		{"void --of sale --stan 77", 0, "message type 23, batch 000001|void approved 00, 5.00 CNY"},
		{"reversal --reason A0", 0, "A0  the answer's MAC was wrong|reversal approved 00"},
		{"reversal --original-stan 4711 --amount 1 --reason 06", exitFailure, "06  another reason|25: original not found: there is nothing to reverse"},
		{"preauth --amount 50", 0, "message type 10|preauth approved 00"},
		{"complete --amount 45 --advice", 0, "→ 0220 complete|message type 24|complete approved 00"},
		{"offline --amount 30", 0, "message type 30|offline approved 00"},
		{"adjust --amount 33 --tip 3", 0, "message type 34|adjust approved 00, 33.00 CNY"},
		{"script --data 9F36020007DF31052000000000", 0, "network management 951|script approved 00, RRN"},
		{"script --data 9F3", exitUsage, "--data: it is not hex"},
		{"balance --pin card", 0, "balance approved 00, available "},
		{"sale --amount 1 --cashback 1", exitUsage, "the unionpay dialect has no --cashback"},
		{"settle --totals " + nothing + " --no-upload", exitFailure, "settle declined: totals differ|debits 0 of 0.00 CNY"},
		{"settle", 0, "debits 4 of 95.34 CNY, credits 0 of 0.00 CNY, balanced|network management 207|trailer approved 00, batch 000001"},
		{"settle --totals " + nothing[:31], 0, "batch 000002, debits 0 of 0.00 CNY|balanced"},
		{"settle --repeat", 0, "trailer, repeated,|trailer approved 00, batch 000002"},
		{"signoff", 0, "signoff approved 00"},
		{"void", exitUsage, "has not signed in"},
	} {
		o := w.call(append(strings.Fields("terminal --dialect unionpay "), strings.Fields(c.line)...)...)
		if o.code != c.code {
			t.Fatalf("%s: code %d, want %d\n%s%s", c.line, o.code, c.code, o.stdout, o.stderr)
		}
		for part := range strings.SplitSeq(c.want, "|") {
			if !strings.Contains(o.stdout+o.stderr, part) {
				t.Errorf("%s: does not say %q:\n%s%s", c.line, part, o.stdout, o.stderr)
			}
		}
		if strings.Contains(o.stdout+o.stderr, "621234000000") {
			t.Fatalf("%s told a card number", c.line)
		}
	}
	w.call("ledger", "verify").want(t, 0, "everything holds")
	w.call("transaction", "list").want(t, 0, "adjustment")
	w.call("batch", "show", "10000005", "--number", "1").want(t, 0, "stated debits 4: 95.34 CNY, credits 0: 0.00 CNY")
}
