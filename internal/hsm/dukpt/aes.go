package dukpt

import (
	"crypto/aes"
	"encoding/binary"

	"meridian/internal/hsm/cipherkey"
)

// Values of the derivation data (ANSI X9.24-3:2017 §6.3.1, tables 1 to 3).
const (
	derivationVersion = 1

	usageKeyDerivation = 0x8000
	usageInitialKey    = 0x8001
)

var usages = [...]uint16{PIN: 0x1000, MACRequest: 0x2000, MACResponse: 0x2001, DataRequest: 0x3000, DataResponse: 0x3001}

var algorithmNumbers = map[cipherkey.Algorithm]uint16{
	cipherkey.TDES2: 0, cipherkey.AES128: 2, cipherkey.AES192: 3, cipherkey.AES256: 4,
}

func initialAES(base cipherkey.Algorithm, key []byte, ksn KSN) ([]byte, error) {
	return derive(base, key, usageInitialKey, base, ksn.bytes[:8])
}

// workingAES sets the counter's ones from the left, each making a new key to
// derive from.
func workingAES(initial cipherkey.Algorithm, key []byte, ksn KSN, purpose Purpose, working cipherkey.Algorithm) ([]byte, error) {
	var counter uint32
	for bit := uint32(1) << 31; bit > 0; bit >>= 1 {
		if ksn.counter&bit == 0 {
			continue
		}
		counter |= bit
		var err error
		if key, err = derive(initial, key, usageKeyDerivation, initial, ksn.withCounter(counter)[4:]); err != nil {
			return nil, err
		}
	}
	return derive(initial, key, usages[purpose], working, ksn.bytes[4:])
}

// derive encrypts what the new key shall be: one block of it for each sixteen
// bytes. The context is eight bytes of the key serial number.
func derive(from cipherkey.Algorithm, key []byte, usage uint16, to cipherkey.Algorithm, context []byte) ([]byte, error) {
	block, err := from.Block(key)
	if err != nil {
		return nil, err
	}
	var data [aes.BlockSize]byte
	data[0] = derivationVersion
	binary.BigEndian.PutUint16(data[2:], usage)
	binary.BigEndian.PutUint16(data[4:], algorithmNumbers[to])
	binary.BigEndian.PutUint16(data[6:], uint16(8*to.KeyBytes()))
	copy(data[8:], context)
	derived := make([]byte, 0, 2*aes.BlockSize)
	for len(derived) < to.KeyBytes() {
		data[1]++
		derived = append(derived, make([]byte, aes.BlockSize)...)
		block.Encrypt(derived[len(derived)-aes.BlockSize:], data[:])
	}
	return derived[:to.KeyBytes()], nil
}
