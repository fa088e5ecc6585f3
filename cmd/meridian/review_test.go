package main

import (
	"encoding/json"
	"strings"
	"testing"

	"meridian/internal/pglocal/pgtest"
	"meridian/switch"
)

// refunded sells on the 24th and asks on the 25th for refunds that the policy leaves to a person.
func refunded(t testing.TB, w *world, amounts ...string) (rrns []string) {
	t.Helper()
	w.call("policy", "set", "sandbox 104110000000001", "review_threshold_minor", "5000", "--by", "Ann Lee", "--reason", "fraud").want(t, 0)
	w.call("terminal", "sale", "--amount", "200.00").want(t, 0)
	sale := w.rrns()[0]
	w.call("clock", "advance", "1d").want(t, 0)
	for _, amount := range amounts {
		w.call("terminal", "refund", "--rrn", sale, "--amount", amount).want(t, 1)
		list := w.rrns()
		rrns = append(rrns, list[len(list)-1])
	}
	return rrns
}

func TestReview(t *testing.T) {
	w := newWorld(t)
	w.call("review", "list").want(t, 0, "RRN")
	w.call("review", "list", "-o", "json").want(t, 0, "[]")
	waiting := refunded(t, w, "60.00", "70.00")
	golden(t, "reviews.txt", w.call("review", "list").want(t, 0).stdout)

	sign := []string{"--by", "Ann Lee", "--reason", "receipt seen"}
	decide := func(verb, rrn string, more ...string) outcome {
		t.Helper()
		return w.call(append(append([]string{"review", verb, rrn}, sign...), more...)...)
	}
	w.call("transaction", "show", waiting[0]).want(t, 0, "review        open since 2026-11-25T12:00:00Z")
	decide("approve", waiting[0]).want(t, 0, "approved at 2026-11-25T12:00:00Z, by the sandbox's clock")
	decide("approve", waiting[0]).want(t, exitFailure, "no refund with RRN "+waiting[0]+" waits for a review")
	var decided decidedReview
	o := decide("reject", waiting[1], "-o", "json").want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &decided); err != nil || decided.State != "rejected" || decided.Clock != "sandbox" {
		t.Errorf("got %+v, %v", decided, err)
	}
	w.call("transaction", "show", waiting[0]).want(t, 0, "approved", "60.00 CNY", "review        approved at 2026-11-25T12:00:00Z by Ann Lee: receipt seen")
	w.call("transaction", "show", waiting[1]).want(t, 0, "declined", "review        rejected at 2026-11-25T12:00:00Z by Ann Lee: receipt seen")
	w.call("transaction", "show", waiting[1], "-o", "json").want(t, 0, `"state": "rejected"`, `"decided_by": "Ann Lee"`, `"why": "receipt seen"`)
	w.call("review", "list", "-o", "json").want(t, 0, "[]")
	var all []switching.Review
	o = w.call("review", "list", "--all", "-o", "json").want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &all); err != nil || len(all) != 2 {
		t.Fatalf("%v\n%s", err, o.stdout)
	}
	if r := all[0]; r.State != "approved" || r.DecidedBy != "Ann Lee" || r.Why != "receipt seen" || r.Amount != 6000 || r.OriginalRRN == "" {
		t.Errorf("got %+v", r)
	}
	w.call("review", "list", "--all").want(t, 0, "2026-11-25 12:00:00 by Ann Lee: receipt seen")
	w.call("audit", "list", "--kind", "review_decided").want(t, 0, "RRN "+waiting[1], "declined by Ann Lee: receipt seen")
	// The terminal that asks again gets the final answer.
	w.call("terminal", "refund", "--repeat").want(t, 1, "declined")
	w.call("ledger", "verify").want(t, 0, "everything holds")
}

func TestReviewsByTheService(t *testing.T) {
	w := newWorld(t)
	waiting := refunded(t, w, "60.00")
	service := login(t, w.url, "reviewer_login", `GRANT meridian_service TO reviewer_login`)
	stranger := login(t, w.url, "looker_login", `GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker_login`)
	decide := func(url string) outcome {
		t.Helper()
		return w.call("review", "approve", waiting[0], "--by", "Ann Lee", "--reason", "receipt seen", "--database-url", url)
	}
	decide(stranger).want(t, exitConfiguration, "permission denied")
	// Another login leads to the same database, and so to the same clock.
	decide(service).want(t, 0, "by the sandbox's clock")
}

func TestChangesWantWhoAndWhy(t *testing.T) {
	const rrn = "632518000042"
	for _, line := range []string{
		"review approve " + rrn, "review reject " + rrn, "policy set plain allow_void false", "policy suspend void --mid 1",
		"policy resume refund --tid 1", "operator add --mid 1 --number 01", "operator disable --mid 1 --number 01",
	} {
		call(t, strings.Fields(line)...).want(t, exitUsage, "--by is missing")
		call(t, append(strings.Fields(line), "--by", "ann", "--reason", "  ")...).want(t, exitUsage, "--reason is missing")
		call(t, append(strings.Fields(line), "--by", strings.Repeat("ü", 65), "--reason", "x")...).want(t, exitUsage, "longer than 64")
		call(t, append(strings.Fields(line), "--by", "ann", "--reason", "two\nlines")...).want(t, exitUsage, "--reason has a line end")
	}
	for _, c := range []struct{ line, want string }{
		{"review approve 12 --by a --reason b", "12 digits"},
		{"review approve", "one argument, RRN"},
		{"policy show", "one argument, NAME"},
		{"policy set plain allow_void", "three arguments, NAME SETTING VALUE"},
		{"policy set plain allow_sales true --by a --reason b", "there are cancel_mode, max_amount_minor"},
		{"policy suspend sales --mid 1 --by a --reason b", "void or refund can"},
		{"policy suspend void --by a --reason b", "--mid or --tid"},
		{"policy resume void --mid 1 --tid 1 --by a --reason b", "--mid or --tid"},
		{"operator add --number 01 --by a --reason b", "--mid is missing"},
		{"operator add --mid 1 --by a --reason b", "two or three digits"},
		{"operator disable --mid 1 --number 1 --by a --reason b", "two or three digits"},
		{"operator add --mid 1 --number 01 --password 0000", "unknown flag: --password"},
		{"audit list --limit 0", "1 to 1000"},
		{"exceptions list --limit 1001", "1 to 1000"},
		{"transaction preview-cancel 1", "12 digits"},
	} {
		call(t, strings.Fields(c.line)...).want(t, exitUsage, c.want)
	}
	call(t, "policy", "set", "plain", "allow_void", "", "--by", "a", "--reason", "b").want(t, exitUsage, "takes true or false")
}

// On a database that is no sandbox's there is the real clock, and nothing to decide.
func TestPeopleOnAProductionDatabase(t *testing.T) {
	url := pgtest.Database(t, migrate)
	on := func(line string, more ...string) outcome {
		t.Helper()
		return call(t, append(append(strings.Fields(line), "--database-url", url), more...)...)
	}
	for _, line := range []string{"review list --all", "policy list", "operator list", "exceptions list", "audit list"} {
		on(line).want(t, 0)
		on(line, "-o", "json").want(t, 0, "[]")
	}
	on("review approve 632518000042 --by a --reason b").want(t, exitFailure, "632518000042 waits for a review")
	on("transaction preview-cancel 632518000042").want(t, exitFailure, "no transaction has RRN 632518000042")
}
