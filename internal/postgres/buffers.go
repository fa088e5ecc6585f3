package postgres

import "sync"

// buffers serve again: a pipeline and its rows are some hundred kilobytes that are of no
// use a moment later, and a sixth of what a busy host would otherwise have to collect.
type buffers struct{ pool sync.Pool }

// bufferKept bounds what is kept, each: a unit of a few hundred sales.
const bufferKept = 1 << 20

var pipelines, rowBuffers buffers

// get an empty buffer with room for so many bytes.
func (b *buffers) get(room int) []byte {
	kept, _ := b.pool.Get().(*[]byte)
	if kept == nil || cap(*kept) < room {
		return make([]byte, 0, room)
	}
	return (*kept)[:0]
}

// put a buffer back that nobody looks at any more. What it said is wiped.
func (b *buffers) put(used []byte) {
	clear(used)
	if cap(used) <= bufferKept {
		b.pool.Put(&used)
	}
}
