package host

import (
	"github.com/prometheus/client_golang/prometheus"

	"meridian/host/wire"
)

// Metrics are what the TCP side tells Prometheus. Labels are listener names and
// reasons: small fixed sets, none of them chosen by a peer.
type Metrics struct {
	connections    *prometheus.GaugeVec
	accepted       *prometheus.CounterVec
	closes         *prometheus.CounterVec
	refusals       *prometheus.CounterVec
	acceptErrors   *prometheus.CounterVec
	framesReceived *prometheus.CounterVec
	framesSent     *prometheus.CounterVec
	framesDropped  *prometheus.CounterVec
	bytesReceived  *prometheus.CounterVec
	bytesSent      *prometheus.CounterVec
	inFlight       prometheus.Gauge
	inFlightLimit  prometheus.Gauge
	connLimit      prometheus.Gauge
	waits          *prometheus.CounterVec
	// The two bounds of waits.
	waitsConnection, waitsTotal prometheus.Counter
	panics                      prometheus.Counter
	answersIgnored              prometheus.Counter
	answersRefused              prometheus.Counter
	total                       prometheus.Observer
}

// NewMetrics makes the metrics and registers them. It panics when they are
// registered already: that is a mistake in the wiring.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	perListener := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"listener"}, more...))
	}
	m := &Metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "meridian_connections",
			Help: "Open terminal connections, TLS handshakes included. Near meridian_connections_limit new terminals are refused.",
		}, []string{"listener"}),
		accepted: perListener("meridian_connections_accepted_total",
			"Connections let in. A rate far above the number of terminals means that they reconnect: "+
				"see meridian_closes_total for why."),
		closes: perListener("meridian_closes_total",
			"Connections closed, by reason. peer_closed, idle_timeout and drain are normal; write_timeout and read_timeout "+
				"are slow or hostile peers; cut_off means that a shutdown ran out of time.", "reason"),
		refusals: perListener("meridian_refusals_total",
			"Connections refused before a byte was read, by reason: the allow-list or one of the connection limits.", "reason"),
		acceptErrors: perListener("meridian_accept_errors_total",
			"Errors of the operating system while accepting; the listener goes on. A steady rate usually means too few file descriptors."),
		framesReceived: perListener("meridian_frames_received_total",
			"Messages read from terminals."),
		framesSent: perListener("meridian_frames_sent_total",
			"Answers written to terminals. Lagging behind meridian_frames_received_total means unanswered messages."),
		framesDropped: perListener("meridian_frames_dropped_total",
			"Frames passed over without an answer because of their TPDU or application header, by reason: a terminal or an "+
				"access network with a wrong setting.", "reason"),
		bytesReceived: perListener("meridian_received_bytes_total",
			"Bytes read from terminals, after TLS, framing included."),
		bytesSent: perListener("meridian_sent_bytes_total",
			"Bytes written to terminals, before TLS, framing included."),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_in_flight",
			Help: "Requests handed over and not yet answered. At meridian_in_flight_limit all readers wait: the ledger or a link is slow.",
		}),
		inFlightLimit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_in_flight_limit",
			Help: "Configured bound of meridian_in_flight.",
		}),
		connLimit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_connections_limit",
			Help: "Configured bound of meridian_connections over all listeners.",
		}),
		waits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_reader_waits_total",
			Help: "Times a reader stopped reading because a bound on requests in flight was reached: " +
				"connection (that peer pipelines more than it may) or total (the host is saturated).",
		}, []string{"bound"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_handler_panics_total",
			Help: "Panics contained to one message or one connection. Every one is a defect: the log has the stack.",
		}),
		answersIgnored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_answers_ignored_total",
			Help: "Second answers to a message that was answered already. Every one is a defect.",
		}),
		answersRefused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_answers_unsendable_total",
			Help: "Answers that do not fit the listener's framing and were not sent. Every one is a defect.",
		}),
	}
	m.waitsConnection = m.waits.WithLabelValues("connection")
	m.waitsTotal = m.waits.WithLabelValues("total")
	m.total = newDurations(registerer).total
	registerer.MustRegister(m.connections, m.accepted, m.closes, m.refusals, m.acceptErrors,
		m.framesReceived, m.framesSent, m.framesDropped, m.bytesReceived, m.bytesSent,
		m.inFlight, m.inFlightLimit, m.connLimit, m.waits, m.panics, m.answersIgnored, m.answersRefused)
	return m
}

// listenerMetrics are the metrics of one listener with the label filled in, so
// that the message path looks nothing up.
type listenerMetrics struct {
	connections    prometheus.Gauge
	accepted       prometheus.Counter
	closes         *prometheus.CounterVec
	refusals       *prometheus.CounterVec
	acceptErrors   prometheus.Counter
	framesReceived prometheus.Counter
	framesSent     prometheus.Counter
	framesDropped  *prometheus.CounterVec
	bytesReceived  prometheus.Counter
	bytesSent      prometheus.Counter
}

func (m *Metrics) listener(name string) listenerMetrics {
	own := prometheus.Labels{"listener": name}
	// A series that is there from the start shows its first increment as one.
	for _, reason := range closeReasons {
		m.closes.WithLabelValues(name, string(reason))
	}
	for _, reason := range refusalReasons {
		m.refusals.WithLabelValues(name, string(reason))
	}
	m.framesDropped.WithLabelValues(name, string(wire.HeaderTPDU))
	return listenerMetrics{
		connections:    m.connections.With(own),
		accepted:       m.accepted.With(own),
		closes:         m.closes.MustCurryWith(own),
		refusals:       m.refusals.MustCurryWith(own),
		acceptErrors:   m.acceptErrors.With(own),
		framesReceived: m.framesReceived.With(own),
		framesSent:     m.framesSent.With(own),
		framesDropped:  m.framesDropped.MustCurryWith(own),
		bytesReceived:  m.bytesReceived.With(own),
		bytesSent:      m.bytesSent.With(own),
	}
}
