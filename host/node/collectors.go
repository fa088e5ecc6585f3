package node

import (
	"regexp"
	"runtime"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func registerBuild(registry *prometheus.Registry, version string) {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "meridian_build_info", Help: "Version of this host; always 1.",
	}, []string{"version", "go"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	registry.MustRegister(build)
}

// registerRuntime shows the process and Go's runtime; how long goroutines wait for
// a processor and collections stop the world among it.
func registerRuntime(registry *prometheus.Registry) {
	registry.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/sched/(latencies:seconds|pauses/total/gc:seconds)$`)},
		)),
	)
}

// pools shows how lanes and services wait for their database.
type pools struct {
	lanes, services *pgxpool.Pool

	connections, inUse, limit, opened, acquired, waits, waited *prometheus.Desc
}

func newPools(lanes, services *pgxpool.Pool) *pools {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"pool"}, nil)
	}
	return &pools{
		lanes: lanes, services: services,
		connections: describe("meridian_database_connections",
			"Open database connections by pool: lanes are units of work, services is everything beside them."),
		inUse: describe("meridian_database_connections_in_use",
			"Database connections that somebody has."),
		limit: describe("meridian_database_connections_limit",
			"The pool's bound on its connections."),
		opened: describe("meridian_database_connects_total",
			"Database connections that were opened. A steady rate means that they are lost."),
		acquired: describe("meridian_database_acquires_total",
			"Times a database connection was taken out of the pool."),
		waits: describe("meridian_database_waits_total",
			"Times somebody waited for a database connection, because all were in use or had to be opened."),
		waited: describe("meridian_database_wait_seconds_total",
			"Time spent waiting for database connections."),
	}
}

// Describe of [prometheus.Collector].
func (p *pools) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(p, ch) }

// Collect of [prometheus.Collector].
func (p *pools) Collect(ch chan<- prometheus.Metric) {
	for _, pool := range []struct {
		name string
		stat *pgxpool.Stat
	}{{"lanes", p.lanes.Stat()}, {"services", p.services.Stat()}} {
		for _, m := range []struct {
			desc  *prometheus.Desc
			kind  prometheus.ValueType
			value float64
		}{
			{p.connections, prometheus.GaugeValue, float64(pool.stat.TotalConns())},
			{p.inUse, prometheus.GaugeValue, float64(pool.stat.AcquiredConns())},
			{p.limit, prometheus.GaugeValue, float64(pool.stat.MaxConns())},
			{p.opened, prometheus.CounterValue, float64(pool.stat.NewConnsCount())},
			{p.acquired, prometheus.CounterValue, float64(pool.stat.AcquireCount())},
			{p.waits, prometheus.CounterValue, float64(pool.stat.EmptyAcquireCount())},
			{p.waited, prometheus.CounterValue, pool.stat.EmptyAcquireWaitTime().Seconds()},
		} {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value, pool.name)
		}
	}
}
