package wire

import "github.com/moov-io/iso8583/encoding"

// span is a part of a message's memory: what a frame's bytes become are places in
// it, and no values of their own.
type span struct{ start, end int32 }

func (s span) of(memory []byte) []byte { return memory[s.start:s.end] }

func (s span) empty() bool { return s.start == s.end }

// tail is what was appended to memory since it was start long.
func tail(memory []byte, start int) span { return span{int32(start), int32(len(memory))} }

// codec is the encoding of one kind of field value. Values are characters, or
// raw bytes where kind is KindBinary. The unit of its lengths is the one the
// field table counts in: digits, characters or bytes.
type codec interface {
	kind() Kind
	// name is the encoding's name in JSON specs.
	name() string
	// wireBytes is what a value of so many units takes on the wire.
	wireBytes(units int) int
	// decode reads a value from wire, which is exactly wireBytes(units) bytes of
	// memory. The value is where it stands or, where value and wire differ, is
	// appended to memory, two bytes per byte of wire at most. canonical is false when
	// encode(value) would give other bytes than wire.
	decode(memory []byte, wire span, units int) (grown []byte, value span, canonical bool, f *fault)
	// encode appends the canonical wire form of value.
	encode(dst, value []byte) ([]byte, *fault)
}

// moovEncoder plugs a codec into moov's specs.
type moovEncoder struct{ codec }

var _ encoding.Encoder = moovEncoder{}

// Encode implements moov's encoding.Encoder.
func (e moovEncoder) Encode(value []byte) ([]byte, error) {
	out, f := e.encode(make([]byte, 0, e.wireBytes(len(value))), value)
	if f != nil {
		return nil, f
	}
	return out, nil
}

// Decode implements moov's encoding.Encoder; length counts the codec's units.
func (e moovEncoder) Decode(wire []byte, length int) ([]byte, int, error) {
	if length < 0 {
		return nil, 0, &fault{reason: "negative length"}
	}
	size := e.wireBytes(length)
	if size > len(wire) {
		return nil, 0, &fault{reason: reasonTruncated}
	}
	memory, value, _, f := e.decode(append([]byte(nil), wire[:size]...), span{0, int32(size)}, length)
	if f != nil {
		return nil, 0, f
	}
	return value.of(memory), size, nil
}

const (
	reasonTruncated = "message ends inside the field"
	reasonDigit     = "not a digit"
	reasonNibble    = "not a BCD digit"
	reasonPad       = "pad nibble is not 0"
	reasonRightPad  = "pad nibble is neither 0 nor F"
	reasonPrintable = "not a printable ASCII character"
	reasonHex       = "not a hex digit"
	reasonTrack     = "not a track digit or separator"
	reasonSign      = "sign of amount is not C, D or 0"
)
