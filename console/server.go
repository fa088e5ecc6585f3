package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves a console on an address of its own.
type Server struct {
	address string
	server  *http.Server
	ended   chan struct{}
}

const (
	// A page is written in one piece; whoever takes longer than this for it is gone.
	writeTimeout = 30 * time.Second
	idleTimeout  = time.Minute
	readTimeout  = 10 * time.Second
	// maxHeaderBytes leaves room for a browser's cookies of other ports.
	maxHeaderBytes = 32 << 10
	// maxConnections at once: 50 people with a few pages each, twice over.
	maxConnections = 512
)

// ServerOptions say where and what a server serves.
type ServerOptions struct {
	Address string // host:port; port 0 picks a free one
	TLS     *tls.Config
	Handler http.Handler
	Logger  *slog.Logger
}

// Listen serves a handler, such as a [Console], on an address until the server is
// closed.
func Listen(ctx context.Context, o ServerOptions) (*Server, error) {
	var config net.ListenConfig
	tcp, err := config.Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("console address: %w", err)
	}
	log := o.Logger
	var listener net.Listener = limit(tcp, maxConnections)
	if o.TLS != nil {
		listener = tls.NewListener(listener, o.TLS)
	}
	s := &Server{address: listener.Addr().String(), ended: make(chan struct{})}
	serving, stop := context.WithCancel(context.Background())
	s.server = &http.Server{
		Handler: o.Handler, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return serving }, // event streams end with it
	}
	s.server.RegisterOnShutdown(stop)
	go func() {
		defer close(s.ended)
		defer stop()
		if err := s.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("console ended", "error", err)
		}
	}()
	return s, nil
}

// Address that it listens on.
func (s *Server) Address() string { return s.address }

// Close ends the server: event streams at once, pages within a second.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		_ = s.server.Close()
	}
	<-s.ended
}

// limitedListener takes no more connections than it may; the others wait in the
// operating system's queue.
type limitedListener struct {
	net.Listener

	places chan struct{}
	closed chan struct{}
}

func limit(l net.Listener, most int) *limitedListener {
	return &limitedListener{Listener: l, places: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept waits for a place first.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err //nolint:wrapcheck // http.Server looks at it
	}
	return &limitedConn{Conn: conn, leave: func() { <-l.places }}, nil
}

// Close ends the waiting too. http.Server calls it once.
func (l *limitedListener) Close() error {
	close(l.closed)
	return l.Listener.Close()
}

// limitedConn gives its place back once.
type limitedConn struct {
	net.Conn

	leave func()
	once  sync.Once
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
