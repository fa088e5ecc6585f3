package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
	"meridian/internal/leak"
	"meridian/internal/pglocal/pgtest"
	"meridian/sandbox"
)

// issued are card numbers that a test hands out: of a range of the sandbox, so that
// its host knows where they lead to.
func (w *world) issued(count int) (numbers []string) {
	w.t.Helper()
	running, err := sandbox.ReadManifest(w.dataDir)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range count {
		pan, err := card.WithCheckDigit(fmt.Sprintf("%s%09d", running.Cards[0].PAN[:6], 777_000+i))
		if err != nil {
			w.t.Fatal(err)
		}
		numbers = append(numbers, pan.Reveal())
	}
	return numbers
}

// keepsNone looks for card numbers in what was said, and in every table that commands about cards write to.
func keepsNone(t *testing.T, url, said string, numbers ...string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(context.Background())
	secrets := &leak.Secrets{}
	for i, number := range numbers {
		secrets.Digits(fmt.Sprintf("card %d", i), number)
	}
	looked := []string{said}
	for _, table := range []string{"audit_log", "card_accounts", "card_loads", "transfers", "exceptions"} {
		var rows *string
		if err := connection.QueryRow(t.Context(), `SELECT string_agg(r::text, E'\n') FROM `+table+` r`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows != nil {
			looked = append(looked, *rows)
		}
	}
	found, err := secrets.Searcher().Search("what was said and stored", strings.NewReader(strings.Join(looked, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("told: %s", f)
	}
}

// A card that does not exist buys, is loaded, stopped and let go on, at a host that never stopped.
func TestCardsAreIssuedBesideARunningHost(t *testing.T) {
	w := newWorld(t)
	numbers := w.issued(3)
	number := numbers[0]
	sign := []string{"--by", "Ann Lee", "--reason", "order 88 of " + numbers[2]}
	run := func(stdin, line string, more ...string) outcome {
		t.Helper()
		return w.enter(stdin, append(append([]string{"card"}, strings.Fields(line)...), more...)...)
	}
	signed := func(stdin, line string, more ...string) outcome {
		t.Helper()
		return run(stdin, line, append(more, sign...)...)
	}
	sale := func(code int, says string) {
		t.Helper()
		w.call("terminal", "sale", "--amount", "10.00", "--tid", "10000001", "--pan", number, "--expiry", "3012").want(t, code, says)
	}
	shanghai := []string{"--calendar", "Asia/Shanghai 23:00"}
	sale(exitFailure, "14")

	run(number, "add --expiry 3012 --currency CNY").want(t, exitUsage, "--by is missing")
	signed(number, "add --expiry 3012 --currency CNY --opening 25.00").want(t, exitUsage, "--calendar: there are ")
	signed(number, "add --expiry 3012 --currency CNY --opening 25.00 --calendar Rome").want(t, exitFailure, `no calendar "Rome"`, "meridian calendar list")
	list := number + ",3012,,25\r\n\n" + numbers[1] + ", 3101 , cny\n"
	o := signed(list, "add --currency CNY -o json", shanghai...).want(t, 0)
	added := readJSON[addedCards](t, o)
	if c := added.Cards; len(c) != 2 || !c[0].Added || c[0].BalanceMinor != 2500 || c[0].Line != 1 || !c[1].Added || c[1].BalanceMinor != 0 ||
		c[1].Line != 3 || c[1].Expiry != "3101" || !c[1].Routed || added.Note != "" || added.By != "Ann Lee" {
		t.Errorf("%s", o.stdout)
	}
	account := added.Cards[0].Account
	sale(0, "approved 00")

	// The same again, wherever it comes from, is told and costs nothing.
	signed("", "add --currency CNY --file "+write(t, "cards", list), shanghai...).want(t, 0, account, "was there", "0 cards are added, 2 were there already")
	signed(number, "add --expiry 3012 --currency CNY --opening 99").want(t, exitFailure, account, "was opened with", "nothing is added")
	signed(number, "add --expiry 3012 --currency CNY").want(t, 0, "1 was there already")
	signed(numbers[2]+"\n"+number, "add --expiry 3112 --currency CNY").want(t, exitFailure, "line 2: ", account, "expires 3012, not 3112", "nothing is added")
	signed(numbers[2]+"\n"+number, "add --expiry 3012 --currency EUR").want(t, exitFailure, "line 2: ", "in CNY, not in EUR")
	signed(numbers[2], "add --expiry 2610 --currency CNY").want(t, exitUsage, "line 1: ", "has expired", "the year 2026 and the month 10")
	signed("4111111111111111", "add --expiry 3012 --currency CNY").want(t, 0, "no range leads to 1 of them", "meridian range add")

	load := func(code int, line string, says ...string) {
		t.Helper()
		signed("", "load --account "+account+" "+line, shanghai...).want(t, code, says...)
	}
	load(0, "--amount 50.00 --reference transfer-1", "is loaded with 50.00 CNY by reference transfer-1, on business date 2026-11-24; it has 65.00 CNY available")
	load(0, "--amount 50 --reference transfer-1", "before, on business date 2026-11-24: nothing is posted; it has 65.00 CNY available")
	load(exitFailure, "--amount 51 --reference transfer-1", "--reference: ", "with 50.00 CNY by this reference on 2026-11-24, and not with 51.00 CNY")
	load(exitUsage, "--amount 0 --reference transfer-2", "--amount: it is above 0")
	load(exitUsage, "--amount 1.234 --reference transfer-2", "no amount in CNY")
	load(exitFailure, "--amount 9999999999 --reference transfer-2", "at most 9999999999.99 CNY go on a card")
	load(exitUsage, "--amount 1", "--reference is missing")
	load(exitUsage, "--amount 1 --reference "+numbers[2], "has a card number in it")
	load(exitUsage, "--amount 1 --reference opening", "what a card was opened with")
	run(number, "show --pan-file -").want(t, 0, account, "active", "3012", "balance    65.00 CNY", "none: one that is entered is declined")
	run("", "show --account "+account+" -o json").want(t, 0, `"balance_minor": 6500`, `"status": "active"`)
	run("", "show --account card:99999").want(t, exitFailure, "no such card")
	run("", "show --account "+number).want(t, exitUsage, "card:7")
	run(numbers[2], "show --pan-file -").want(t, exitFailure, "no such card")

	signed(number, "block --pan-file -").want(t, 0, account, "is blocked")
	sale(exitFailure, "62")
	signed("", "block --account "+account).want(t, exitFailure, "is blocked already")
	signed("", "block --account "+account+" --as lost").want(t, 0, "is lost")
	sale(exitFailure, "41")
	signed("", "unblock --account "+account).want(t, 0, "is active")
	sale(0, "approved 00")
	signed("", "block --account "+account+" --as active").want(t, exitUsage, "lost, stolen")
	signed("", "block --account "+account+" --as closed").want(t, 0, "is closed")
	sale(exitFailure, "62")
	signed("", "unblock --account "+account).want(t, exitFailure, "is closed, and stays so")
	load(exitFailure, "--amount 1 --reference transfer-3", "takes no money any more")
	load(0, "--amount 50 --reference transfer-1", "nothing is posted")
	run("", "add "+number).want(t, exitUsage, "takes no argument")
	run("", number).want(t, exitUsage, "has no command")

	w.call("ledger", "transfers", "--account", account).want(t, 0, "load", "50.00 CNY", "25.00 CNY")
	w.call("ledger", "verify").want(t, 0, "everything holds")
	for kind, says := range map[string]string{
		"card_added": "opened with 25.00 CNY, by Ann Lee: order 88", "card_loaded": "50.00 CNY with reference transfer-1, balance 65.00 CNY, by Ann Lee",
		"card_blocked": "lost, was blocked, by Ann Lee", "card_unblocked": "active, was lost, by Ann Lee",
	} {
		w.call("audit", "list", "--kind", kind).want(t, 0, account, says)
	}
	w.call("audit", "verify").want(t, 0)
	keepsNone(t, w.url, w.said.text.String(), append(numbers, "4111111111111111")...)

	execSQL(t, w.url, `UPDATE card_loads SET amount_minor = amount_minor + 1 WHERE reference = 'transfer-1'`)
	w.call("ledger", "verify").want(t, exitInvariant, "loads are as their references have them", "5001, its transfer 5000")
}

// An installed host answers 14 until a card is added, under a master key of its own.
func TestAnInstalledHostIsGivenACard(t *testing.T) {
	url := pgtest.Database(t, migrate)
	seedTerminal(t, url)
	config := hostConfig(t, url)
	said := ""
	run := func(stdin, line string) outcome {
		t.Helper()
		o := callWith(t, nil, stdin, append(strings.Fields(line), "--config", config, "--by", "Ann", "--reason", "test")...)
		said += o.stdout + o.stderr
		return o
	}
	run("", "range add 411111 --network visa").want(t, 0)
	host := start(t, "serve", "--config", config)
	terminal, err := net.Dial("tcp", address(t, host.await("ready"), "nac"))
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	pays := func(stan, code string) {
		t.Helper()
		send(t, terminal, saleWith(t, stan))
		if m := answer(t, terminal); m.Get(39) != code {
			t.Errorf("answered %s, want %s", m.Get(39), code)
		}
	}
	pays("000001", "14")
	const number = "4111111111111111"
	run(number, "card add --expiry 3012 --currency CNY --opening 12.34").want(t, 0, "card:1", "411111******1111", "1 card is added, 0 were there already")
	pays("000002", "00")
	pays("000003", "51")
	run(number, "card load --pan-file - --amount 12.34 --reference 1").want(t, 0, "it has 12.34 CNY available")
	pays("000004", "00")
	call(t, "ledger", "verify", "--config", config).want(t, 0, "everything holds")
	keepsNone(t, url, said+host.stderr.String(), number)
}

// What a file has wrong is told with its line, and without anything of it.
func TestCardFilesAreRefused(t *testing.T) {
	const good = "4012888888881881"
	defaults := cardDefaults{expiry: "3012", currency: "EUR"}
	for name, c := range map[string]struct {
		text     string
		defaults cardDefaults
		says     string
	}{
		"nothing":            {"\n \n", defaults, "there is no card"},
		"a header":           {"pan,expiry\n" + good, defaults, "line 1: number"},
		"letters":            {good + "\n\n40128888x8881881", defaults, "line 3: number: not a card number"},
		"too short":          {"40128888881", defaults, "line 1: number: not a card number: 11 characters"},
		"check digit":        {"4012888888881882", defaults, "line 1: number: the last digit of 401288******1882 is not its check digit"},
		"twice":              {good + "\n4111111111111111\n" + good, defaults, "line 3: 401288******1881 is in line 1 already"},
		"no expiry":          {good, cardDefaults{currency: "EUR"}, "line 1: expiry: it is missing"},
		"month":              {good + ",1230", defaults, "line 1: expiry, YYMM: not an expiry date: the month"},
		"number as expiry":   {good + ",4111111111111111", defaults, "line 1: expiry, YYMM"},
		"no currency":        {good, cardDefaults{expiry: "3012"}, "line 1: currency: it is missing"},
		"number as currency": {good + ",3012,4111111111111111", defaults, "line 1: currency: it is no code"},
		"number as opening":  {good + ",3012,EUR,4111111111111111", defaults, "line 1: opening balance: it is no amount from 0 to 9999999999.99 EUR"},
		"debt":               {good + ",,,-1", defaults, "line 1: opening balance"},
		"decimals":           {good + ",,,1.001", defaults, "line 1: opening balance"},
		"columns":            {good + ",,,,1", defaults, "line 1: 5 columns"},
		"semicolons":         {good + ";3012;EUR", defaults, "line 1: columns are separated by commas"},
		"tabs":               {good + "\t3012", defaults, "line 1: columns are separated by commas"},
		"a long line":        {good + "\n" + strings.Repeat("4", 300), defaults, "line 2: it is longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseCards(strings.NewReader(c.text), c.defaults)
			if exitCode(err) != exitUsage || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v; want %q", err, c.says)
			}
			if strings.Contains(err.Error(), "888888") || strings.Contains(err.Error(), "1111111") {
				t.Errorf("it tells what it read: %v", err)
			}
		})
	}
	list, err := parseCards(strings.NewReader("\ufeff"+good+",3101,jpy,500\n 4111111111111111"), defaults)
	if err != nil || len(list) != 2 || list[0].OpeningMinor != 500 || list[1].Currency.Alpha() != "EUR" || list[1].Expiry.String() != "3012" {
		t.Errorf("%+v, %v", list, err)
	}
}

// A flag that is wrong is blamed itself, before any line is read.
func TestCardFlagsAreRefused(t *testing.T) {
	for _, c := range []struct{ flags, says string }{
		{"--expiry 3013 --currency EUR", "--expiry, YYMM: not an expiry date: the month"},
		{"--expiry 4111111111111111 --currency EUR", "--expiry, YYMM"},
		{"--expiry 3012 --currency EURO", "--currency: it is no code"},
		{"--expiry 3012 --currency EUR --opening 1.001", "--opening: it is no amount"},
		{"--currency EUR --opening 4111111111111111", "--opening: it is no amount"},
	} {
		o := callWith(t, nil, "4012888888881881", strings.Fields("card add --by Ann --reason test "+c.flags)...).want(t, exitUsage, c.says)
		if strings.Contains(o.stderr, "line 1") || strings.Contains(o.stderr, "1111111") {
			t.Errorf("%s: %s", c.flags, o.stderr)
		}
	}
}
