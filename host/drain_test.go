package host

import (
	"context"
	"errors"
	"net"
	"testing"
)

// A drain answers what is in flight, reads nothing new, lets nobody in, and
// closes without a reset even where the peer has sent more.
func TestDrain(t *testing.T) {
	d := newDesk(10)
	r, addr := start(t, d.handle, func(c *ListenerConfig) { c.MaxInFlight = 2 })
	busy, idle := dial(t, addr), dial(t, addr)
	busy.send("one", "two", "three is over the bound and unread", "so is four")
	one, two := d.take(t), d.take(t)
	idle.send("hello")
	d.take(t).answer(Answer{Payload: []byte("hello")})
	idle.expect("hello")

	finished := make(chan error, 1)
	go func() { finished <- r.server.Shutdown(context.Background()) }()
	idle.expectEnd() // idle connections are closed at once
	_ = idle.conn.Close()
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("a connection was let in during the drain")
	}
	busy.send("five comes after the drain began")

	two.answer(Answer{Payload: []byte("two")})
	select {
	case err := <-finished:
		t.Fatalf("Shutdown returned %v with a request in flight", err)
	default:
	}
	if err := one.ctx.Err(); err != nil {
		t.Errorf("the context of a request in flight ended: %v", err)
	}
	one.answer(Answer{Payload: []byte("one")})
	busy.expect("one", "two")
	busy.expectEnd()
	_ = busy.conn.Close()
	if err := <-finished; err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	if err := <-r.served; err != nil {
		t.Fatalf("Serve: %v", err)
	}
	if len(d) != 0 {
		t.Errorf("a request was read during the drain: %q", (<-d).payload)
	}
	if got := r.metric("meridian_closes_total", "reason", string(CloseDrain)); got != 2 {
		t.Errorf("%v connections closed by the drain, want 2", got)
	}
	if err := r.server.Serve(context.Background()); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Shutdown: %v, want ErrServerClosed", err)
	}
}

// A frame that is only half there when the drain begins is not waited for.
func TestDrainDoesNotWaitForHalfAFrame(t *testing.T) {
	r, addr := start(t, echo)
	p := dial(t, addr)
	p.send("whole")
	p.expect("whole")
	p.sendRaw(p.frames("half")[:5])
	soon(t, "the host has the half", func() bool { return r.metric("meridian_received_bytes_total") == 12+5 })
	go func() { _ = r.server.Shutdown(context.Background()) }()
	p.expectEnd()
	_ = p.conn.Close()
	r.closedWith(CloseDrain)
}

// Shutdown whose context has ended cuts off; Serve returns nil all the same.
func TestShutdownWithEndedContext(t *testing.T) {
	d := newDesk(10)
	r, addr := start(t, d.handle)
	p := dial(t, addr)
	p.send("one")
	q := d.take(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want context.Canceled", err)
	}
	<-q.ctx.Done()
	p.expectGone()
	r.closedWith(CloseCutOff)
	if err := <-r.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	q.answer(Answer{Payload: []byte("late")})
}

// The end of Serve's context cuts off at once.
func TestServeContextEnds(t *testing.T) {
	d := newDesk(10)
	r := newRig(t, Options{Handler: HandlerFunc(d.handle)})
	addr := r.listen()
	ctx, cancel := context.WithCancelCause(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(ctx) }()
	p := dial(t, addr)
	p.send("one")
	q := d.take(t)
	why := errors.New("the power is going")
	cancel(why)
	if err := <-served; !errors.Is(err, why) {
		t.Errorf("Serve: %v, want the cause", err)
	}
	<-q.ctx.Done()
	p.expectGone()
	q.answer(Answer{})
}

// Connections that arrive between Listen and Serve are served, and a server that
// never served shuts down.
func TestListenBeforeServe(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo)})
	addr := r.listen()
	p := dial(t, addr)
	p.send("early")
	r.serve()
	p.expect("early")

	never := newRig(t, Options{Handler: HandlerFunc(echo)})
	addr = never.listen()
	if err := never.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("the listener is still open")
	}
}

// The cut-off also reaches a reader that waits for the total bound; its message
// never reaches the handler.
func TestCutOffWhileWaitingForTheTotalBound(t *testing.T) {
	d := newDesk(10)
	r := newRig(t, Options{Handler: HandlerFunc(d.handle), MaxInFlight: 1})
	addr := r.listen()
	r.serve()
	holds, waits := dial(t, addr), dial(t, addr)
	holds.send("one")
	q := d.take(t)
	waits.send("two")
	soon(t, "the second reader waits", func() bool {
		return r.metric("meridian_reader_waits_total", "bound", "total") == 1
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.server.Shutdown(ctx); err == nil {
		t.Error("Shutdown returned nil with a request unanswered")
	}
	waits.expectGone()
	q.answer(Answer{})
	if len(d) != 0 {
		t.Error("a request reached the handler after the cut-off")
	}
}
