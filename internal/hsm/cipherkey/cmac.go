package cipherkey

import (
	"crypto/cipher"
	"crypto/subtle"
)

// CMAC is NIST SP 800-38B's mode of a block cipher for authentication, with the
// key schedule and both subkeys made ahead. Go's standard library has none. It is
// safe for concurrent use where its cipher is.
type CMAC struct {
	block     cipher.Block
	last      [maxBlock]byte // K1: the subkey of a whole last block
	shortened [maxBlock]byte // K2: the subkey of a last block that was padded
}

// maxBlock is AES's block; DES's is the half of it.
const maxBlock = 16

// NewCMAC takes a cipher with blocks of 8 or 16 bytes.
func NewCMAC(block cipher.Block) *CMAC {
	c := &CMAC{block: block}
	size := block.BlockSize()
	block.Encrypt(c.last[:size], c.last[:size])
	double(c.last[:size])
	c.shortened = c.last
	double(c.shortened[:size])
	return c
}

// double multiplies by x in GF(2^64) or GF(2^128), without a branch on the top
// bit (SP 800-38B §6.1).
func double(b []byte) {
	reduction := byte(0x87)
	if len(b) == 8 {
		reduction = 0x1b
	}
	var carry byte
	for i := len(b) - 1; i >= 0; i-- {
		next := b[i] >> 7
		b[i] = b[i]<<1 | carry
		carry = next
	}
	b[len(b)-1] ^= reduction & -carry
}

// Sum returns the CMAC of data: a block of the cipher, left in the array.
func (c *CMAC) Sum(data []byte) (sum [maxBlock]byte) {
	scratch := make([]byte, maxBlock)
	c.sum(scratch, data)
	return [maxBlock]byte(scratch)
}

// sum computes into state, which is zero and has room for a block.
func (c *CMAC) sum(state, data []byte) {
	size := c.block.BlockSize()
	state = state[:size]
	for len(data) > size {
		subtle.XORBytes(state, state, data[:size])
		c.block.Encrypt(state, state)
		data = data[size:]
	}
	subtle.XORBytes(state, state, data)
	if len(data) == size {
		subtle.XORBytes(state, state, c.last[:size])
	} else {
		state[len(data)] ^= 0x80
		subtle.XORBytes(state, state, c.shortened[:size])
	}
	c.block.Encrypt(state, state)
}
