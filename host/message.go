package host

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"

	"meridian/host/wire"
)

// Message is one frame as it arrived.
type Message struct {
	// Listener is the name of the listener the connection came in on.
	Listener string
	// Conn numbers the connection within this process, from 1.
	Conn uint64
	// Remote is the peer's address; IPv4 is never in its IPv6-mapped form.
	Remote netip.AddrPort
	// Certificate is the peer's leaf certificate after verification against the
	// listener's client CAs, or nil.
	Certificate *x509.Certificate
	// TPDU is the transport header as received; zero where the framing has none.
	TPDU wire.TPDU
	// Header is the application header as received; zero where the framing has
	// none.
	Header wire.Header
	// Payload starts at the MTI. It belongs to the handler until it answers and
	// may be used again for another message after that: copy what is kept.
	Payload []byte
	// Room is memory for an answer's payload, to append to; empty, and perhaps without
	// any. It belongs to the handler as long as Payload does.
	Room []byte
	// Received is when the last byte of the frame had been read.
	Received time.Time
}

// Answer is what a handler gives back for a message.
type Answer struct {
	// Payload starts at the MTI; framing, the swapped TPDU and the request's
	// application header are added by the session. It belongs to the session from here on, and may be (a part of) the
	// request's own payload or in its room. Nil sends nothing and frees the place.
	Payload []byte
	// Demand is what the answer's application header asks the terminal for, where
	// the framing has one.
	Demand wire.Demand
	// Close, when not empty, closes the connection after this answer was written.
	// Answers to later requests of the connection are dropped.
	Close CloseReason
	// Done, when not nil, is called once: written is true when the whole answer
	// was handed to the operating system, which does not mean that the peer has
	// it; false when it was not sent or perhaps only in part. It runs on the
	// session's writer, which may be the goroutine that answers: it must be short and
	// must not block, nor need a lock that is held while answering.
	Done func(written bool)
	// departure of a test host's scenario; nil in production.
	departure *Departure
}

// Handler is what stands behind the listeners.
//
// Handle must take the message over and return soon; it is called by the
// connection's reader, one message at a time and in their order. It must see to
// it that answer is called exactly once, from any goroutine, now or later: the
// message's place is taken until then. A second answer is ignored and counted.
// When Handle panics before answering, the message gets no answer.
//
// ctx ends when the session has ended or is cut off; an answer given after that
// is dropped (Done(false)). A peer that goes away is no reason to give up work
// that may already be durable.
type Handler interface {
	Handle(ctx context.Context, m *Message, answer func(Answer))
}
