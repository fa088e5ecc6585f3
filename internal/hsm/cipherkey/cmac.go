package cipherkey

import (
	"crypto/cipher"
	"crypto/subtle"
	"sync"

	"meridian/internal/vault"
)

// CMAC is NIST SP 800-38B's mode of a block cipher for authentication, with the
// key schedule and both subkeys made ahead. Go's standard library has none. It is
// safe for concurrent use where its cipher is, and allocates nothing.
type CMAC struct {
	keyed   vault.Opaque[schedule]
	scratch sync.Pool // of *[maxBlock]byte: what an interface's method is given escapes
}

type schedule struct {
	block     cipher.Block
	last      [maxBlock]byte // K1: the subkey of a whole last block
	shortened [maxBlock]byte // K2: the subkey of a last block that was padded
}

// maxBlock is AES's block; DES's is the half of it.
const maxBlock = 16

// NewCMAC takes a cipher with blocks of 8 or 16 bytes.
func NewCMAC(block cipher.Block) *CMAC {
	k := schedule{block: block}
	size := block.BlockSize()
	block.Encrypt(k.last[:size], k.last[:size])
	double(k.last[:size])
	k.shortened = k.last
	double(k.shortened[:size])
	return &CMAC{keyed: vault.Conceal(k), scratch: sync.Pool{New: func() any { return new([maxBlock]byte) }}}
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
func (c *CMAC) Sum(data []byte) [maxBlock]byte {
	scratch, _ := c.scratch.Get().(*[maxBlock]byte)
	defer c.scratch.Put(scratch)
	clear(scratch[:])
	k := c.keyed.Value()
	size := k.block.BlockSize()
	state := scratch[:size]
	for len(data) > size {
		subtle.XORBytes(state, state, data[:size])
		k.block.Encrypt(state, state)
		data = data[size:]
	}
	subtle.XORBytes(state, state, data)
	if len(data) == size {
		subtle.XORBytes(state, state, k.last[:size])
	} else {
		state[len(data)] ^= 0x80
		subtle.XORBytes(state, state, k.shortened[:size])
	}
	k.block.Encrypt(state, state)
	return *scratch
}
