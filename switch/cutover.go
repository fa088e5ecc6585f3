package switching

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/ledger"
)

// cutoverMetrics are of this host's part in the job; how far dates are is
// watched apart from it, so that a job that stands still shows.
type cutoverMetrics struct {
	closed     prometheus.Counter
	cut, close prometheus.Observer
}

func newCutoverMetrics(reg prometheus.Registerer) *cutoverMetrics {
	steps := prometheus.NewHistogramVec(histogram("meridian_cutover_step_duration_seconds",
		"Time of one window's steps: cut (waiting for requests in flight) and close (settlement and seal).",
		prometheus.ExponentialBuckets(0.001, 4, 10)), []string{"step"}) // 1 ms to 262 s
	m := &cutoverMetrics{
		closed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_cutover_windows_closed_total",
			Help: "Windows (bucket, calendar, business date) that this host closed and settled.",
		}),
		cut: steps.WithLabelValues("cut"), close: steps.WithLabelValues("close"),
	}
	if reg != nil {
		reg.MustRegister(m.closed, steps)
	}
	return m
}

// closeDates closes and settles the business dates whose instant has passed.
// New work does not wait for it: past its instant, a date takes none.
func (s *Switch) closeDates(ctx context.Context) error {
	run, err := ledger.RunCutover(ctx, s.pool, s.now())
	m := s.cutovers
	for _, c := range run.Closed {
		m.closed.Inc()
		m.cut.Observe(c.Cut.Seconds())
		m.close.Observe(c.Close.Seconds())
		s.log.Info("closed a business date", "calendar", c.Calendar, "business_date", c.BusinessDate.String(), "bucket", c.Bucket,
			"statements", c.Statements, "transfers", c.Transfers, "waited", c.Cut, "took", c.Close)
	}
	if err != nil {
		return fmt.Errorf("close business dates: %w", err)
	}
	return nil
}
