package keyblock

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"meridian/internal/hsm/cipherkey"
)

// lengthBytes says the key's length in bits, before the key.
const lengthBytes = 2

// Seal returns the block of a clear key under a clear protection key, with the
// header's optional blocks and a padding one where they need it. The payload is no
// longer than the key makes it: its length tells the key's. It fails with
// [ErrFormat].
func Seal(protection cipherkey.Algorithm, kbpk []byte, h Header, key []byte) (string, error) {
	version := VersionFor(protection)
	size := blockBytes(version)
	if size == 0 {
		return "", fmt.Errorf("%w: %s protects no key", ErrFormat, protection)
	}
	if len(key) == 0 || len(key) > cipherkey.MaxBytes {
		return "", fmt.Errorf("%w: a key of %d bytes", ErrFormat, len(key))
	}
	payload := make([]byte, (lengthBytes+len(key)+size-1)/size*size)
	defer clear(payload)
	_, _ = rand.Read(payload) // never fails: it ends the program instead
	binary.BigEndian.PutUint16(payload, uint16(8*len(key)))
	copy(payload[lengthBytes:], key)

	header, err := h.text(version, hex.EncodedLen(len(payload)+size))
	if err != nil {
		return "", err
	}
	keys, err := derive(protection, kbpk)
	if err != nil {
		return "", err
	}
	code := keys.mac(header, payload)
	encrypted := make([]byte, len(payload))
	cipher.NewCBCEncrypter(keys.encryption, code).CryptBlocks(encrypted, payload)
	return header + strings.ToUpper(hex.EncodeToString(encrypted)+hex.EncodeToString(code)), nil
}

// Open returns a block's header and clear key. It fails with [ErrFormat] and
// [ErrMAC]; what the header says is for the caller to judge.
func Open(protection cipherkey.Algorithm, kbpk []byte, block string) (Header, []byte, error) {
	version, h, at, err := split(block)
	if err != nil {
		return Header{}, nil, err
	}
	if VersionFor(protection) != version {
		return Header{}, nil, fmt.Errorf("%w: version %c is not protected by %s", ErrFormat, version, protection)
	}
	header, rest := block[:at], block[at:]
	size := blockBytes(version)
	encrypted, err := unhex(rest)
	if err != nil {
		return Header{}, nil, err
	}
	if len(encrypted)%size != 0 || len(encrypted) < 2*size {
		return Header{}, nil, fmt.Errorf("%w: its encrypted part has %d bytes", ErrFormat, len(encrypted))
	}
	keys, err := derive(protection, kbpk)
	if err != nil {
		return Header{}, nil, err
	}
	payload, code := encrypted[:len(encrypted)-size], encrypted[len(encrypted)-size:]
	defer clear(payload)
	cipher.NewCBCDecrypter(keys.encryption, code).CryptBlocks(payload, payload)
	if subtle.ConstantTimeCompare(keys.mac(header, payload), code) != 1 {
		return Header{}, nil, ErrMAC
	}
	bits := int(binary.BigEndian.Uint16(payload))
	if bits == 0 || bits%8 != 0 || bits/8 > min(cipherkey.MaxBytes, len(payload)-lengthBytes) {
		return Header{}, nil, fmt.Errorf("%w: its key has %d bits", ErrFormat, bits)
	}
	key := make([]byte, bits/8)
	copy(key, payload[lengthBytes:])
	return h, key, nil
}

// unhex decodes upper case alone: a block has one spelling.
func unhex(text string) ([]byte, error) {
	if strings.ContainsAny(text, "abcdef") {
		return nil, fmt.Errorf("%w: its encrypted part is not in upper case", ErrFormat)
	}
	b, err := hex.DecodeString(text)
	if err != nil { // err quotes the character
		return nil, fmt.Errorf("%w: its encrypted part is not hexadecimal", ErrFormat)
	}
	return b, nil
}

// derived are the keys that a protection key is made into.
type derived struct {
	encryption     cipher.Block
	authentication *cipherkey.CMAC
}

// Uses of derived keys (X9.143 §7.2, table 12).
const (
	useEncryption     = 0
	useAuthentication = 1
)

// algorithmNumbers name the algorithm of what is derived (X9.143 §7.2).
var algorithmNumbers = map[cipherkey.Algorithm]uint16{
	cipherkey.TDES2: 0, cipherkey.TDES3: 1, cipherkey.AES128: 2, cipherkey.AES192: 3, cipherkey.AES256: 4,
}

func derive(protection cipherkey.Algorithm, kbpk []byte) (derived, error) {
	block, err := protection.Block(kbpk)
	if err != nil {
		return derived{}, fmt.Errorf("%w: protection key: %w", ErrFormat, err)
	}
	code := cipherkey.NewCMAC(block)
	var blocks [2]cipher.Block
	for use := range blocks {
		input := make([]byte, 8)
		input[2] = byte(use)
		binary.BigEndian.PutUint16(input[4:], algorithmNumbers[protection])
		binary.BigEndian.PutUint16(input[6:], uint16(8*protection.KeyBytes()))
		var key []byte
		for len(key) < protection.KeyBytes() {
			input[0]++
			sum := code.Sum(input)
			key = append(key, sum[:block.BlockSize()]...)
		}
		if blocks[use], err = protection.Block(key[:protection.KeyBytes()]); err != nil {
			return derived{}, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		clear(key)
	}
	return derived{blocks[useEncryption], cipherkey.NewCMAC(blocks[useAuthentication])}, nil
}

// mac authenticates what the block says and what it holds.
func (d derived) mac(header string, payload []byte) []byte {
	text := make([]byte, 0, len(header)+len(payload))
	text = append(text, header...)
	text = append(text, payload...)
	defer clear(text)
	sum := d.authentication.Sum(text)
	return sum[:d.encryption.BlockSize()]
}
