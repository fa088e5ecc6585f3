package wire

import "strings"

// raw carries bytes as they are.
type raw struct{}

func (raw) kind() Kind              { return KindBinary }
func (raw) name() string            { return "b" }
func (raw) wireBytes(units int) int { return units }

func (raw) decode(_ *strings.Builder, wire string, _ int) (string, bool, *fault) {
	return wire, true, nil
}

func (raw) encode(dst []byte, value string) ([]byte, *fault) { return append(dst, value...), nil }

// hexDigits carries bytes as two hex digits each. Upper case is written, either
// case is read.
type hexDigits struct{}

func (hexDigits) kind() Kind              { return KindBinary }
func (hexDigits) name() string            { return "b.Hex" }
func (hexDigits) wireBytes(units int) int { return 2 * units }

func (hexDigits) decode(arena *strings.Builder, wire string, _ int) (string, bool, *fault) {
	start, canonical := arena.Len(), true
	for i := 0; i < len(wire); i += 2 {
		high, low := hexValue(wire[i]), hexValue(wire[i+1])
		if high < 0 {
			return "", false, &fault{at: i, reason: reasonHex}
		}
		if low < 0 {
			return "", false, &fault{at: i + 1, reason: reasonHex}
		}
		canonical = canonical && wire[i] <= 'F' && wire[i+1] <= 'F'
		arena.WriteByte(byte(high<<4 | low))
	}
	return arena.String()[start:], canonical, nil
}

func (hexDigits) encode(dst []byte, value string) ([]byte, *fault) {
	return appendHex(dst, value), nil
}

const upperHex = "0123456789ABCDEF"

func appendHex[B string | []byte](dst []byte, value B) []byte {
	for i := range len(value) {
		dst = append(dst, upperHex[value[i]>>4], upperHex[value[i]&0x0F])
	}
	return dst
}

// hexValue is the value of a hex digit, or -1.
func hexValue(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	}
	return -1
}

// unhex reads an even number of hex digits.
func unhex(digits string) ([]byte, *fault) {
	if len(digits)%2 != 0 {
		return nil, &fault{at: len(digits), reason: "odd number of hex digits"}
	}
	var arena strings.Builder
	arena.Grow(len(digits) / 2)
	value, _, f := hexDigits{}.decode(&arena, digits, len(digits)/2)
	if f != nil {
		return nil, f
	}
	return []byte(value), nil
}
