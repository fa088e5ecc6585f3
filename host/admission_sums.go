package host

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/switch"
)

// maxSums bounds what a minute's sums are told apart by; what is more is one sum.
const maxSums = 1024

// sumKey is what attempts without a row of their own are counted by.
type sumKey struct{ kind, subject string }

// sums are attempts that were only counted, of a minute.
type sums struct {
	mu     sync.Mutex
	counts map[sumKey]int64
}

func (s *sums) add(key sumKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[sumKey]int64{}
	}
	if _, known := s.counts[key]; !known && len(s.counts) >= maxSums {
		key.subject = "others" // one for each kind, of which there are few
	}
	s.counts[key]++
}

// take returns the counts and starts anew.
func (s *sums) take() map[sumKey]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	s.counts = nil
	return counts
}

// sentryMetrics count what is not let in.
type sentryMetrics struct {
	attempts  *prometheus.CounterVec
	locked    prometheus.Counter
	lockedNow prometheus.Gauge
}

// deniedMAC is the reason of a message whose MAC was wrong or missing.
const deniedMAC = "mac"

func newSentryMetrics(reg prometheus.Registerer, listeners []string) *sentryMetrics {
	m := &sentryMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meridian_denied_messages_total",
			Help: "Messages whose sender was not let in, by reason; address_limit, terminal_limit and settlement_limit are senders of too much. " +
				"The audit log names them (meridian audit list).",
		}, []string{"listener", "reason"}),
		locked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meridian_terminal_locks_total",
			Help: "Terminals that this host locked after wrong MACs in a row: a terminal with an old key, or an attack.",
		}),
		lockedNow: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meridian_terminals_locked",
			Help: "Terminals that are locked now, by any host. meridian terminals list --locked names them, terminals unlock lets one in.",
		}),
	}
	// What alerts ask for: a series that is there from the start shows its first
	// increments, however many come before the next look.
	for _, listener := range listeners {
		m.attempts.WithLabelValues(listener, deniedMAC)
		m.attempts.WithLabelValues(listener, switching.TerminalLocked.String())
	}
	if reg != nil {
		reg.MustRegister(m.attempts, m.locked, m.lockedNow)
	}
	return m
}

func (m *sentryMetrics) denied(a *Attempt, reason string) {
	m.attempts.WithLabelValues(a.Listener, reason).Inc()
}
