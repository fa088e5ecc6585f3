package dukpt

import (
	"crypto/cipher"
	"crypto/subtle"
	"slices"

	"meridian/internal/hsm/cipherkey"
)

const (
	halfBytes = 8
	tdesBytes = 16
)

// keyMask makes of a key its other self: it derives right halves of initial keys
// and left halves of all others (ANSI X9.24-1:2009 A.2, A.6).
var keyMask = [tdesBytes]byte{0: 0xc0, 1: 0xc0, 2: 0xc0, 3: 0xc0, 8: 0xc0, 9: 0xc0, 10: 0xc0, 11: 0xc0}

// variantByte is the byte of each half that a purpose inverts (ANSI X9.24-1:2009
// A.4.1, table A-1).
var variantByte = [...]int{PIN: 7, MACRequest: 6, MACResponse: 4, DataRequest: 5, DataResponse: 3}

func masked(key []byte) []byte {
	other := make([]byte, len(key))
	subtle.XORBytes(other, key, keyMask[:])
	return other
}

func initialTDES(base []byte, ksn KSN) ([]byte, error) {
	serial := ksn.withCounter(0)[:halfBytes]
	initial := make([]byte, tdesBytes)
	for i, key := range [][]byte{base, masked(base)} {
		block, err := cipherkey.TDES2.Block(key)
		if err != nil {
			return nil, err
		}
		block.Encrypt(initial[i*halfBytes:(i+1)*halfBytes], serial)
	}
	return initial, nil
}

// workingTDES sets the counter's ones from the left, each making a new key.
func workingTDES(initial []byte, ksn KSN, purpose Purpose) ([]byte, error) {
	key := slices.Clone(initial)
	register := ksn.withCounter(0)[KSNBytesTDES-halfBytes:]
	var counter uint32
	for bit := uint32(1) << (counterBitsTDES - 1); bit > 0; bit >>= 1 {
		if ksn.counter&bit == 0 {
			continue
		}
		counter |= bit
		copy(register, ksn.withCounter(counter)[KSNBytesTDES-halfBytes:])
		if err := nextKey(key, register); err != nil {
			return nil, err
		}
	}
	for _, half := range [][]byte{key[:halfBytes], key[halfBytes:]} {
		half[variantByte[purpose]] ^= 0xff
	}
	if purpose == DataRequest || purpose == DataResponse {
		return oneWay(key)
	}
	return key, nil
}

// nextKey is the non-reversible key generation process (ANSI X9.24-1:2009 A.2).
func nextKey(key, register []byte) error {
	next := make([]byte, tdesBytes)
	for i, from := range [][]byte{masked(key), key} { // the left half, the right one
		block, err := cipherkey.DES.Block(from[:halfBytes])
		if err != nil {
			return err
		}
		encryptBetween(next[i*halfBytes:(i+1)*halfBytes], block, register, from[halfBytes:])
	}
	copy(key, next)
	return nil
}

// encryptBetween encrypts text with the key's right half added before and after.
func encryptBetween(dst []byte, block cipher.Block, text, right []byte) {
	subtle.XORBytes(dst, text, right)
	block.Encrypt(dst, dst)
	subtle.XORBytes(dst, dst, right)
}

// oneWay encrypts a data key's halves under itself, so that the key of a PIN pad's
// software does not give away the transaction's other keys.
func oneWay(variant []byte) ([]byte, error) {
	block, err := cipherkey.TDES2.Block(variant)
	if err != nil {
		return nil, err
	}
	key := make([]byte, tdesBytes)
	block.Encrypt(key[:halfBytes], variant[:halfBytes])
	block.Encrypt(key[halfBytes:], variant[halfBytes:])
	return key, nil
}
