package mac

import (
	"crypto/cipher"
	"crypto/des" //nolint:gosec // as in cbc.go
	"crypto/subtle"
	"fmt"
	"sync"

	"meridian/internal/hsm/cipherkey"
	"meridian/internal/vault"
)

// ecb is UnionPay's MAC: all blocks of the message by XOR, written as 16
// hexadecimal characters of ASCII; the first half of them encrypted, then by XOR
// with the second half and encrypted again. The code is the first 8 of the 16
// hexadecimal characters of that.
type ecb struct {
	cipher  vault.Opaque[cipher.Block]
	scratch sync.Pool
}

func newECB(key []byte) (Algorithm, error) {
	if len(key) != singleBytes && len(key) != doubleBytes {
		return nil, wrongKey(UnionPayECB, key, "8 or 16 bytes")
	}
	c, err := cipherkey.OfDES(len(key)).Block(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", UnionPayECB, err)
	}
	return &ecb{cipher: vault.Conceal(c), scratch: newScratch()}, nil
}

// Name implements Algorithm.
func (a *ecb) Name() string { return UnionPayECB }

// Sum implements Algorithm.
func (a *ecb) Sum(data []byte) ([Bytes]byte, error) {
	var folded block
	for len(data) > 0 {
		n := min(len(data), des.BlockSize)
		subtle.XORBytes(folded[:], folded[:], data[:n])
		data = data[n:]
	}
	state, _ := a.scratch.Get().(*block)
	defer a.scratch.Put(state)
	c := *a.cipher.Value()
	*state = characters(folded[:4])
	c.Encrypt(state[:], state[:])
	second := characters(folded[4:])
	subtle.XORBytes(state[:], state[:], second[:])
	c.Encrypt(state[:], state[:])
	return characters(state[:4]), nil
}

// characters writes four bytes as eight upper-case hexadecimal characters.
func characters(four []byte) (text block) {
	const digits = "0123456789ABCDEF"
	for i, b := range four {
		text[2*i], text[2*i+1] = digits[b>>4], digits[b&0x0f]
	}
	return text
}
