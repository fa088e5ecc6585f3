package host

import (
	"time"

	"meridian/host/wire"
)

// place is one request's place in its connection's line, from the moment it is
// handed over until its answer is written. Its answered, answer and next are
// guarded by the session's lock.
type place struct {
	session *session
	next    *place

	message Message
	// tpdu, header and received are kept apart from the message, which the handler may change.
	tpdu     wire.TPDU
	header   wire.Header
	received time.Time
	// buffer is the memory under message.Payload; nil when it must not be used
	// again because a panicking handler may have left it with somebody.
	buffer *[]byte

	// followed tells that more had arrived when the message was handed over.
	followed bool
	answered bool
	answer   Answer
}

// line is the order of a connection's requests. It is a queue of places of
// which any may become answered and only the head may leave.
//
// held counts the places that count against the connection's bound: those in
// the queue and those taken out whose answers are being written.
type line struct {
	head, tail *place
	held       int
}

// join puts p at the end.
func (l *line) join(p *place) {
	if l.tail == nil {
		l.head = p
	} else {
		l.tail.next = p
	}
	l.tail = p
	l.held++
}

// takeReady takes the answered places at the head out of the queue: at most
// those whose payloads fit maxBytes together, at least one if any is ready, and
// none behind an answer that closes the connection. One that leaves in pieces comes
// alone. They stay held until leave.
func (l *line) takeReady(maxBytes int) (first *place, count int) {
	var last *place
	sum := 0
	for p := l.head; p != nil && p.answered; p = p.next {
		sum += len(p.answer.Payload)
		if last != nil && (sum > maxBytes || p.answer.inPieces()) {
			break
		}
		last = p
		count++
		if p.answer.Close != "" || p.answer.inPieces() {
			break
		}
	}
	if last == nil {
		return nil, 0
	}
	first = l.head
	l.head = last.next
	if l.head == nil {
		l.tail = nil
	}
	last.next = nil
	return first, count
}

// leave gives up the bound of count places that takeReady took.
func (l *line) leave(count int) { l.held -= count }

// abandon empties the queue and returns the answered places, linked by next.
// The others are still with the handler and are dropped when it answers.
func (l *line) abandon() (answered *place) {
	var rest *place
	for p := l.head; p != nil; p = rest {
		rest = p.next
		p.next = nil
		if p.answered {
			p.next, answered = answered, p
		}
	}
	l.head, l.tail = nil, nil
	return answered
}
