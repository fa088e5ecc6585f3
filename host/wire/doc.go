// Package wire turns bytes into ISO 8583 messages and back.
//
//	stream ──ReadFrame──▶ Frame{TPDU, Header, Payload} ──Spec.ParseInto──▶ Message
//	                              │                                          │
//	                         Spec.VerifyMAC                       View; Get, Bytes (copies)
//	                       (over the raw bytes)                        Set, Copy, Reset
//	                                                                         │
//	stream ◀─AppendFrame─ Frame.Answer ◀─Spec.AppendPack, AppendPackWithMAC──┘
//
// A message is parsed by a table that the spec's moov definition was taken apart
// into once. Its values are places in the message's own memory, which the next
// message uses again, so that in the long run nothing is allocated.
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
//   - moov, over the same definition, has the same verdict and the same values: the
//     fuzz tests hold the two together.
//   - Strings and slices that a message gives are copies, but for [Message.View]'s.
//   - The MAC is computed over the bytes as they were received or will be sent,
//     never over something packed anew.
//   - A [Spec] is immutable after it is made and may be shared; a [Message]
//     belongs to one goroutine.
package wire
