package console

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// sampleEvery is how often the host's metrics are looked at: a look takes a
	// millisecond or two.
	sampleEvery = 2 * time.Second
	// samplesKept are five minutes, and one more to take the first difference from.
	samplesKept = 151
)

// meter keeps the last minutes of the host's own metrics, so that a page shows
// rates from the first moment and without a Prometheus.
type meter struct {
	source prometheus.Gatherer

	mu      sync.Mutex
	samples []sample // oldest first
	sampled chan struct{}
}

// answerKey is what answers are counted by here.
type answerKey struct{ kind, class string }

// sample is one look. Counters are as they stand.
type sample struct {
	at      time.Time
	answers map[answerKey]float64
	codes   map[string]float64
	latency []bucket // internal, cumulative
	gauges  gauges
}

// bucket of a histogram: how many took up to so many seconds.
type bucket struct{ upTo, count float64 }

// gauges are what stands, as the host's own watches have it.
type gauges struct {
	Connections, ConnectionsLimit, InFlight, InFlightLimit float64
	Reviews, OldestReviewSeconds                           float64
	UnbalancedBatches, LockedTerminals                     float64
	Findings, Imbalances, AuditBroken                      float64
	MACFailures, ParseErrors                               float64 // counters
	// CutoverLagSeconds is the worst calendar's.
	CutoverLagSeconds float64
	VerifiedAt        time.Time
}

func newMeter(source prometheus.Gatherer) *meter {
	return &meter{source: source, sampled: make(chan struct{})}
}

// run samples until ctx ends.
func (m *meter) run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if err := m.look(time.Now()); err != nil {
			log.Warn("cannot read the host's metrics for the console", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *meter) look(now time.Time) error {
	s := sample{at: now, answers: map[answerKey]float64{}, codes: map[string]float64{}}
	var err error
	if m.source != nil {
		var families []*dto.MetricFamily
		// What could be gathered is shown even where something could not.
		families, err = m.source.Gather()
		for _, family := range families {
			s.take(family)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.samples) == samplesKept {
		m.samples = slices.Delete(m.samples, 0, 1)
	}
	m.samples = append(m.samples, s)
	close(m.sampled)
	m.sampled = make(chan struct{})
	return err //nolint:wrapcheck // logged by run
}

// next is closed when there is another sample.
func (m *meter) next() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sampled
}

// kept are the samples, the oldest first. They are not changed any more.
func (m *meter) kept() []sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.samples)
}

// take reads one metric that the console shows.
func (s *sample) take(family *dto.MetricFamily) {
	g := &s.gauges
	metrics := family.GetMetric()
	sum := func(into *float64) {
		for _, m := range metrics {
			*into += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	switch family.GetName() {
	case "meridian_answers_total":
		for _, m := range metrics {
			labels := labelsOf(m)
			n := m.GetCounter().GetValue()
			s.answers[answerKey{labels["type"], labels["response_class"]}] += n
			s.codes[labels["code"]] += n
		}
	case "meridian_request_duration_seconds":
		for _, m := range metrics {
			if labelsOf(m)["phase"] == "internal" {
				for _, b := range m.GetHistogram().GetBucket() {
					s.latency = append(s.latency, bucket{b.GetUpperBound(), float64(b.GetCumulativeCount())})
				}
			}
		}
	case "meridian_connections":
		sum(&g.Connections)
	case "meridian_connections_limit":
		sum(&g.ConnectionsLimit)
	case "meridian_in_flight":
		sum(&g.InFlight)
	case "meridian_in_flight_limit":
		sum(&g.InFlightLimit)
	case "meridian_reviews_open":
		sum(&g.Reviews)
	case "meridian_reviews_oldest_seconds":
		sum(&g.OldestReviewSeconds)
	case "meridian_batches_out_of_balance":
		sum(&g.UnbalancedBatches)
	case "meridian_terminals_locked":
		sum(&g.LockedTerminals)
	case "meridian_ledger_findings":
		sum(&g.Findings)
	case "meridian_audit_chain_broken":
		sum(&g.AuditBroken)
	case "meridian_mac_failures_total":
		sum(&g.MACFailures)
	case "meridian_parse_errors_total":
		sum(&g.ParseErrors)
	case "meridian_ledger_imbalance_minor_units":
		for _, m := range metrics {
			if m.GetGauge().GetValue() != 0 {
				g.Imbalances++
			}
		}
	case "meridian_cutover_lag_seconds":
		for _, m := range metrics {
			g.CutoverLagSeconds = max(g.CutoverLagSeconds, m.GetGauge().GetValue())
		}
	case "meridian_ledger_verified_timestamp_seconds":
		var seconds float64
		if sum(&seconds); seconds > 0 {
			g.VerifiedAt = time.Unix(int64(seconds), 0).UTC()
		}
	}
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// quantile of what a histogram counted between two looks, in seconds, evenly
// spread within a bucket; 0 without any, and the last bound for what is over it.
func quantile(q float64, before, after []bucket) float64 {
	if len(after) == 0 {
		return 0
	}
	grown := make([]bucket, len(after))
	for i, b := range after {
		grown[i] = b
		if len(before) == len(after) {
			grown[i].count -= before[i].count
		}
	}
	total := grown[len(grown)-1].count
	if total <= 0 {
		return 0
	}
	want := q * total
	lower, below := 0.0, 0.0
	for _, b := range grown {
		if b.count >= want {
			if b.count == below {
				return b.upTo
			}
			return lower + (b.upTo-lower)*(want-below)/(b.count-below)
		}
		lower, below = b.upTo, b.count
	}
	return lower
}
