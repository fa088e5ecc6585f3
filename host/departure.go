package host

import (
	"slices"
	"time"

	"meridian/host/wire"
)

const (
	// maxPieces of a frame, and piecePause between them: far enough apart that a
	// peer reads one by one, and all of it well within WriteTimeout.
	maxPieces  = 16
	piecePause = 100 * time.Millisecond
)

// withhold takes an answer out of the line: its place is settled without one, and
// a copy of it waits for whoever has the departure.
func (p *place) withhold(a Answer) {
	d := a.departure
	late := &place{session: p.session, tpdu: p.tpdu, header: p.header, received: p.received}
	kept := a
	kept.departure, kept.Payload = d.unheld(), slices.Clone(a.Payload)
	p.settle(Answer{}, true)
	d.Withhold(func() { late.send(kept) })
}

// unheld is the departure of an answer that has been withheld.
func (d *Departure) unheld() *Departure {
	rest := *d
	rest.Withhold = nil
	return &rest
}

// send puts an answer behind those that wait, though its request has none to wait
// for any more. It counts against the connection's bound until it is written.
func (p *place) send(a Answer) {
	s := p.session
	s.mu.Lock()
	if s.dead || p.answered {
		s.mu.Unlock()
		return
	}
	p.answered, p.answer = true, a
	s.line.join(p)
	start := !s.writing && s.line.head == p
	if start {
		s.writing = true
	}
	s.mu.Unlock()
	if start {
		go s.writeAnswers(nil)
	}
}

// frameCopies frames a departure's copies of an answer.
func (s *session) frameCopies(b *batch, dst []byte, p *place) []byte {
	request := wire.Frame{TPDU: p.tpdu, Header: p.header}
	for range p.answer.departure.Copies {
		longer, err := s.listener.Framing.AppendFrame(dst, request.Answer(p.answer.Demand, p.answer.Payload))
		if err != nil {
			return dst // the first one was framed, so this does not happen
		}
		dst = longer
		b.frames++
	}
	return dst
}

// inPieces tells whether the answer has a write of its own.
func (a *Answer) inPieces() bool { return a.departure != nil && a.departure.Pieces > 1 }

// writePieces writes a frame in as many writes: its first byte, which no length
// can be read from, then the rest in equal parts.
func (s *session) writePieces(frame []byte, pieces int) error {
	pieces = min(pieces, maxPieces, len(frame))
	left, next := frame, 1
	for i := range pieces {
		if i == pieces-1 {
			next = len(left)
		}
		if err := s.write(left[:next]); err != nil {
			return err
		}
		left = left[next:]
		next = max(1, len(frame)/pieces)
		if i < pieces-1 && !s.pause(piecePause) {
			return nil // it was killed, and says why itself
		}
	}
	return nil
}

// pause is false when the session ended meanwhile.
func (s *session) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
