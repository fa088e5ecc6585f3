// Package keyblock seals and opens the key blocks in which keys move between
// security modules and to terminals: ASC X9.143-2021 (TR-31), versions B and D,
// over clear keys.
//
//	B0080P0TE00E0000 │ optional blocks │ encrypted length, key, padding │ MAC
//	│└┬─┘└┬┘││└┬┘│└┬┘ └──────────────── in hexadecimal, upper case ───────────┘
//	│ │   │ ││ │ │ └ number of optional blocks, then reserved
//	│ │   │ ││ │ └ exportability
//	│ │   │ ││ └ version of the key
//	│ │   │ │└ mode of use
//	│ │   │ └ algorithm
//	│ │   └ usage
//	│ └ length
//	└ B: protected by TDES, D: by AES
//
// The protection key is only derived from, by CMAC, a key to encrypt and one to
// authenticate. The MAC is over the header, the optional blocks, and the clear
// payload with its padding; it is also the vector that CBC starts with.
//
// Invariants:
//
//   - Nothing is believed before the MAC is verified, in constant time: one bit
//     changed anywhere, or another key, is [ErrMAC], or [ErrFormat] where the block
//     cannot even be read.
//   - A block has one spelling: hexadecimal in lower case, other lengths and
//     numbers than the shortest, bytes behind the end are refused.
//   - Versions A and C are refused: they bind the header with a MAC of four bytes
//     and keys of variants, and X9.143 forbids them. So is E, which nobody sends.
//   - Optional blocks that only inform are taken and given back; those that might
//     restrict what a key is for, and unknown ones, are refused by their name.
//   - No error contains any part of a key or of a payload.
package keyblock
