package wire

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/moov-io/iso8583/field"
)

// Parse reads a payload, from the MTI to its last byte. What it returns packs
// back to the same bytes. The error is a *[ParseError].
//
// Memory is bounded by a small multiple of len(payload), whatever the bytes are.
func (s *Spec) Parse(payload []byte) (*Message, error) {
	p := parser{spec: s, wire: string(payload)}
	// A byte becomes two digits at most, so nothing grows while parsing.
	p.arena.Grow(2 * len(payload))
	m, err := p.message()
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Readable reads a payload that does not parse as far as its first fault: what
// an answer that refuses it can repeat. It is nil when not even the MTI can be
// read. A payload that parses is read whole.
func (s *Spec) Readable(payload []byte) *Message {
	p := parser{spec: s, wire: string(payload)}
	p.arena.Grow(2 * len(payload))
	m, _ := p.message() // the fault is known; what stands before it is asked for
	return m
}

// MTIOf reads only the MTI, so that a payload that does not parse can be
// answered with a format error. It is false when the first bytes are not four
// digits.
func MTIOf(s *Spec, payload []byte) (string, bool) {
	size := s.mti.wireBytes(mtiDigits)
	if len(payload) < size {
		return "", false
	}
	var arena strings.Builder
	mti, _, f := s.mti.decode(&arena, string(payload[:size]), mtiDigits)
	return mti, f == nil
}

// parser is the state of one Parse.
type parser struct {
	spec   *Spec
	wire   string
	offset int
	mti    string
	arena  strings.Builder
}

func (p *parser) fail(field, at int, reason string) *ParseError {
	return &ParseError{MTI: p.mti, Field: field, Offset: at, Reason: reason}
}

// message reads up to the end or the first fault, and returns what it has read
// beside the fault; nil before the MTI.
func (p *parser) message() (*Message, *ParseError) {
	if err := p.readMTI(); err != nil {
		return nil, err
	}
	m := &Message{mti: p.mti, spec: p.spec}
	start := p.offset
	present, err := p.readBitmaps()
	if err != nil {
		return m, err
	}
	m.bitmap = p.wire[start:p.offset]
	present = present.without(secondaryBitmap)
	m.items = make([]item, 0, present.count())
	for number := 2; number <= present.last(); number++ {
		if !present.has(number) {
			continue
		}
		it, err := p.readField(number)
		if err != nil {
			return m, err
		}
		m.items = append(m.items, it)
	}
	if left := len(p.wire) - p.offset; left > 0 {
		return m, p.fail(NoField, p.offset, fmt.Sprintf("%d bytes after the last field", left))
	}
	return m, nil
}

func (p *parser) readMTI() *ParseError {
	size := p.spec.mti.wireBytes(mtiDigits)
	if len(p.wire) < size {
		return p.fail(0, len(p.wire), reasonTruncated)
	}
	mti, _, f := p.spec.mti.decode(&p.arena, p.wire[:size], mtiDigits)
	if f != nil {
		return p.fail(0, f.at, f.reason)
	}
	p.mti = mti
	p.offset = size
	return nil
}

// readBitmaps reads the primary bitmap and the secondary one when bit 1 says so.
func (p *parser) readBitmaps() (fieldSet, *ParseError) {
	start := p.offset
	set, end, at, reason := p.spec.bitmaps(p.wire, start)
	if reason != "" {
		return fieldSet{}, p.fail(1, at, reason)
	}
	p.offset = end
	if set.has(tertiaryBitmap) {
		return fieldSet{}, p.fail(tertiaryBitmap, start+(end-start)/2, "bit 65 announces a third bitmap, which this spec does not have")
	}
	return set, nil
}

// bitmaps decodes the bitmaps that start at offset and returns where they end.
// When reason is not empty, at is the byte at fault.
func (s *Spec) bitmaps(wire string, offset int) (set fieldSet, end, at int, reason string) {
	end = offset
	for page := range s.pages {
		if page == 1 && !set.has(secondaryBitmap) {
			break
		}
		var bits [bitmapBytes]byte
		size := bitmapBytes
		if s.hex {
			size *= 2
		}
		if len(wire)-end < size {
			return set, end, len(wire), "message ends inside the bitmap"
		}
		if s.hex {
			for i := range size {
				v := hexValue(wire[end+i])
				if v < 0 {
					return set, end, end + i, reasonHex
				}
				bits[i/2] = bits[i/2]<<4 | byte(v)
			}
		} else {
			copy(bits[:], wire[end:])
		}
		set[page] = binary.BigEndian.Uint64(bits[:])
		end += size
	}
	if s.pages == 1 && set.has(secondaryBitmap) {
		return set, end, offset, "bit 1 announces a second bitmap, which this spec does not have"
	}
	return set, end, 0, ""
}

func (p *parser) readField(number int) (item, *ParseError) {
	e := &p.spec.table[number]
	start := p.offset
	switch {
	case e.info.Kind == KindUndefined:
		return item{}, p.fail(number, start, "field is not defined in this spec")
	case e.other != nil:
		return p.readOther(number, e.other)
	}
	units, f := e.prefix.decode(p.wire[start:], e.info.MaxLength)
	if f != nil {
		return item{}, p.fail(number, start+f.at, f.reason)
	}
	start += e.prefix.bytes()
	size := e.codec.wireBytes(units)
	if len(p.wire)-start < size {
		return item{}, p.fail(number, len(p.wire), fmt.Sprintf("%s: %d bytes announced, %d left", reasonTruncated, size, len(p.wire)-start))
	}
	wire := p.wire[start : start+size]
	value, canonical, f := e.codec.decode(&p.arena, wire, units)
	if f != nil {
		return item{}, p.fail(number, start+f.at, f.reason)
	}
	p.offset = start + size

	it := item{field: number, value: value}
	if kind := e.codec.kind(); kind == KindBinary {
		it.form = formBytes
	} else if kind == KindHexText {
		it.form = formHexText
	}
	if !canonical {
		it.wire = wire
	}
	return it, nil
}

// readOther reads a field that only its moov definition understands.
func (p *parser) readOther(number int, def field.Field) (item, *ParseError) {
	value, binary, read, err := unpackOther(def, p.wire[p.offset:])
	if err != nil || read < 0 || read > len(p.wire)-p.offset {
		// moov's errors may quote the value: only the field's number goes out.
		return item{}, p.fail(number, p.offset, "value does not match its definition")
	}
	it := item{field: number, value: value, wire: p.wire[p.offset : p.offset+read]}
	if binary {
		it.form = formBytes
	}
	p.offset += read
	return it, nil
}

// unpackOther runs moov's own code over bytes of the peer's choosing; a panic in
// it is a refusal like any other.
func unpackOther(def field.Field, rest string) (value string, binary bool, read int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("definition panicked: %T", r)
		}
	}()
	instance := field.NewInstanceOf(def)
	read, err = instance.Unpack([]byte(rest))
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
