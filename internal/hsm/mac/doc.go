// Package mac has the message authentication codes of terminals, over clear keys.
//
//	name          key           code                                      source
//	unionpay-ecb  DES, TDES2    8 ASCII characters: half of a block       UnionPay, F64
//	x9.9          DES, TDES2    CBC-MAC                                   ANSI X9.9; ISO 16609 with TDES2
//	x919          TDES2         CBC-MAC, last block decrypted, encrypted  ANSI X9.19, ISO 9797-1 algorithm 3
//	aes-cmac      AES           the first 8 bytes of a CMAC               RFC 4493, NIST SP 800-38B
//
// The first three pad with zeros to whole blocks and add none where the data is
// whole (ISO 9797-1 method 1); the code of no data is that of one block of zeros.
//
// An algorithm has its key schedule made ahead, serves any number of goroutines
// and allocates nothing. Codes are compared by who verifies them, in constant time.
package mac
