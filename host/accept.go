package host

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

const (
	// After an Accept error the loop waits, doubling, so that running out of file
	// descriptors does not burn a core, and not for longer than a peer would wait
	// for its connection.
	acceptBackoffFirst = 5 * time.Millisecond
	acceptBackoffMost  = time.Second

	// refusalLogInterval: one line per listener and reason in that time.
	refusalLogInterval = time.Second
)

// acceptErrorReason keys the sampler for Accept errors; it is no CloseReason.
const acceptErrorReason CloseReason = "accept_error"

// listener is one listening address at work.
type listener struct {
	ListenerConfig

	net     net.Listener
	gate    *gate
	metrics listenerMetrics
	sampler *sampler[CloseReason]
}

// accept lets connections in until the listener is closed by the server. No
// error of Accept ends it: the operating system reports under this call what is
// wrong with single connections (ECONNABORTED) or for a while (EMFILE).
func (s *Server) accept(l *listener) {
	backoff := acceptBackoffFirst
	for {
		conn, err := l.net.Accept()
		switch {
		case err == nil:
			backoff = acceptBackoffFirst
			s.admit(l, conn)
		case s.draining():
			return
		default:
			s.acceptFailed(l, err, backoff)
			if !s.pause(backoff) {
				return
			}
			backoff = min(2*backoff, acceptBackoffMost)
		}
	}
}

func (s *Server) acceptFailed(l *listener, err error, backoff time.Duration) {
	l.metrics.acceptErrors.Inc()
	if log, suppressed := l.sampler.take(acceptErrorReason, time.Now()); log {
		s.logger.Error("accept failed, trying again",
			"listener", l.Name, "error", err.Error(), "wait", backoff.String(), "suppressed", suppressed)
	}
}

// pause waits, or returns false when the server begins to drain.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stopping:
		return false
	}
}

// admit starts a session for conn or refuses it.
func (s *Server) admit(l *listener, conn net.Conn) {
	remote := remoteOf(conn)
	if reason := s.admission.admit(l.gate, remote.Addr()); reason != "" {
		s.refuse(l, conn, remote, reason)
		return
	}
	session := newSession(s, l, s.lastConn.Add(1), conn, remote)
	if !s.register(session) {
		session.cancel()
		s.admission.leave(l.gate, remote.Addr())
		s.refuse(l, conn, remote, RefusedDrain)
		return
	}
	l.metrics.accepted.Inc()
	l.metrics.connections.Inc()
	go func() {
		defer s.sessionsDone.Done()
		session.run()
	}()
}

func (s *Server) refuse(l *listener, conn net.Conn, remote netip.AddrPort, reason CloseReason) {
	l.metrics.refusals.WithLabelValues(string(reason)).Inc()
	if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.logger.Debug("close of a refused connection failed", "listener", l.Name, "error", err.Error())
	}
	if log, suppressed := l.sampler.take(reason, time.Now()); log {
		s.logger.Warn("connection refused",
			"listener", l.Name, "remote", remote.String(), "reason", string(reason), "suppressed", suppressed)
	}
}

// remoteOf is the peer's address with IPv4 out of its IPv6 mapping and without a
// zone; the zero value where the connection has none.
func remoteOf(conn net.Conn) netip.AddrPort {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	a := tcp.AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
