package cipherkey

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// Generate draws a key. Keys of DES have odd parity and pass [CheckStrength]. It
// fails with [ErrKey] where there is no such algorithm.
func Generate(a Algorithm) ([]byte, error) {
	if !a.Valid() {
		return nil, fmt.Errorf("%w: there is no %s", ErrKey, a)
	}
	key := make([]byte, a.KeyBytes())
	for {
		_, _ = rand.Read(key) // never fails: it ends the program instead
		if a.IsDES() {
			SetOddParity(key)
		}
		if CheckStrength(a, key) == nil { // one in 2^52 does not pass
			return key, nil
		}
	}
}

// weakKeys are DES's four weak and twelve semi-weak keys (NIST SP 800-67r2
// §3.3.2), under which encrypting twice gives back the text or what another such
// key makes of it.
var weakKeys = [...]uint64{
	0x0101010101010101, 0xfefefefefefefefe, 0xe0e0e0e0f1f1f1f1, 0x1f1f1f1f0e0e0e0e,
	0x011f011f010e010e, 0x1f011f010e010e01, 0x01e001e001f101f1, 0xe001e001f101f101,
	0x01fe01fe01fe01fe, 0xfe01fe01fe01fe01, 0x1fe01fe00ef10ef1, 0xe01fe01ff10ef10e,
	0x1ffe1ffe0efe0efe, 0xfe1ffe1ffe0efe0e, 0xe0fee0fef1fef1fe, 0xfee0fee0fef1fef1,
}

// CheckStrength refuses a key that is no better than a shorter one: a constant, a
// key of DES one of whose parts is weak, one of triple DES with equal neighbouring
// parts, which is single DES. It fails with [ErrKey].
func CheckStrength(a Algorithm, key []byte) error {
	if !a.Valid() || len(key) != a.KeyBytes() {
		return fmt.Errorf("%w: %d bytes for %s, want %d", ErrKey, len(key), a, a.KeyBytes())
	}
	if bytes.Count(key, key[:1]) == len(key) {
		return fmt.Errorf("%w: all its bytes are the same", ErrKey)
	}
	if !a.IsDES() {
		return nil
	}
	odd := bytes.Clone(key)
	defer clear(odd)
	SetOddParity(odd)
	const part = 8
	for at := 0; at < len(odd); at += part {
		this := odd[at : at+part]
		for _, weak := range weakKeys {
			if subtle.ConstantTimeCompare(this, binary.BigEndian.AppendUint64(nil, weak)) == 1 {
				return fmt.Errorf("%w: a weak key of DES is part of it", ErrKey)
			}
		}
		if at > 0 && subtle.ConstantTimeCompare(this, odd[at-part:at]) == 1 {
			return fmt.Errorf("%w: two parts of it are the same", ErrKey)
		}
	}
	return nil
}
