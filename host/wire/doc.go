// Package wire turns bytes into ISO 8583 messages and back.
//
//	stream ──ReadFrame──▶ Frame{TPDU, Header, Payload} ──Spec.Parse──▶ Message
//	                              │                                       │
//	                         Spec.VerifyMAC                          Get, Set, Fields
//	                       (over the raw bytes)                           │
//	stream ◀─AppendFrame─ Frame.Answer ◀─Spec.Pack, PackWithMAC───────────┘
//
// It knows field tables, lengths and encodings, and nothing of what a message
// means: no amounts, no merchants, no response codes.
//
// What holds:
//
//   - A payload that parses packs back to the same bytes. Where a form allows
//     freedom (the pad nibble of an odd BCD value, the case of hex digits), the
//     message remembers which one was received.
//   - Everything else is refused with field, offset and reason, never with a
//     field's value: wrong digits, pad nibbles other than 0 or F, lengths over
//     the table's, undefined fields, trailing bytes.
//   - Memory per message is bounded by a small multiple of the payload, and the
//     payload by [Framing.MaxBytes].
//   - The MAC is computed over the bytes as they were received or will be sent,
//     never over something packed anew.
//   - A [Spec] is immutable after it is made and may be shared; a [Message]
//     belongs to one goroutine.
package wire
