// Package cipherkey is what there is to say about a clear key of a block
// cipher: its algorithm, whether it is one, its parity, its check value.
//
//	DES 8 bytes │ TDES2 16 │ TDES3 24 │ AES128 16 │ AES192 24 │ AES256 32
//
// Keys of DES carry a parity bit in each byte that the cipher ignores. They are
// drawn and formed with odd parity and are accepted with any: terminals' key
// loaders disagree about it, and a check value does not depend on it.
//
// The package has no state and keeps no key. It is for the security module and
// for what plays a terminal; nobody else has clear keys.
package cipherkey
