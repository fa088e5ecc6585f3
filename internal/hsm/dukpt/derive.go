package dukpt

import (
	"errors"
	"fmt"

	"meridian/internal/hsm/cipherkey"
)

// Purpose is what a working key is for. Request and response are the terminal's:
// it sends the first and receives the second.
type Purpose uint8

// The purposes of working keys.
const (
	PIN Purpose = iota + 1
	MACRequest
	MACResponse
	DataRequest
	DataResponse
)

// ErrKey is in the chain of errors about a key that cannot be derived so.
var ErrKey = errors.New("key cannot be derived")

// InitialKey derives a terminal's initial key from a base key of TDES2 or AES;
// the KSN's counter does not matter. The initial key has the base key's algorithm.
// It fails with [ErrKey].
func InitialKey(base cipherkey.Algorithm, key []byte, ksn KSN) ([]byte, error) {
	if err := check(base, key, ksn); err != nil {
		return nil, fmt.Errorf("initial key: %w", err)
	}
	if base.IsAES() {
		return initialAES(base, key, ksn)
	}
	return initialTDES(key, ksn)
}

// WorkingKey derives the key of one transaction and one purpose from a terminal's
// initial key. Under TDES2 it is a key of TDES2, under AES one of AES or of TDES2
// that is not stronger. It fails with [ErrKey].
func WorkingKey(initial cipherkey.Algorithm, key []byte, ksn KSN, purpose Purpose, working cipherkey.Algorithm) ([]byte, error) {
	if err := check(initial, key, ksn); err != nil {
		return nil, fmt.Errorf("working key: %w", err)
	}
	if purpose < PIN || purpose > DataResponse {
		return nil, fmt.Errorf("working key: %w: no purpose", ErrKey)
	}
	if working != cipherkey.TDES2 && (!initial.IsAES() || !working.IsAES() || working > initial) {
		return nil, fmt.Errorf("working key: %w: %s from %s", ErrKey, working, initial)
	}
	if initial.IsAES() {
		return workingAES(initial, key, ksn, purpose, working)
	}
	return workingTDES(key, ksn, purpose)
}

func check(a cipherkey.Algorithm, key []byte, ksn KSN) error {
	length, _ := shape(a)
	switch {
	case length == 0:
		return fmt.Errorf("%w: from %s", ErrKey, a)
	case len(key) != a.KeyBytes():
		return fmt.Errorf("%w: from %d bytes for %s", ErrKey, len(key), a)
	case ksn.length != length:
		return fmt.Errorf("%w: %s with a key serial number of %d bytes", ErrKey, a, ksn.length)
	}
	return nil
}
