package wire

import (
	"crypto/subtle"
	"errors"
	"fmt"
)

const (
	macBytes = 8
	// primaryMAC and secondaryMAC are the last fields of the two bitmaps; the MAC
	// is in the one that comes last in the message.
	primaryMAC   = 64
	secondaryMAC = 128
)

// MACAlgorithm computes a message authentication code under a key it holds. It
// is safe for concurrent use.
type MACAlgorithm interface {
	// Name names the algorithm in configuration and logs.
	Name() string
	// Sum returns the MAC of data; padding to whole blocks is the algorithm's. An
	// error says that the module holding the key could not compute it.
	Sum(data []byte) ([macBytes]byte, error)
}

// macSize returns how many bytes of the wire a MAC field takes, or an error when
// the spec's field cannot hold one.
func (s *Spec) macSize(fieldNumber int) (int, error) {
	e := &s.table[fieldNumber]
	if e.info.Kind != KindBinary || e.info.Length != Fixed || e.info.MaxLength != macBytes {
		return 0, fmt.Errorf("field %d of spec %s is not a MAC field of %d bytes", fieldNumber, s.name, macBytes)
	}
	return e.codec.wireBytes(macBytes), nil
}

// VerifyMAC checks a received payload before any of its fields is trusted: it
// reads no more than the bitmaps. The MAC is the payload's last 8 bytes (16 hex
// characters in ASCII dialects), computed over everything before them, in F128
// when a field above 64 is present and in F64 otherwise.
//
// Errors: [ErrMACMissing] when the last field the bitmaps announce is neither,
// [ErrMACWrong] when it does not match, compared in constant time, a
// *[ParseError] when there are no whole bitmaps; any other error says that the
// algorithm could not compute, and nothing about the message.
func (s *Spec) VerifyMAC(payload []byte, alg MACAlgorithm) error {
	mti, offset, at, reason := s.readMTI(payload)
	if reason != "" {
		return &ParseError{Field: 0, Offset: at, Reason: reason}
	}
	present, offset, fault := s.readBitmaps(payload, offset)
	if fault != nil {
		fault.MTI = mti
		return fault
	}
	last := present.without(secondaryBitmap).last()
	if last != primaryMAC && last != secondaryMAC {
		return ErrMACMissing
	}
	size, err := s.macSize(last)
	if err != nil {
		return err
	}
	if at = len(payload) - size; at < offset {
		return ErrMACMissing
	}
	want, err := alg.Sum(payload[:at])
	if err != nil {
		return fmt.Errorf("compute MAC with %s: %w", alg.Name(), err)
	}
	var got [macBytes]byte
	if !readMAC(&got, payload[at:]) || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return ErrMACWrong
	}
	return nil
}

// readMAC reads a MAC off the wire, where it stands in bytes or in hex digits.
func readMAC(mac *[macBytes]byte, wire []byte) bool {
	if len(wire) == macBytes {
		copy(mac[:], wire)
		return true
	}
	if len(wire) != 2*macBytes || checkHex(wire) != nil {
		return false
	}
	appendUnhex(mac[:0], wire)
	return true
}

// AppendPackWithMAC packs a message with its MAC onto dst, which it returns
// unchanged with an error. The MAC is over what is appended, and is also put into
// m: in F128 when a field above 64 is present, in F64 otherwise. A MAC m had
// before is replaced. The message is packed once, with a placeholder whose bytes
// are then overwritten, so the MAC is over exactly the bytes that leave.
func (s *Spec) AppendPackWithMAC(dst []byte, m *Message, alg MACAlgorithm) ([]byte, error) {
	if alg == nil {
		return dst, errors.New("pack with MAC: no algorithm")
	}
	m.Unset(primaryMAC)
	m.Unset(secondaryMAC)
	target := primaryMAC
	if m.set.last() > primaryMAC {
		target = secondaryMAC
	}
	size, err := s.macSize(target)
	if err != nil {
		return dst, fmt.Errorf("pack with MAC: %w", err)
	}
	var placeholder [macBytes]byte
	m.SetBytes(target, placeholder[:])
	packed, err := s.AppendPack(dst, m)
	if err != nil {
		m.Unset(target)
		return dst, err
	}
	at := len(packed) - size
	sum, err := alg.Sum(packed[len(dst):at])
	if err != nil {
		m.Unset(target)
		return dst, fmt.Errorf("compute MAC with %s: %w", alg.Name(), err)
	}
	m.SetBytes(target, sum[:])
	if size == macBytes {
		copy(packed[at:], sum[:])
	} else {
		appendHex(packed[:at], sum[:])
	}
	return packed, nil
}
