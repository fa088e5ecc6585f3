package host

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"meridian/host/wire"
)

// longFraming carries answers that fill a socket after a few.
var longFraming = wire.Framing{TPDU: true, MaxBytes: 0xFFFF}

// answeredAtOnce answers and tells whether the answer was written when that returned.
func answeredAtOnce(answer func(Answer), payload []byte) bool {
	var written atomic.Bool
	answer(Answer{Payload: payload, Done: written.Store})
	return written.Load()
}

// A terminal that waits for its answer has it when the handler's call returns: who
// answers writes.
func TestAnswerIsWrittenByWhoeverHasIt(t *testing.T) {
	written := make(chan bool, 1)
	_, addr := start(t, func(_ context.Context, m *Message, answer func(Answer)) {
		written <- answeredAtOnce(answer, m.Payload)
	})
	p := dial(t, addr)
	for n := range 3 {
		p.send(numbered(n))
		if !<-written {
			t.Fatal("the handler's call returned and the answer was not written")
		}
		p.expect(numbered(n))
	}
}

// A peer that does not read holds nobody up who has an answer for it, and gets all
// of them, whole and in order, when it reads. After that, answers are written at
// once again, though the deadline of a write that waited has passed.
func TestAnswerNeverWaitsForItsPeer(t *testing.T) {
	const answers = 40 // of 60 KB: more than both ends' buffers hold
	d := newDesk(1)
	_, addr := start(t, d.handle, func(c *ListenerConfig) {
		c.Framing = longFraming
		c.WriteTimeout = 2 * patience
	})
	p := dial(t, addr)
	p.framing = longFraming
	written := make(chan int, answers)
	want := make([]string, 0, answers)
	for n := range answers {
		p.send(numbered(n))
		want = append(want, numbered(n)+strings.Repeat(string(rune('a'+n%26)), 60_000))
		d.take(t).answer(Answer{Payload: []byte(want[n]), Done: func(ok bool) {
			if ok {
				written <- n
			}
		}})
	}
	if len(written) == answers {
		t.Fatalf("all %d answers were written to a peer that reads nothing", answers)
	}
	p.expect(want...)
	for n := range answers {
		if got := <-written; got != n {
			t.Fatalf("answer %d was written after answer %d", got, n-1)
		}
	}
}

// An answer is written at once, too, when the deadline of a write before is over.
func TestAnswerAfterAnOldDeadline(t *testing.T) {
	const timeout = 200 * time.Millisecond
	d := newDesk(2)
	r, addr := start(t, d.handle, func(c *ListenerConfig) { c.WriteTimeout = timeout })
	p := dial(t, addr)
	p.send("one", "two") // together, so that a writer of its own takes them
	first, second := d.take(t), d.take(t)
	second.answer(Answer{Payload: []byte("two")})
	first.answer(Answer{Payload: []byte("one")})
	p.expect("one", "two")
	over := time.NewTimer(2 * timeout)
	defer over.Stop()
	<-over.C
	p.send("three")
	if !answeredAtOnce(d.take(t).answer, []byte("three")) {
		t.Error("the old deadline was in the way")
	}
	p.expect("three")
	_ = p.conn.Close()
	r.closedWith(ClosePeer)
}

// The room for an answer is behind the request's payload, and neither is the other.
func TestRoomForTheAnswer(t *testing.T) {
	_, addr := start(t, func(_ context.Context, m *Message, answer func(Answer)) {
		if len(m.Room) != 0 || cap(m.Room) == 0 || cap(m.Payload) != len(m.Payload) {
			t.Errorf("room %d of %d, payload %d of %d", len(m.Room), cap(m.Room), len(m.Payload), cap(m.Payload))
		}
		asked := bytes.Clone(m.Payload)
		out := append(m.Room, "answer to "...)
		out = append(out, m.Payload...)
		if !bytes.Equal(m.Payload, asked) {
			t.Error("the answer was written over the request")
		}
		answer(Answer{Payload: out})
	})
	p := dial(t, addr)
	long := strings.Repeat("x", firstPayloadBytes-100)
	p.send("one", long, "three")
	p.expect("answer to one", "answer to "+long, "answer to three")
}
