package node

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/pglocal/pgtest"
	"meridian/migrations"
)

// probed is a probe over a database of its own, behind an ops address.
type probed struct {
	t        *testing.T
	pool     *pgxpool.Pool
	draining atomic.Bool
	registry *prometheus.Registry
	ops      *ops
}

func newProbed(t *testing.T, url string) *probed {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	p := &probed{t: t, pool: pool, registry: prometheus.NewRegistry()}
	p.ops = &ops{ready: newProbe(p.registry, pool, &p.draining).ready}
	return p
}

// ask returns the status of /readyz and what it says of each thing.
func (p *probed) ask(query string) (status int, body string, checks map[string]check) {
	p.t.Helper()
	recorder := httptest.NewRecorder()
	p.ops.readyz(recorder, httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, "/readyz"+query, nil))
	body = recorder.Body.String()
	if query == "" {
		return recorder.Code, body, nil
	}
	var said readiness
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		p.t.Fatal(err)
	}
	if said.Ready != (recorder.Code == http.StatusOK) {
		p.t.Errorf("status %d, ready %t", recorder.Code, said.Ready)
	}
	checks = map[string]check{}
	var names []string
	for _, c := range said.Checks {
		names, checks[c.Name] = append(names, c.Name), c
	}
	if got, want := strings.Join(names, " "), "database migrations clock draining"; got != want {
		p.t.Errorf("looked at %s, want %s", got, want)
	}
	return recorder.Code, body, checks
}

// wantOnly expects everything but what is named to be in order.
func (p *probed) wantOnly(broken ...string) map[string]check {
	p.t.Helper()
	status, body, checks := p.ask("?verbose")
	plain, _, _ := p.ask("")
	if want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[len(broken) == 0]; status != want || plain != want {
		p.t.Errorf("status %d, and %d without asking for more, want %d", status, plain, want)
	}
	for name, c := range checks {
		isBroken := strings.Contains(" "+strings.Join(broken, " ")+" ", " "+name+" ")
		if c.OK == isBroken || isBroken && c.Error == "" {
			p.t.Errorf("%s: %+v in %s", name, c, body)
		}
	}
	return checks
}

func (p *probed) gauge(name string) float64 {
	p.t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	p.t.Fatalf("no metric %s", name)
	return 0
}

func TestReadiness(t *testing.T) {
	url := pgtest.Database(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})
	p := newProbed(t, url)
	checks := p.wantOnly()
	if checks["migrations"].Detail == "" || checks["clock"].Detail == "" {
		t.Errorf("says nothing of what is in order: %+v", checks)
	}
	if p.gauge("meridian_database_up") != 1 || p.gauge("meridian_database_round_trip_seconds") <= 0 || p.gauge("meridian_draining") != 0 {
		t.Error("the metrics do not show a database that answers")
	}

	p.draining.Store(true)
	p.wantOnly("draining")
	if p.gauge("meridian_draining") != 1 {
		t.Error("the metrics do not show the drain")
	}
	p.draining.Store(false)

	if _, err := p.pool.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`); err != nil {
		t.Fatal(err)
	}
	if c := p.wantOnly("migrations")["migrations"]; !strings.Contains(c.Error, "meridian migrate") {
		t.Errorf("does not say what to do: %q", c.Error)
	}
	if _, err := p.pool.Exec(t.Context(), `DROP TABLE goose_db_version`); err != nil {
		t.Fatal(err)
	}
	p.wantOnly("migrations")
}

func TestReadinessWithoutDatabase(t *testing.T) {
	p := newProbed(t, "postgres://nobody@127.0.0.1:1/nothing?connect_timeout=1")
	p.draining.Store(true)
	p.wantOnly("database", "migrations", "clock", "draining")
	if p.gauge("meridian_database_up") != 0 {
		t.Error("the metrics show a database that is not there")
	}
	status, body, _ := p.ask("")
	if status != http.StatusServiceUnavailable || strings.Contains(body, "nobody") {
		t.Errorf("%d %q", status, body)
	}
}

// A clock counts as wrong when it is certainly wrong: half of what the question
// took may be the way there.
func TestClockCheck(t *testing.T) {
	for _, c := range []struct {
		offset, took time.Duration
		ok           bool
	}{
		{0, 0, true},
		{clockTolerance, 0, true},
		{-clockTolerance, 0, true},
		{clockTolerance + 1, 0, false},
		{-clockTolerance - 1, 0, false},
		{clockTolerance + time.Second, 2 * time.Second, true},
		{clockTolerance + time.Second + 1, 2 * time.Second, false},
	} {
		if got := (clockLook{took: c.took, offset: c.offset}).check(); got.OK != c.ok {
			t.Errorf("%s off after %s: %+v, want ok %t", c.offset, c.took, got, c.ok)
		}
	}
}
