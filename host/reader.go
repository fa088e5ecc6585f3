package host

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"meridian/host/wire"
)

// warmWait is how long a connection keeps its read buffer while it waits for
// the next frame. A busy connection thereby needs one system call per frame; a
// connection that is quiet for longer gives the buffer back and waits with a
// single byte.
const warmWait = time.Second

// maxDroppedInRow bounds the frames with wrong headers that a connection may send
// without an answer to anything between them. A terminal with a wrong setting sends a
// few and gives up; a peer that goes on is not one of ours.
const maxDroppedInRow = 16

// readFrames reads frames and hands them over until the session stops. The
// reason is in s.stopped when it returns.
func (s *session) readFrames() {
	for s.awaitPlace() {
		if err := s.awaitFrame(); err != nil {
			s.readEnded(err, CloseIdle)
			return
		}
		p, err := s.readFrame()
		if err != nil {
			if s.drop(err) {
				continue
			}
			s.readEnded(err, CloseReadTimeout)
			return
		}
		if !s.server.enter(s.ctx) {
			s.stop(CloseCutOff, nil)
			return
		}
		s.dispatch(p)
	}
}

// drop passes over a frame with a wrong TPDU or application header, as UnionPay's
// centre does: it has no answer, and the connection stays. It reports false for
// any other error, and for a peer that sends nothing else.
func (s *session) drop(err error) bool {
	var wrong *wire.HeaderError
	if !errors.As(err, &wrong) {
		return false
	}
	s.mu.Lock()
	sent := s.framesSent
	s.mu.Unlock()
	if sent != s.sentBefore {
		s.sentBefore, s.droppedInRow = sent, 0
	}
	s.framesDropped++
	s.droppedInRow++
	s.listener.metrics.framesDropped.WithLabelValues(string(wrong.Reason)).Inc()
	s.server.lines.write(slog.LevelWarn, &Message{Listener: s.listener.Name, Remote: s.remote, Conn: s.id}, "frame dropped",
		"reason", string(wrong.Reason))
	return s.droppedInRow < maxDroppedInRow
}

// awaitPlace waits for a free place in the line: the connection's bound on
// requests in flight. Meanwhile nothing is read and TCP holds the peer back.
func (s *session) awaitPlace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line.held >= s.listener.MaxInFlight {
		s.server.metrics.waitsConnection.Inc()
		for s.stopped == "" && s.line.held >= s.listener.MaxInFlight {
			s.changed.Wait()
		}
	}
	return s.stopped == ""
}

// awaitFrame waits for the first byte of the next frame, warm (in a buffer from
// the pool) or cold (one byte, no buffer). It returns with a reader that has at
// least one byte, or with an error: a deadline only when the connection is idle.
func (s *session) awaitFrame() error {
	if s.reader != nil && s.reader.Buffered() > 0 {
		return nil
	}
	for {
		wait := s.idleLeft()
		if s.reader != nil {
			wait = min(wait, warmWait)
		}
		if err := s.armRead(time.Now().Add(wait)); err != nil {
			return err
		}
		err := s.readFirst()
		switch {
		case err == nil:
			return nil
		case !isTimeout(err):
			return err
		case s.reader != nil:
			s.releaseReader()
		case s.idleLeft() <= 0:
			return err
		}
	}
}

// readFirst reads at least one byte and leaves it in a buffered reader.
func (s *session) readFirst() error {
	if s.reader != nil {
		_, err := s.reader.Peek(1)
		return err //nolint:wrapcheck // readEnded tells it apart
	}
	n, err := s.conn.Read(s.first[:])
	if n == 0 {
		return err //nolint:wrapcheck // readEnded tells it apart
	}
	s.hasFirst = true
	s.reader = s.server.buffers.reader(s)
	return nil
}

// Read feeds the buffered reader: the byte that ended a cold wait, then the
// connection.
func (s *session) Read(b []byte) (int, error) {
	if s.hasFirst && len(b) > 0 {
		s.hasFirst = false
		b[0] = s.first[0]
		s.countReceived(1)
		return 1, nil
	}
	n, err := s.conn.Read(b)
	s.countReceived(n)
	return n, err //nolint:wrapcheck // io.Reader's errors are compared
}

func (s *session) countReceived(n int) {
	s.bytesReceived += uint64(n)
	s.listener.metrics.bytesReceived.Add(float64(n))
}

func (s *session) releaseReader() {
	if s.reader != nil {
		s.server.buffers.putReader(s.reader)
		s.reader = nil
	}
}

// idleLeft is how long the connection may still be without traffic. It is never
// idle while a request is in flight.
func (s *session) idleLeft() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line.held > 0 {
		return s.listener.IdleTimeout
	}
	return s.listener.IdleTimeout - time.Since(s.active)
}

// readFrame reads one frame, begun by awaitFrame, within ReadTimeout.
func (s *session) readFrame() (*place, error) {
	if !s.listener.Framing.Buffered(s.reader) { // else there is nothing to wait for
		if err := s.armRead(time.Now().Add(s.listener.ReadTimeout)); err != nil {
			return nil, err
		}
	}
	buffer := s.server.buffers.payload()
	frame, err := s.listener.Framing.ReadFrame(s.reader, *buffer)
	if err != nil {
		s.server.buffers.putPayload(buffer)
		return nil, err
	}
	*buffer = frame.Payload[:0]
	s.framesReceived++
	s.listener.metrics.framesReceived.Inc()
	received := s.server.now()
	return &place{
		session:  s,
		followed: s.reader.Buffered() > 0,
		tpdu:     frame.TPDU,
		header:   frame.Header,
		received: received,
		buffer:   buffer,
		message: Message{
			Listener:    s.listener.Name,
			Conn:        s.id,
			Remote:      s.remote,
			Certificate: s.certificate,
			TPDU:        frame.TPDU,
			Header:      frame.Header,
			Payload:     slices.Clip(frame.Payload),
			Room:        frame.Payload[len(frame.Payload):],
			Received:    received,
		},
	}, nil
}

// readEnded turns the end of reading into a reason; onTimeout is what a passed
// deadline means.
func (s *session) readEnded(err error, onTimeout CloseReason) {
	var bad *wire.FrameError
	var wrong *wire.HeaderError
	switch {
	case errors.Is(err, errStopped):
		// stop has its reason already.
	case errors.As(err, &bad), errors.As(err, &wrong):
		s.stop(CloseBadFrame, err)
	case isTimeout(err):
		s.stop(onTimeout, nil)
	default:
		reason := reasonOf(err)
		if reason == ClosePeer {
			err = nil
		}
		s.stop(reason, err)
	}
}

// dispatch gives the message its place in the line and hands it over. A panic of
// the handler costs this message and nothing else.
func (s *session) dispatch(p *place) {
	s.mu.Lock()
	s.active = time.Now()
	s.line.join(p)
	s.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			s.server.reportPanic("handler", s.listener.Name, s.id, v)
			p.settle(Answer{}, false)
		}
	}()
	s.server.handler.Handle(s.ctx, &p.message, p.answerOnce)
}
