// Package leak looks for secrets where none may be: in dumps, files, logs, pages.
//
//	Digits, Bytes ─▶ every form it could be written in ─▶ Search(reader) ─▶ findings
//
// It is for tests. What it looks for are test secrets, and what it reports is
// which one it found, in which form and where, never the secret.
//
// Invariants:
//
//   - A secret is found wherever it begins, also where two reads meet.
//   - A number is found as characters, packed two to a byte from either nibble,
//     in hexadecimal of both, in base64 of both at every alignment, as Go prints
//     and quotes bytes, and as an integer of eight bytes.
//   - A form that cannot be told from chance is not looked for: of a number that is
//     all zeros but for its ends, the packed one behind half a byte.
//   - What is masked or only begins like a secret is not found.
package leak
