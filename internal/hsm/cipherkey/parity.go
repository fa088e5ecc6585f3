package cipherkey

import "math/bits"

// SetOddParity makes the number of ones odd in every byte of a key of DES. The
// cipher does not look at the bit it sets.
func SetOddParity(key []byte) {
	for i, b := range key {
		if bits.OnesCount8(b)%2 == 0 {
			key[i] = b ^ 1
		}
	}
}
