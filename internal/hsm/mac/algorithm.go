package mac

import (
	"errors"
	"fmt"

	"meridian/internal/hsm/cipherkey"
)

// The names of the algorithms in configuration and in terminals' rows.
const (
	UnionPayECB = "unionpay-ecb"
	X99         = "x9.9"
	X919        = "x919"
	AESCMAC     = "aes-cmac"
)

// Bytes is the length of every code here.
const Bytes = 8

// ErrAlgorithm is in the chain of every error: there is no such algorithm, or not
// with such a key.
var ErrAlgorithm = errors.New("no such MAC")

// Algorithm is a message authentication code under a key it holds.
type Algorithm interface {
	// Name is one of the package's names.
	Name() string
	// Sum returns the code of data. It does not fail.
	Sum(data []byte) ([Bytes]byte, error)
}

// KeyAlgorithm returns the algorithm of a clear key by its length, as the MAC
// wants it.
func KeyAlgorithm(name string, keyBytes int) cipherkey.Algorithm {
	if name == AESCMAC {
		return cipherkey.OfAES(keyBytes)
	}
	return cipherkey.OfDES(keyBytes)
}

// New returns the algorithm under a clear key, whose length says which cipher it
// is for. It fails with [ErrAlgorithm].
func New(name string, key []byte) (Algorithm, error) {
	switch name {
	case UnionPayECB:
		return newECB(key)
	case X99:
		return newX99(key)
	case X919:
		return newX919(key)
	case AESCMAC:
		return newCMAC(key)
	default:
		return nil, fmt.Errorf("%w: there is no algorithm %q", ErrAlgorithm, name)
	}
}

// Resists tells whether codes over messages of somebody's choice help him to none
// over another message. UnionPay's is of a sum that any message can be made to
// have; X9.9's chains blocks, and a code is where its chain can be taken up. Under
// those nothing may be signed for strangers.
func Resists(name string) bool { return name == X919 || name == AESCMAC }

// wrongKey refuses a key that the algorithm does not take.
func wrongKey(name string, key []byte, want string) error {
	return fmt.Errorf("%w: %s takes a key of %s, not of %d bytes", ErrAlgorithm, name, want, len(key))
}
