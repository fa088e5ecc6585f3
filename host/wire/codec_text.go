package wire

import "strings"

// charset is a character encoding that travels as it is: one byte a character,
// each one checked.
type charset struct {
	label  string
	of     Kind
	reason string
	// allowed tells for each byte value whether it may occur.
	allowed [256]bool
}

func newCharset(label string, of Kind, reason string, allowed func(b byte) bool) *charset {
	c := &charset{label: label, of: of, reason: reason}
	for b := range c.allowed {
		c.allowed[b] = allowed(byte(b))
	}
	return c
}

func isDigit(b byte) bool     { return b >= '0' && b <= '9' }
func isPrintable(b byte) bool { return b >= ' ' && b <= '~' }

// Character encodings. They hold no state.
var (
	asciiNumeric = newCharset("n.ASCII", KindNumeric, reasonDigit, isDigit)
	trackChars   = newCharset("", KindTrack, reasonTrack, func(b byte) bool {
		return isDigit(b) || b == '=' || b == 'D'
	})
	text    = newCharset("ans", KindText, reasonPrintable, isPrintable)
	private = newCharset("private", KindPrivate, "", func(byte) bool { return true })
	hexText = newCharset("ans.Hex", KindHexText, reasonPrintable, isPrintable)
)

func (c *charset) kind() Kind              { return c.of }
func (c *charset) name() string            { return c.label }
func (c *charset) wireBytes(units int) int { return units }

func (c *charset) check(value string) *fault {
	for i := range len(value) {
		if !c.allowed[value[i]] {
			return &fault{at: i, reason: c.reason}
		}
	}
	return nil
}

func (c *charset) decode(_ *strings.Builder, wire string, _ int) (string, bool, *fault) {
	return wire, true, c.check(wire)
}

func (c *charset) encode(dst []byte, value string) ([]byte, *fault) {
	if f := c.check(value); f != nil {
		return dst, f
	}
	return append(dst, value...), nil
}

// asciiTrack is track 2 in characters. Some terminals write the separator as D,
// the way it looks in hex dumps of BCD; the value has "=" either way.
type asciiTrack struct{}

func (asciiTrack) kind() Kind              { return KindTrack }
func (asciiTrack) name() string            { return "z.ASCII" }
func (asciiTrack) wireBytes(units int) int { return units }

func (asciiTrack) decode(_ *strings.Builder, wire string, _ int) (string, bool, *fault) {
	if f := trackChars.check(wire); f != nil {
		return "", false, f
	}
	value := strings.ReplaceAll(wire, "D", "=") // no copy where there is none
	return value, value == wire, nil
}

func (asciiTrack) encode(dst []byte, value string) ([]byte, *fault) {
	if f := trackChars.check(value); f != nil {
		return dst, f
	}
	for i := range len(value) {
		b := value[i]
		if b == 'D' {
			b = '='
		}
		dst = append(dst, b)
	}
	return dst, nil
}

// amount is x+n: a sign character and digits, which travel in the codec given.
type amount struct {
	label  string
	digits codec
}

var (
	asciiAmount = amount{"x+n.ASCII", asciiNumeric}
	bcdAmount   = amount{"x+n.BCD", bcdLeft}
)

// signs are credit, debit and unsigned; jPOS fills an amount that has no sign
// with 0.
const signs = "CD0"

func (a amount) kind() Kind              { return KindAmount }
func (a amount) name() string            { return a.label }
func (a amount) wireBytes(units int) int { return min(units, 1) + a.digits.wireBytes(max(units-1, 0)) }

func (a amount) decode(arena *strings.Builder, wire string, units int) (string, bool, *fault) {
	if units == 0 {
		return "", true, nil
	}
	if strings.IndexByte(signs, wire[0]) < 0 {
		return "", false, &fault{reason: reasonSign}
	}
	digits, canonical, f := a.digits.decode(arena, wire[1:], units-1)
	if f != nil {
		return "", false, &fault{at: f.at + 1, reason: f.reason}
	}
	start := arena.Len()
	arena.WriteByte(wire[0])
	arena.WriteString(digits)
	return arena.String()[start:], canonical, nil
}

func (a amount) encode(dst []byte, value string) ([]byte, *fault) {
	if value == "" {
		return dst, nil
	}
	if strings.IndexByte(signs, value[0]) < 0 {
		return dst, &fault{reason: reasonSign}
	}
	out, f := a.digits.encode(append(dst, value[0]), value[1:])
	if f != nil {
		return dst, &fault{at: f.at + 1, reason: f.reason}
	}
	return out, nil
}
