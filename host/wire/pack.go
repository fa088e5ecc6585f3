package wire

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/moov-io/iso8583/field"
)

// Pack writes a message, from the MTI to its last field. A message that was
// parsed in the same spec gives the bytes it was parsed from, except for the
// fields changed since. The error is a *[PackError].
func (s *Spec) Pack(m *Message) ([]byte, error) { return s.AppendPack(nil, m) }

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
			return dst, &PackError{MTI: m.mti, Field: it.field, Reason: f.reason}
		}
	}
	return out, nil
}

func (s *Spec) packMTI(dst []byte, m *Message) ([]byte, *fault) {
	if len(m.mti) != mtiDigits {
		return dst, &fault{reason: fmt.Sprintf("length %d is not the fixed length of %d", len(m.mti), mtiDigits)}
	}
	return s.mti.encode(dst, m.mti)
}

// packBitmaps writes one bitmap, or two when a field above 64 is present. As
// long as the fields are the ones that came, the bitmaps are the bytes that came:
// a peer may write them in lower case, or send an empty second one.
func (s *Spec) packBitmaps(dst []byte, m *Message) []byte {
	set := m.fieldSet()
	if m.spec == s && m.bitmap != "" {
		if came, _, _, reason := s.bitmaps(m.bitmap, 0); reason == "" && came.without(secondaryBitmap) == set {
			return append(dst, m.bitmap...)
		}
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
	if it.field < 2 || it.field > lastField || s.table[it.field].info.Kind == KindUndefined {
		return dst, &fault{reason: "field is not defined in this spec"}
	}
	e := &s.table[it.field]
	if e.other != nil {
		if m.spec == s && it.wire != "" {
			return append(dst, it.wire...), nil
		}
		return packOther(dst, e.other, it)
	}
	value, f := e.valueOf(it)
	if f != nil {
		return dst, f
	}
	out, f := e.prefix.encode(dst, len(value), e.info.MaxLength)
	if f != nil {
		return dst, f
	}
	if m.spec == s && it.wire != "" {
		return append(out, it.wire...), nil
	}
	return e.codec.encode(out, value)
}

// valueOf brings an item into the form the field's codec takes.
func (e *entry) valueOf(it *item) (string, *fault) {
	value := it.value
	switch kind := e.codec.kind(); {
	case kind == KindBinary && it.form != formBytes:
		b, f := unhex(value)
		if f != nil {
			return "", f
		}
		value = string(b)
	case kind == KindHexText && it.form == formBytes:
		value = string(appendHex(nil, value))
	}
	if e.pad && len(value) < e.info.MaxLength {
		value += strings.Repeat(" ", e.info.MaxLength-len(value))
	}
	return value, nil
}

// packOther writes a field that only its moov definition understands.
func packOther(dst []byte, def field.Field, it *item) (out []byte, f *fault) {
	defer func() {
		if recover() != nil {
			out, f = dst, &fault{reason: "value does not match its definition"}
		}
	}()
	// moov's errors may quote the value: none of them goes out.
	refused := &fault{reason: "value does not match its definition"}
	instance := field.NewInstanceOf(def)
	if err := instance.SetBytes([]byte(it.value)); err != nil {
		return dst, refused
	}
	packed, err := instance.Pack()
	if err != nil {
		return dst, refused
	}
	return append(dst, packed...), nil
}
