package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/moov-io/iso8583/field"
)

// Pack writes a message, from the MTI to its last field. A message that was
// parsed in the same spec gives the bytes it was parsed from, except for the
// fields changed since. The error is a *[PackError].
func (s *Spec) Pack(m *Message) ([]byte, error) { return s.AppendPack(nil, m) }

// reasonUndefined refuses a field that the spec does not have.
const reasonUndefined = "field is not defined in this spec"

// AppendPack is Pack onto dst, which it returns unchanged with an error.
func (s *Spec) AppendPack(dst []byte, m *Message) ([]byte, error) {
	out, f := s.packMTI(dst, m)
	if f != nil {
		return dst, &PackError{MTI: m.mti, Field: 0, Reason: f.reason}
	}
	out = s.packBitmaps(out, m)
	for i := range m.items {
		it := &m.items[i]
		var f *fault
		if out, f = s.packField(out, m, it); f != nil {
			return dst, &PackError{MTI: m.mti, Field: int(it.field), Reason: f.reason}
		}
	}
	if m.misfit != 0 {
		return dst, &PackError{MTI: m.mti, Field: m.misfit, Reason: reasonUndefined}
	}
	return out, nil
}

func (s *Spec) packMTI(dst []byte, m *Message) ([]byte, *fault) {
	if len(m.mti) != mtiDigits {
		return dst, &fault{reason: fmt.Sprintf("length %d is not the fixed length of %d", len(m.mti), mtiDigits)}
	}
	for i := range mtiDigits {
		if !isDigit(m.mti[i]) {
			return dst, &fault{at: i, reason: reasonDigit}
		}
	}
	if s.mti.wireBytes(mtiDigits) == mtiDigits {
		return append(dst, m.mti...), nil
	}
	return append(dst, (m.mti[0]-'0')<<4|(m.mti[1]-'0'), (m.mti[2]-'0')<<4|(m.mti[3]-'0')), nil
}

// packBitmaps writes one bitmap, or two when a field above 64 is present. As
// long as the fields are the ones that came, the bitmaps are the bytes that came:
// a peer may write them in lower case, or send an empty second one.
func (s *Spec) packBitmaps(dst []byte, m *Message) []byte {
	set := m.set
	if m.spec == s && !m.bitmap.empty() && m.came == set {
		return append(dst, m.bitmap.of(m.memory)...)
	}
	if set[1] != 0 {
		set = set.with(secondaryBitmap)
	}
	var bits [2 * bitmapBytes]byte
	binary.BigEndian.PutUint64(bits[:], set[0])
	binary.BigEndian.PutUint64(bits[bitmapBytes:], set[1])
	used := bits[:bitmapBytes]
	if set[1] != 0 {
		used = bits[:]
	}
	if s.hex {
		return appendHex(dst, used)
	}
	return append(dst, used...)
}

func (s *Spec) packField(dst []byte, m *Message, it *item) ([]byte, *fault) {
	e := &s.table[it.field]
	if it.field < 2 || e.info.Kind == KindUndefined {
		return dst, &fault{reason: reasonUndefined}
	}
	value := it.value.of(m.memory)
	asCame := m.spec == s && !it.wire.empty()
	switch {
	case e.other != nil && asCame:
		return append(dst, it.wire.of(m.memory)...), nil
	case e.other != nil:
		return packOther(dst, e.other, value)
	case e.form == formBytes && it.form != formBytes:
		return e.packHexValue(dst, value)
	case e.form == formHexText && it.form == formBytes:
		out, f := e.prefix.encode(dst, 2*len(value), e.info.MaxLength)
		if f != nil {
			return dst, f
		}
		return appendHex(out, value), nil
	}
	units := len(value)
	if e.pad {
		units = max(units, e.info.MaxLength)
	}
	out, f := e.prefix.encode(dst, units, e.info.MaxLength)
	if f != nil {
		return dst, f
	}
	if asCame {
		return append(out, it.wire.of(m.memory)...), nil
	}
	if out, f = e.codec.encode(out, value); f != nil {
		return dst, f
	}
	for range units - len(value) {
		out = append(out, ' ')
	}
	return out, nil
}

// packHexValue writes a binary field whose value was given as hex digits.
func (e *entry) packHexValue(dst, digits []byte) ([]byte, *fault) {
	if f := checkHex(digits); f != nil {
		return dst, f
	}
	out, f := e.prefix.encode(dst, len(digits)/2, e.info.MaxLength)
	if f != nil {
		return dst, f
	}
	start := len(out)
	out = appendUnhex(out, digits)
	if e.codec.wireBytes(1) == 1 {
		return out, nil
	}
	return e.codec.encode(out[:start], append([]byte(nil), out[start:]...))
}

// packOther writes a field that only its moov definition understands.
func packOther(dst []byte, def field.Field, value []byte) (out []byte, f *fault) {
	defer func() {
		if recover() != nil {
			out, f = dst, &fault{reason: "value does not match its definition"}
		}
	}()
	// moov's errors may quote the value: none of them goes out.
	refused := &fault{reason: "value does not match its definition"}
	instance := field.NewInstanceOf(def)
	if err := instance.SetBytes(append([]byte(nil), value...)); err != nil {
		return dst, refused
	}
	packed, err := instance.Pack()
	if err != nil {
		return dst, refused
	}
	return append(dst, packed...), nil
}
