package wire

// raw carries bytes as they are.
type raw struct{}

func (raw) kind() Kind              { return KindBinary }
func (raw) name() string            { return "b" }
func (raw) wireBytes(units int) int { return units }

func (raw) decode(memory []byte, wire span, _ int) ([]byte, span, bool, *fault) {
	return memory, wire, true, nil
}

func (raw) encode(dst, value []byte) ([]byte, *fault) { return append(dst, value...), nil }

// hexDigits carries bytes as two hex digits each. Upper case is written, either
// case is read.
type hexDigits struct{}

func (hexDigits) kind() Kind              { return KindBinary }
func (hexDigits) name() string            { return "b.Hex" }
func (hexDigits) wireBytes(units int) int { return 2 * units }

func (hexDigits) decode(memory []byte, wire span, _ int) ([]byte, span, bool, *fault) {
	digits, start, canonical := wire.of(memory), len(memory), true
	for i := 0; i < len(digits); i += 2 {
		high, low := hexValues[digits[i]], hexValues[digits[i+1]]
		if high < 0 {
			return memory, span{}, false, &fault{at: i, reason: reasonHex}
		}
		if low < 0 {
			return memory, span{}, false, &fault{at: i + 1, reason: reasonHex}
		}
		canonical = canonical && digits[i] <= 'F' && digits[i+1] <= 'F'
		memory = append(memory, byte(high<<4|low))
	}
	return memory, tail(memory, start), canonical, nil
}

func (hexDigits) encode(dst, value []byte) ([]byte, *fault) { return appendHex(dst, value), nil }

const upperHex = "0123456789ABCDEF"

func appendHex(dst, value []byte) []byte {
	for _, b := range value {
		dst = append(dst, upperHex[b>>4], upperHex[b&0x0F])
	}
	return dst
}

// hexValues are the values of hex digits, -1 for other characters.
var hexValues = func() (values [256]int8) {
	for b := range values {
		switch b := byte(b); {
		case isDigit(b):
			values[b] = int8(b - '0')
		case b >= 'A' && b <= 'F':
			values[b] = int8(b-'A') + 10
		case b >= 'a' && b <= 'f':
			values[b] = int8(b-'a') + 10
		default:
			values[b] = -1
		}
	}
	return values
}()

// checkHex refuses what is not an even number of hex digits.
func checkHex(digits []byte) *fault {
	if len(digits)%2 != 0 {
		return &fault{at: len(digits), reason: "odd number of hex digits"}
	}
	for i, b := range digits {
		if hexValues[b] < 0 {
			return &fault{at: i, reason: reasonHex}
		}
	}
	return nil
}

// appendUnhex appends the bytes of hex digits that checkHex has passed.
func appendUnhex(dst, digits []byte) []byte {
	for i := 0; i < len(digits); i += 2 {
		dst = append(dst, byte(hexValues[digits[i]]<<4|hexValues[digits[i+1]]))
	}
	return dst
}

// unhex reads an even number of hex digits.
func unhex(digits []byte) ([]byte, *fault) {
	if f := checkHex(digits); f != nil {
		return nil, f
	}
	return appendUnhex(make([]byte, 0, len(digits)/2), digits), nil
}
