package host

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// These tests run in a bubble with its own clock, so deadlines are exact and
// cost no time.

const (
	testIdle  = 5 * time.Minute
	testRead  = 10 * time.Second
	testWrite = 7 * time.Second
)

// inBubble runs f with a server over net.Pipe and its one connection.
func inBubble(t *testing.T, h HandlerFunc, f func(r *rig, client net.Conn, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Handler: h})
		ln := newPipeListener()
		cfg := ListenerConfig{
			Name: "nac", Framing: testFraming,
			IdleTimeout: testIdle, ReadTimeout: testRead, WriteTimeout: testWrite,
		}
		if err := r.server.add(mustCheck(t, cfg), ln); err != nil {
			t.Fatal(err)
		}
		r.serve()
		client, host := net.Pipe()
		ln.conns <- host
		p := newPeer(t, client)
		_ = client.SetDeadline(time.Time{})
		f(r, client, p)
		_ = client.Close()
		if err := r.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-r.served; err != nil {
			t.Error(err)
		}
	})
}

func TestIdleConnectionIsClosedOnTime(t *testing.T) {
	inBubble(t, echo, func(r *rig, _ net.Conn, p *peer) {
		begin := time.Now()
		p.expectEnd()
		if got := time.Since(begin); got != testIdle {
			t.Errorf("closed after %s, want %s", got, testIdle)
		}
		r.closedWith(CloseIdle)
	})
}

func TestIdleTimeBeginsWithTheLastAnswer(t *testing.T) {
	d := newDeskHandler()
	inBubble(t, d.handle, func(r *rig, _ net.Conn, p *peer) {
		d.open()
		p.send("one")
		// The handler takes far longer than the idle timeout: that is not the
		// peer's idleness.
		time.Sleep(3 * testIdle)
		go d.answer("one")
		p.expect("one")
		answered := time.Now()
		p.expectEnd()
		if got := time.Since(answered); got != testIdle {
			t.Errorf("closed %s after the last answer, want %s", got, testIdle)
		}
		r.closedWith(CloseIdle)
	})
}

// A frame that comes while the connection is warm, at the moment it gets cold,
// or when it is long cold is read whole.
func TestWarmAndColdWaits(t *testing.T) {
	inBubble(t, echo, func(_ *rig, _ net.Conn, p *peer) {
		for _, pause := range []time.Duration{0, warmWait / 2, warmWait, warmWait + 1, 2 * warmWait, testIdle - 1} {
			time.Sleep(pause)
			p.send("after a pause")
			p.expect("after a pause")
		}
	})
}

// Bytes that keep coming do not extend a frame's time.
func TestSlowFrameIsClosedOnTime(t *testing.T) {
	inBubble(t, echo, func(r *rig, client net.Conn, p *peer) {
		begin := time.Now()
		stream := p.frames("a frame that never ends because its peer is slow")
		ended := make(chan time.Duration, 1)
		go func() {
			_, _ = io.Copy(io.Discard, client)
			ended <- time.Since(begin)
		}()
		for i := range stream {
			if _, err := client.Write(stream[i : i+1]); err != nil {
				break
			}
			time.Sleep(testRead / 5)
		}
		if got := <-ended; got != testRead {
			t.Errorf("closed after %s, want %s", got, testRead)
		}
		r.closedWith(CloseReadTimeout)
	})
}

// A peer that does not take its answer is closed on the write deadline, and the
// handler is told.
func TestUnreadAnswerIsClosedOnTime(t *testing.T) {
	written := make(chan bool, 10)
	h := func(_ context.Context, m *Message, answer func(Answer)) {
		answer(Answer{Payload: m.Payload, Done: func(ok bool) { written <- ok }})
	}
	inBubble(t, h, func(r *rig, _ net.Conn, p *peer) {
		begin := time.Now()
		p.send("one") // the pipe has no buffer: the answer waits for a reader
		r.closedWith(CloseWriteTimeout)
		if got := time.Since(begin); got != testWrite {
			t.Errorf("closed after %s, want %s", got, testWrite)
		}
		if <-written {
			t.Error("Done(true) for an answer nobody took")
		}
	})
}

// A drain wakes readers that wait for the next frame, warm and cold.
func TestDrainOfIdleConnectionTakesNoTime(t *testing.T) {
	for name, pause := range map[string]time.Duration{"warm": 0, "cold": 2 * warmWait} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, echo, func(r *rig, _ net.Conn, p *peer) {
				p.send("one")
				p.expect("one")
				time.Sleep(pause)
				begin := time.Now()
				if err := r.server.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				if got := time.Since(begin); got != 0 {
					t.Errorf("the drain took %s", got)
				}
				r.closedWith(CloseDrain)
			})
		})
	}
}

// A drain waits for what is in flight as long as its context allows, then cuts
// off.
func TestDrainIsBounded(t *testing.T) {
	d := newDeskHandler()
	inBubble(t, d.handle, func(r *rig, _ net.Conn, p *peer) {
		d.open()
		p.send("never answered")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		if err := r.server.Shutdown(ctx); err == nil {
			t.Error("Shutdown returned nil with a request unanswered")
		}
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("Shutdown took %s, want %s", got, time.Minute)
		}
		r.closedWith(CloseCutOff)
		q := d.take()
		if q.ctx.Err() == nil {
			t.Error("the handler's context is still alive after the cut-off")
		}
		written := true
		q.answer(Answer{Payload: []byte("late"), Done: func(ok bool) { written = ok }})
		if written {
			t.Error("Done(true) after the cut-off")
		}
		if got := r.metric("meridian_in_flight"); got != 0 {
			t.Errorf("meridian_in_flight = %v after the late answer, want 0", got)
		}
	})
}

// deskHandler is a desk made inside a bubble: channels must not cross its edge.
type deskHandler struct{ requests desk }

func newDeskHandler() *deskHandler { return &deskHandler{} }

func (d *deskHandler) open() { d.requests = newDesk(10) }

func (d *deskHandler) handle(ctx context.Context, m *Message, answer func(Answer)) {
	d.requests.handle(ctx, m, answer)
}

func (d *deskHandler) take() request { return <-d.requests }

func (d *deskHandler) answer(payload string) { d.take().answer(Answer{Payload: []byte(payload)}) }
