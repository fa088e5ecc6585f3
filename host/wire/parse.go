package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/moov-io/iso8583/field"
)

// Parse reads a payload, from the MTI to its last byte. What it returns packs
// back to the same bytes. The error is a *[ParseError].
//
// Memory is bounded by a small multiple of len(payload), whatever the bytes are.
func (s *Spec) Parse(payload []byte) (*Message, error) {
	m := &Message{}
	if err := s.ParseInto(m, payload); err != nil {
		return nil, err
	}
	return m, nil
}

// ParseInto is Parse into a message that was used before: what it held is gone,
// and its memory serves again, so that in the long run nothing is allocated. The
// payload is copied. After an error the message holds what stands before the first
// fault, which is what an answer that refuses it can repeat; its MTI is empty when
// not even that could be read.
func (s *Spec) ParseInto(m *Message, payload []byte) error {
	if err := s.parse(m, payload); err != nil {
		return err
	}
	return nil
}

// Readable reads a payload that does not parse as far as its first fault: what
// an answer that refuses it can repeat. It is nil when not even the MTI can be
// read. A payload that parses is read whole.
func (s *Spec) Readable(payload []byte) *Message {
	m := &Message{}
	_ = s.parse(m, payload) // the fault is known; what stands before it is asked for
	if m.mti == "" {
		return nil
	}
	return m
}

// parse reads up to the end or the first fault.
func (s *Spec) parse(m *Message, payload []byte) *ParseError {
	mti, size, at, reason := s.readMTI(payload)
	m.Reset(mti)
	if reason != "" {
		return &ParseError{Field: 0, Offset: at, Reason: reason}
	}
	m.spec = s
	// A byte becomes two digits at most, so that nothing grows while parsing.
	m.memory = append(slices.Grow(m.memory, 3*len(payload)), payload...)
	p := parser{spec: s, message: m, payload: payload, offset: size}
	return p.fields()
}

// parser is the state of one parse. The message's memory begins with the payload,
// so an offset is a place in both.
type parser struct {
	spec    *Spec
	message *Message
	payload []byte
	offset  int
}

func (p *parser) fail(field, at int, reason string) *ParseError {
	return &ParseError{MTI: p.message.mti, Field: field, Offset: at, Reason: reason}
}

// fields reads the bitmaps and what they announce.
func (p *parser) fields() *ParseError {
	m, start := p.message, p.offset
	present, end, fault := p.spec.readBitmaps(p.payload, start)
	if fault != nil {
		fault.MTI = m.mti
		return fault
	}
	p.offset = end
	m.came, m.bitmap = present.without(secondaryBitmap), span{int32(start), int32(end)}
	m.items = slices.Grow(m.items, m.came.count())
	for number := m.came.next(0); number != 0; number = m.came.next(number) {
		if err := p.readField(number); err != nil {
			m.set = m.came.below(number)
			return err
		}
	}
	m.set = m.came
	if left := len(p.payload) - p.offset; left > 0 {
		return p.fail(NoField, p.offset, fmt.Sprintf("%d bytes after the last field", left))
	}
	return nil
}

// readBitmaps reads the primary bitmap at offset and the secondary one when bit 1
// says so, and returns where they end.
func (s *Spec) readBitmaps(payload []byte, offset int) (set fieldSet, end int, fault *ParseError) {
	if set[0], end, fault = s.readBitmap(payload, offset); fault != nil {
		return set, end, fault
	}
	switch {
	case !set.has(secondaryBitmap):
		return set, end, nil
	case s.pages == 1:
		return set, end, &ParseError{Field: 1, Offset: offset, Reason: "bit 1 announces a second bitmap, which this spec does not have"}
	}
	second := end
	if set[1], end, fault = s.readBitmap(payload, second); fault != nil {
		return set, end, fault
	}
	if set.has(tertiaryBitmap) {
		return set, end, &ParseError{
			Field: tertiaryBitmap, Offset: second, Reason: "bit 65 announces a third bitmap, which this spec does not have",
		}
	}
	return set, end, nil
}

// readBitmap reads one bitmap at offset and returns where it ends.
func (s *Spec) readBitmap(payload []byte, offset int) (bits uint64, end int, fault *ParseError) {
	size := bitmapBytes
	if s.hex {
		size *= 2
	}
	if end = offset + size; len(payload) < end {
		return 0, end, &ParseError{Field: 1, Offset: len(payload), Reason: "message ends inside the bitmap"}
	}
	if !s.hex {
		return binary.BigEndian.Uint64(payload[offset:]), end, nil
	}
	for i, digit := range payload[offset:end] {
		v := hexValues[digit]
		if v < 0 {
			return 0, end, &ParseError{Field: 1, Offset: offset + i, Reason: reasonHex}
		}
		bits = bits<<4 | uint64(v)
	}
	return bits, end, nil
}

func (p *parser) readField(number int) *ParseError {
	e, m := &p.spec.table[number], p.message
	start := p.offset
	switch {
	case e.info.Kind == KindUndefined:
		return p.fail(number, start, "field is not defined in this spec")
	case e.other != nil:
		return p.readOther(number, e.other)
	}
	units, f := e.prefix.decode(p.payload[start:], e.info.MaxLength)
	if f != nil {
		return p.fail(number, start+f.at, f.reason)
	}
	start += e.prefixBytes
	size := e.codec.wireBytes(units)
	if len(p.payload)-start < size {
		return p.fail(number, len(p.payload), fmt.Sprintf("%s: %d bytes announced, %d left", reasonTruncated, size, len(p.payload)-start))
	}
	wire := span{int32(start), int32(start + size)}
	grown, value, canonical, f := e.codec.decode(m.memory, wire, units)
	if f != nil {
		return p.fail(number, start+f.at, f.reason)
	}
	m.memory = grown
	p.offset = start + size

	it := item{field: uint8(number), form: e.form, value: value}
	if !canonical {
		it.wire = wire
	}
	m.items = append(m.items, it)
	return nil
}

// readOther reads a field that only its moov definition understands.
func (p *parser) readOther(number int, def field.Field) *ParseError {
	m := p.message
	value, binary, read, err := unpackOther(def, p.payload[p.offset:])
	if err != nil || read < 0 || read > len(p.payload)-p.offset {
		// moov's errors may quote the value: only the field's number goes out.
		return p.fail(number, p.offset, "value does not match its definition")
	}
	start := len(m.memory)
	m.memory = append(m.memory, value...)
	it := item{field: uint8(number), value: tail(m.memory, start), wire: span{int32(p.offset), int32(p.offset + read)}}
	if binary {
		it.form = formBytes
	}
	p.offset += read
	m.items = append(m.items, it)
	return nil
}

// unpackOther runs moov's own code over bytes of the peer's choosing; a panic in
// it is a refusal like any other.
func unpackOther(def field.Field, rest []byte) (value string, binary bool, read int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("definition panicked: %T", r)
		}
	}()
	instance := field.NewInstanceOf(def)
	read, err = instance.Unpack(slices.Clone(rest))
	if err != nil {
		return "", false, 0, fmt.Errorf("unpack: %w", err)
	}
	switch instance.(type) {
	case *field.Binary, *field.Hex, *field.Composite:
		var b []byte
		b, err = instance.Bytes()
		value, binary = string(b), true
	default:
		value, err = instance.String()
	}
	if err != nil {
		return "", false, 0, fmt.Errorf("read value: %w", err)
	}
	return value, binary, read, nil
}
