package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"meridian/host/wire"
)

func TestByteByByte(t *testing.T) {
	_, addr := start(t, echo)
	p := dial(t, addr)
	for _, b := range p.frames("one", "two") {
		p.sendRaw([]byte{b})
	}
	p.expect("one", "two")
}

func TestManyFramesInOneSegment(t *testing.T) {
	_, addr := start(t, echo)
	p := dial(t, addr)
	var payloads []string
	for i := range 300 { // several read buffers, and more than MaxInFlight
		payloads = append(payloads, numbered(i)+strings.Repeat(".", i))
	}
	go p.send(payloads...)
	p.expect(payloads...)
}

func TestLargestFrame(t *testing.T) {
	_, addr := start(t, echo)
	p := dial(t, addr)
	largest := strings.Repeat("x", wire.DefaultMaxFrameBytes-len(wire.TPDU{}))
	p.send(largest, "small", largest)
	p.expect(largest, "small", largest)
}

func TestFramings(t *testing.T) {
	for _, framing := range []wire.Framing{
		{Length: wire.LengthBinary},
		{Length: wire.LengthBCD, TPDU: true},
		{Length: wire.LengthASCII},
		{Length: wire.LengthBinary, Header: true},
	} {
		t.Run(fmt.Sprintf("%+v", framing), func(t *testing.T) {
			_, addr := start(t, echo, func(c *ListenerConfig) { c.Framing = framing })
			p := dial(t, addr)
			p.framing = framing
			p.send("one", "two")
			p.expect("one", "two")
		})
	}
}

// A length that cannot be trusted closes the connection, after the answers to
// what came before it.
func TestBadLengthCloses(t *testing.T) {
	for name, bad := range map[string][]byte{
		"zero":      {0, 0},
		"too short": {0, 6, 1, 2, 3, 4, 5, 6},
		"too long":  {0xFF, 0xFF, 1, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(10)
			r, addr := start(t, d.handle)
			p := dial(t, addr)
			p.sendRaw(append(p.frames("one", "two"), bad...))
			first, second := d.take(t), d.take(t)
			second.answer(Answer{Payload: []byte("two")})
			first.answer(Answer{Payload: []byte("one")})
			p.expect("one", "two")
			p.expectEnd()
			_ = p.conn.Close()
			line := r.closedWith(CloseBadFrame)
			if text, _ := line["error"].(string); !strings.HasPrefix(text, "frame: length") {
				t.Errorf("the log does not say what is wrong with the frame: %q", text)
			}
		})
	}
}

func TestPeerClosesInsideFrame(t *testing.T) {
	r, addr := start(t, echo)
	p := dial(t, addr)
	p.sendRaw(p.frames("never whole")[:8])
	_ = p.conn.Close()
	r.closedWith(CloseTruncated)
}

func TestPeerResets(t *testing.T) {
	r, addr := start(t, echo)
	p := dial(t, addr)
	p.send("one")
	p.expect("one")
	if err := p.conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = p.conn.Close()
	r.closedWith(ClosePeerReset)
}

// A peer that shuts its sending side after the last request still gets every
// answer.
func TestHalfClose(t *testing.T) {
	d := newDesk(10)
	r, addr := start(t, d.handle)
	p := dial(t, addr)
	p.send("one", "two", "three")
	if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	a, b, c := d.take(t), d.take(t), d.take(t)
	for _, q := range []request{c, a, b} {
		if err := q.ctx.Err(); err != nil {
			t.Errorf("the session's context ended early: %v", err)
		}
		q.answer(Answer{Payload: []byte(q.payload)})
	}
	p.expect("one", "two", "three")
	p.expectEnd()
	r.closedWith(ClosePeer)
	soon(t, "the session's context ends", func() bool { return a.ctx.Err() != nil })
}

// The handler closes a connection: the answer goes out, later ones do not.
func TestHandlerCloses(t *testing.T) {
	d := newDesk(10)
	r, addr := start(t, d.handle)
	p := dial(t, addr)
	p.send("one", "two", "three", "four")
	one, two, three, four := d.take(t), d.take(t), d.take(t), d.take(t)
	done := make(chan bool, 1)
	three.answer(Answer{Payload: []byte("three"), Done: func(ok bool) { done <- ok }})
	two.answer(Answer{Payload: []byte("two"), Close: CloseUnparsable})
	one.answer(Answer{Payload: []byte("one")})
	p.expect("one", "two")
	p.expectEnd()
	_ = p.conn.Close()
	if <-done {
		t.Error("Done(true) for an answer behind the close")
	}
	r.closedWith(CloseUnparsable)
	four.answer(Answer{Payload: []byte("four"), Done: func(ok bool) { done <- ok }})
	if <-done {
		t.Error("Done(true) after the close")
	}
	if got := r.metric("meridian_in_flight"); got != 0 {
		t.Errorf("meridian_in_flight = %v, want 0", got)
	}
}

// A handler's reason is kept inside the closed set of reasons.
func TestHandlersReasonIsALabelOfOurs(t *testing.T) {
	h := func(_ context.Context, _ *Message, answer func(Answer)) {
		answer(Answer{Close: "whatever the peer sent"})
	}
	r, addr := start(t, h)
	p := dial(t, addr)
	p.send("one")
	p.expectEnd()
	_ = p.conn.Close()
	r.closedWith(CloseByHandler)
}

// An answer the framing cannot carry is not sent; the connection goes on.
func TestUnsendableAnswer(t *testing.T) {
	d := newDesk(10)
	r, addr := start(t, d.handle)
	p := dial(t, addr)
	p.send("one", "two")
	done := make(chan bool, 1)
	d.take(t).answer(Answer{Payload: make([]byte, 1<<20), Done: func(ok bool) { done <- ok }})
	d.take(t).answer(Answer{Payload: []byte("two")})
	p.expect("two")
	if <-done {
		t.Error("Done(true) for an answer that was not sent")
	}
	if got := r.metric("meridian_answers_unsendable_total"); got != 1 {
		t.Errorf("meridian_answers_unsendable_total = %v, want 1", got)
	}
}

// What the handler is told about a message.
func TestMessage(t *testing.T) {
	d := newDesk(1)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newRig(t, Options{Handler: HandlerFunc(d.handle), Now: func() time.Time { return at }})
	addr := r.listen()
	r.serve()
	p := dial(t, addr)
	p.send("one")
	q := d.take(t)
	m := q.message
	if m.Listener != "nac" || m.Conn != 1 || m.Certificate != nil || m.TPDU != peerTPDU || !m.Received.Equal(at) {
		t.Errorf("message is %+v", m)
	}
	if got, want := m.Remote.String(), p.conn.LocalAddr().String(); got != want {
		t.Errorf("remote is %s, want %s", got, want)
	}
	m.TPDU = wire.TPDU{} // the answer's TPDU does not depend on what the handler does
	q.answer(Answer{Payload: m.Payload})
	p.expect("one")
}

// A peer that sends and does not read costs its places and its sockets' buffers,
// nothing of the total bound, and is closed.
func TestSlowReader(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testSlowReader(t, func(*ListenerConfig) {}, dial) })
	t.Run("TLS", func(t *testing.T) {
		ca := newAuthority(t, "authority")
		leaf := ca.leaf("host")
		tlsOn := secure(t, TLSFiles{Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf)})
		testSlowReader(t, tlsOn, func(t *testing.T, addr string) *peer {
			t.Helper()
			return dialTLS(t, addr, trusting(ca))
		})
	})
}

func testSlowReader(t *testing.T, change func(*ListenerConfig), dial func(*testing.T, string) *peer) {
	t.Helper()
	const bound = 16
	big := strings.Repeat("x", 4000)
	h := func(_ context.Context, _ *Message, answer func(Answer)) { answer(Answer{Payload: []byte(big)}) }
	r, addr := start(t, h, change, func(c *ListenerConfig) {
		c.MaxInFlight = bound
		c.WriteTimeout = 200 * time.Millisecond
	})
	p := dial(t, addr)
	go func() {
		for {
			if _, err := p.conn.Write(p.frames("more")); err != nil {
				return
			}
		}
	}()
	line := r.closedWith(CloseWriteTimeout)
	received, _ := line["frames_received"].(float64)
	sent, _ := line["frames_sent"].(float64)
	if received-sent > bound {
		t.Errorf("%v answers were held for a peer that does not read, bound %d", received-sent, bound)
	}
	if got := r.metric("meridian_in_flight"); got != 0 {
		t.Errorf("meridian_in_flight = %v: the slow reader holds others up", got)
	}
	other := dial(t, addr)
	other.send("still there?")
	other.expect(big)
}

// What a peer has not read when it is closed for that is thrown away, not kept
// by the kernel for as long as the peer likes.
func TestSlowReaderIsReset(t *testing.T) {
	wide := wire.Framing{TPDU: true, MaxBytes: 1 << 16}
	big := make([]byte, 60_000)
	h := func(_ context.Context, _ *Message, answer func(Answer)) { answer(Answer{Payload: big}) }
	r, addr := start(t, h, func(c *ListenerConfig) {
		c.Framing = wide
		c.WriteTimeout = 200 * time.Millisecond
	})
	p := dial(t, addr)
	var unread int64
	for i := range DefaultMaxInFlightPerConnection { // all are read: nothing but the reset can end this
		p.send(numbered(i))
		unread += int64(len(big))
	}
	r.closedWith(CloseWriteTimeout)
	n, err := io.Copy(io.Discard, p.conn)
	if !errors.Is(err, syscall.ECONNRESET) || n >= unread {
		t.Errorf("read %d of %d bytes, then %v; want a reset", n, unread, err)
	}
}
