package cipherkey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // terminals have no other; see the package's algorithms
	"errors"
	"fmt"
	"slices"
)

// Algorithm is a block cipher with a key size. Its numbers are stored.
type Algorithm uint8

// The algorithms.
const (
	DES    Algorithm = 1
	TDES2  Algorithm = 2
	TDES3  Algorithm = 3
	AES128 Algorithm = 4
	AES192 Algorithm = 5
	AES256 Algorithm = 6
)

var algorithms = [...]struct {
	name  string
	bytes int
}{
	DES: {"des", 8}, TDES2: {"tdes-2", 16}, TDES3: {"tdes-3", 24},
	AES128: {"aes-128", 16}, AES192: {"aes-192", 24}, AES256: {"aes-256", 32},
}

// MaxBytes is the length of the longest key.
const MaxBytes = 32

// ErrKey is in the chain of every error about a clear key.
var ErrKey = errors.New("not a key")

// Valid reports whether there is such an algorithm.
func (a Algorithm) Valid() bool { return a >= DES && a <= AES256 }

// String returns the algorithm's name in commands and logs, such as "tdes-2".
func (a Algorithm) String() string {
	if !a.Valid() {
		return fmt.Sprintf("algorithm %d", uint8(a))
	}
	return algorithms[a].name
}

// Parse is the inverse of [Algorithm.String].
func Parse(name string) (Algorithm, error) {
	for a := DES; a.Valid(); a++ {
		if algorithms[a].name == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("%q is no algorithm of keys", name)
}

// KeyBytes is the length of the algorithm's keys, 0 of no algorithm.
func (a Algorithm) KeyBytes() int {
	if !a.Valid() {
		return 0
	}
	return algorithms[a].bytes
}

// IsDES reports whether the cipher is DES or triple DES, with blocks of 8 bytes.
func (a Algorithm) IsDES() bool { return a >= DES && a <= TDES3 }

// IsAES reports whether the cipher is AES, with blocks of 16 bytes.
func (a Algorithm) IsAES() bool { return a >= AES128 && a <= AES256 }

// OfDES returns the algorithm of a DES key by its length, 0 if there is none.
func OfDES(keyBytes int) Algorithm { return find(DES, TDES3, keyBytes) }

// OfAES returns the algorithm of an AES key by its length, 0 if there is none.
func OfAES(keyBytes int) Algorithm { return find(AES128, AES256, keyBytes) }

func find(from, to Algorithm, keyBytes int) Algorithm {
	for a := from; a <= to; a++ {
		if algorithms[a].bytes == keyBytes {
			return a
		}
	}
	return 0
}

// Block returns the cipher under a key: DES under a single-length key, triple
// DES with K3 = K1 under a double-length one. It fails with [ErrKey].
func (a Algorithm) Block(key []byte) (cipher.Block, error) {
	if !a.Valid() || len(key) != a.KeyBytes() {
		return nil, fmt.Errorf("%w: %d bytes for %s, want %d", ErrKey, len(key), a, a.KeyBytes())
	}
	var block cipher.Block
	var err error
	switch a {
	case DES:
		block, err = des.NewCipher(key) //nolint:gosec // UnionPay's single-length working keys
	case TDES2:
		block, err = des.NewTripleDESCipher(slices.Concat(key, key[:8])) //nolint:gosec // double length is what PIN pads have
	case TDES3:
		block, err = des.NewTripleDESCipher(key) //nolint:gosec // as TDES2
	default:
		block, err = aes.NewCipher(key)
	}
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", a, err)
	}
	return block, nil
}
