package host

import (
	"iter"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/switch"
)

// reasonNotARequest labels messages that are given no answer.
const reasonNotARequest = "not_a_request"

// pipelineMetrics count messages and their answers, and what never reaches the
// switch.
type pipelineMetrics struct {
	*messageMetrics

	parseErrors *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	macFailures *prometheus.CounterVec
}

func newPipelineMetrics(reg prometheus.Registerer, listeners iter.Seq[string]) *pipelineMetrics {
	m := &pipelineMetrics{
		messageMetrics: newMessageMetrics(reg),
		parseErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_parse_errors_total",
			Help: "Messages that could not be parsed; answered 30 where their type could be read. The log has field and offset.",
		}, []string{"listener"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_refused_messages_total",
			Help: "Parsed messages that are no request of their dialect, by the reason answered; not_a_request gets no answer.",
		}, []string{"listener", "reason"}),
		macFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_mac_failures_total",
			Help: "Messages with a missing or wrong MAC. A few are line noise; a storm is a terminal with an old key, or an attack.",
		}, []string{"listener", "problem"}),
	}
	if reg != nil {
		reg.MustRegister(m.parseErrors, m.refusals, m.macFailures)
	}
	// A series that is there from the start shows its first increment as one.
	for listener := range listeners {
		m.parseErrors.WithLabelValues(listener)
		m.refusals.WithLabelValues(listener, reasonNotARequest)
		m.refusals.WithLabelValues(listener, switching.FormatError.String())
		for _, problem := range []string{macWrong, macMissing, macReplayed} {
			m.macFailures.WithLabelValues(listener, problem)
		}
	}
	return m
}

func (m *pipelineMetrics) refused(listener, reason string) {
	m.refusals.WithLabelValues(listener, reason).Inc()
}
