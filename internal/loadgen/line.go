package loadgen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// maxFrameBytes is the host's own cap; an answer beyond it is a fault.
const maxFrameBytes = 4096

// ErrClosed ends the calls of a line that this side has closed.
var ErrClosed = errors.New("line closed")

// Line is one connection. Its methods may be called from any goroutine.
type Line struct {
	dialect Dialect
	conn    net.Conn
	ended   chan struct{} // the reader is gone

	writing sync.Mutex

	mu       sync.Mutex
	waiting  map[string][]*Call
	sent     int
	answered int
	strays   []Message
	err      error // why the line ended
}

// Call is a request on its way. Its result is valid after Wait.
type Call struct {
	// Sent is how many requests left the line before this one, Answered how many
	// answers came before its own.
	Sent, Answered int

	done   chan struct{}
	answer Message
	err    error
}

// Dial connects.
func Dial(ctx context.Context, d Dialect, address string) (*Line, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dial host: %w", err)
	}
	l := &Line{dialect: d, conn: conn, ended: make(chan struct{}), waiting: map[string][]*Call{}}
	go l.read()
	return l, nil
}

// Send sends a request and does not wait for its answer. It blocks while the
// host takes nothing.
func (l *Line) Send(m Message) (*Call, error) {
	frame, err := l.dialect.Frame(m)
	if err != nil {
		return nil, err
	}
	return l.send(frame, AnswerMTI(m.MTI)+"/"+m.Field(11))
}

// SendBody sends the bytes of a message that m tells in fields, such as one with
// its MAC.
func (l *Line) SendBody(m Message, body []byte) (*Call, error) {
	return l.send(l.dialect.FrameOf(body), AnswerMTI(m.MTI)+"/"+m.Field(11))
}

// SendUnder is SendBody with another head: TPDU and application header as long as
// the dialect's own.
func (l *Line) SendUnder(head []byte, m Message, body []byte) (*Call, error) {
	d := l.dialect
	d.head = string(head)
	return l.send(d.FrameOf(body), AnswerMTI(m.MTI)+"/"+m.Field(11))
}

// SendMalformed sends any bytes as a frame's content and expects the answer that
// a host gives when it could read no more than the message type.
func (l *Line) SendMalformed(mti string, rest []byte) (*Call, error) {
	body := []byte(mti)
	if l.dialect.binary {
		body = bcd(mti, false)
	}
	return l.send(l.dialect.FrameOf(append(body, rest...)), AnswerMTI(mti)+"/")
}

// SendRaw sends bytes that no answer is expected to.
func (l *Line) SendRaw(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (l *Line) send(frame []byte, expected string) (*Call, error) {
	// Held over both steps, so that calls are counted in the order of their bytes.
	l.writing.Lock()
	defer l.writing.Unlock()
	call := &Call{done: make(chan struct{})}
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return nil, l.err
	}
	call.Sent = l.sent
	l.sent++
	l.waiting[expected] = append(l.waiting[expected], call)
	l.mu.Unlock()
	if _, err := l.conn.Write(frame); err != nil {
		// The reader ends the call: some of the bytes may have arrived.
		_ = l.conn.Close()
	}
	return call, nil
}

// Wait for the answer, or for the end of the line or of ctx.
func (c *Call) Wait(ctx context.Context) (Message, error) {
	select {
	case <-c.done:
		return c.answer, c.err
	case <-ctx.Done():
		return Message{}, fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
}

// Close closes the line and waits until its calls have ended.
func (l *Line) Close() {
	l.mu.Lock()
	if l.err == nil {
		l.err = ErrClosed
	}
	l.mu.Unlock()
	_ = l.conn.Close()
	<-l.ended
}

// Ended is closed when the line is, from either side.
func (l *Line) Ended() <-chan struct{} { return l.ended }

// Strays are answers that no request on this line asked for.
func (l *Line) Strays() []Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.strays
}

func (l *Line) read() {
	defer close(l.ended)
	defer l.conn.Close()
	buffered := bufio.NewReader(l.conn)
	for {
		m, err := l.readMessage(buffered)
		if err != nil {
			l.end(err)
			return
		}
		l.deliver(m)
	}
}

func (l *Line) readMessage(r io.Reader) (Message, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return Message{}, fmt.Errorf("read: %w", err)
	}
	n := int(length[0])<<8 | int(length[1])
	if n < len(l.dialect.head) || n > maxFrameBytes {
		return Message{}, fmt.Errorf("read: a frame of %d bytes", n)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(r, frame); err != nil {
		return Message{}, fmt.Errorf("read: %w", err)
	}
	head := frame[:len(l.dialect.head)]
	m, err := l.dialect.Read(frame[len(head):])
	m.Head = head
	return m, err
}

func (l *Line) deliver(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := m.MTI + "/" + m.Field(11)
	calls := l.waiting[key]
	if len(calls) == 0 {
		l.strays = append(l.strays, m)
		return
	}
	call := calls[0]
	if l.waiting[key] = calls[1:]; len(calls) == 1 {
		delete(l.waiting, key)
	}
	call.answer, call.Answered = m, l.answered
	l.answered++
	close(call.done)
}

// end ends every call that still waits.
func (l *Line) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	for _, calls := range l.waiting {
		for _, call := range calls {
			call.err = l.err
			close(call.done)
		}
	}
	l.waiting = map[string][]*Call{}
}
