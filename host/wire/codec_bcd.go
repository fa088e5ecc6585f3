package wire

import "strings"

// bcd packs two digits into a byte. An odd number of digits leaves one nibble
// over: the first one, which must be 0 (left-padded, jPOS's fixed numerics), or
// the last one, which is written 0 and read 0 or F (right-padded: PANs and
// tracks come either way from real terminals).
type bcd struct {
	label string
	of    Kind
	left  bool
	// sealed is true where a value may hold any nibble: a track whose last blocks
	// are encrypted in place.
	sealed bool
}

var (
	bcdLeft  = bcd{"n.BCD.Left", KindNumeric, true, false}
	bcdRight = bcd{"n.BCD.Right", KindNumeric, false, false}
	bcdTrack = bcd{"z.BCD", KindTrack, false, false}
	// bcdTrackSealed reads D as "=" wherever it stands, and the other letters of an
	// encrypted track as they are.
	bcdTrackSealed = bcd{"z.BCD.Sealed", KindTrack, false, true}
)

func (c bcd) kind() Kind              { return c.of }
func (c bcd) name() string            { return c.label }
func (c bcd) wireBytes(units int) int { return (units + 1) / 2 }

// separatorNibble stands for the separator of track 2.
const separatorNibble = 0xD

func (c bcd) decode(arena *strings.Builder, wire string, units int) (string, bool, *fault) {
	first, last, canonical := 0, 2*len(wire), true // nibbles that hold digits
	if units%2 != 0 {
		if c.left {
			if wire[0]>>4 != 0 {
				return "", false, &fault{reason: reasonPad}
			}
			first++
		} else {
			last--
			switch wire[len(wire)-1] & 0x0F {
			case 0:
			case 0xF:
				canonical = false
			default:
				return "", false, &fault{at: len(wire) - 1, reason: reasonRightPad}
			}
		}
	}
	start := arena.Len()
	for i := first; i < last; i++ {
		nibble := wire[i/2]
		if i%2 == 0 {
			nibble >>= 4
		}
		nibble &= 0x0F
		switch {
		case nibble <= 9:
			arena.WriteByte('0' + nibble)
		case nibble == separatorNibble && c.of == KindTrack:
			arena.WriteByte('=')
		case c.sealed:
			arena.WriteByte(upperHex[nibble])
		case c.of == KindTrack:
			return "", false, &fault{at: i / 2, reason: reasonTrack}
		default:
			return "", false, &fault{at: i / 2, reason: reasonNibble}
		}
	}
	return arena.String()[start:], canonical, nil
}

func (c bcd) encode(dst []byte, value string) ([]byte, *fault) {
	var pending byte
	high := !c.left || len(value)%2 == 0
	out := dst
	for i := range len(value) {
		var nibble byte
		switch b := value[i]; {
		case isDigit(b):
			nibble = b - '0'
		case c.of == KindTrack && (b == '=' || b == 'D'):
			nibble = separatorNibble
		case c.sealed && b >= 'A' && b <= 'F':
			nibble = b - 'A' + 10
		case c.of == KindTrack:
			return dst, &fault{at: i, reason: reasonTrack}
		default:
			return dst, &fault{at: i, reason: reasonDigit}
		}
		if high {
			pending = nibble << 4
		} else {
			out = append(out, pending|nibble)
		}
		high = !high
	}
	if !high { // right-padded with 0
		out = append(out, pending)
	}
	return out, nil
}
