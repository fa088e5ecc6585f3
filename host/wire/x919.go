package wire

import (
	"crypto/cipher"
	"crypto/des" //nolint:gosec // the algorithm is the standard's, terminals have no other
	"crypto/subtle"
	"fmt"
)

// x919KeyBytes is the size of a double-length DES key.
const x919KeyBytes = 16

// x919 is ANSI X9.19, the retail MAC: ISO 9797-1 algorithm 3 with DES and padding
// method 1 (zeros to a whole block, none where the data is one).
type x919 struct {
	left, right cipher.Block
}

// NewX919 returns the X9.19 MAC under a double-length key of 16 bytes.
func NewX919(key []byte) (MACAlgorithm, error) {
	if len(key) != x919KeyBytes {
		return nil, fmt.Errorf("X9.19 key has %d bytes, want %d", len(key), x919KeyBytes)
	}
	left, err := des.NewCipher(key[:8]) //nolint:gosec // X9.19 is defined with DES
	if err != nil {
		return nil, fmt.Errorf("left half of X9.19 key: %w", err)
	}
	right, err := des.NewCipher(key[8:]) //nolint:gosec // X9.19 is defined with DES
	if err != nil {
		return nil, fmt.Errorf("right half of X9.19 key: %w", err)
	}
	return &x919{left: left, right: right}, nil
}

// Name implements MACAlgorithm.
func (a *x919) Name() string { return "x919" }

// Sum implements MACAlgorithm: single DES in CBC mode under the left half, then
// the last block decrypted with the right half and encrypted with the left one.
// The MAC of no data is that of one block of zeros.
func (a *x919) Sum(data []byte) ([macBytes]byte, error) {
	block := make([]byte, des.BlockSize)
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), des.BlockSize)
		subtle.XORBytes(block, block, data[:n])
		a.left.Encrypt(block, block)
		data = data[n:]
	}
	a.right.Decrypt(block, block)
	a.left.Encrypt(block, block)
	return [macBytes]byte(block), nil
}
