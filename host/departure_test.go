package host

import (
	"context"
	"testing"
	"time"
)

// departs has every answer leave by a departure that the payload chooses.
func departs(d map[string]*Departure) HandlerFunc {
	return func(_ context.Context, m *Message, answer func(Answer)) {
		answer(Answer{Payload: m.Payload, departure: d[string(m.Payload)]})
	}
}

// An answer that is withheld is in nobody's way, leaves once, and is dropped with
// its connection.
func TestWithheldAnswers(t *testing.T) {
	sends := make(chan func(), 2)
	r, addr := start(t, departs(map[string]*Departure{"late": {Withhold: func(send func()) { sends <- send }}}))
	p := dial(t, addr)
	p.send("late", "one")
	p.expect("one")
	send := <-sends
	send()
	p.expect("late")
	send()
	p.send("two")
	p.expect("two")
	p.send("late")
	send = <-sends
	if err := p.conn.Close(); err != nil {
		t.Fatal(err)
	}
	r.closedWith(ClosePeer)
	send()
	// A host that drains does not wait for one.
	q := dial(t, addr)
	q.send("late", "one")
	q.expect("one")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	(<-sends)()
	q.expectEnd()
}

// A frame in pieces is whole in the end, comes alone, and keeps its place; copies
// follow what they are copies of.
func TestPiecesAndCopies(t *testing.T) {
	_, addr := start(t, departs(map[string]*Departure{
		"torn": {Pieces: 3}, "fine": {Pieces: 1000}, "twice": {Copies: 1}, "": {Pieces: 4},
	}))
	p := dial(t, addr)
	p.send("torn", "one", "twice", "fine", "two")
	p.expect("torn", "one", "twice", "twice", "fine", "two")
}

// A host that is cut off does not wait for the rest of a frame.
func TestPiecesOfAKilledSession(t *testing.T) {
	r, addr := start(t, departs(map[string]*Departure{"torn": {Pieces: maxPieces}}))
	p := dial(t, addr)
	p.send("torn")
	if _, err := p.in.ReadByte(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_ = r.server.Shutdown(ctx) // says that it had no time
	p.expectGone()
}
