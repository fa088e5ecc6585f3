package track

import (
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	blockBytes  = 8
	blockDigits = 2 * blockBytes

	// MinDigits leaves a byte behind the block.
	MinDigits = blockDigits + 1
	// MaxDigits is the length of a track 3.
	MaxDigits = 104
)

// ErrTrack is in the chain of every error about a track. Such errors contain
// nothing of it.
var ErrTrack = errors.New("not a track")

// Encrypt returns the track with its block encrypted under a cipher with blocks of
// 8 bytes. It fails with [ErrTrack].
func Encrypt(key cipher.Block, track string) (string, error) {
	return apply(key, track, func(block []byte) { key.Encrypt(block, block) }, digitsOnly, anyNibble)
}

// Decrypt is the inverse of [Encrypt], with D for separators. It fails with
// [ErrTrack] too where what comes out is no track, as under another key.
func Decrypt(key cipher.Block, track string) (string, error) {
	return apply(key, track, func(block []byte) { key.Decrypt(block, block) }, anyNibble, digitsOnly)
}

const (
	digitsOnly = "0123456789D"
	anyNibble  = "0123456789ABCDEF"
)

// apply replaces the block. Before and after, its nibbles are of the given ones.
func apply(key cipher.Block, track string, change func(block []byte), before, after string) (string, error) {
	if key.BlockSize() != blockBytes {
		return "", fmt.Errorf("%w: under a cipher of %d bytes, want %d", ErrTrack, key.BlockSize(), blockBytes)
	}
	if len(track) < MinDigits || len(track) > MaxDigits {
		return "", fmt.Errorf("%w: %d characters, want %d to %d", ErrTrack, len(track), MinDigits, MaxDigits)
	}
	track = strings.ReplaceAll(track, "=", "D")
	end := (len(track) - 1) / 2 * 2 // where the byte with the last digit begins
	from := end - blockDigits
	if strings.Trim(track[:from], digitsOnly) != "" || strings.Trim(track[end:], digitsOnly) != "" || strings.Trim(track[from:end], before) != "" {
		return "", fmt.Errorf("%w: a character that is none of a track", ErrTrack)
	}
	block, err := hex.DecodeString(track[from:end])
	if err != nil {
		return "", fmt.Errorf("%w: a character that is none of a track", ErrTrack)
	}
	change(block)
	changed := strings.ToUpper(hex.EncodeToString(block))
	if strings.Trim(changed, after) != "" {
		return "", fmt.Errorf("%w: what was decrypted is none", ErrTrack)
	}
	return track[:from] + changed + track[end:], nil
}
