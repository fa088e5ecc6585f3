package main

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"meridian/internal/pglocal/pgtest"
	"meridian/ledger"
)

func readJSON[T any](t *testing.T, o outcome) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	return v
}

func TestCutoverAndSettlement(t *testing.T) {
	w := newWorld(t)
	execSQL(t, w.url, `DELETE FROM discount_terms`)
	execSQL(t, w.url, `DELETE FROM reserve_terms`)
	execSQL(t, w.url, `INSERT INTO discount_terms (rate_millionths) VALUES (10000)`)
	w.call("terminal", "sale", "--amount", "12.34").want(t, 0)
	w.call("terminal", "sale", "--amount", "100.00").want(t, 0)
	w.call("terminal", "void", "--rrn", w.rrns()[0]).want(t, 0)

	mid, date := soldBy(t, w)
	status := readJSON[cutoverStatus](t, w.call("cutover", "status", "-o", "json").want(t, 0))
	if status.Clock != "sandbox" || !status.At.Equal(noon) || len(status.Windows) == 0 || status.Windows[0].OpenDate == nil {
		t.Fatalf("%+v", status)
	}
	w.call("cutover", "status").want(t, 0, "SEALED UP TO", "by the sandbox's clock")
	w.call("settlement", "show", "--mid", mid, "--date", date).want(t, 1, "is not settled: its cutoff is at")

	run := readJSON[ledger.CutoverRun](t, w.call("cutover", "run", "--at", noon.Add(36*time.Hour).Format(time.RFC3339), "-o", "json").want(t, 0))
	if len(run.Closed) == 0 || run.Waiting != 0 {
		t.Fatalf("%+v", run)
	}
	w.call("cutover", "run").want(t, 0, "0 windows closed, 0 waiting")
	w.call("ledger", "verify").want(t, 0, "everything holds")

	w.call("settlement", "show", "--mid", mid, "--date", date).want(t, 0, mid, "sales                  2  112.34", "voids                  1  -12.34",
		"discount                   -1.00", "payable                    99.00")
	list := readJSON[[]ledger.Statement](t, w.call("settlement", "show", "--mid", mid, "--date", date, "-o", "json").want(t, 0))
	if len(list) != 1 || list[0].GrossMinor != 100_00 || list[0].DiscountMinor != 1_00 || list[0].Closing.PayableMinor != 99_00 || list[0].Voids.Count != 1 {
		t.Fatalf("%+v", list)
	}
	for _, format := range [][]string{{"--format", "json"}, {"-o", "json"}} {
		exported := readJSON[[]ledger.Statement](t, w.call(append([]string{"settlement", "export", "--date", date}, format...)...).want(t, 0))
		if len(exported) != 1 || exported[0].Digest != list[0].Digest {
			t.Fatalf("%v: %+v", format, exported)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(w.call("settlement", "export", "--date", date, "--mid", mid).want(t, 0).stdout)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v: %v", rows, err)
	}
	cells := map[string]string{}
	for i, name := range rows[0] {
		cells[name] = rows[1][i]
	}
	if cells["mid"] != mid || cells["sale_minor"] != "11234" || cells["closing_payable_minor"] != "9900" || cells["exponent"] != "2" {
		t.Fatalf("%v", cells)
	}
}

// An export is of a whole date, or it is none: a part that looks like a day would be paid out as one.
func TestExportsAreOfSettledDates(t *testing.T) {
	w := newWorld(t)
	export := func(code int, arguments ...string) outcome {
		t.Helper()
		o := w.call(append([]string{"settlement", "export"}, arguments...)...)
		if code != 0 && o.stdout != "" {
			t.Errorf("%v writes %q", arguments, o.stdout)
		}
		return o.want(t, code)
	}
	w.call("terminal", "sale", "--amount", "12.34").want(t, 0)
	mid, date := soldBy(t, w)
	export(exitFailure, "--date", date).want(t, exitFailure, "is not settled in", "its cutoff is at")
	w.call("clock", "after-cutoff", "--mid", mid).want(t, 0, "closed and settled")
	// This calendar has closed, others of the date have not.
	export(0, "--date", date, "--mid", mid).want(t, 0, mid)
	export(exitFailure, "--date", date).want(t, exitFailure, "is not settled in", " more: its cutoff is at")
	export(exitFailure, "--date", date, "--format", "json")
	export(exitFailure, "--date", "2027-11-24").want(t, exitFailure, "is not settled in", "the business date is not made")
	export(exitFailure, "--date", "2020-01-01").want(t, exitFailure, "no calendar with merchants has the business date")
	export(exitFailure, "--date", date, "--mid", "nope").want(t, exitFailure, `no merchant has MID "nope"`)
	export(exitFailure, "--date", "2027-11-24", "--mid", mid).want(t, exitFailure, "is not settled")
	w.call("clock", "advance", "2d").want(t, 0)
	export(0, "--date", date).want(t, 0, mid)
	next := ledger.DateOf(noon).AddDays(1).String()
	export(0, "--date", next, "--format", "json").want(t, 0, "[]")
	export(0, "--date", next, "--mid", mid, "--format", "json").want(t, 0, "[]")
}

// soldBy is the merchant and business date of the stored transactions.
func soldBy(t *testing.T, w *world) (mid, date string) {
	t.Helper()
	list := readJSON[[]struct {
		MID  string `json:"mid"`
		Date string `json:"business_date"`
	}](t, w.call("transaction", "list", "-o", "json").want(t, 0))
	if len(list) == 0 || list[0].MID == "" || list[0].Date == "" {
		t.Fatalf("%+v", list)
	}
	return list[0].MID, list[0].Date
}

func TestCutoverPreview(t *testing.T) {
	w := newWorld(t)
	list := readJSON[[]ledger.Cutoff](t, w.call("cutover", "preview", "--count", "130", "-o", "json").want(t, 0))
	lengths := map[string]map[int64]bool{}
	for _, c := range list {
		if lengths[c.TimeZone] == nil {
			lengths[c.TimeZone] = map[int64]bool{}
		}
		lengths[c.TimeZone][c.LengthSeconds/3600] = true
		if c.ValueDate <= c.BusinessDate {
			t.Errorf("%s has the value of %s", c.BusinessDate, c.ValueDate)
		}
	}
	// From November to April: Berlin's and New York's clocks go forward.
	if !lengths["Europe/Berlin"][23] || !lengths["America/New_York"][23] || lengths["Asia/Shanghai"][23] || lengths["Europe/Berlin"][25] {
		t.Errorf("%v", lengths)
	}
	name := list[0].Calendar
	w.call("cutover", "preview", "--calendar", name, "--count", "12").want(t, 0, name, "24 h", "made", "as of today")
	w.call("cutover", "preview", "--calendar", "nowhere").want(t, 2, `no calendar "nowhere"`, name)
	w.call("cutover", "preview", "--count", "0").want(t, 2)
	w.call("cutover", "run", "--at", "yesterday").want(t, 2, "no instant")
	w.call("settlement", "show", "--date", "2026-03-10").want(t, 2, "--mid")
	w.call("settlement", "show", "--mid", "1").want(t, 2, "--date")
	w.call("settlement", "show", "--mid", "1", "--date", "10.3.").want(t, 2)
	w.call("settlement", "show", "--mid", "1", "--date", "2026-03-10").want(t, 1, `no merchant has MID "1"`)
	w.call("settlement", "export", "--date", "2026-03-10", "--format", "xml").want(t, 2)
	w.call("cutover", "stop").want(t, 2)
}

func TestProductionClosesByItsOwnClock(t *testing.T) {
	url := pgtest.Database(t, migrate)
	call(t, "cutover", "run", "--at", "2030-01-01T00:00:00Z", "--database-url", url).want(t, 2, "--at is for sandboxes")
	call(t, "cutover", "run", "--database-url", url).want(t, 0, "0 windows closed")
	execSQL(t, url, `INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (1, 'utc', 'UTC', '00:00', '2020-01-01')`)
	call(t, "cutover", "run", "--database-url", url).want(t, 0, "4 windows closed, 0 waiting") // yesterday's, in four buckets
	call(t, "cutover", "status", "--database-url", url).want(t, 0, "utc", "by the real clock")
	call(t, "ledger", "verify", "--database-url", url).want(t, 0)
}
