package host

import (
	"net/netip"
	"sync"
	"time"
)

// admission counts connections against the three bounds. A connection is
// admitted before anything is read from it, and counts until its session ends.
type admission struct {
	maxTotal int

	mu    sync.Mutex
	total int
}

// gate is a listener's part of the admission.
type gate struct {
	allow                     []netip.Prefix
	maxConnections, maxPerKey int

	// Guarded by admission.mu.
	connections int
	perKey      map[netip.Prefix]int
}

func newGate(c ListenerConfig) *gate {
	g := &gate{
		maxConnections: c.MaxConnections,
		maxPerKey:      c.MaxConnectionsPerAddress,
		perKey:         make(map[netip.Prefix]int),
	}
	for _, p := range c.Allow {
		g.allow = append(g.allow, unmapPrefix(p))
	}
	return g
}

// admit returns an empty reason and counts the connection, or the reason for
// which it is refused.
func (a *admission) admit(g *gate, remote netip.Addr) CloseReason {
	if !g.allows(remote) {
		return RefusedAllowList
	}
	key := addressKey(remote)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.total >= a.maxTotal:
		return RefusedTotal
	case g.maxConnections > 0 && g.connections >= g.maxConnections:
		return RefusedListener
	case g.maxPerKey > 0 && g.perKey[key] >= g.maxPerKey:
		return RefusedAddress
	}
	a.total++
	g.connections++
	if g.maxPerKey > 0 {
		g.perKey[key]++
	}
	return ""
}

// leave gives up what admit counted.
func (a *admission) leave(g *gate, remote netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	g.connections--
	if g.maxPerKey == 0 {
		return
	}
	key := addressKey(remote)
	if g.perKey[key]--; g.perKey[key] <= 0 {
		delete(g.perKey, key) // the map is no larger than the connections
	}
}

func (g *gate) allows(remote netip.Addr) bool {
	if len(g.allow) == 0 {
		return true
	}
	for _, p := range g.allow {
		if p.Contains(remote) {
			return true
		}
	}
	return false
}

// addressKey is what MaxConnectionsPerAddress counts: an IPv4 address or an IPv6
// /64.
func addressKey(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	key, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero address: all unknown peers together
	}
	return key
}

// unmapPrefix writes ::ffff:192.0.2.0/120 as 192.0.2.0/24, since peers' addresses
// are unmapped too.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// sampler lets one event per reason and interval through and counts the rest, so
// that a flood of refusals cannot become a flood of log lines.
type sampler[K comparable] struct {
	interval time.Duration

	mu   sync.Mutex
	seen map[K]sampled // as large as the set of reasons
}

type sampled struct {
	last       time.Time
	suppressed int
}

func newSampler[K comparable](interval time.Duration) *sampler[K] {
	return &sampler[K]{interval: interval, seen: make(map[K]sampled)}
}

// take reports whether an event at now is to be logged, and how many were not
// since the last one that was.
func (s *sampler[K]) take(reason K, now time.Time) (log bool, suppressed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, known := s.seen[reason]
	if known && now.Sub(state.last) < s.interval {
		state.suppressed++
		s.seen[reason] = state
		return false, 0
	}
	s.seen[reason] = sampled{last: now}
	return true, state.suppressed
}
