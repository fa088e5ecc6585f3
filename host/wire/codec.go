package wire

import (
	"strings"

	"github.com/moov-io/iso8583/encoding"
)

// codec is the encoding of one kind of field value. Values are characters, or
// raw bytes where kind is KindBinary. The unit of its lengths is the one the
// field table counts in: digits, characters or bytes.
type codec interface {
	kind() Kind
	// name is the encoding's name in JSON specs.
	name() string
	// wireBytes is what a value of so many units takes on the wire.
	wireBytes(units int) int
	// decode reads a value from exactly wireBytes(units) bytes. Where value and
	// wire differ the value is built in arena, which has room for two bytes per
	// byte of the message. canonical is false when encode(value) would give other
	// bytes than wire.
	decode(arena *strings.Builder, wire string, units int) (value string, canonical bool, f *fault)
	// encode appends the canonical wire form of value.
	encode(dst []byte, value string) ([]byte, *fault)
}

// moovEncoder plugs a codec into moov's specs.
type moovEncoder struct{ codec }

var _ encoding.Encoder = moovEncoder{}

// Encode implements moov's encoding.Encoder.
func (e moovEncoder) Encode(value []byte) ([]byte, error) {
	out, f := e.encode(make([]byte, 0, e.wireBytes(len(value))), string(value))
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
	var arena strings.Builder
	value, _, f := e.decode(&arena, string(wire[:size]), length)
	if f != nil {
		return nil, 0, f
	}
	return []byte(value), size, nil
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
