package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestUsageErrorsSayWhatIsPossible(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"", []string{"name a command", "serve", "sandbox", "ledger", "'meridian --help' tells more"}},
		{"srve", []string{`no command "srve"`, "did you mean serve?"}},
		{"ledger", []string{"name a command of meridian ledger: accounts, retire, transfers, verify"}},
		{"ledger verfy", []string{"did you mean verify?"}},
		{"ledger verify now", []string{`takes no argument such as "now"`}},
		{"migrate down", []string{"there are status, up"}},
		{"version --colour", []string{"unknown flag: --colour", "--output"}},
		{"version --output yaml", []string{`"yaml"`, "text or json"}},
		{"version --output", []string{"flag needs an argument"}},
		{"transaction show", []string{"one argument, RRN", "usage: meridian transaction show RRN"}},
		{"transaction show 12", []string{"12 digits"}},
		{"transaction show 12345678901x", []string{"12 digits"}},
		{"transaction list --limit 0", []string{"1 to 1000"}},
		{"transaction list --limit many", []string{"--limit"}},
		{"ledger transfers", []string{"--rrn or --account"}},
		{"ledger transfers --rrn 632518000042 --account card:1", []string{"one of them"}},
		{"ledger transfers --account card", []string{"no account of the chart", "merchant:1:pending"}},
		{"ledger transfers --account card:007", []string{"no account of the chart"}},
		{"ledger transfers --account card:281474976710656", []string{"too large"}},
		{"ledger transfers --account unknown:99:1", []string{"no account of the chart"}},
		{"decode --dialect visa 00", []string{"nac, ascii or unionpay"}},
		{"decode --length long 00", []string{"--length", "binary, bcd or ascii"}},
		{"decode 123", []string{"odd number"}},
		{"decode 12zz", []string{"digit 3 is not hexadecimal"}},
		{"decode", []string{"nothing to decode"}},
		{"help nothing", []string{`no command "nothing"`}},
		{"help ledger nothing", []string{`no command "ledger nothing"`}},
		{"config check a b", []string{"accepts at most 1 arg"}},
	} {
		t.Run(c.line, func(t *testing.T) {
			o := call(t, strings.Fields(c.line)...).want(t, exitUsage, c.want...)
			if o.stdout != "" {
				t.Errorf("an error is on standard output: %s", o.stdout)
			}
		})
	}
}

func TestErrorsAsJSON(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
	}{
		{"--output json nothing", exitUsage},
		{"version --nothing --output json", exitUsage}, // the flag that asks for JSON comes after the one that is wrong
		{"version --nothing -o json", exitUsage},
		{"version --nothing --output=json", exitUsage},
		{"ledger verify --output json --data-dir /nonexistent", exitConfiguration},
		{"ledger verify --output json --database-url postgres://127.0.0.1:1/x", exitUnreachable},
	} {
		t.Run(c.line, func(t *testing.T) {
			o := call(t, strings.Fields(c.line)...).want(t, c.code)
			var told struct {
				Error string `json:"error"`
				Code  int    `json:"code"`
			}
			if err := json.Unmarshal([]byte(o.stderr), &told); err != nil {
				t.Fatalf("standard error is not JSON: %v\n%s", err, o.stderr)
			}
			if told.Error == "" || told.Code != c.code || o.stdout != "" {
				t.Errorf("got %+v and standard output %q", told, o.stdout)
			}
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	for _, line := range []string{"help", "--help", "ledger --help", "help serve", "help ledger verify", "-h"} {
		if o := call(t, strings.Fields(line)...).want(t, 0, "Usage:"); o.stderr != "" {
			t.Errorf("%s: standard error is not empty: %s", line, o.stderr)
		}
	}
}

// visit calls f with every command of ours.
func visit(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, child := range c.Commands() {
		if child.Name() != "help" && child.Name() != "completion" {
			visit(child, f)
		}
	}
}

// What is promised of every command.
func TestEveryCommandKeepsThePromises(t *testing.T) {
	g := &globals{}
	touchesData := map[string]bool{
		"migrate": true, "ledger": true, "transaction": true, "doctor": true, "serve": true, "sandbox": true,
		"review": true, "policy": true, "operator": true, "exceptions": true, "audit": true,
		"calendar": true, "merchant": true, "range": true, "terms": true, "terminals": true,
	}
	visit(newRootCommand(g), func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its short help is %q; it is a phrase without a full stop", path, c.Short)
		}
		if c.RunE == nil {
			t.Errorf("%s: has no RunE", path)
		}
		if c.Flag("output") == nil && c.InheritedFlags().Lookup("output") == nil {
			t.Errorf("%s: has no --output", path)
		}
		words := strings.Fields(path)
		if len(words) > 1 && touchesData[words[1]] && c.Flag("database-url") == nil && c.InheritedFlags().Lookup("database-url") == nil {
			t.Errorf("%s: touches data and has no --database-url", path)
		}
	})
}

func TestVersion(t *testing.T) {
	call(t, "version").want(t, 0, "meridian "+version, "go ")
	o := call(t, "version", "--output", "json").want(t, 0)
	var b build
	if err := json.Unmarshal([]byte(o.stdout), &b); err != nil {
		t.Fatal(err)
	}
	if b.Version != version || !strings.HasPrefix(b.Go, "go1.") || !strings.Contains(b.Platform, "/") {
		t.Errorf("got %+v", b)
	}
}

// A card number that somebody typed where none belongs is not told on.
func TestTypedCardNumbersAreNotToldOn(t *testing.T) {
	const number = "4111111111111111"
	for _, line := range []string{"card " + number, "card reset-pin-tries " + number, number, "card reset-pin-tries --account " + number} {
		if o := call(t, strings.Fields(line)...).want(t, exitUsage); strings.Contains(o.stderr, number) {
			t.Errorf("%s", o.stderr)
		}
	}
	why := change{by: "Ann", reason: "the card 4111 1111 1111 1111 was lost"}
	if err := why.check(); err != nil || why.reason != "the card 411111…1111 was lost" {
		t.Errorf("%q, %v", why.reason, err)
	}
}
