package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/ledger"
)

type cutoverMetrics struct {
	closed  prometheus.Counter
	waiting prometheus.Gauge
	lag     prometheus.Gauge
	seconds *prometheus.HistogramVec
}

func newCutoverMetrics(reg prometheus.Registerer) *cutoverMetrics {
	m := &cutoverMetrics{
		closed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_cutover_windows_closed_total",
			Help: "Windows (bucket, calendar, business date) that this host closed and settled.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_cutover_windows_waiting",
			Help: "Windows past their cutoff that were not closed at this host's last look.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_cutover_lag_seconds",
			Help: "How long the oldest window that is not closed is past its cutoff. Minutes: nothing of that date is settled.",
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "meridian_cutover_step_seconds",
			Help:    "Time of one window's steps: cut (waiting for requests in flight) and close (settlement and seal).",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10), // 1 ms to 262 s
		}, []string{"step"}),
	}
	if reg != nil {
		reg.MustRegister(m.closed, m.waiting, m.lag, m.seconds)
	}
	return m
}

// closeDates closes and settles the business dates whose instant has passed.
// New work does not wait for it: past its instant, a date takes none.
func (s *Switch) closeDates(ctx context.Context) error {
	now := s.now()
	run, err := ledger.RunCutover(ctx, s.pool, now)
	m := s.cutovers
	for _, c := range run.Closed {
		m.closed.Inc()
		m.seconds.WithLabelValues("cut").Observe(c.Cut.Seconds())
		m.seconds.WithLabelValues("close").Observe(c.Close.Seconds())
		s.log.Info("closed a business date", "calendar", c.Calendar, "business_date", c.BusinessDate.String(), "bucket", c.Bucket,
			"statements", c.Statements, "transfers", c.Transfers, "waited", c.Cut, "took", c.Close)
	}
	m.waiting.Set(float64(run.Waiting))
	if err != nil {
		s.noteLag(ctx, now)
		return fmt.Errorf("close business dates: %w", err)
	}
	if run.Waiting == 0 && !run.More {
		m.lag.Set(0)
		return nil
	}
	s.noteLag(ctx, now)
	return nil
}

// noteLag shows how far the oldest date is behind, when any is.
func (s *Switch) noteLag(ctx context.Context, now time.Time) {
	states, err := ledger.CutoverStates(ctx, s.pool, now)
	if err != nil {
		return // the error that brought us here is told
	}
	var lag time.Duration
	for i := range states {
		lag = max(lag, states[i].Lag)
	}
	s.cutovers.lag.Set(lag.Seconds())
}
