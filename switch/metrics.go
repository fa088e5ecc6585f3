package switching

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/postgres"
)

// Who asked for a reversal, in metrics.
const (
	originTerminal = "terminal"
	originHost     = "host"
)

// metrics of the switch. What is counted for every request is looked up when it
// is first used, or before that: the way of a request takes no lock and makes no
// garbage for them.
type metrics struct {
	decisions                     decisionCounters
	wait                          prometheus.Observer
	load                          prometheus.Observer
	decide                        prometheus.Observer
	store                         prometheus.Observer
	batchSize                     prometheus.Histogram
	laneDepth                     prometheus.Gauge
	retries                       *prometheus.CounterVec
	cardsMoved                    prometheus.Counter
	presumedCards, presumedOthers prometheus.Counter
	repeated                      prometheus.Counter
	differing                     prometheus.Counter
	cancels                       cancelCounters
	byTerminal                    prometheus.Counter
	byHost                        prometheus.Counter
	panics                        prometheus.Counter
	expired                       prometheus.Counter
	unsure                        prometheus.Counter
	directory                     prometheus.Gauge
	exceptions                    *prometheus.CounterVec
	failures                      *prometheus.CounterVec
	kept                          prometheus.Gauge
}

func newReversalCounters() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "meridian_reversals_total",
		Help: "Reversals by who began them: a terminal that did not hear the answer, or the host itself, which had told a " +
			"failure while the outcome was unknown. Repeats are not counted.",
	}, []string{"origin"})
}

func newMetrics(reg prometheus.Registerer) *metrics {
	phases := newPhases()
	duplicates := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "meridian_duplicates_total",
		Help: "Requests whose key was stored already: same content (answered again) or other content (refused).",
	}, []string{"content"})
	reversals, presumed := newReversalCounters(), prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "meridian_unit_presumed_wrongly_total",
		Help: "Units of work run once more because something was not as this host last saw it: cards, or others (a key, a batch, " +
			"a window, an original). Nothing was written before. Many: several hosts serve the same cards or terminals.",
	}, []string{"kind"})
	m := &metrics{
		decisions: decisionCounters{vec: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_decisions_total",
			Help: "Requests that the switch answered, by what was asked and the reason of the answer. The reason is finer " +
				"than the response code: several reasons share one.",
		}, []string{"type", "reason"})},
		wait:   phases.WithLabelValues("wait"),
		load:   phases.WithLabelValues("load"),
		decide: phases.WithLabelValues("decide"),
		store:  phases.WithLabelValues("store"),
		batchSize: prometheus.NewHistogram(histogram("meridian_lane_batch_size",
			"Requests in one unit of work. Near 1 when idle; it grows with load.",
			prometheus.ExponentialBuckets(1, 2, 10))), // 1 to 512
		laneDepth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_lane_depth",
			Help: "Requests waiting for a unit of work. Steadily above zero: the database is the limit.",
		}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_unit_retries_total",
			Help: "Units of work that ended in an error, by what the error says about their commit.",
		}, []string{"outcome"}),
		cardsMoved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_unit_card_conflicts_total",
			Help: "Units of work run a second time because another unit had changed a card meanwhile.",
		}),
		presumedCards:  presumed.WithLabelValues("cards"),
		presumedOthers: presumed.WithLabelValues("others"),
		repeated:       duplicates.WithLabelValues("same"),
		differing:      duplicates.WithLabelValues("other"),
		cancels: cancelCounters{vec: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_cancel_decisions_total",
			Help: "Void-or-refund decisions, by what the cancel became (void, refund, review or decline) and the rule that decided.",
		}, []string{"verdict", "rule"})},
		byTerminal: reversals.WithLabelValues(originTerminal),
		byHost:     reversals.WithLabelValues(originHost),
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
		exceptions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_exceptions_total",
			Help: "What this host answered or recorded and a person has to look at, by kind: meridian exceptions list.",
		}, []string{"kind"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_housekeeping_failures_total",
			Help: "Steps of housekeeping that failed and are tried again in the next turn, by step.",
		}, []string{"step"}),
		kept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_housekeeping_timestamp_seconds",
			Help: "When every step of housekeeping last succeeded in one turn, in Unix time. Old: dates do not close, holds do " +
				"not expire, or new reference data is not followed.",
		}),
	}
	m.begin()
	if reg != nil {
		reg.MustRegister(m.decisions.vec, phases, m.batchSize, m.laneDepth, m.retries, m.cardsMoved, presumed, duplicates, m.cancels.vec, reversals,
			m.panics, m.expired, m.unsure, m.directory, m.exceptions, m.failures, m.kept)
	}
	return m
}

func newPhases() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(histogram("meridian_unit_duration_seconds",
		"Time of one unit of work, which serves many requests, by phase: wait (for one with the same card; most do not), load, decide, "+
			"store (with the commit).", prometheus.ExponentialBuckets(0.0001, 2, 17)), []string{"phase"}) // 100 µs to 6.5 s
}

// begin makes the series that alerts ask for: one that is there from the start
// shows its first increment as one.
func (m *metrics) begin() {
	m.exceptions.WithLabelValues(exceptionOutOfBalance)
	m.failures.WithLabelValues(stepCloseDates)
	for _, outcome := range []postgres.Outcome{postgres.NotCommitted, postgres.Unknown, postgres.Permanent} {
		m.retries.WithLabelValues(outcome.String())
	}
	for _, became := range []cancelVerdict{cancelVoid, cancelRefund, cancelReview, cancelDecline} {
		m.cancels.count(became, 0, 0)
	}
	for _, reason := range []Reason{Approved, StoreUnavailable, SystemMalfunction} {
		m.decisions.count(KindSale, reason, 0)
	}
}

// histogram is classic for those who ask for buckets, and native for those who
// can read it: 160 buckets of 10 % hold twelve powers of two, and a histogram
// that needs more starts anew once an hour at most.
func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}
}

// decisionCounters are counters by kind and reason, made when they are first used.
type decisionCounters struct {
	vec      *prometheus.CounterVec
	children [len(kindNames)][len(reasonNames)]atomic.Pointer[prometheus.Counter]
}

func (c *decisionCounters) count(kind Kind, reason Reason, n float64) {
	if int(kind) >= len(kindNames) || int(reason) >= len(reasonNames) {
		kind, reason = 0, 0 // both are called unknown
	}
	child := c.children[kind][reason].Load()
	if child == nil {
		made := c.vec.WithLabelValues(kind.String(), reason.String()) // two that make it get the same one
		child = &made
		c.children[kind][reason].Store(child)
	}
	(*child).Add(n)
}

// cancelVerdict is what a cancel became, in metrics.
type cancelVerdict uint8

const (
	cancelDecline cancelVerdict = iota
	cancelVoid
	cancelRefund
	cancelReview
)

var cancelVerdictNames = [...]string{cancelDecline: "decline", cancelVoid: "void", cancelRefund: "refund", cancelReview: "review"}

func cancelVerdictOf(r *Response) cancelVerdict {
	switch {
	case r.Reason == UnderReview:
		return cancelReview
	case !r.Approved():
		return cancelDecline
	case r.Became == KindVoid:
		return cancelVoid
	default:
		return cancelRefund
	}
}

// cancelCounters are counters by verdict and rule, made when they are first used.
type cancelCounters struct {
	vec      *prometheus.CounterVec
	children [len(cancelVerdictNames)][maxRule + 1]atomic.Pointer[prometheus.Counter]
}

func (c *cancelCounters) count(verdict cancelVerdict, rule Rule, n float64) {
	if rule > maxRule {
		rule = 0
	}
	child := c.children[verdict][rule].Load()
	if child == nil {
		made := c.vec.WithLabelValues(cancelVerdictNames[verdict], rule.String())
		child = &made
		c.children[verdict][rule].Store(child)
	}
	(*child).Add(n)
}

// worked shows a unit of work that was committed.
func (m *metrics) worked(u *unit, f *Facts, started, loaded, decided, stored time.Time) {
	m.load.Observe(loaded.Sub(started).Seconds())
	m.decide.Observe(decided.Sub(loaded).Seconds())
	m.store.Observe(stored.Sub(decided).Seconds())
	m.batchSize.Observe(float64(len(u.jobs)))
	m.byHost.Add(float64(u.reversed))
	for i := range f.changes.exceptions {
		m.exceptions.WithLabelValues(f.changes.exceptions[i].Kind).Inc()
	}
	for _, j := range u.jobs {
		j.response.Spent = Spent{Queue: started.Sub(j.arrived), Ledger: stored.Sub(started)}
	}
}

// answered counts an answer.
func (m *metrics) answered(j *job, r *Response) {
	m.decisions.count(j.request.Kind, r.Reason, 1)
	switch {
	case r.Reason == RepeatDiffers:
		m.differing.Inc()
	case r.Stored:
		m.repeated.Inc()
	case j.request.Kind == KindReversal:
		m.byTerminal.Inc()
	case j.request.Kind.Cancels() && r.Rule != 0:
		m.cancels.count(cancelVerdictOf(r), r.Rule, 1)
	}
}
