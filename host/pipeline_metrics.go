package host

import "github.com/prometheus/client_golang/prometheus"

// reasonNotARequest labels messages that are given no answer.
const reasonNotARequest = "not_a_request"

// pipelineMetrics count what never reaches the switch.
type pipelineMetrics struct {
	parseErrors *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	macFailures *prometheus.CounterVec
}

func newPipelineMetrics(reg prometheus.Registerer) *pipelineMetrics {
	m := &pipelineMetrics{
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
	return m
}

func (m *pipelineMetrics) refused(listener, reason string) {
	m.refusals.WithLabelValues(listener, reason).Inc()
}
