package host

import (
	"time"

	"meridian/host/wire"
)

// answerOnce is what the handler calls.
func (p *place) answerOnce(a Answer) { p.settle(a, true) }

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
	if start {
		s.writing = true
	}
	s.mu.Unlock()

	s.server.leave()
	switch {
	case dropped:
		s.done(p, false)
	case start:
		go s.writeAnswers()
	}
}

// writeAnswers is the writer: it writes the answered head of the line, several
// answers in one write, until the head is unanswered.
func (s *session) writeAnswers() {
	out := s.server.buffers.write()
	defer s.server.buffers.putWrite(out)
	defer s.writerEnded()
	for {
		s.mu.Lock()
		first, count := s.line.takeReady(writeBatchBytes)
		if s.dead || count == 0 {
			// Under the same lock that settle looks at: an answer given from here
			// on starts a new writer.
			s.writing = false
			s.restoreWriteDeadline()
			s.changed.Broadcast()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.writeBatch(out, first, count)
	}
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

// writeBatch writes count answers starting at first and frees their places.
func (s *session) writeBatch(out *[]byte, first *place, count int) {
	batch, frames, closing := s.frame((*out)[:0], first)
	*out = batch
	var err error
	if len(batch) > 0 {
		err = s.write(batch)
	}
	if err == nil {
		s.listener.metrics.framesSent.Add(float64(frames))
		s.listener.metrics.bytesSent.Add(float64(len(batch)))
	}

	// The end of the session before the places are given up: the reader must not
	// take one more request from a connection that has no answers any more.
	switch {
	case err != nil && isTimeout(err):
		s.kill(CloseWriteTimeout, nil)
	case err != nil:
		s.kill(reasonOf(err), err)
	case closing != "":
		s.hangUp(closing.fromHandler())
	}

	now := s.server.now()
	for p := first; p != nil; {
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
	s.line.leave(count)
	if err == nil {
		s.active = time.Now()
		s.framesSent += uint64(frames)
		s.bytesSent += uint64(len(batch))
	}
	s.changed.Broadcast()
	s.mu.Unlock()
}

// frame appends the framed answers to dst. An answer the framing refuses is
// dropped: the peer could not have read it.
func (s *session) frame(dst []byte, first *place) (batch []byte, frames int, closing CloseReason) {
	for p := first; p != nil; p = p.next {
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
				frames++
			}
		}
		closing = p.answer.Close // only the last of a batch can have one
	}
	return dst, frames, closing
}

func (s *session) write(batch []byte) error {
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
