package terminal

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/moov-io/iso8583"
	connection "github.com/moov-io/iso8583-connection"

	"meridian/host/wire"
)

// link is one connection to the host, through moov's client. One request is on
// its way at a time, and after the first that gets no answer the link is of no use
// any more.
//
// moov's client needs these guards: its Send may block in front of a stalled peer
// before its own timer starts, a timeout of its own may meet a closing connection
// in a deadlock, it drops answers that carry no STAN, and what comes close behind
// an answer (the end of the connection, the same answer again) may be told in its
// place, or leaves a goroutine behind for ever. So the timer is here, a write has a
// deadline, an answer without a STAN belongs to the request that is waiting, and
// nothing is read behind an answer before it was taken. What no request waits for is
// not handed to it: its reader would wait for ever for somebody to take it from a
// connection that is being closed.
type link struct {
	raw     net.Conn // the socket under TLS
	conn    *connection.Connection
	spec    *wire.Spec
	framing wire.Framing
	tpdu    wire.TPDU
	header  wire.Header
	timeout time.Duration

	mu       sync.Mutex
	stan     string                          // of the request on its way
	payload  []byte                          // of the request on its way
	received map[*iso8583.Message]wire.Frame // answers on their way through moov
	taken    chan struct{}                   // closed when the request on its way has what it gets
	waiting  bool                            // a request is on its way
	answered bool                            // its answer is on its way through moov
	cause    error                           // why reading or writing ended
	dead     bool
}

// sendGrace keeps moov's own timer behind ours.
const sendGrace = 5 * time.Second

// dial connects, with TLS where it is configured.
func (t *Terminal) dial(ctx context.Context) (*link, error) {
	config, err := t.tls.config(t.address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, errorf(KindUnreachable, "connect to the host: %w", err)
	}
	conn := raw
	if config != nil {
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, errorf(KindUnreachable, "TLS handshake with %s: %w", t.address, err)
		}
		conn = secure
	}
	l := &link{
		raw: raw, spec: t.spec, framing: t.framing, tpdu: t.tpdu, header: t.header, timeout: t.timeout,
		received: map[*iso8583.Message]wire.Frame{},
	}
	l.conn, err = connection.NewFrom(conn, t.spec.Moov(), nil, nil,
		connection.SendTimeout(t.timeout+sendGrace),
		connection.SetMessageReader(l),
		connection.SetMessageWriter(l),
		connection.SetRequestIDGenerator(l),
	)
	if err != nil {
		_ = raw.Close()
		return nil, errorf(KindFailure, "start connection: %w", err)
	}
	return l, nil
}

// exchange sends a payload and waits for its answer. Every error but the
// context's means that the outcome is unknown.
func (l *link) exchange(ctx context.Context, m *iso8583.Message, payload []byte) (*iso8583.Message, wire.Frame, error) {
	stan, err := m.GetString(11)
	if err != nil {
		return nil, wire.Frame{}, errorf(KindFailure, "read STAN of the request: %w", err)
	}
	taken := make(chan struct{})
	defer close(taken)
	l.mu.Lock()
	l.stan, l.payload, l.taken, l.waiting, l.answered = stan, payload, taken, true, false
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting = false
		l.mu.Unlock()
	}()

	type result struct {
		answer *iso8583.Message
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := l.conn.Send(m)
		done <- result{answer, err}
	}()
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	select {
	case r := <-done:
		if r.err != nil {
			l.abandon()
			return nil, wire.Frame{}, l.lost(r.err)
		}
		return r.answer, l.take(r.answer), nil
	case <-timer.C:
		l.abandon()
		return nil, wire.Frame{}, errorf(KindUnreachable, "no answer within %s", l.timeout)
	case <-ctx.Done():
		l.abandon()
		return nil, wire.Frame{}, context.Cause(ctx)
	}
}

// through is exchange over a line that may lose something. A lost answer is waited
// for and thrown away, so that the host has decided when the terminal gives up.
func (l *link) through(ctx context.Context, lose Loss, p *packed) (*iso8583.Message, wire.Frame, error) {
	if lose == LoseRequest {
		return nil, wire.Frame{}, errorf(KindUnreachable, "the request got lost on its way, as it was meant to")
	}
	answer, frame, err := l.exchange(ctx, p.message, p.payload)
	if err == nil && lose == LoseAnswer {
		return nil, wire.Frame{}, errorf(KindUnreachable, "the answer got lost on its way, as it was meant to")
	}
	return answer, frame, err
}

// lost explains why Send ended without an answer.
func (l *link) lost(err error) error {
	l.mu.Lock()
	cause := l.cause
	l.mu.Unlock()
	var unreadable *Error
	switch {
	case errors.As(cause, &unreadable):
		return cause
	case errors.Is(cause, io.EOF), errors.Is(cause, io.ErrUnexpectedEOF):
		return errorf(KindUnreachable, "the host closed the connection without an answer")
	case cause != nil:
		return errorf(KindUnreachable, "the connection broke before an answer came: %w", cause)
	default:
		return errorf(KindUnreachable, "no answer: %w", err)
	}
}

// abandon closes the socket under everything: whatever moov's goroutines wait for
// on it ends.
func (l *link) abandon() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	_ = l.raw.Close()
}

// close ends a link that has nothing on its way.
func (l *link) close() {
	l.mu.Lock()
	dead := l.dead
	l.mu.Unlock()
	if !dead {
		_ = l.conn.Close() // nothing is waiting for it
	}
	_ = l.raw.Close()
}

// take returns the frame that an answer came in.
func (l *link) take(m *iso8583.Message) wire.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.received[m]
	delete(l.received, m)
	return f
}

func (l *link) because(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = err
	}
	return err
}

// WriteMessage implements moov's MessageWriter: one write, with a deadline well
// below the answer's.
func (l *link) WriteMessage(w io.Writer, _ *iso8583.Message) error {
	l.mu.Lock()
	payload := l.payload
	l.mu.Unlock()
	frame, err := l.framing.AppendFrame(nil, wire.Frame{TPDU: l.tpdu, Header: l.header, Payload: payload})
	if err != nil {
		return l.because(errorf(KindUsage, "frame the request: %w", err))
	}
	if err := l.raw.SetWriteDeadline(time.Now().Add(l.timeout / 2)); err != nil {
		return l.because(fmt.Errorf("set write deadline: %w", err))
	}
	if _, err := w.Write(frame); err != nil {
		return l.because(fmt.Errorf("send: %w", err))
	}
	return nil
}

// ReadMessage implements moov's MessageReader: a bounded frame, which is kept for
// its MAC. wire looks at it first, because moov accepts trailing bytes and quotes
// values in its errors.
func (l *link) ReadMessage(r io.Reader) (*iso8583.Message, error) {
	in, ok := r.(*bufio.Reader)
	if !ok {
		return nil, l.because(errorf(KindFailure, "read the answer: a reader without a buffer"))
	}
	l.awaitTaken()
	frame, err := l.framing.ReadFrame(in, nil)
	var untrusted *wire.FrameError
	var foreign *wire.HeaderError
	switch {
	case errors.As(err, &untrusted), errors.As(err, &foreign):
		return nil, l.because(errorf(KindFailure, "the answer's frame cannot be read: %w", err))
	case err != nil:
		return nil, l.because(err)
	}
	if _, err := l.spec.Parse(frame.Payload); err != nil {
		return nil, l.because(errorf(KindFailure, "the answer cannot be read: %w", err))
	}
	m := iso8583.NewMessage(l.spec.Moov())
	if err := m.Unpack(frame.Payload); err != nil {
		return nil, l.because(errorf(KindFailure, "moov's iso8583 cannot read the answer"))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stan, err := m.GetString(11)
	if !l.waiting || l.answered || err == nil && stan != "" && stan != l.stan {
		return nil, nil //nolint:nilnil // moov's reader goes on to the next one
	}
	l.received[m], l.answered = frame, true
	return m, nil
}

// awaitTaken waits while an answer is on its way to the request that waits for it.
func (l *link) awaitTaken() {
	l.mu.Lock()
	answered, taken := l.answered, l.taken
	l.mu.Unlock()
	if answered {
		<-taken
	}
}

// GenerateRequestID implements moov's RequestIDGenerator: the STAN, and for a
// message that has none (a format error) the one that is waiting.
func (l *link) GenerateRequestID(m *iso8583.Message) (string, error) {
	if stan, err := m.GetString(11); err == nil && stan != "" {
		return stan, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stan, nil
}
