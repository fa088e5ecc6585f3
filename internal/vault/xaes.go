package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
)

const (
	aes256KeyBytes = 32
	xaesNonceBytes = 24
	gcmNonceBytes  = 12
	gcmTagBytes    = 16
)

// xaes is AES-256-GCM under a key of its own for each message, as
// C2SP's XAES-256-GCM derives it: half of a random 24-byte nonce goes into the
// key, half into GCM.
//
// Plain AES-256-GCM with its random 12-byte nonce allows 2^32 messages per key
// (NIST SP 800-38D §8.3). A switch that wraps a card number per transaction, at
// 20,000 a second, is past that within three days; here 2^80 messages are
// allowed, so key rotation is a matter of policy and not of counting.
type xaes struct {
	block  cipher.Block
	subkey [aes.BlockSize]byte // K1 of CMAC
}

func newXAES(key []byte) (*xaes, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up AES-256: %w", err)
	}
	x := &xaes{block: block}
	// CMAC's subkey (NIST SP 800-38B §6.1): the zero block encrypted, doubled in
	// GF(2^128), without a branch on its top bit.
	block.Encrypt(x.subkey[:], x.subkey[:])
	var carry byte
	for i := len(x.subkey) - 1; i >= 0; i-- {
		next := x.subkey[i] >> 7
		x.subkey[i] = x.subkey[i]<<1 | carry
		carry = next
	}
	const reduction = 0x87
	x.subkey[len(x.subkey)-1] ^= reduction & -carry
	return x, nil
}

// messageCipher derives the key of one message: CMAC in the counter mode of
// NIST SP 800-108 with the label "X", which for one block of input is one
// encryption for each half of the key.
func (x *xaes) messageCipher(keyNonce []byte) (cipher.AEAD, error) {
	var key [aes256KeyBytes]byte
	for half := range 2 {
		block := key[half*aes.BlockSize : (half+1)*aes.BlockSize]
		copy(block, []byte{0, byte(half + 1), 'X', 0})
		copy(block[4:], keyNonce)
		subtle.XORBytes(block, block, x.subkey[:])
		x.block.Encrypt(block, block)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("set up AES-256: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("set up GCM: %w", err)
	}
	return aead, nil
}

// seal appends a fresh nonce, the ciphertext and the tag to dst.
func (x *xaes) seal(dst, plain, associated []byte) ([]byte, error) {
	var nonce [xaesNonceBytes]byte
	_, _ = rand.Read(nonce[:]) // never fails: it ends the program instead
	return x.sealWith(nonce, dst, plain, associated)
}

func (x *xaes) sealWith(nonce [xaesNonceBytes]byte, dst, plain, associated []byte) ([]byte, error) {
	aead, err := x.messageCipher(nonce[:gcmNonceBytes])
	if err != nil {
		return nil, err
	}
	return aead.Seal(append(dst, nonce[:]...), nonce[gcmNonceBytes:], plain, associated), nil
}

// open returns the plain text of nonce, ciphertext and tag; the caller has
// checked that they are at least as long as a nonce and a tag. It fails with
// [ErrUnwrap].
func (x *xaes) open(sealed, associated []byte) ([]byte, error) {
	nonce, ciphertext := sealed[:xaesNonceBytes], sealed[xaesNonceBytes:]
	aead, err := x.messageCipher(nonce[:gcmNonceBytes])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce[gcmNonceBytes:], ciphertext, associated)
	if err != nil {
		return nil, ErrUnwrap
	}
	return plain, nil
}
