package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"meridian/migrations"
)

func TestLedgerRetire(t *testing.T) {
	w := newWorld(t)
	sign := []string{"--by", "Ann Lee", "--reason", "kept for a year"}
	retire := func(line string, more ...string) outcome {
		t.Helper()
		return w.call(append(append([]string{"ledger", "retire"}, strings.Fields(line)...), more...)...)
	}
	retire("").want(t, exitUsage, "--before is missing")
	retire("--before 2026-13", sign...).want(t, exitUsage, `"2026-13" is no month such as 2026-01`)
	retire("--before 2026-11").want(t, exitUsage, "--by is missing")
	retire("--before 2026-11 --connections 10", sign...).want(t, exitUsage, "it is 1 to 9")
	retire("--before 2026-11", sign...).want(t, 0, "there is no such month", "0 keys removed")
	retire("--before 2026-12 --dry-run").want(t, exitFailure, "in the way: business date 2026-11-2", // the 23rd, or the 24th once the host has closed that one
		"of calendar America/New_York 17:00 is not closed",
		"lets refunds of 2026-11 come for 180 days", "nothing is retired", "and 2 more")

	execSQL(t, w.url, `UPDATE policies SET refund_window_days = 1`)
	sale := w.call("terminal", "sale", "--amount", "12.00").want(t, 0, "approved 00").stdout
	rrn := sale[strings.Index(sale, "RRN ")+4:][:12]
	w.call("clock", "advance", "40d").want(t, 0)
	retire("--before 2026-12", sign...).want(t, exitFailure, "1 batches have transactions of 2026-11 or before and are not settled, such as 000001 of terminal 10000001")
	w.call(append([]string{"batch", "close", "10000001"}, sign...)...).want(t, 0)
	retire("--before 2026-12 --dry-run").want(t, 0, "can be retired: 2026-11")

	service := login(t, w.url, "retiring_login", `GRANT `+migrations.ServiceRole+` TO retiring_login`)
	retire("--before 2026-12 --database-url "+service, sign...).want(t, exitConfiguration, "permission denied", "owns the schema")
	accounts := w.call("ledger", "accounts").want(t, 0).stdout
	forge := `UPDATE card_accounts SET balance_minor = balance_minor `
	execSQL(t, w.url, forge+`+ 1 WHERE card_id = (SELECT min(card_id) FROM card_accounts)`)
	retire("--before 2026-12", sign...).want(t, exitInvariant, "nothing is retired, and the ledger does not hold", "card balances equal the replay")
	execSQL(t, w.url, forge+`- 1 WHERE card_id = (SELECT min(card_id) FROM card_accounts)`)

	var told retirement
	o := retire("--before 2026-12 -o json", sign...).want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &told); err != nil || len(told.Retired) != 1 || told.Retired[0].Transactions != 1 ||
		told.KeysRemoved != 1 || told.Retired[0].Tables[1] != "transfers_202611" {
		t.Errorf("%v\n%s", err, o.stdout)
	}
	if now := w.call("ledger", "accounts").want(t, 0).stdout; now != accounts {
		t.Errorf("the trial balance was\n%s\nand is\n%s", accounts, now)
	}
	w.call("ledger", "verify").want(t, 0, "0 transactions", "everything holds")
	w.call("transaction", "show", rrn).want(t, exitFailure, "no transaction since 2026-12-01 has RRN "+rrn+"; months before are retired")
	w.call("audit", "list", "--limit", "1").want(t, 0, "month_retired", "2026-11", "by Ann Lee: kept for a year")
	retire("--before 2026-12", sign...).want(t, 0, "there is no such month", "0 keys removed")
}

// A verification has as many connections as it was asked for.
func TestVerifyConnections(t *testing.T) {
	w := newWorld(t)
	database := &databaseFlags{url: w.url, command: newLedgerCommand(&globals{})}
	if err := database.command.PersistentFlags().Set("database-url", w.url); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ asked, want int }{{1, commandConnections}, {maxVerifyConnections, maxVerifyConnections}} {
		pool, err := database.openWide(t.Context(), &globals{environ: os.Environ()}, c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(pool.Config().MaxConns); got != c.want {
			t.Errorf("%d connections, want %d", got, c.want)
		}
		pool.Close()
	}
}
