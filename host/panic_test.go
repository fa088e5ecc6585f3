package host

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
)

// A panicking handler costs its message and nothing else: neighbours on the same
// connection are answered, and the log has the place but nothing of the message.
func TestHandlerPanicIsContained(t *testing.T) {
	h := func(_ context.Context, m *Message, answer func(Answer)) {
		switch string(m.Payload) {
		case "panics with 4111111111111111":
			panic("cannot handle " + string(m.Payload))
		case "panics with an error":
			panic(errors.New("4111111111111111 again"))
		case "panics in the runtime":
			_ = m.Payload[len(m.Payload)]
		case "answers, then panics":
			answer(Answer{Payload: []byte("answered first")})
			panic("afterwards")
		default:
			answer(Answer{Payload: m.Payload})
		}
	}
	r, addr := start(t, h)
	p := dial(t, addr)
	p.send("one", "panics with 4111111111111111", "two", "panics in the runtime", "panics with an error",
		"answers, then panics", "three")
	p.expect("one", "two", "answered first", "three")
	if got := r.metric("meridian_handler_panics_total"); got != 4 {
		t.Errorf("meridian_handler_panics_total = %v, want 4", got)
	}
	if got := r.metric("meridian_answers_ignored_total"); got != 0 {
		t.Errorf("meridian_answers_ignored_total = %v, want 0", got)
	}
	log := r.log.text()
	if strings.Contains(log, "411111") {
		t.Errorf("a card number is in the log:\n%s", log)
	}
	for _, want := range []string{"TestHandlerPanicIsContained", "index out of range", "value of type string", "panic_test.go"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
	soon(t, "nothing in flight", func() bool { return r.metric("meridian_in_flight") == 0 })
}

// The payload of a panicked message is not given to another one: somebody may
// still be reading it.
func TestPanickedPayloadIsNotReused(t *testing.T) {
	// With one processor a buffer given back is the next one taken.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	kept := make(chan []byte, 1)
	h := func(_ context.Context, m *Message, answer func(Answer)) {
		if len(kept) == 0 {
			kept <- m.Payload
			panic("after giving the payload away")
		}
		answer(Answer{Payload: m.Payload})
	}
	_, addr := start(t, h)
	p := dial(t, addr)
	p.send("given away")
	for range 100 {
		p.send("overwrites")
		p.expect("overwrites")
	}
	if got := string(<-kept); got != "given away" {
		t.Errorf("the payload became %q", got)
	}
}

func TestDonePanicIsContained(t *testing.T) {
	h := func(_ context.Context, m *Message, answer func(Answer)) {
		answer(Answer{Payload: m.Payload, Done: func(bool) { panic("in Done") }})
	}
	r, addr := start(t, h)
	p := dial(t, addr)
	p.send("one", "two")
	p.expect("one", "two")
	soon(t, "both panics are counted", func() bool { return r.metric("meridian_handler_panics_total") == 2 })
	p.send("three")
	p.expect("three")
}

// A panic of the session's own code costs its connection and no other.
func TestSessionPanicIsContained(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo), MaxConnections: 2})
	ln := newPipeListener()
	if err := r.server.add(mustCheck(t, ListenerConfig{Name: "pipe", Framing: testFraming}), ln); err != nil {
		t.Fatal(err)
	}
	addr := r.listen()
	r.serve()
	other := dial(t, addr)
	other.send("one")
	other.expect("one")
	ln.conns <- &brokenConn{}
	r.closedWith(ClosePanic)
	other.send("two")
	other.expect("two")
	soon(t, "the place is free again", func() bool { return r.metric("meridian_connections") == 1 })
}

// A panic in the writer costs its connection; the reader does not wait for it.
func TestWriterPanicIsContained(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo)})
	ln := newPipeListener()
	if err := r.server.add(mustCheck(t, ListenerConfig{Name: "pipe", Framing: testFraming}), ln); err != nil {
		t.Fatal(err)
	}
	r.serve()
	client, host := net.Pipe()
	ln.conns <- &unwritableConn{Conn: host}
	p := newPeer(t, client)
	p.send("one")
	p.expectGone()
	r.closedWith(ClosePanic)
	soon(t, "the connection is off the books", func() bool { return r.metric("meridian_connections") == 0 })
	if got := r.metric("meridian_in_flight"); got != 0 {
		t.Errorf("meridian_in_flight = %v, want 0", got)
	}
}

// unwritableConn panics when it is written.
type unwritableConn struct{ net.Conn }

func (*unwritableConn) Write([]byte) (int, error) { panic("write") }
