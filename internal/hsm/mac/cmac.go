package mac

import (
	"fmt"

	"meridian/internal/hsm/cipherkey"
)

// cmac is AES-CMAC, cut to the eight bytes a message has for its code.
type cmac struct {
	code *cipherkey.CMAC
}

func newCMAC(key []byte) (Algorithm, error) {
	algorithm := cipherkey.OfAES(len(key))
	if algorithm == 0 {
		return nil, wrongKey(AESCMAC, key, "16, 24 or 32 bytes")
	}
	c, err := algorithm.Block(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", AESCMAC, err)
	}
	return &cmac{code: cipherkey.NewCMAC(c)}, nil
}

// Name implements Algorithm.
func (a *cmac) Name() string { return AESCMAC }

// Sum implements Algorithm.
func (a *cmac) Sum(data []byte) ([Bytes]byte, error) {
	sum := a.code.Sum(data)
	return [Bytes]byte(sum[:Bytes]), nil
}
