//go:build unix

package deploy

import (
	"os"
	"testing"
	"time"

	"meridian/internal/pglocal/pgtest"
)

// observeVariable has how long ordinary load is watched before things are
// broken, such as 3m.
const observeVariable = "MERIDIAN_TEST_PROMETHEUS"

// shortestWatch: what has to hold for two minutes would not show in less.
const shortestWatch = 2*time.Minute + 30*time.Second

// burnsWithin: tills that wait for an answer that does not come ask so seldom that
// the good answers of a longer time, hundreds a second, outweigh theirs in the
// burn rate's hour. The database that is not reached is told of all the same.
const burnsWithin = 15 * time.Minute

// TestAlertsFire breaks a host in front of a Prometheus that is in a hurry.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	program(t, "prometheus")
	server := pgtest.Server(t)
	l := newLab(t, server.URL())
	b := &breakage{lab: l, server: server, prometheus: startPrometheus(t, l, hurried(t, false)), patience: patience}
	b.everythingAtOnce(t)
	b.postgres(t, "MeridianPostgresUnreachable")
}

// TestObserve lets a Prometheus of production watch a host, rules and all as they
// are: no alert under ordinary load, data for every query of every dashboard, and
// the right alerts when things break.
func TestObserve(t *testing.T) {
	wanted := os.Getenv(observeVariable)
	if wanted == "" {
		t.Skip("takes many minutes: make observe")
	}
	watch, err := time.ParseDuration(wanted)
	if err != nil {
		t.Fatalf("%s: %v", observeVariable, err)
	}
	if !hasPrometheus(t) {
		t.Fatal(noPrometheus)
	}
	watch = max(watch, shortestWatch)
	server := pgtest.Server(t)
	l := newLab(t, server.URL())
	p := startPrometheus(t, l, asTheyAre(t))

	t.Logf("ordinary load for %s", watch)
	stop := l.load(4, ordinaryPause)
	defer stop()
	time.Sleep(watch) // nothing can be awaited: it is the time without alerts that is asked for
	if broken := p.brokenRules(t); len(broken) > 0 {
		t.Errorf("rules are broken: %v", broken)
	}
	if fired := p.fired(t); len(fired) > 0 {
		t.Errorf("%v fired under ordinary load", fired)
	}
	t.Logf("%v answers", p.query(t, `sum(meridian_answers_total)`))
	t.Run("dashboards", func(t *testing.T) {
		l.oddities()
		dashboardsShowData(t, p)
	})
	stop()
	// The slowest condition has to hold for two minutes.
	b := &breakage{lab: l, server: server, prometheus: p, patience: 8 * time.Minute, ends: true}
	b.everythingAtOnce(t)
	wants := []string{"MeridianPostgresUnreachable"}
	if watch < burnsWithin {
		wants = append(wants, "MeridianAvailabilityBurnsFast")
	}
	b.postgres(t, wants...)
}
