// Package pinblock builds and reads PIN blocks, over clear keys.
//
//	format  cipher  clear block                                bound to
//	iso-0   DES     0L PIN… F… ⊕ 0000 and the card number      card number
//	iso-1   DES     1L PIN… random nibbles                     nothing
//	iso-3   DES     3L PIN… random letters ⊕ as iso-0          card number
//	iso-4   AES     4L PIN… A… random nibbles, encrypted,      card number
//	                ⊕ the card number, encrypted again
//	no-pan  DES     0L PIN… F…                                 nothing
//
// L is the number of digits. Formats 0 and 3 have the card number's twelve digits
// before the check digit, format 4 has all of them behind their number less 12
// (ISO 9564-1:2017 §9.3, §9.4). The last format is UnionPay's "ANSI X9.8 without
// card number", its F53's first digit 1.
//
// Invariants:
//
//   - A PIN is a [vault.Secret] of 4 to 12 digits: it cannot be printed.
//   - There is one error for every block that does not decode, and every check is
//     made on every block: who may only ask learns nothing of where it failed.
//
// Encrypting is for terminals, decrypting for the security module.
package pinblock
