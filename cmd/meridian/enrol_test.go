package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/migrations"
	"meridian/switch"
)

// signed runs a command of a change on the sandbox's data.
func (w *world) signed(arguments ...string) outcome {
	w.t.Helper()
	return w.call(append(arguments, "--by", "Ann Lee", "--reason", "contract 4711")...)
}

// A merchant that does not exist sells a minute later, at a host that never stopped.
func TestAMerchantIsAddedToARunningHost(t *testing.T) {
	w := newWorld(t)
	const mid, tid = "500000000000001", "70000001"
	sale := []string{"terminal", "sale", "--amount", "1", "--dialect", "nac", "--mid", mid, "--tid", tid, "--mac", "none", "--currency", "CNY"}
	w.call(sale...).want(t, exitFailure, "declined")

	added := readJSON[enrolled](t, w.signed("calendar", "add", "Berlin 04:00", "--time-zone", "Europe/Berlin", "--cutoff", "04:00", "--holidays", "de",
		"--weekend", "fri, sat", "-o", "json").want(t, 0))
	if c := added.Calendar; added.By != "Ann Lee" || c == nil || c.Cutoff != "04:00" || c.Region != "de" || !slices.Equal(c.Weekend, []int16{5, 6}) || c.Merchants != 0 {
		t.Errorf("calendar %+v", added)
	}
	w.call("cutover", "preview", "--calendar", "Berlin 04:00", "--count", "1").want(t, 0, "made")
	added = readJSON[enrolled](t, w.signed("policy", "add", "retail", "--like", sandboxPolicy, "--set", "max_cashback_minor=none", "--set", "hold_days=7", "-o", "json").want(t, 0))
	if p := added.Policy; p == nil || p.Name != "retail" || p.Settings["hold_days"] != 7.0 || p.Settings["max_cashback_minor"] != nil ||
		p.Settings["max_amount_minor"] != 500000000.0 {
		t.Errorf("policy %+v", added.Policy)
	}
	add := []string{
		"merchant", "add", mid, "--name", "Bakery Müller", "--currency", "cny", "--calendar", "Berlin 04:00", "--policy", "retail",
		"--discount", "1.2%+5", "--discount", "unionpay=0.55",
	}
	added = readJSON[enrolled](t, w.signed(append(add, "-o", "json")...).want(t, 0))
	if m := added.Merchant; m == nil || m.Number != 6 || m.Bucket != 1 || m.Currency != money.CNY || m.Policy != "retail" || !m.Active { // five are there, two in bucket 0
		t.Errorf("merchant %+v", added.Merchant)
	}
	w.signed(add...).want(t, exitFailure, "MID: there is a merchant "+mid+" already")
	w.signed("terminals", "add", tid, "--mid", mid, "--dialect", "nac", "--tpdu", "6000ab0000", "--active").
		want(t, 0, "terminal "+tid+" of merchant "+mid+" is added, active; running hosts")
	w.until(0, sale...)
	w.call("merchant", "show", mid).want(t, 0, "merchant "+mid, "Bakery Müller", "accounts   merchant:6:…, in bucket 1",
		"Berlin 04:00: business dates end at 04:00 in Europe/Berlin", "1.2%", "unionpay", "0.55%")
	w.call("terminals", "show", tid).want(t, 0, "TPDU         6000AB0000")
	w.call("ledger", "transfers", "--account", "merchant:6:pending").want(t, 0, "1.00 CNY")

	// Another range, and a card of it: the host has not heard of the card, but of its range.
	w.signed("range", "add", "999999", "--network", "giftcard").want(t, 0, "cards from 9999990000000000000 to 9999999999999999999 are added: giftcard by onus")
	w.until(exitFailure, append(sale, "--pan", "9999991000000000", "--expiry", "3012")...)

	w.signed("merchant", "suspend", mid).want(t, 0, "is suspended")
	w.until(exitFailure, sale...)
	w.call("merchant", "list", "--suspended").want(t, 0, mid, "suspended")
	w.signed("merchant", "suspend", mid).want(t, exitFailure, "suspended already, or there is none")
	w.signed("merchant", "resume", mid).want(t, 0, "is active")
	w.until(0, sale...)
	for _, kind := range []string{"calendar_added", "policy_added", "merchant_added", "terminal_added", "range_added", "merchant_suspended", "merchant_resumed"} {
		w.call("audit", "list", "--kind", kind).want(t, 0, kind, "by Ann Lee: contract 4711")
	}
	w.call("audit", "verify").want(t, 0)
	w.call("ledger", "verify").want(t, 0, "everything holds")
}

func TestEnrolmentsAreListedAndChanged(t *testing.T) {
	url := pgtest.Database(t, migrate)
	run := func(line string, more ...string) outcome {
		t.Helper()
		return call(t, append(append(strings.Fields(line), more...), "--database-url", url)...)
	}
	signed := func(line string, more ...string) outcome {
		t.Helper()
		return run(line, append(more, "--by", "Ann Lee", "--reason", "a test")...)
	}
	for _, list := range []string{"calendar list", "merchant list", "range list"} {
		if o := run(list, "-o", "json").want(t, 0); o.stdout != "[]\n" {
			t.Errorf("%s: %s", list, o.stdout)
		}
	}
	signed("calendar add utc --time-zone UTC --cutoff 12:00 --weekend none").want(t, 0)
	signed("policy add plain").want(t, 0)
	signed("policy add fancy --set cancel_mode=strict").want(t, 0)
	signed("range add 400000 499999 --network visa").want(t, 0)
	signed("range add 50000000 --network jcb").want(t, 0)
	signed("range add 50000001 --network amex").want(t, 0, "note: ", "those of jcb count")
	for _, mid := range []string{"A1", "A2", "B1", "B2", "B3"} {
		signed("merchant add "+mid+" --currency 978 --calendar utc --policy plain", "--name", "Shop "+mid).want(t, 0)
	}
	list := readJSON[[]switching.MerchantState](t, run("merchant list --search shop", "-o", "json").want(t, 0))
	var buckets []int16
	for _, m := range list {
		buckets = append(buckets, m.Bucket)
	}
	if !slices.Equal(buckets, []int16{0, 1, 2, 3, 0}) {
		t.Errorf("buckets %v", buckets)
	}
	if list := readJSON[[]switching.MerchantState](t, run("merchant list --search b", "-o", "json").want(t, 0)); len(list) != 3 {
		t.Errorf("%d with a B", len(list))
	}
	run("merchant list").want(t, 0, "MERCHANT", "A1", "Shop A1", "EUR", "utc", "plain")
	run("range list").want(t, 0, "FROM", "4000000000000000000", "4999999999999999999", "visa", "onus")
	signed("range remove 400000").want(t, exitFailure, "LOW: there is no card range", "meridian range list")
	signed("range remove 400000 499999").want(t, 0, "are removed")

	signed("merchant set A1 --policy fancy --review-refunds", "--name", "Shop & Sons").want(t, 0, "merchant A1 is changed")
	run("merchant show A1").want(t, 0, "Shop & Sons", "fancy", "as the policy says, each reviewed")
	signed("merchant set A1 --policy fancy").want(t, exitFailure, "is so already")
	signed("merchant set A1 --review-refunds=false").want(t, 0)
	signed("merchant set A1").want(t, exitUsage, "say what is to change")
	run("merchant show A9").want(t, exitFailure, `no merchant "A9"`, "merchant list")
	signed("merchant set A1 --calendar rome").want(t, exitFailure, `--calendar: there is no calendar "rome"`, "meridian calendar list")

	signed("calendar holiday utc 2037-02-06 --name Festival").want(t, 0, "calendar utc: 2037-02-06 is a holiday, Festival")
	signed("calendar holiday utc 2037-02-20 --name make-up --open").want(t, 0, "a banking day")
	run("calendar list").want(t, 0, "CALENDAR", "UTC", "12:00", "2037-02-06", "Festival", "banking day")
	signed("calendar holiday utc 2037-02-20 --remove").want(t, 0, "as every year")
	signed("calendar holiday utc 2001-01-01 --name Past").want(t, exitFailure, "DATE: value dates are made")

	from := readJSON[enrolled](t, signed("terms discount --rate 1.25% --fixed-minor 10 --network jcb --returns-fee", "-o", "json").want(t, 0)).Discount
	if from == nil || from.RateMillionths != 12_500 || from.FixedMinor != 10 || !from.ReturnsFee || from.From == 0 {
		t.Errorf("%+v", from)
	}
	signed("terms reserve --rate 5 --days 30 --mid A1 --from 2037-01-01").want(t, 0, "reserve of merchant A1 is 5% for 30 days from 2037-01-01 on")
	run("terms list").want(t, 0, "discount  every     jcb", "1.25%", "rate returned with refunds", "reserve   A1", "released after 30 days")
	signed("terms reserve --remove --mid A1 --from 2037-01-01").want(t, 0, "is removed")
	signed("terms reserve --remove --mid A1 --from 2037-01-01").want(t, exitFailure, "--from: there is no reserve of merchant A1")
	signed("terms discount --remove --network jcb", "--from", from.From.String()).want(t, 0, "is removed")
	terms := readJSON[switching.StoredTerms](t, run("terms list", "-o", "json").want(t, 0))
	if len(terms.Discounts)+len(terms.Reserves) != 0 {
		t.Errorf("%+v", terms)
	}
	run("terms list --mid A9").want(t, exitFailure, `no merchant "A9"`)
	run("audit list --kind terms_changed").want(t, 0, "every merchant from", "discount of 1.25 % for jcb and 10 in minor units, returned with refunds")

	service := login(t, url, "enrol_login", `GRANT `+migrations.ServiceRole+` TO enrol_login`)
	call(t, "merchant", "suspend", "A1", "--by", "Ann Lee", "--reason", "a test", "--database-url", service).
		want(t, exitConfiguration, "permission denied", "owns the schema")
}

func TestEnrolmentErrorsNameTheFlag(t *testing.T) {
	url := pgtest.Database(t, migrate)
	run := func(line string) outcome {
		t.Helper()
		return call(t, append(strings.Fields(line), "--by", "Ann Lee", "--reason", "a test", "--database-url", url)...)
	}
	run("calendar add utc --time-zone UTC --cutoff 12:00").want(t, 0)
	run("policy add plain").want(t, 0)
	run("merchant add 1 --name Shop --currency EUR --calendar utc --policy plain").want(t, 0)
	const merchant = "merchant add 2 --name Shop --currency EUR --calendar utc --policy plain "
	const terminal = "terminals add 7 --mid 1 --dialect nac "
	for line, want := range map[string][]string{
		"calendar add x --cutoff 12:00":                                   {"--time-zone is missing"},
		"calendar add x --time-zone Berlin --cutoff 12:00":                {"--time-zone:", "Europe/Berlin"},
		"calendar add x --time-zone UTC --cutoff 24:00":                   {"--cutoff:", "HH:MM"},
		"calendar add x --time-zone UTC --cutoff 1:00 --holidays cn":      {"--holidays:", "de"},
		"calendar add x --time-zone UTC --cutoff 1:00 --weekend saturday": {"--weekend:", "mon, tue"},
		"calendar add":                           {"one argument, NAME"},
		"calendar holiday utc":                   {"CALENDAR DATE"},
		"calendar holiday utc tomorrow":          {"DATE:", "YYYY-MM-DD"},
		"calendar holiday utc 2037-01-01":        {"--name, or --remove"},
		"policy add x --set hold_days":           {"--set", "SETTING=VALUE"},
		"policy add x --set hold_days=0":         {"hold_days", "1 to 400"},
		"policy add x --set holdings=0":          {"--set:", "no setting"},
		"merchant add 2 --name x":                {"--currency is missing", "ISO 4217"},
		merchant + "--currency DEM":              {"--currency:", "EUR or 978"},
		merchant + "--discount cheap":            {"--discount:", "percentage"},
		merchant + "--discount 101%":             {"--discount:", "0 to 100"},
		merchant + "--discount visa=":            {"--discount:", "visa=1.5%"},
		merchant + "--discount 1% --discount 2%": {"--discount:", "two"},
		"merchant add 5000000000000001 --name x --currency EUR --calendar utc --policy plain": {"MID:", "at most 15"},
		"range add 4761739001010119 --network visa":                                           {"LOW:", "1 to 11 digits", "476173…"},
		"range add 5 4 --network visa":                                                        {"HIGH:", "below"},
		"range add 4 --network VISA":                                                          {"--network:", "small letters"},
		"range add 4 --network visa --route moon":                                             {"--route:", "onus"},
		"range add 4":                                          {"--network is missing"},
		"range add":                                            {"LOW, or LOW HIGH"},
		"terms discount":                                       {"--rate is missing"},
		"terms discount --rate 0.00001%":                       {"--rate:", "four decimals"},
		"terms discount --rate 1% --from soon":                 {"--from", "YYYY-MM-DD"},
		"terms discount --remove":                              {"--from is missing"},
		"terms discount --remove --rate 1%":                    {"--remove takes no --rate"},
		"terms reserve --rate 1%":                              {"--days:", "1 to 3650"},
		"terminals add 7 --mid 1":                              {"--dialect is missing"},
		terminal + "--dialect xml":                             {"--dialect:", "ascii, nac, unionpay"},
		terminal + "--tpdu 60":                                 {"--tpdu:", "10 hex digits"},
		terminal + "--mac md5":                                 {"--mac:", "aes-cmac"},
		terminal + "--scheme dukpt-tdes --ksn xx":              {"--ksn:", "hexadecimal"},
		terminal + "--scheme dukpt-tdes --base-key b --ksn 00": {"--ksn:", "1 bytes"},
		terminal + "--base-key b":                              {"--base-key:", "static"},
		terminal + "--pin-format ansi":                         {"--pin-format:", "iso-0"},
		"terminals set 7":                                      {"say what is to change"},
	} {
		run(line).want(t, exitUsage, want...)
	}
	for line, want := range map[string][]string{
		"calendar add utc --time-zone UTC --cutoff 12:00": {`NAME: there is a calendar "utc" already`},
		"policy add plain":                                                  {`NAME: there is a policy "plain" already`},
		"policy add x --like fancy":                                         {"--like:", "meridian policy list"},
		merchant + "--calendar rome":                                        {"--calendar:", "meridian calendar list"},
		merchant + "--policy fancy":                                         {"--policy:", "meridian policy list"},
		merchant + "--discount visa=1%":                                     {"--discount:", "network: no card range", "meridian range list"},
		"terms discount --rate 1% --mid 9":                                  {"--mid:", "meridian merchant list"},
		"terms discount --rate 1% --from 2001-01-01":                        {"--from:", "at the earliest"},
		"terminals add 7 --mid 9 --dialect nac":                             {"--mid:", "meridian merchant list"},
		terminal + "--mac x919":                                             {"--mac:", "not loaded", "meridian key components"},
		terminal + "--dialect unionpay --scheme session":                    {"--scheme:", "not loaded", "meridian key components"},
		terminal + "--dialect unionpay --active":                            {"--active:"},
		terminal + "--scheme dukpt-aes --base-key b --ksn 1234567890123456": {"--base-key:", "meridian key check"},
		"terminals set 7 --mac x919":                                        {"TID:", "meridian terminals list"},
		"merchant suspend 9":                                                {"or there is none"},
	} {
		run(line).want(t, exitFailure, want...)
	}
	for _, line := range []string{"merchant suspend 1", "merchant add 2 --name x --currency EUR --calendar utc --policy plain", "range remove 4", "terminals set 7 --mac none"} {
		call(t, append(strings.Fields(line), "--database-url", url)...).want(t, exitUsage, "--by is missing")
	}
}

// Two who work at the same time, each with a process of their own.
func TestEnrolmentByTwoAtOnce(t *testing.T) {
	url := pgtest.Database(t, migrate)
	sign := []string{"--by", "Ann Lee", "--reason", "a test", "--database-url", url}
	call(t, append(strings.Fields("calendar add utc --time-zone UTC --cutoff 12:00"), sign...)...).want(t, 0)
	call(t, append(strings.Fields("policy add plain"), sign...)...).want(t, 0)
	var adding sync.WaitGroup
	outcomes := make([]outcome, 16)
	for i := range outcomes {
		adding.Go(func() {
			line := fmt.Sprintf("merchant add M%d --name Shop --currency EUR --calendar utc --policy plain", i/2)
			outcomes[i] = call(t, append(strings.Fields(line), sign...)...)
		})
	}
	adding.Wait()
	done := 0
	for _, o := range outcomes {
		if o.code == 0 {
			done++
			continue
		}
		o.want(t, exitFailure, "already")
	}
	list := readJSON[[]switching.MerchantState](t, call(t, "merchant", "list", "-o", "json", "--database-url", url).want(t, 0))
	numbers, buckets := map[int32]bool{}, map[int16]int{}
	for _, m := range list {
		numbers[m.Number] = true
		buckets[m.Bucket]++
	}
	if done != 8 || len(list) != 8 || len(numbers) != 8 || buckets[0] != 2 || buckets[3] != 2 {
		t.Errorf("%d added, %d listed, numbers %v, buckets %v", done, len(list), numbers, buckets)
	}
}

func TestATerminalIsBoundToACertificate(t *testing.T) {
	url := pgtest.Database(t, migrate)
	run := func(line string) outcome {
		t.Helper()
		return call(t, append(strings.Fields(line), "--by", "Ann Lee", "--reason", "a test", "--database-url", url)...)
	}
	run("calendar add utc --time-zone UTC --cutoff 12:00").want(t, 0)
	run("policy add plain").want(t, 0)
	run("merchant add 1 --name Shop --currency EUR --calendar utc --policy plain").want(t, 0)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	file := write(t, "till.pem", block("EC PARAMETERS", []byte{1})+block("CERTIFICATE", der))
	hash := sha256.Sum256(der)
	run("terminals add 7 --mid 1 --dialect nac --certificate "+file).want(t, 0)
	shown := readJSON[terminalView](t, call(t, "terminals", "show", "7", "-o", "json", "--database-url", url).want(t, 0))
	if shown.Certificate != hex.EncodeToString(hash[:]) || shown.State != "suspended" {
		t.Errorf("%+v", shown)
	}
	run("terminals set 7 --certificate none").want(t, 0)
	shown = readJSON[terminalView](t, call(t, "terminals", "show", "7", "-o", "json", "--database-url", url).want(t, 0))
	if shown.Certificate != "" {
		t.Errorf("%+v", shown)
	}
	run("terminals set 7 --certificate "+write(t, "empty.pem", "")).want(t, exitUsage, "--certificate:", "no certificate")
	run("terminals set 7 --certificate "+write(t, "broken.pem", block("CERTIFICATE", []byte{1}))).want(t, exitUsage, "--certificate:")
	run("terminals set 7 --certificate /nonexistent").want(t, exitConfiguration, "no such file")
}

func TestRates(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "1": 10_000, "1.2%": 12_000, "0.0001": 1, "100 %": 1_000_000, "12.3456%": 123_456} {
		got, err := parseRate("rate", text)
		if err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
		again, err := parseRate("rate", rateText(got))
		if err != nil || again != got {
			t.Errorf("%s becomes %s", text, rateText(got))
		}
	}
	for _, text := range []string{"", "%", "-1", "1.23456", "100.0001", "999", "1000", "1,2", "1e3", "1.%", ".5"} {
		if got, err := parseRate("rate", text); exitCode(err) != exitUsage {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
}
