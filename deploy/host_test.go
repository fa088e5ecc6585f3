//go:build unix

package deploy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// ordinaryPause between one customer of a till, who is fifteen messages, and the
// next: any machine bears some tens of messages a second from each till.
const ordinaryPause = 250 * time.Millisecond

// TestHost has a host do everything once, and holds what it shows against the
// reference, the rules and the dashboards. Two Prometheus watch it, one that takes
// native histograms and one that does not.
func TestHost(t *testing.T) {
	t.Parallel()
	l := newLab(t, database(t))
	stop := l.load(2, ordinaryPause)
	defer stop()
	l.await("meridian_ledger_verified_timestamp_seconds", "meridian_housekeeping_timestamp_seconds", "meridian_standing_timestamp_seconds")
	watchers := map[string]*prometheusServer{}
	if hasPrometheus(t) {
		watchers["classic"] = startPrometheus(t, l, hurried(t, false))
		watchers["native"] = startPrometheus(t, l, hurried(t, true))
	}

	watched := func(t *testing.T, f func(*testing.T, *prometheusServer)) {
		t.Helper()
		if len(watchers) == 0 {
			t.Skip(noPrometheus)
		}
		for name, p := range watchers {
			t.Run(name, func(t *testing.T) { f(t, p) })
		}
	}
	t.Run("ordinary load", func(t *testing.T) { watched(t, nothingFires) })
	l.oddities()
	t.Run("dashboards", func(t *testing.T) { watched(t, dashboardsShowData) })
	stop()

	text := l.get("/metrics")
	found := families(t, text)
	t.Run("reference", func(t *testing.T) { generated(t, reference(t, found), "docs", "reference", "metrics.md") })
	t.Run("names and labels", func(t *testing.T) { wellNamed(t, found) })
	t.Run("no card or terminal", func(t *testing.T) { nobodyNamed(t, text) })
	t.Run("everything in the code is there", func(t *testing.T) { nothingHidden(t, found) })
	t.Run("queries", func(t *testing.T) { queriesFit(t, found) })
	t.Run("histograms", func(t *testing.T) {
		if len(watchers) == 0 {
			t.Skip(noPrometheus)
		}
		bothHistograms(t, found, watchers["classic"], watchers["native"])
	})
	t.Run("runbooks", func(t *testing.T) { runbooksFit(t, found) })
}

// bothHistograms: each histogram of ours is a classic one and a native one.
func bothHistograms(t *testing.T, found map[string]*family, classic, native *prometheusServer) {
	t.Helper()
	seen := 0
	for name, f := range found {
		if f.kind != "histogram" || !strings.HasPrefix(name, "meridian_") {
			continue
		}
		seen++
		if len(classic.query(t, name+`_bucket{le="+Inf"}`)) == 0 {
			t.Errorf("%s has no buckets", name)
		}
		if len(native.query(t, name)) == 0 || len(native.query(t, name+"_bucket")) > 0 {
			t.Errorf("%s is no native histogram", name)
		}
	}
	if seen < 4 {
		t.Errorf("only %d histograms", seen)
	}
}

// nothingFires once every rule was evaluated over messages. How long messages,
// looks at the database and scrapes take says something of the machine that runs
// the tests, too, and is not judged here: make observe does.
func nothingFires(t *testing.T, p *prometheusServer) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		broken := p.brokenRules(t)
		if len(broken) == 0 && len(p.query(t, `meridian:answers_judged:rate5m > 0 and meridian:messages:rate5m > 0`)) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("rules come to nothing: %v", broken)
		}
	}
	ofTheMachine := []string{
		"MeridianLatencyBurnsFast", "MeridianLatencyBurnsSlowly", "MeridianDown", "MeridianMetricsAbsent", "MeridianPostgresUnreachable",
	}
	if fired := slices.DeleteFunc(p.fired(t), func(name string) bool { return slices.Contains(ofTheMachine, name) }); len(fired) > 0 {
		t.Errorf("%v fired under ordinary load", fired)
	}
}

// dashboardsShowData asks every query of every dashboard until each has an answer.
func dashboardsShowData(t *testing.T, p *prometheusServer) {
	t.Helper()
	missing := dashboardQueries(t)
	for deadline := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		for where, query := range missing {
			if len(p.query(t, concrete(query, "1m"))) > 0 {
				delete(missing, where)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	for where, query := range missing {
		t.Errorf("%s shows nothing: %s", where, query)
	}
}
