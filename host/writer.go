package host

import (
	"time"

	"meridian/host/wire"
)

// answerOnce is what the handler calls.
func (p *place) answerOnce(a Answer) {
	if a.departure != nil && a.departure.Withhold != nil {
		p.withhold(a)
		return
	}
	p.settle(a, true)
}

// settle records the answer and starts the writer when it can be written. The
// total bound on requests in flight is given up here: the handler's work is
// done, and what the peer does with the answer must not hold up others. The
// connection's own bound is given up when the answer is written.
func (p *place) settle(a Answer, byHandler bool) {
	s := p.session
	s.mu.Lock()
	if p.answered {
		s.mu.Unlock()
		if byHandler {
			s.server.metrics.answersIgnored.Inc()
		}
		return
	}
	p.answered, p.answer = true, a
	if !byHandler {
		// A panicking handler may have left the payload with somebody who still
		// reads it: that memory is not used again.
		p.buffer = nil
	}
	dropped := s.dead
	start := !dropped && !s.writing && s.line.head == p
	// A peer that waits for this answer alone, as terminals do, has it at once; where
	// more is under way, a goroutine of its own gathers what is ready meanwhile.
	alone := start && p.next == nil && !p.followed && s.direct != nil && a.departure == nil
	if start {
		s.writing = true
	}
	s.mu.Unlock()

	s.server.leave()
	switch {
	case dropped:
		s.done(p, false)
	case alone:
		s.writeAlone()
	case start:
		go s.writeAnswers(nil)
	}
}

// batch is answers on their way out. Its writer has it from the pool and gives it
// back, whichever goroutine that is.
type batch struct {
	out     []byte
	left    []byte // of out, to be written
	first   *place
	count   int
	frames  int
	bytes   int
	closing CloseReason
}

// writeAlone is the writer for as long as nothing waits: the socket takes the
// answer, or a goroutine goes on with it. The goroutine that called settle, a
// lane's or a reader, is held up by no peer.
func (s *session) writeAlone() {
	defer s.writerEnded()
	b := s.server.buffers.batch()
	if !s.nextBatch(b) {
		return
	}
	if s.deadlined { // an old deadline would refuse to try
		s.deadlined = false
		_ = s.raw.SetWriteDeadline(time.Time{})
	}
	if b.left = s.direct.writeSome(b.left); len(b.left) > 0 {
		go s.writeAnswers(b)
		return
	}
	s.batchWritten(b, nil)
	if s.nextBatch(b) {
		go s.writeAnswers(b)
	}
}

// writeAnswers is the writer: it writes the answered head of the line, several
// answers in one write, until the head is unanswered. It begins with what is left
// of a batch, if there is one.
func (s *session) writeAnswers(b *batch) {
	defer s.writerEnded()
	if b == nil {
		if b = s.server.buffers.batch(); !s.nextBatch(b) {
			return
		}
	}
	for {
		var err error
		switch {
		case len(b.left) == 0:
		case b.first.answer.inPieces():
			err = s.writePieces(b.left, b.first.answer.departure.Pieces)
		default:
			err = s.write(b.left)
		}
		s.batchWritten(b, err)
		if !s.nextBatch(b) {
			return
		}
	}
}

// nextBatch takes what is ready out of the line and frames it. When nothing is, it
// ends the writer, whose buffer is free again.
func (s *session) nextBatch(b *batch) bool {
	s.mu.Lock()
	b.first, b.count = s.line.takeReady(writeBatchBytes)
	if s.dead || b.count == 0 {
		// Under the same lock that settle looks at: an answer given from here
		// on starts a new writer.
		s.writing = false
		s.restoreWriteDeadline()
		s.changed.Broadcast()
		s.mu.Unlock()
		s.server.buffers.putBatch(b)
		return false
	}
	s.mu.Unlock()
	s.frame(b)
	return true
}

// writerEnded contains a panic in the writer, which would otherwise end the
// process, and never leaves the session waiting for a writer that is gone.
func (s *session) writerEnded() {
	if v := recover(); v != nil {
		s.server.reportPanic("writer", s.listener.Name, s.id, v)
		s.kill(ClosePanic, nil)
		s.mu.Lock()
		s.writing = false
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

// batchWritten accounts for a batch and frees its places.
func (s *session) batchWritten(b *batch, err error) {
	if err == nil {
		s.listener.metrics.framesSent.Add(float64(b.frames))
		s.listener.metrics.bytesSent.Add(float64(b.bytes))
	}

	// The end of the session before the places are given up: the reader must not
	// take one more request from a connection that has no answers any more.
	switch {
	case err != nil && isTimeout(err):
		s.kill(CloseWriteTimeout, nil)
	case err != nil:
		s.kill(reasonOf(err), err)
	case b.closing != "":
		s.hangUp(b.closing.fromHandler())
	}

	now := s.server.now()
	for p := b.first; p != nil; {
		next := p.next
		p.next = nil
		written := err == nil && p.answer.Payload != nil
		if written {
			s.server.metrics.total.Observe(now.Sub(p.received).Seconds())
		}
		s.done(p, written)
		p = next
	}

	s.mu.Lock()
	s.line.leave(b.count)
	if err == nil {
		s.active = time.Now()
		s.framesSent += uint64(b.frames)
		s.bytesSent += uint64(b.bytes)
	}
	s.changed.Broadcast()
	s.mu.Unlock()
}

// frame writes the batch's answers into its buffer. An answer the framing refuses
// is dropped: the peer could not have read it.
func (s *session) frame(b *batch) {
	dst := b.out[:0]
	b.frames, b.closing = 0, ""
	for p := b.first; p != nil; p = p.next {
		if p.answer.Payload != nil {
			request := wire.Frame{TPDU: p.tpdu, Header: p.header}
			longer, err := s.listener.Framing.AppendFrame(dst, request.Answer(p.answer.Demand, p.answer.Payload))
			if err != nil {
				s.server.metrics.answersRefused.Inc()
				s.server.logger.Error("answer not sent",
					"listener", s.listener.Name, "conn", s.id, "error", err.Error())
				p.answer.Payload = nil
			} else {
				dst = longer
				b.frames++
				if p.answer.departure != nil {
					dst = s.frameCopies(b, dst, p)
				}
			}
		}
		b.closing = p.answer.Close // only the last of a batch can have one
	}
	b.out, b.left, b.bytes = dst, dst, len(dst)
}

func (s *session) write(batch []byte) error {
	s.deadlined = true
	if err := s.raw.SetWriteDeadline(time.Now().Add(s.listener.WriteTimeout)); err != nil {
		return err //nolint:wrapcheck // reasonOf tells it apart
	}
	_, err := s.conn.Write(batch)
	return err //nolint:wrapcheck // reasonOf tells it apart
}

// dropAll tells a chain of answered places that they will not be written.
func (s *session) dropAll(first *place) {
	for p := first; p != nil; {
		next := p.next
		p.next = nil
		s.done(p, false)
		p = next
	}
}

// done ends an answered place: its memory goes back to the pool and its handler
// is told.
func (s *session) done(p *place, written bool) {
	if p.buffer != nil {
		s.server.buffers.putPayload(p.buffer)
		p.buffer = nil
	}
	if p.answer.Done == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.server.reportPanic("Done", s.listener.Name, s.id, v)
		}
	}()
	p.answer.Done(written)
}
