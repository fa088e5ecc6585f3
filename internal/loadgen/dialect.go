package loadgen

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
)

// Message is a message type and its fields as text: numerics with all their
// digits, tracks with their separator, everything else as its bytes.
type Message struct {
	MTI    string
	Fields map[int]string
	// Head is what stood before an answer's type: TPDU and application header,
	// where the dialect has them. Raw is the answer from its type on.
	Head, Raw []byte
}

// Field returns a field, empty when it is absent.
func (m Message) Field(n int) string { return m.Fields[n] }

// Code is the response code, F39.
func (m Message) Code() string { return m.Fields[39] }

// AnswerMTI is the type of the answer to a request: 0210 to 0200 and to 0201.
func AnswerMTI(mti string) string { return mti[:2] + string(mti[2]+1) + "0" }

// But is the same message with another value of a field.
func (m Message) But(field int, value string) Message {
	fields := maps.Clone(m.Fields)
	fields[field] = value
	return Message{MTI: m.MTI, Fields: fields}
}

// Repeat is the same request marked as a repeat: 0201 for 0200.
func (m Message) Repeat() Message {
	return Message{MTI: m.MTI[:3] + "1", Fields: m.Fields}
}

// Dialect is how messages are written. The zero value is none: see [NAC],
// [ASCII] and [UnionPay].
type Dialect struct {
	name   string
	binary bool
	head   string // in front of the message: TPDU and application header; empty for none
	table  *fieldTable
}

// NAC is the binary form: TPDU, BCD numerics, binary bitmap.
func NAC() Dialect {
	return Dialect{name: "nac", binary: true, head: "\x60\x00\x01\x00\x00", table: &iso87Fields}
}

// ASCII is the form with ASCII fields and a hex bitmap.
func ASCII() Dialect { return Dialect{name: "ascii", table: &iso87Fields} }

// String is the dialect's name.
func (d Dialect) String() string { return d.name }

// field is how one field is written: digits or characters, fixed or with a
// length of prefix digits in front.
type field struct {
	digits bool
	size   int
	prefix int
	// left: an odd number of digits is filled on the right, though the field is fixed.
	left bool
	// octets are written as hex digits where digits are not packed.
	octets bool
}

// fieldTable is what a dialect knows of its fields, by their numbers.
type fieldTable map[int]field

// iso87Fields are those that the tests send and the host answers.
var iso87Fields = fieldTable{
	2:  {digits: true, size: 19, prefix: 2},
	3:  {digits: true, size: 6},
	4:  {digits: true, size: 12},
	7:  {digits: true, size: 10},
	11: {digits: true, size: 6},
	12: {digits: true, size: 6},
	13: {digits: true, size: 4},
	14: {digits: true, size: 4},
	15: {digits: true, size: 4},
	22: {digits: true, size: 3},
	24: {digits: true, size: 3},
	25: {digits: true, size: 2},
	35: {digits: true, size: 37, prefix: 2},
	37: {size: 12},
	38: {size: 6},
	39: {size: 2},
	41: {size: 8},
	42: {size: 15},
	49: {size: 3},
	54: {size: 120, prefix: 3},
	60: {size: 999, prefix: 3},
	62: {size: 999, prefix: 3},
	63: {size: 999, prefix: 3},
	64: {size: 8, octets: true},
	70: {digits: true, size: 3},
	90: {digits: true, size: 42},
	95: {size: 42},
}

const lastField = 128

// Frame is the message as it goes over the wire, its length in front.
func (d Dialect) Frame(m Message) ([]byte, error) {
	body, err := d.Body(m)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", m.MTI, err)
	}
	return d.FrameOf(body), nil
}

// FrameOf puts a length and what the dialect has before a message in front of
// any bytes.
func (d Dialect) FrameOf(body []byte) []byte {
	n := len(d.head) + len(body)
	frame := append([]byte{byte(n >> 8), byte(n)}, d.head...)
	return append(frame, body...)
}

// Body is the message itself, from its type on.
func (d Dialect) Body(m Message) ([]byte, error) {
	var bitmap [16]byte
	var body []byte
	for n := 2; n <= lastField; n++ {
		value, present := m.Fields[n]
		if !present {
			continue
		}
		f, known := (*d.table)[n]
		if !known {
			return nil, fmt.Errorf("field %d is not in the table", n)
		}
		if len(value) > f.size || f.prefix == 0 && len(value) != f.size {
			return nil, fmt.Errorf("field %d has %d characters of %d", n, len(value), f.size)
		}
		bitmap[(n-1)/8] |= 0x80 >> ((n - 1) % 8)
		if n > 64 {
			bitmap[0] |= 0x80
		}
		body = append(body, d.field(f, value)...)
	}
	used := bitmap[:8]
	if bitmap[0]&0x80 != 0 {
		used = bitmap[:]
	}
	if d.binary {
		return append(append(bcd(m.MTI, false), used...), body...), nil
	}
	return append(fmt.Appendf([]byte(m.MTI), "%X", used), body...), nil
}

func (d Dialect) field(f field, value string) []byte {
	var b []byte
	switch {
	case f.prefix == 0:
	case d.binary:
		b = bcd(fmt.Sprintf("%0*d", f.prefix+f.prefix%2, len(value)), false)
	default:
		b = fmt.Appendf(nil, "%0*d", f.prefix, len(value))
	}
	if f.octets && !d.binary {
		return fmt.Appendf(b, "%X", value)
	}
	if d.binary && f.digits {
		return append(b, bcd(value, f.prefix > 0 || f.left)...)
	}
	return append(b, value...)
}

// bcd packs two characters a byte: digits, = as D. An odd number is filled with
// a zero on the left, or on the right for fields that carry their length.
func bcd(s string, left bool) []byte {
	if len(s)%2 == 1 && left {
		s += "0"
	} else if len(s)%2 == 1 {
		s = "0" + s
	}
	b := make([]byte, len(s)/2)
	for i := range len(s) {
		nibble := s[i] - '0'
		if s[i] == '=' {
			nibble = 0xD
		}
		b[i/2] = b[i/2]<<4 | nibble
	}
	return b
}

var errShort = errors.New("message ends in the middle of a field")

// Read takes a message apart, length, TPDU and header already gone.
func (d Dialect) Read(body []byte) (Message, error) {
	r := reader{dialect: d, rest: body}
	m := Message{MTI: r.digits(4), Fields: map[int]string{}, Raw: body}
	bitmap := r.bitmap()
	if len(bitmap) > 0 && bitmap[0]&0x80 != 0 {
		bitmap = append(bitmap, r.bitmap()...)
	}
	for n := 2; n <= len(bitmap)*8; n++ {
		if bitmap[(n-1)/8]&(0x80>>((n-1)%8)) == 0 {
			continue
		}
		f, known := (*d.table)[n]
		if !known {
			return m, fmt.Errorf("read %s: field %d is not in the table", m.MTI, n)
		}
		m.Fields[n] = r.field(f)
		if r.err != nil {
			return m, fmt.Errorf("read %s, field %d: %w", m.MTI, n, r.err)
		}
	}
	if len(r.rest) > 0 && r.err == nil {
		r.err = fmt.Errorf("%d bytes after the last field", len(r.rest))
	}
	if r.err != nil {
		return m, fmt.Errorf("read %s: %w", m.MTI, r.err)
	}
	return m, nil
}

// reader cuts a message into fields; after an error it gives zeros.
type reader struct {
	dialect Dialect
	rest    []byte
	err     error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		r.err = errShort
		return make([]byte, n)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// digits reads n of them, filled on the left when they are packed.
func (r *reader) digits(n int) string {
	if !r.dialect.binary {
		return string(r.take(n))
	}
	all := unpack(r.take((n + 1) / 2))
	return all[len(all)-n:]
}

// unpack is the inverse of bcd: two characters a byte, = for D.
func unpack(b []byte) string {
	const characters = "0123456789:;<=>?"
	text := make([]byte, 0, 2*len(b))
	for _, c := range b {
		text = append(text, characters[c>>4], characters[c&0xF])
	}
	return string(text)
}

func (r *reader) bitmap() []byte {
	if r.dialect.binary {
		return append([]byte(nil), r.take(8)...)
	}
	bitmap := make([]byte, 8)
	if _, err := fmt.Sscanf(string(r.take(16)), "%X", &bitmap); err != nil && r.err == nil {
		r.err = fmt.Errorf("bitmap: %w", err)
	}
	return bitmap
}

func (r *reader) field(f field) string {
	n := f.size
	if f.prefix > 0 {
		n = 0
		for _, c := range r.digits(f.prefix) {
			n = n*10 + int(c-'0')
		}
	}
	switch {
	case n < 0 || n > f.size:
		r.err = fmt.Errorf("length %d of %d", n, f.size)
		return ""
	case f.octets && !r.dialect.binary:
		octets, err := hex.DecodeString(string(r.take(2 * n)))
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("octets: %w", err)
		}
		return string(octets)
	case !f.digits:
		return string(r.take(n))
	case (f.prefix > 0 || f.left) && r.dialect.binary:
		return unpack(r.take((n + 1) / 2))[:n]
	default:
		return r.digits(n)
	}
}
