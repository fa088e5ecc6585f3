// Package dialect turns a terminal's message into a request and a response into
// the terminal's answer. It knows field numbers and the characters of response
// codes, and decides nothing.
//
//	wire.Message ─▶ Request ─▶ switching.Request ┄┄▶ switching.Response ─▶ Answer ─▶ wire.Message
//
// Invariants:
//
//   - An answer is built from the response and from what a repeat of the same
//     request would carry again, so that a repeat is answered byte for byte.
//   - What belongs to one transmission only (F7; F12 and F13 in ASCII) is kept
//     with the outcome and comes back from there.
//   - A refusal names the field and what is wrong with it, never its value.
//   - Every reason of the domain has its characters; a test counts them.
package dialect
