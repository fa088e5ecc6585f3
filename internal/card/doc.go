// Package card holds what a terminal reads from a card, in types that cannot be
// printed by mistake.
//
//	F2  ──ParsePAN────▶ PAN ──────┬─ String, fmt, JSON, slog, panic ─▶ 621234******0012
//	F14 ──ParseExpiry─▶ Expiry    └─ Reveal ─────────────────────────▶ the digits
//	F35 ──ParseTrack2─▶ Track2 {PAN, Expiry, ServiceCode}
//
//	free text ──MaskDigits──▶ free text without card numbers (the last line of defence)
//
// Invariants:
//
//   - Reveal is the only way to the digits of a [PAN] or a [Track2]: one word to
//     search for in a review.
//   - The digits are behind a pointer to a string. fmt does not call the methods
//     of a value in an unexported field, nor those of a value under a wrong verb
//     (%w, %p); it walks the value's own fields. There it follows pointers to
//     structs, arrays, slices and maps, but prints a pointer to a string as an
//     address.
//   - There is one truncation format: six digits, six asterisks, four digits.
//     The number of asterisks does not tell the length of the number, and the
//     format can be put together from the two columns the database keeps. Two
//     formats of one number side by side would show more than either.
//   - Errors say what is wrong and where, never with which value.
package card
