package host

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// brokenConn panics when it is read.
type brokenConn struct{ net.Conn }

func (*brokenConn) Read([]byte) (int, error)        { panic("read") }
func (*brokenConn) Close() error                    { return nil }
func (*brokenConn) RemoteAddr() net.Addr            { return &net.TCPAddr{} }
func (*brokenConn) SetReadDeadline(time.Time) error { return nil }

// faultyListener fails before each connection it accepts.
type faultyListener struct {
	net.Listener

	faults chan error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.faults:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

// No error of Accept ends a listener.
func TestAcceptErrorsDoNotEndTheListener(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo)})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	faults := []error{
		&net.OpError{Op: "accept", Err: syscall.EMFILE},
		&net.OpError{Op: "accept", Err: syscall.ECONNABORTED},
		errors.New("something nobody has heard of"),
		net.ErrClosed, // not by us
	}
	ln := &faultyListener{Listener: inner, faults: make(chan error, len(faults))}
	for _, fault := range faults {
		ln.faults <- fault
	}
	if err := r.server.add(mustCheck(t, ListenerConfig{Name: "nac", Framing: testFraming}), ln); err != nil {
		t.Fatal(err)
	}
	r.serve()
	p := dial(t, inner.Addr().String())
	p.send("hello")
	p.expect("hello")
	if got := r.metric("meridian_accept_errors_total", "listener", "nac"); int(got) != len(faults) {
		t.Errorf("meridian_accept_errors_total = %v, want %d", got, len(faults))
	}
}

// A listener that only fails does not keep the server from stopping.
func TestShutdownDuringAcceptBackoff(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo)})
	ln := newPipeListener()
	if err := r.server.add(mustCheck(t, ListenerConfig{Name: "nac", Framing: testFraming}), ln); err != nil {
		t.Fatal(err)
	}
	r.serve()
	for range 4 { // the pause after these is 40 ms
		ln.errs <- syscall.EMFILE
	}
	// newRig's cleanup shuts down and waits for the accept loop.
}
