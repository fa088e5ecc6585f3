package node

import (
	"context"
	"runtime"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/migrations"
)

// ready looks at what the host needs to approve.
func (n *Node) ready(ctx context.Context) []check {
	database := check{Name: "database", OK: true}
	schema := check{Name: "migrations", OK: true}
	if err := n.pool.Ping(ctx); err != nil {
		database.OK, database.Error = false, "cannot be reached"
		schema.OK, schema.Error = false, "unknown while the database is away"
		return []check{database, schema}
	}
	want, err := migrations.Newest()
	if err != nil {
		schema.OK, schema.Error = false, err.Error()
		return []check{database, schema}
	}
	if have, err := migrations.Version(ctx, n.pool); err != nil || have < want {
		schema.OK, schema.Error = false, "older than this binary: run meridian migrate"
	}
	return []check{database, schema}
}

func registerBuild(registry *prometheus.Registry, version string) {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "meridian_build_info", Help: "Version of this host; always 1.",
	}, []string{"version", "go"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	registry.MustRegister(build)
}

// registerPool shows how the lanes wait for their database.
func registerPool(registry *prometheus.Registry, pool *pgxpool.Pool) {
	gauge := func(name, help string, value func(*pgxpool.Stat) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(pool.Stat()) })
	}
	counter := func(name, help string, value func(*pgxpool.Stat) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(pool.Stat()) })
	}
	registry.MustRegister(
		gauge("meridian_database_connections", "Open database connections of the lanes.",
			func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) }),
		gauge("meridian_database_connections_limit", "The pool's bound.",
			func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) }),
		counter("meridian_database_waits_total", "Times a unit of work waited for a database connection.",
			func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) }),
		counter("meridian_database_wait_seconds_total", "Time spent waiting for database connections.",
			func(s *pgxpool.Stat) float64 { return s.EmptyAcquireWaitTime().Seconds() }),
	)
}
