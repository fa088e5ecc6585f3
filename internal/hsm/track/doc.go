// Package track encrypts the sensitive part of a track as UnionPay's terminals do
// under their track key, when F53's third digit is 1.
//
//	track 2   1234567890123456789=0508201781999168302
//	bytes     12 34 56 78 90 12 34 56 78 9D 05 │ 08 20 17 81 99 91 68 30 │ 20
//	                                           └─────── encrypted ───────┘
//
// The block is found from the end: the byte that holds the last digit stays, the
// eight bytes before it are encrypted with triple DES in ECB mode, for tracks 2 and
// 3 alike (UnionPay's terminal specification: "from the second byte left of the end
// sentinel, eight bytes to the left"). An encrypted track has any nibble in its
// place, so nothing of it but its length means anything before it is decrypted; of
// short tracks the encrypted part begins inside the card number.
//
// A track is text of one character a nibble: digits, D or = for the separator, A to
// F where it is encrypted.
package track
