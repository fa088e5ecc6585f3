package pinblock

import (
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"fmt"

	"meridian/internal/card"
	"meridian/internal/vault"
)

// Bounds of a PIN (ISO 9564-1:2017 §8.1).
const (
	MinDigits = 4
	MaxDigits = 12
)

var (
	// ErrBlock: no PIN block of the format under the key.
	ErrBlock = errors.New("not a PIN block")
	// ErrPIN: not a PIN. The error says nothing of it.
	ErrPIN = errors.New("not a PIN of 4 to 12 digits")
	// ErrFormat: the format, its key's cipher and a card number do not go together.
	ErrFormat = errors.New("PIN block cannot be made so")
)

// Encrypt returns a PIN's block: 8 bytes under a cipher of DES, 16 of format 4
// under one of AES. A format that is not bound to the card number takes any, also
// the zero one. It fails with [ErrPIN] and [ErrFormat].
func Encrypt(f Format, key cipher.Block, pin vault.Secret, pan card.PAN) ([]byte, error) {
	if err := f.check(key, pan); err != nil {
		return nil, err
	}
	digits := pin.Reveal()
	defer clear(digits)
	if !IsPIN(digits) {
		return nil, ErrPIN
	}
	block := make([]byte, f.BlockBytes())
	setNibble(block, 0, f.control())
	setNibble(block, 1, byte(len(digits)))
	for i, d := range digits {
		setNibble(block, 2+i, d-'0')
	}
	f.fill(block, len(digits))
	switch {
	case f == Format4:
		key.Encrypt(block, block)
		field := panField(pan)
		subtle.XORBytes(block, block, field[:])
	case f.Bound():
		bind(block, pan)
	}
	key.Encrypt(block, block)
	return block, nil
}

// Decrypt returns a block's PIN. It fails with [ErrBlock], whatever is wrong with
// the block, and with [ErrFormat].
func Decrypt(f Format, key cipher.Block, encrypted []byte, pan card.PAN) (vault.Secret, error) {
	if err := f.check(key, pan); err != nil {
		return vault.Secret{}, err
	}
	if len(encrypted) != f.BlockBytes() {
		return vault.Secret{}, ErrBlock
	}
	block := make([]byte, len(encrypted))
	defer clear(block)
	key.Decrypt(block, encrypted)
	switch {
	case f == Format4:
		field := panField(pan)
		subtle.XORBytes(block, block, field[:])
		key.Decrypt(block, block)
	case f.Bound():
		bind(block, pan)
	}
	return f.read(block[:blockBytes])
}

// read looks at every nibble of the first eight bytes, whatever it has seen.
func (f Format) read(block []byte) (vault.Secret, error) {
	digits := int(nibble(block, 1))
	good := nibble(block, 0) == f.control() && digits >= MinDigits && digits <= MaxDigits
	var pin [2*blockBytes - 2]byte
	defer clear(pin[:])
	for i := range pin {
		n := nibble(block, 2+i)
		pin[i] = '0' + n
		isDigit, isFill := n <= 9, f.isFill(n)
		good = good && (i < digits && isDigit || i >= digits && isFill)
	}
	if !good {
		return vault.Secret{}, ErrBlock
	}
	return vault.NewSecret(pin[:digits]), nil
}

func (f Format) check(key cipher.Block, pan card.PAN) error {
	switch {
	case !f.Valid():
		return fmt.Errorf("%w: there is no %s", ErrFormat, f)
	case key.BlockSize() != f.BlockBytes():
		return fmt.Errorf("%w: format %s with a cipher of %d bytes, want %d", ErrFormat, f, key.BlockSize(), f.BlockBytes())
	case f.Bound() && pan.IsZero():
		return fmt.Errorf("%w: format %s without a card number", ErrFormat, f)
	}
	return nil
}

// IsPIN reports whether these are the digits of a PIN.
func IsPIN(digits []byte) bool {
	if len(digits) < MinDigits || len(digits) > MaxDigits {
		return false
	}
	good := true
	for _, d := range digits {
		good = good && d >= '0' && d <= '9'
	}
	return good
}
