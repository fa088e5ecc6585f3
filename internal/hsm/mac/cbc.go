package mac

import (
	"crypto/cipher"
	"crypto/des" //nolint:gosec // the algorithms are the standards', terminals have no other
	"crypto/subtle"
	"fmt"
	"sync"

	"meridian/internal/hsm/cipherkey"
	"meridian/internal/vault"
)

const (
	singleBytes = 8
	doubleBytes = 16
)

// block is a block of DES that lives outside of the stack: what an interface's
// method is given escapes, and an allocation per message is what this saves.
type block = [des.BlockSize]byte

func newScratch() sync.Pool { return sync.Pool{New: func() any { return new(block) }} }

// chain is the CBC mode from a block of zeros on, over data padded with zeros. It
// overwrites state with the last block.
func chain(c cipher.Block, state *block, data []byte) {
	clear(state[:])
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), des.BlockSize)
		subtle.XORBytes(state[:], state[:], data[:n])
		c.Encrypt(state[:], state[:])
		data = data[n:]
	}
}

// x99 is ANSI X9.9: the last block of the CBC mode.
type x99 struct {
	cipher  vault.Opaque[cipher.Block]
	scratch sync.Pool
}

func newX99(key []byte) (Algorithm, error) {
	if len(key) != singleBytes && len(key) != doubleBytes {
		return nil, wrongKey(X99, key, "8 or 16 bytes")
	}
	c, err := cipherkey.OfDES(len(key)).Block(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", X99, err)
	}
	return &x99{cipher: vault.Conceal(c), scratch: newScratch()}, nil
}

// Name implements Algorithm.
func (a *x99) Name() string { return X99 }

// Sum implements Algorithm.
func (a *x99) Sum(data []byte) ([Bytes]byte, error) {
	state, _ := a.scratch.Get().(*block)
	defer a.scratch.Put(state)
	chain(*a.cipher.Value(), state, data)
	return *state, nil
}

// x919 is ANSI X9.19, the retail MAC: single DES in CBC mode under the left half,
// then the last block decrypted with the right half and encrypted with the left.
type x919 struct {
	halves  vault.Opaque[halves]
	scratch sync.Pool
}

type halves struct{ left, right cipher.Block }

func newX919(key []byte) (Algorithm, error) {
	if len(key) != doubleBytes {
		return nil, wrongKey(X919, key, "16 bytes")
	}
	left, err := cipherkey.DES.Block(key[:singleBytes])
	if err != nil {
		return nil, fmt.Errorf("%s: left half: %w", X919, err)
	}
	right, err := cipherkey.DES.Block(key[singleBytes:])
	if err != nil {
		return nil, fmt.Errorf("%s: right half: %w", X919, err)
	}
	return &x919{halves: vault.Conceal(halves{left, right}), scratch: newScratch()}, nil
}

// Name implements Algorithm.
func (a *x919) Name() string { return X919 }

// Sum implements Algorithm.
func (a *x919) Sum(data []byte) ([Bytes]byte, error) {
	state, _ := a.scratch.Get().(*block)
	defer a.scratch.Put(state)
	k := a.halves.Value()
	chain(k.left, state, data)
	k.right.Decrypt(state[:], state[:])
	k.left.Encrypt(state[:], state[:])
	return *state, nil
}
