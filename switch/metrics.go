package switching

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type phaseName string

// Phases of a request inside the switch.
const (
	phaseQueue  phaseName = "queue"
	phaseLoad   phaseName = "load"
	phaseDecide phaseName = "decide"
	phaseStore  phaseName = "store"
	phaseTotal  phaseName = "total"
)

type metrics struct {
	answers    *prometheus.CounterVec
	phases     *prometheus.HistogramVec
	batchSize  prometheus.Histogram
	laneDepth  prometheus.Gauge
	retries    *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	cancels    *prometheus.CounterVec
	panics     prometheus.Counter
	expired    prometheus.Counter
	unsure     prometheus.Counter
	directory  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_answers_total",
			Help: "Requests answered, by what was asked and the reason of the answer.",
		}, []string{"kind", "reason"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "meridian_switch_phase_seconds",
			Help:                        "Time spent in the switch: total and queue per request; load, decide and store per unit of work.",
			Buckets:                     prometheus.ExponentialBuckets(0.0001, 2, 17), // 100 µs to 6.5 s
			NativeHistogramBucketFactor: 1.1,
		}, []string{"phase"}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "meridian_lane_batch_size",
			Help:    "Requests in one unit of work. Near 1 when idle; it grows with load.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10), // 1 to 512
		}),
		laneDepth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_lane_depth",
			Help: "Requests waiting for a unit of work. Steadily above zero: the database is the limit.",
		}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_unit_retries_total",
			Help: "Units of work that ended in an error, by what the error says about their commit.",
		}, []string{"outcome"}),
		duplicates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_duplicates_total",
			Help: "Requests whose key was stored already: same content (answered again) or other content (refused with 94).",
		}, []string{"content"}),
		cancels: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_cancel_decisions_total",
			Help: "Void-or-refund decisions, by what the cancel became and the rule that decided.",
		}, []string{"verdict", "rule"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_decision_panics_total",
			Help: "Decisions that panicked. Their requests were answered 96 and posted nothing. Any is a bug.",
		}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_expired_holds_total",
			Help: "Holds that ran out and were given back to their cards.",
		}),
		unsure: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_answers_before_outcome_total",
			Help: "Requests answered 96 while their commit was unknown. What was committed and told nowhere else is reversed by the host.",
		}),
		directory: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_directory_version",
			Help: "Version of the reference data this host works with.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.answers, m.phases, m.batchSize, m.laneDepth, m.retries, m.duplicates, m.cancels,
			m.panics, m.expired, m.unsure, m.directory)
	}
	return m
}

func (m *metrics) phase(name phaseName, d time.Duration) {
	m.phases.WithLabelValues(string(name)).Observe(d.Seconds())
}

// answered counts an answer.
func (m *metrics) answered(j *job, r Response) {
	m.answers.WithLabelValues(j.request.Kind.String(), r.Reason.String()).Inc()
	m.phase(phaseTotal, time.Since(j.arrived))
	if r.Reason == RepeatDiffers {
		m.duplicates.WithLabelValues("other").Inc()
		return
	}
	if r.Stored {
		m.duplicates.WithLabelValues("same").Inc()
		return
	}
	if j.request.Kind.Cancels() && r.Rule != 0 {
		verdict := "decline"
		if r.Approved() {
			verdict = r.Became.String()
		}
		m.cancels.WithLabelValues(verdict, r.Rule.String()).Inc()
	}
}
