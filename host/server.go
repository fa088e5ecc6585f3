package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrServerClosed is returned by Listen and Serve after Shutdown.
var ErrServerClosed = errors.New("host: server closed")

const (
	// TCP keepalive finds half-open peers in about two minutes, long before the
	// idle timeout, for 80 bytes every quarter of a minute on quiet connections.
	keepAliveIdle     = 60 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 4

	// cutOffGrace is how long Shutdown waits for goroutines after their sockets
	// were closed. They have nothing left to wait for but a handler that breaks
	// its promise not to block.
	cutOffGrace = 5 * time.Second
)

// Server is a set of listeners in front of one handler.
type Server struct {
	handler Handler
	logger  *slog.Logger
	metrics *Metrics
	now     func() time.Time
	buffers buffers

	// inFlight has one element per request at the handler. A channel because its
	// waiters are served in order: a busy connection cannot starve a quiet one.
	inFlight  chan struct{}
	admission admission
	lastConn  atomic.Uint64

	lines    *lines // about single frames
	closings *lines // about connections that end

	// base is the parent of every session's context: it ends with the cut-off.
	base    context.Context //nolint:containedctx // the sessions' lifetime, not a call's
	cutBase context.CancelFunc

	sessionsDone sync.WaitGroup // sessions and accept loops
	stopping     chan struct{}  // closed when draining begins

	mu        sync.Mutex
	listeners []*listener
	sessions  map[*session]struct{}
	serving   bool
	drained   bool // draining has begun: nothing is added any more
}

// NewServer makes a server; [Server.Listen] and [Server.Serve] put it to work.
func NewServer(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = DefaultMaxInFlight
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Metrics.inFlightLimit.Set(float64(o.MaxInFlight))
	o.Metrics.connLimit.Set(float64(o.MaxConnections))
	base, cut := context.WithCancel(context.Background())
	return &Server{
		handler:   o.Handler,
		logger:    o.Logger,
		metrics:   o.Metrics,
		now:       o.Now,
		inFlight:  make(chan struct{}, o.MaxInFlight),
		admission: admission{maxTotal: o.MaxConnections},
		base:      base,
		cutBase:   cut,
		stopping:  make(chan struct{}),
		sessions:  make(map[*session]struct{}),
		lines:     newLines(o.Logger, messageLines),
		closings:  newLines(o.Logger, Rate{closingsPerSecond, closingBurst}),
	}
}

// Listen binds an address and returns the one it got. Connections wait in the
// operating system's backlog until Serve. Call it before Serve.
func (s *Server) Listen(cfg ListenerConfig) (net.Addr, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, fmt.Errorf("listener %q: %w", cfg.Name, err)
	}
	keepAlive := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
	}}
	ln, err := keepAlive.Listen(s.base, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listener %q: %w", cfg.Name, err)
	}
	if err := s.add(cfg, ln); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("listener %q: %w", cfg.Name, err)
	}
	return ln.Addr(), nil
}

// add puts a bound listener under the server's care.
func (s *Server) add(cfg ListenerConfig, ln net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.handler == nil:
		return errors.New("the server has no handler")
	case s.drained:
		return ErrServerClosed
	case s.serving:
		return errors.New("the server serves already")
	}
	for _, l := range s.listeners {
		if l.Name == cfg.Name {
			return errors.New("the name is taken")
		}
	}
	s.listeners = append(s.listeners, &listener{
		ListenerConfig: cfg,
		net:            ln,
		gate:           newGate(cfg),
		metrics:        s.metrics.listener(cfg.Name),
		sampler:        newSampler[CloseReason](refusalLogInterval),
	})
	return nil
}

// Serve accepts connections until Shutdown is called, and returns nil when that
// has ended. When ctx ends first, everything is cut off at once and its cause is
// returned: for a drain on a signal, give Serve a context of its own.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	if s.drained {
		s.mu.Unlock()
		return ErrServerClosed
	}
	if s.serving {
		s.mu.Unlock()
		return errors.New("host: Serve called twice")
	}
	s.serving = true
	for _, l := range s.listeners {
		s.sessionsDone.Go(func() { s.accept(l) })
	}
	s.mu.Unlock()

	unhook := context.AfterFunc(ctx, s.cutOff)
	defer unhook()
	<-s.stopping
	s.sessionsDone.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("serve: %w", context.Cause(ctx))
	}
	return nil
}

// Shutdown drains: it closes the listeners, stops reading frames, waits until
// the requests in flight are answered and written, and closes the connections.
// When ctx ends before that, it cuts off what is left and returns an error that
// says how many connections that were.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, session := range s.beginDrain() {
		session.stop(CloseDrain, nil)
	}
	finished := make(chan struct{})
	go func() {
		s.sessionsDone.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		s.cutBase()
		return nil
	case <-ctx.Done():
	}

	left := len(s.openSessions())
	s.cutOff()
	grace := time.NewTimer(cutOffGrace)
	defer grace.Stop()
	select {
	case <-finished:
	case <-grace.C:
		s.logger.ErrorContext(ctx, "a handler did not return after the cut-off", "connections", len(s.openSessions()))
	}
	if left == 0 {
		return nil // the last session ended together with ctx
	}
	return fmt.Errorf("drain: %d connections cut off: %w", left, context.Cause(ctx))
}

// beginDrain closes the listeners and returns the sessions open at that moment;
// from here on none is added.
func (s *Server) beginDrain() []*session {
	s.mu.Lock()
	if !s.drained {
		s.drained = true
		close(s.stopping)
		for _, l := range s.listeners {
			if err := l.net.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				s.logger.Error("close of a listener failed", "listener", l.Name, "error", err.Error())
			}
		}
	}
	s.mu.Unlock()
	return s.openSessions()
}

// cutOff ends everything now.
func (s *Server) cutOff() {
	open := s.beginDrain()
	s.cutBase()
	for _, session := range open {
		session.kill(CloseCutOff, nil)
	}
}

func (s *Server) draining() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

func (s *Server) openSessions() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make([]*session, 0, len(s.sessions))
	for session := range s.sessions {
		open = append(open, session)
	}
	return open
}

// register puts a session on the books, unless the server drains.
func (s *Server) register(session *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained {
		return false
	}
	s.sessions[session] = struct{}{}
	s.sessionsDone.Add(1)
	return true
}

// forget takes an ended session off the books.
func (s *Server) forget(session *session) {
	s.mu.Lock()
	delete(s.sessions, session)
	s.mu.Unlock()
	s.admission.leave(session.listener.gate, session.remote.Addr())
	session.listener.metrics.connections.Dec()
}

// enter waits for the total bound on requests in flight. It returns false when
// ctx ends first.
func (s *Server) enter(ctx context.Context) bool {
	select {
	case s.inFlight <- struct{}{}:
	default:
		s.metrics.waitsTotal.Inc()
		select {
		case s.inFlight <- struct{}{}:
		case <-ctx.Done():
			return false
		}
	}
	s.metrics.inFlight.Inc()
	return true
}

// leave gives up what enter took.
func (s *Server) leave() {
	<-s.inFlight
	s.metrics.inFlight.Dec()
}
