package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/migrations"
)

const (
	// probeEvery is how often the database is looked at for the metrics: several
	// times between two looks of a Prometheus.
	probeEvery = 5 * time.Second
	// clockTolerance is what a host's clock may be off from its database's before it
	// is taken out of service. Hosts follow one time within milliseconds; one that
	// is ten seconds off puts transactions around a cutoff into the wrong date. Not
	// less, or a database's wrong clock would stop every host for nothing.
	clockTolerance = 10 * time.Second
)

// probe looks at what the host needs to approve.
type probe struct {
	pool     *pgxpool.Pool
	draining *atomic.Bool

	up        prometheus.Gauge
	roundTrip prometheus.Gauge
	offset    prometheus.Gauge
}

func newProbe(registry *prometheus.Registry, pool *pgxpool.Pool, draining *atomic.Bool) *probe {
	p := &probe{
		pool: pool, draining: draining,
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_database_up",
			Help: "1 when the database answered this host's last look, 0 when it did not: nothing is approved then.",
		}),
		roundTrip: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_database_round_trip_seconds",
			Help: "How long the database took to answer the last look that it answered.",
		}),
		offset: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_database_clock_offset_seconds",
			Help: "This host's clock less its database's, at the last look. Hosts that differ disagree about a cutoff by as much; " +
				"beyond 10 s a host is not ready.",
		}),
	}
	registry.MustRegister(p.up, p.roundTrip, p.offset, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "meridian_draining",
		Help: "1 from the begin of a shutdown: no new connection is taken.",
	}, func() float64 {
		if draining.Load() {
			return 1
		}
		return 0
	}))
	return p
}

// run looks until ctx ends.
func (p *probe) run(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		looking, cancel := context.WithTimeout(ctx, readyTimeout)
		_, _ = p.look(looking)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look asks the database for the time: its metrics show the outcome. The offset
// is known to half the time that the question took.
func (p *probe) look(ctx context.Context) (look clockLook, err error) {
	asked := time.Now()
	var there time.Time
	if err := p.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&there); err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // a shutdown, or a peer that went away, says nothing of the database
			p.up.Set(0)
		}
		return clockLook{}, fmt.Errorf("ask the database for the time: %w", err)
	}
	look.took = time.Since(asked)
	look.offset = asked.Add(look.took / 2).Sub(there)
	p.up.Set(1)
	p.roundTrip.Set(look.took.Seconds())
	p.offset.Set(look.offset.Seconds())
	return look, nil
}

type clockLook struct{ took, offset time.Duration }

// check of a clock that was looked at.
func (l clockLook) check() check {
	c := check{Name: "clock", OK: true, Detail: l.offset.Round(time.Millisecond).String() + " from the database's"}
	if l.offset.Abs()-l.took/2 > clockTolerance {
		c.OK, c.Error = false, fmt.Sprintf("%s off the database's: at most %s may be", l.offset.Round(time.Millisecond), clockTolerance)
	}
	return c
}

// ready is what readiness depends on, in the order in which it is told.
func (p *probe) ready(ctx context.Context) []check {
	look, err := p.look(ctx)
	checks := []check{{Name: "database", OK: true}, {Name: "migrations", OK: true}, look.check(), {Name: "draining", OK: true}}
	database, schema, clock, draining := &checks[0], &checks[1], &checks[2], &checks[3]
	if p.draining.Load() {
		draining.OK, draining.Error = false, "the host is shutting down"
	}
	if err != nil {
		database.OK, database.Error = false, "cannot be reached"
		schema.OK, schema.Error = false, "unknown while the database is away"
		*clock = check{Name: clock.Name, Error: "unknown while the database is away"}
		return checks
	}
	database.Detail = "answered in " + look.took.Round(time.Microsecond).String()
	want, err := migrations.Newest()
	if err != nil {
		schema.OK, schema.Error = false, err.Error()
		return checks
	}
	have, err := migrations.Version(ctx, p.pool)
	switch {
	case err != nil:
		schema.OK, schema.Error = false, "cannot be read: run meridian migrate"
	case have < want:
		schema.OK, schema.Error = false, fmt.Sprintf("version %d, older than this binary's %d: run meridian migrate", have, want)
	default:
		schema.Detail = fmt.Sprintf("version %d", have)
	}
	return checks
}
