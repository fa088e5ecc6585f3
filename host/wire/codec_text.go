package wire

import (
	"bytes"
	"strings"
)

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

func (c *charset) check(value []byte) *fault {
	for i, b := range value {
		if !c.allowed[b] {
			return &fault{at: i, reason: c.reason}
		}
	}
	return nil
}

func (c *charset) decode(memory []byte, wire span, _ int) ([]byte, span, bool, *fault) {
	return memory, wire, true, c.check(wire.of(memory))
}

func (c *charset) encode(dst, value []byte) ([]byte, *fault) {
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

func (asciiTrack) decode(memory []byte, wire span, _ int) ([]byte, span, bool, *fault) {
	track := wire.of(memory)
	if f := trackChars.check(track); f != nil {
		return memory, span{}, false, f
	}
	if bytes.IndexByte(track, 'D') < 0 {
		return memory, wire, true, nil
	}
	start := len(memory)
	memory = appendTrack(memory, track)
	return memory, tail(memory, start), false, nil
}

func (asciiTrack) encode(dst, value []byte) ([]byte, *fault) {
	if f := trackChars.check(value); f != nil {
		return dst, f
	}
	return appendTrack(dst, value), nil
}

func appendTrack(dst, value []byte) []byte {
	for _, b := range value {
		if b == 'D' {
			b = '='
		}
		dst = append(dst, b)
	}
	return dst
}

// amount is x+n: a sign character and digits, which travel in the codec given.
type amount struct {
	label  string
	digits codec
}

var (
	asciiAmount = &amount{"x+n.ASCII", asciiNumeric}
	bcdAmount   = &amount{"x+n.BCD", bcdLeft}
)

// signs are credit, debit and unsigned; jPOS fills an amount that has no sign
// with 0.
const signs = "CD0"

func (a *amount) kind() Kind              { return KindAmount }
func (a *amount) name() string            { return a.label }
func (a *amount) wireBytes(units int) int { return min(units, 1) + a.digits.wireBytes(max(units-1, 0)) }

func (a *amount) decode(memory []byte, wire span, units int) ([]byte, span, bool, *fault) {
	if units == 0 {
		return memory, wire, true, nil
	}
	sign := memory[wire.start]
	if strings.IndexByte(signs, sign) < 0 {
		return memory, span{}, false, &fault{reason: reasonSign}
	}
	start := len(memory)
	grown, digits, canonical, f := a.digits.decode(append(memory, sign), span{wire.start + 1, wire.end}, units-1)
	switch {
	case f != nil:
		return memory, span{}, false, &fault{at: f.at + 1, reason: f.reason}
	case digits.start == wire.start+1: // as they stand, behind their sign
		return memory, wire, canonical, nil
	}
	return grown, tail(grown, start), canonical, nil
}

func (a *amount) encode(dst, value []byte) ([]byte, *fault) {
	if len(value) == 0 {
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
