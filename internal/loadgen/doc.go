// Package loadgen is a terminal, for tests and measurements, that shares no code with the host:
// what both got wrong in the same way would otherwise pass for right.
//
//	Message ─▶ Dialect.Frame ─▶ Line ─▶ socket
//	Call    ◀─ matched by answer type and STAN ◀─ reader ◀─ socket
//
// Invariants:
//
//   - It imports nothing of Meridian. A dialect here is a table of the fields
//     that the tests send and the host answers, written after ISO 8583:1987 and
//     UnionPay's POS specification.
//   - A [POS] does what UnionPay expects of a terminal by itself: it opens its
//     working keys and checks their check values, makes and verifies MACs,
//     enciphers PINs and keeps its batch.
//   - A line never waits for an answer before it sends, and hands every answer
//     to the request it belongs to. One that nobody asked for is counted.
//   - Every call ends: with its answer, or with the error that ended the line.
package loadgen
