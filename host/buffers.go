package host

import (
	"bufio"
	"sync"
)

const (
	// readBufferBytes holds a dozen typical messages: a pipelining peer costs one
	// system call for several of them.
	readBufferBytes = 4096
	// writeBatchBytes is how much goes out in one write at most, but always one
	// whole answer. Two TLS records, and far below the socket's send buffer.
	writeBatchBytes = 32 << 10
	// firstPayloadBytes fits nearly every request; larger ones grow the buffer
	// they are read into, up to the framing's cap.
	firstPayloadBytes = 1024
)

// buffers are shared by all sessions, so that memory follows the traffic and
// not the number of connections.
type buffers struct {
	readers  sync.Pool // *bufio.Reader
	batches  sync.Pool // *batch
	payloads sync.Pool // *[]byte
}

func (b *buffers) reader(from *session) *bufio.Reader {
	if r, ok := b.readers.Get().(*bufio.Reader); ok {
		r.Reset(from)
		return r
	}
	return bufio.NewReaderSize(from, readBufferBytes)
}

func (b *buffers) putReader(r *bufio.Reader) {
	r.Reset(nil) // must not keep the session alive
	b.readers.Put(r)
}

func (b *buffers) payload() *[]byte {
	if p, ok := b.payloads.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, firstPayloadBytes)
	return &p
}

func (b *buffers) putPayload(p *[]byte) { b.payloads.Put(p) }

func (b *buffers) batch() *batch {
	if w, ok := b.batches.Get().(*batch); ok {
		return w
	}
	return &batch{out: make([]byte, 0, 2048)}
}

func (b *buffers) putBatch(w *batch) {
	if cap(w.out) > 2*writeBatchBytes {
		return // grown by one oversized answer
	}
	*w = batch{out: w.out[:0]}
	b.batches.Put(w)
}
