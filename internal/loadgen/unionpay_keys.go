package loadgen

import (
	"crypto/cipher"
	"crypto/des" //nolint:gosec // UnionPay's terminals have no other
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Keys are the working keys of a session, in clear.
type Keys struct{ PIK, MAK, TDK []byte }

// ErrCheckValue: a working key does not have the check value that came with it.
var ErrCheckValue = errors.New("a working key differs from its check value")

const checkBytes = 4

// OpenKeys reads F62 of a sign-in: PIN key and MAC key, after 004 the track key,
// each enciphered under the terminal's master key and followed by the first four
// bytes of what the key makes of zeros. A key whose second half is zeros on the
// wire has one half.
func OpenKeys(masterKey []byte, f62 string) (Keys, error) {
	form, known := map[int]struct{ keys, keyBytes int }{24: {2, 8}, 40: {2, 16}, 60: {3, 16}}[len(f62)]
	if !known {
		return Keys{}, fmt.Errorf("working keys: %d bytes are neither 24, 40 nor 60", len(f62))
	}
	var keys Keys
	for i, key := range []*[]byte{&keys.PIK, &keys.MAK, &keys.TDK}[:form.keys] {
		one := f62[i*(form.keyBytes+checkBytes):][:form.keyBytes+checkBytes]
		sent := []byte(one[:form.keyBytes])
		if form.keyBytes == 16 && string(sent[8:]) == strings.Repeat("\x00", 8) {
			sent = sent[:8]
		}
		plain, err := ecb(masterKey, sent, cipher.Block.Decrypt)
		if err != nil {
			return Keys{}, fmt.Errorf("working key %d: %w", i+1, err)
		}
		value, err := CheckValue(plain)
		if err != nil {
			return Keys{}, fmt.Errorf("working key %d: %w", i+1, err)
		}
		if subtle.ConstantTimeCompare(value, []byte(one[form.keyBytes:])) != 1 {
			return Keys{}, fmt.Errorf("working key %d: %w", i+1, ErrCheckValue)
		}
		*key = plain
	}
	return keys, nil
}

// CheckValue is the first four bytes of what a key makes of zeros.
func CheckValue(key []byte) ([]byte, error) {
	all, err := ecb(key, make([]byte, 8), cipher.Block.Encrypt)
	if err != nil {
		return nil, err
	}
	return all[:checkBytes], nil
}

// MAC of a message up to its F64: all blocks of eight bytes under each other, the
// sum in hexadecimal characters, its first half under the key, the second half
// added, under the key again; the first four bytes in hexadecimal characters.
func MAC(key, message []byte) ([8]byte, error) {
	var sum [8]byte
	for i, b := range message {
		sum[i%8] ^= b
	}
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	first, err := ecb(key, []byte(text[:8]), cipher.Block.Encrypt)
	if err != nil {
		return sum, err
	}
	for i := range first {
		first[i] ^= text[8+i]
	}
	second, err := ecb(key, first, cipher.Block.Encrypt)
	if err != nil {
		return sum, err
	}
	return [8]byte([]byte(strings.ToUpper(hex.EncodeToString(second[:4])))), nil
}

// PINBlock is ANSI X9.8 with the card number, under the PIN key.
func PINBlock(key []byte, pin, pan string) ([]byte, error) {
	if len(pin) < 4 || len(pin) > 12 || len(pan) < 13 {
		return nil, errors.New("PIN block: no PIN or no card number")
	}
	block, err := hex.DecodeString(fmt.Sprintf("0%X%s%s", len(pin), pin, strings.Repeat("F", 14-len(pin))))
	if err != nil {
		return nil, errors.New("PIN block: a PIN of other things than digits")
	}
	number, err := hex.DecodeString("0000" + pan[len(pan)-13:len(pan)-1])
	if err != nil {
		return nil, errors.New("PIN block: a card number of other things than digits")
	}
	for i := range block {
		block[i] ^= number[i]
	}
	return ecb(key, block, cipher.Block.Encrypt)
}

// SealTrack enciphers a track under the track key: eight bytes, those before the
// byte with its last digit. The separator is packed as D. Track 2 as it goes in F35.
func SealTrack(key []byte, track string) (string, error) {
	packed := bcd(track, true)
	last := (len(track) - 1) / 2
	if last < 8 {
		return "", errors.New("track: too short to be enciphered")
	}
	sealed, err := ecb(key, packed[last-8:last], cipher.Block.Encrypt)
	if err != nil {
		return "", err
	}
	copy(packed[last-8:], sealed)
	return unpack(packed)[:len(track)], nil
}

// ecb does something to every block of data under a key of one or two halves.
func ecb(key, data []byte, do func(c cipher.Block, to, from []byte)) ([]byte, error) {
	var c cipher.Block
	var err error
	switch len(key) {
	case 8:
		c, err = des.NewCipher(key) //nolint:gosec // as above
	case 16:
		c, err = des.NewTripleDESCipher(append(append([]byte(nil), key...), key[:8]...)) //nolint:gosec // as above
	default:
		err = fmt.Errorf("a DES key of %d bytes", len(key))
	}
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	for i := 0; i+8 <= len(data); i += 8 {
		do(c, out[i:i+8], data[i:i+8])
	}
	return out, nil
}
