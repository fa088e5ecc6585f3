package host

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"meridian/host/wire"
)

var testFraming = wire.Framing{TPDU: true}

// pipeListener hands out connections that a test makes itself, and errors.
type pipeListener struct {
	conns  chan net.Conn
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// countingConn counts its writes.
type countingConn struct {
	net.Conn

	writes atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func mustCheck(t *testing.T, c ListenerConfig) ListenerConfig {
	t.Helper()
	c, err := c.checked()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
