// Package host is the TCP side of Meridian: listeners, sessions, limits and
// drain. It moves frames between terminals and a [Handler] and knows nothing of
// what is in them.
//
//	          ┌─ listener ─┐   ┌─────────────── session ───────────────┐
//	accept ──▶│ allow-list │──▶│ TLS ──▶ reader ──▶ line of places ──┐  │
//	          │ limits     │   │           │ Handle       ▲ answer    │  │
//	          └─────┬──────┘   └───────────┼──────────────┼───────────┼──┘
//	                ▼                      ▼              │           ▼
//	             refused                Handler ──────────┘         writer
//
// What holds:
//
//   - Answers leave a connection in the order its requests arrived, whatever
//     order the handler gives them in. A request takes a place in the
//     connection's line when it is handed over and leaves it when its answer is
//     written; only the head of the line is written.
//   - A session is one goroutine. An answer that its peer waits for alone is
//     written by whoever gives it, as far as the socket takes it at once. Where it
//     does not, or more is under way, a second goroutine, the writer, exists while
//     there are answers to write.
//   - Nothing is unbounded: places per connection and requests at the handler in
//     total have limits, and where one is reached the reader stops reading and
//     TCP slows the peer down. A peer that does not read its answers keeps its
//     own places, never those of others.
//   - A connection without traffic holds no buffers, only its goroutine and its
//     socket.
//   - Every wait on a peer has a deadline. Every connection ends with exactly
//     one [CloseReason], logged and counted.
//   - A frame whose length cannot be trusted ends its connection; one whose TPDU or
//     application header is wrong is passed over without an answer.
//   - Nothing a peer does ends a listener, and a panic in the handler costs the
//     message it was working on and nothing else.
//   - Payloads are never logged; neither are panic values, which may hold one.
package host
