package host

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// lingerTimeout and lingerBytes bound how long a connection that this host
	// closes is still read, so that the peer gets its last answers: closing a
	// socket with unread bytes resets it, and a reset throws away what the peer
	// has not read yet.
	lingerTimeout = time.Second
	lingerBytes   = 256 << 10

	// socketBufferBytes bounds the kernel's memory for a peer that sends and does
	// not read (left alone it grows to megabytes). It holds over 100 messages,
	// more than a connection may have in flight by default.
	socketBufferBytes = 64 << 10
)

// errStopped ends the reader when the session is to read no more.
var errStopped = errors.New("session stops reading")

// session is one connection from admission to close. Its goroutine is the
// reader; see writeAnswers for the other one.
//
//	reading ──stop──▶ finishing ──line empty──▶ closed
//	   └──────kill, hangUp──────▶ dead ───────────┘
//
// stop ends reading and lets the line drain. hangUp also drops what is left of
// the line but closes gently. kill closes the socket at once.
type session struct {
	server   *Server
	listener *listener
	id       uint64
	remote   netip.AddrPort
	opened   time.Time

	raw  net.Conn // the socket
	conn net.Conn // raw, or secure
	// secure is TLS over raw, or nil.
	secure *tls.Conn

	// Owned by the writer, of which there is one at a time. direct is nil where the
	// connection cannot be written without waiting, as TLS cannot.
	direct    *direct
	deadlined bool // raw has a deadline of writing

	// Owned by the reader.
	certificate *x509.Certificate
	reader      *bufio.Reader // nil while the connection is cold: see awaitFrame
	first       [1]byte       // the byte that ended a cold wait
	hasFirst    bool

	// ctx is what Handle receives; it outlives this struct's methods in the
	// handler's hands, which is why it is kept here.
	ctx    context.Context //nolint:containedctx // see above
	cancel context.CancelFunc

	// mu guards what follows and orders it with the deadlines of raw: once
	// stopped is set, nobody moves the read deadline out of the past again.
	mu      sync.Mutex
	changed sync.Cond // line.held, writing, stopped, dead
	line    line
	writing bool        // a writer goroutine exists
	stopped CloseReason // no frame is read any more; the first reason stays
	cause   error       // the error behind stopped, if there was one
	dead    bool        // no answer is written any more
	killed  bool        // raw is closed
	active  time.Time   // last frame in either direction

	readDeadline time.Time // as last set

	framesReceived, framesSent uint64
	framesDropped              uint64 // belongs to the reader, as the next two do
	droppedInRow               int
	sentBefore                 uint64 // framesSent when the last one was dropped
	bytesReceived, bytesSent   uint64 // bytesReceived belongs to the reader
}

func newSession(server *Server, l *listener, id uint64, raw net.Conn, remote netip.AddrPort) *session {
	s := &session{server: server, listener: l, id: id, remote: remote, opened: time.Now(), raw: raw, conn: raw}
	if l.TLS != nil {
		s.secure = tls.Server(raw, l.TLS)
		s.conn = s.secure
	} else {
		s.direct = newDirect(raw)
	}
	s.active = s.opened
	s.changed.L = &s.mu
	s.ctx, s.cancel = context.WithCancel(server.base)
	return s
}

// run serves the connection until it is closed.
func (s *session) run() {
	defer s.closed()
	defer s.contain()
	s.prepareSocket()
	if s.handshake() {
		s.readFrames()
	}
	s.finish()
}

// contain keeps a panic of the session's own code away from other sessions.
func (s *session) contain() {
	if v := recover(); v != nil {
		s.server.reportPanic("session", s.listener.Name, s.id, v)
		s.kill(ClosePanic, nil)
	}
}

func (s *session) prepareSocket() {
	// Best effort: a socket that is already dead says so on its first read.
	if tcp, ok := s.raw.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(socketBufferBytes)
		_ = tcp.SetWriteBuffer(socketBufferBytes)
	}
}

// handshake serves TLS where the listener has it. It reports whether the
// session may go on.
func (s *session) handshake() bool {
	if s.secure == nil {
		return true
	}
	// A deadline instead of HandshakeContext: that would need a second goroutine.
	if err := s.armRead(time.Now().Add(s.listener.HandshakeTimeout)); err != nil {
		s.readEnded(err, CloseTLSHandshake)
		return false
	}
	if err := s.secure.Handshake(); err != nil { //nolint:noctx // has the deadline just set
		s.stop(CloseTLSHandshake, err)
		return false
	}
	if chains := s.secure.ConnectionState().VerifiedChains; len(chains) > 0 {
		s.certificate = chains[0][0]
	}
	return true
}

// armRead sets the deadline of the next read, unless the session is to read no
// more.
func (s *session) armRead(deadline time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != "" {
		return errStopped
	}
	return s.setReadDeadline(deadline)
}

// setReadDeadline sets the deadline of reading. TLS also writes while it reads
// (the handshake, a key update), so there it is the deadline of writing too,
// unless a writer is at work, which has its own. Needs mu.
func (s *session) setReadDeadline(deadline time.Time) error {
	s.readDeadline = deadline
	if s.secure != nil && !s.writing {
		return s.raw.SetDeadline(deadline) //nolint:wrapcheck // reasonOf tells it apart
	}
	return s.raw.SetReadDeadline(deadline) //nolint:wrapcheck // reasonOf tells it apart
}

// restoreWriteDeadline gives writing back to the reader when the writer ends.
// Needs mu.
func (s *session) restoreWriteDeadline() {
	if s.secure != nil && !s.killed {
		_ = s.raw.SetWriteDeadline(s.readDeadline) // a dead socket fails the next read
	}
}

// stop ends reading; requests in flight are still answered and written.
func (s *session) stop(reason CloseReason, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked(reason, cause)
}

func (s *session) stopLocked(reason CloseReason, cause error) {
	if s.stopped != "" {
		return
	}
	s.stopped, s.cause = reason, cause
	_ = s.setReadDeadline(time.Unix(1, 0)) // wakes a reader inside Read
	s.changed.Broadcast()
}

// hangUp ends reading and drops every answer not yet written. The reader closes
// the socket gently.
func (s *session) hangUp(reason CloseReason) {
	s.mu.Lock()
	s.stopLocked(reason, nil)
	dropped := s.dieLocked()
	s.mu.Unlock()
	s.dropAll(dropped)
}

// kill closes the socket at once and drops every answer not yet written. It
// takes the place of an earlier reason to stop: what cuts a session off says
// more than what it was finishing for.
func (s *session) kill(reason CloseReason, cause error) {
	s.mu.Lock()
	if s.killed {
		s.mu.Unlock()
		return
	}
	s.killed = true
	s.stopLocked(reason, cause)
	s.stopped, s.cause = reason, cause
	dropped := s.dieLocked()
	if reason == CloseWriteTimeout {
		// Reset instead of leaving the unread answers to the kernel, which would
		// go on sending them for minutes.
		if tcp, ok := s.raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	_ = s.raw.Close()
	s.mu.Unlock()
	s.cancel()
	s.dropAll(dropped)
}

// dieLocked marks the line abandoned and returns its answered places.
func (s *session) dieLocked() *place {
	s.dead = true
	s.changed.Broadcast()
	return s.line.abandon()
}

// finish waits until what is in flight has been answered and written, or until
// there is no use in that any more, and closes the socket.
func (s *session) finish() {
	s.releaseReader()
	s.mu.Lock()
	for s.writing || (!s.dead && s.line.held > 0) {
		s.changed.Wait()
	}
	killed := s.killed
	unread := s.stopped != ClosePeer && s.stopped != CloseIdle
	s.dead = true
	s.mu.Unlock()
	if killed {
		return
	}
	if s.secure != nil {
		_ = s.secure.CloseWrite() // close_notify; crypto/tls gives it 5 s at most
	}
	if unread {
		s.linger()
	}
	_ = s.raw.Close()
}

// linger ends the sending side and reads on for a moment; see lingerTimeout.
func (s *session) linger() {
	half, ok := s.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if s.raw.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	buffer := s.server.buffers.payload()
	defer s.server.buffers.putPayload(buffer)
	for left := lingerBytes; left > 0; {
		n, err := s.raw.Read((*buffer)[:cap(*buffer)])
		if err != nil {
			return
		}
		left -= n
	}
}

// closed takes the session off the books and tells its end.
func (s *session) closed() {
	s.cancel()
	s.mu.Lock()
	reason, cause := s.stopped, s.cause
	sent, bytesSent := s.framesSent, s.bytesSent
	s.mu.Unlock()

	s.listener.metrics.closes.WithLabelValues(string(reason)).Inc()
	level := slog.LevelWarn
	if reason.expected() {
		level = slog.LevelInfo
	}
	suppressed, written := s.server.closings.take(lineKey{s.listener.Name, string(reason)})
	if !written {
		s.server.forget(s)
		return
	}
	attrs := []slog.Attr{
		slog.String("listener", s.listener.Name),
		slog.Uint64("conn", s.id),
		slog.String("remote", s.remote.String()),
		slog.String("reason", string(reason)),
		slog.Uint64("frames_received", s.framesReceived),
		slog.Uint64("frames_sent", sent),
		slog.Uint64("frames_dropped", s.framesDropped),
		slog.Uint64("bytes_received", s.bytesReceived),
		slog.Uint64("bytes_sent", bytesSent),
		slog.Float64("open_seconds", time.Since(s.opened).Seconds()),
	}
	if cause != nil {
		attrs = append(attrs, slog.String("error", cause.Error()))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	s.server.logger.LogAttrs(s.ctx, level, "connection closed", attrs...)
	s.server.forget(s)
}

// reasonOf gives an error of the socket its reason; deadlines are told apart by
// the callers, who know which one it was.
func reasonOf(err error) CloseReason {
	switch {
	case errors.Is(err, io.EOF):
		return ClosePeer
	case errors.Is(err, io.ErrUnexpectedEOF):
		return CloseTruncated
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ETIMEDOUT):
		return ClosePeerReset
	}
	return CloseError
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
