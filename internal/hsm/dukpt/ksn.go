package dukpt

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"meridian/internal/hsm/cipherkey"
)

// Sizes and bounds of the two schemes.
const (
	KSNBytesTDES = 10
	KSNBytesAES  = 12

	counterBitsTDES = 21
	counterMaskTDES = 1<<counterBitsTDES - 1
	maxOnesTDES     = 10 // ANSI X9.24-1:2009 A.2
	maxOnesAES      = 16 // ANSI X9.24-3:2017 §6.3.2
)

// ErrKSN is in the chain of every error about a key serial number.
var ErrKSN = errors.New("not a key serial number")

// KSN is a key serial number: it names a terminal's initial key and counts its
// transactions. It is no secret. The zero KSN is none.
type KSN struct {
	bytes   [KSNBytesAES]byte
	length  int
	counter uint32
}

// Parse reads the key serial number of a transaction under a base key of the
// algorithm: 10 bytes of TDES2, 12 of AES. It fails with [ErrKSN].
func Parse(base cipherkey.Algorithm, b []byte) (KSN, error) {
	length, maxOnes := shape(base)
	if length == 0 {
		return KSN{}, fmt.Errorf("%w: %s is no algorithm of a base key", ErrKSN, base)
	}
	if len(b) != length {
		return KSN{}, fmt.Errorf("%w: %d bytes, %s has %d", ErrKSN, len(b), base, length)
	}
	k := KSN{length: length, counter: binary.BigEndian.Uint32(b[length-4:])}
	copy(k.bytes[:], b)
	if base.IsDES() {
		k.counter &= counterMaskTDES
	}
	switch ones := bits.OnesCount32(k.counter); {
	case ones == 0:
		return KSN{}, fmt.Errorf("%w: counter 0 is no transaction", ErrKSN)
	case ones > maxOnes:
		return KSN{}, fmt.Errorf("%w: its counter has %d ones, at most %d", ErrKSN, ones, maxOnes)
	}
	return k, nil
}

// shape returns the length of a KSN and the most ones in its counter.
func shape(base cipherkey.Algorithm) (length, maxOnes int) {
	switch {
	case base == cipherkey.TDES2:
		return KSNBytesTDES, maxOnesTDES
	case base.IsAES():
		return KSNBytesAES, maxOnesAES
	default:
		return 0, 0
	}
}

// First is the key serial number of a terminal's first transaction: the one of
// its initial key (10 or 12 bytes whose counter does not matter) with counter 1.
// It fails with [ErrKSN].
func First(base cipherkey.Algorithm, initial []byte) (KSN, error) {
	b := slices.Clone(initial)
	if length, _ := shape(base); len(b) != length || length == 0 {
		return Parse(base, b)
	}
	setCounter(b, 1)
	return Parse(base, b)
}

// Counter counts the terminal's transactions, with gaps where counters have too
// many ones. A host refuses one that is not above the last it saw under [KSN.Terminal].
func (k KSN) Counter() uint32 { return k.counter }

// Terminal names the initial key in hexadecimal: the KSN with a counter of 0 in
// TDES, without it in AES.
func (k KSN) Terminal() string {
	b := k.withCounter(0)
	if k.isAES() {
		b = b[:KSNBytesAES-4]
	}
	return strings.ToUpper(hex.EncodeToString(b))
}

// Bytes returns the key serial number as messages carry it.
func (k KSN) Bytes() []byte { return slices.Clone(k.bytes[:k.length]) }

// String returns the key serial number in hexadecimal.
func (k KSN) String() string { return strings.ToUpper(hex.EncodeToString(k.bytes[:k.length])) }

// Next is the key serial number of the terminal's next transaction. It fails with
// [ErrKSN] where the counter is at its end and the terminal needs a new key.
func (k KSN) Next() (KSN, error) {
	last, maxOnes := uint32(counterMaskTDES), maxOnesTDES
	if k.isAES() {
		last, maxOnes = ^uint32(0), maxOnesAES
	}
	// Below a one there is room for one more as long as there are fewer than allowed;
	// with as many, the lowest is carried up: nothing in between has fewer.
	step := uint32(1)
	if bits.OnesCount32(k.counter) >= maxOnes {
		step = k.counter & -k.counter
	}
	if k.counter > last-step {
		return KSN{}, fmt.Errorf("%w: after %d there is no further transaction", ErrKSN, k.counter)
	}
	next := k
	next.counter += step
	copy(next.bytes[:], k.withCounter(next.counter))
	return next, nil
}

func (k KSN) isAES() bool { return k.length == KSNBytesAES }

// withCounter returns the bytes with another counter.
func (k KSN) withCounter(counter uint32) []byte {
	b := k.Bytes()
	setCounter(b, counter)
	return b
}

func setCounter(b []byte, counter uint32) {
	last := b[len(b)-4:]
	if len(b) == KSNBytesTDES {
		counter |= binary.BigEndian.Uint32(last) &^ counterMaskTDES
	}
	binary.BigEndian.PutUint32(last, counter)
}
