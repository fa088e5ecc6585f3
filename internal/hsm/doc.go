// Package hsm is the security module: the one place where keys and PINs are in
// clear. Everyone else holds keys that only the module can open, and asks it to
// compute with them.
//
//	terminal's row ──ParseKey──▶ Key{use, algorithm, exportability, wrapped}
//	                               │
//	       Generate, FormKey ─────▶│      MAC, DUKPTMAC ──▶ algorithm for wire
//	       ImportBlock ───────────▶│─────▶ VerifyPIN, TranslatePIN, ReferencePIN
//	                               │      DecryptTrack
//	                               └─────▶ ExportBlock, Encrypt: only under another key
//
// [Module] is the seam for a hardware module; [Software] keeps keys in the
// process's memory, wrapped at rest by the vault. What a terminal does with keys
// of its own needs no module: the packages below this one (cipherkey, mac,
// pinblock, dukpt, keyblock, track) are plain functions over clear keys, and the
// test terminal uses them.
//
// Invariants:
//
//   - A key has one use, one algorithm and one exportability. They are
//     authenticated with the wrapped key: a MAC key that is copied into the
//     place of a PIN key does not open.
//   - No clear key leaves a module, and none enters one: keys are drawn inside
//     it, formed from components of two or three people, or arrive in a key
//     block. The software module takes a clear key only in a sandbox, whose keys
//     are public.
//   - No clear PIN leaves a module. A PIN is compared with a reference that is
//     useless without it, or translated to another key.
//   - Errors name uses, algorithms and what was expected, never content. Whether
//     a PIN block was malformed in its padding or in its digits is not told.
//   - MAC computation allocates nothing: a [MAC] has its key schedule.
//
// A Module serves any number of goroutines.
package hsm
