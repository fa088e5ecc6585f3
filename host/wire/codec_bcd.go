package wire

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
	// pairs are the two characters of every byte, zero for a nibble that may not be.
	pairs [256][2]byte
	// nibbles are the values of characters, notNibble for one that has none.
	nibbles [256]byte
}

var (
	bcdLeft  = newBCD("n.BCD.Left", KindNumeric, true, false)
	bcdRight = newBCD("n.BCD.Right", KindNumeric, false, false)
	bcdTrack = newBCD("z.BCD", KindTrack, false, false)
	// bcdTrackSealed reads D as "=" wherever it stands, and the other letters of an
	// encrypted track as they are.
	bcdTrackSealed = newBCD("z.BCD.Sealed", KindTrack, false, true)
)

// separatorNibble stands for the separator of track 2.
const separatorNibble = 0xD

const notNibble = 0xFF

func newBCD(label string, of Kind, left, sealed bool) *bcd {
	c := &bcd{label: label, of: of, left: left, sealed: sealed}
	for b := range c.pairs {
		c.pairs[b] = [2]byte{c.character(byte(b) >> 4), c.character(byte(b) & 0x0F)}
	}
	for b := range c.nibbles {
		c.nibbles[b] = c.nibble(byte(b))
	}
	return c
}

// character of a nibble; 0 for one that may not be.
func (c *bcd) character(nibble byte) byte {
	switch {
	case nibble <= 9:
		return '0' + nibble
	case nibble == separatorNibble && c.of == KindTrack:
		return '='
	case c.sealed:
		return upperHex[nibble]
	}
	return 0
}

func (c *bcd) nibble(character byte) byte {
	switch b := character; {
	case isDigit(b):
		return b - '0'
	case c.of == KindTrack && (b == '=' || b == 'D'):
		return separatorNibble
	case c.sealed && b >= 'A' && b <= 'F':
		return b - 'A' + 10
	}
	return notNibble
}

func (c *bcd) kind() Kind              { return c.of }
func (c *bcd) name() string            { return c.label }
func (c *bcd) wireBytes(units int) int { return (units + 1) / 2 }

func (c *bcd) decode(memory []byte, wire span, units int) ([]byte, span, bool, *fault) {
	packed, start, canonical := wire.of(memory), len(memory), true
	from, to := 0, len(packed) // the bytes that hold two digits
	odd := units%2 != 0
	switch {
	case odd && c.left:
		only := c.pairs[packed[0]][1]
		switch {
		case packed[0]>>4 != 0:
			return memory, span{}, false, &fault{reason: reasonPad}
		case only == 0:
			return memory, span{}, false, c.fault(0)
		}
		memory = append(memory, only)
		from++
	case odd:
		to--
		switch packed[to] & 0x0F {
		case 0:
		case 0xF:
			canonical = false
		default:
			return memory, span{}, false, &fault{at: to, reason: reasonRightPad}
		}
	}
	for i := from; i < to; i++ {
		pair := c.pairs[packed[i]]
		if pair[0] == 0 || pair[1] == 0 {
			return memory, span{}, false, c.fault(i)
		}
		memory = append(memory, pair[0], pair[1])
	}
	if odd && !c.left {
		only := c.pairs[packed[to]][0]
		if only == 0 {
			return memory, span{}, false, c.fault(to)
		}
		memory = append(memory, only)
	}
	return memory, tail(memory, start), canonical, nil
}

// fault is a nibble of the byte at that may not be.
func (c *bcd) fault(at int) *fault {
	if c.of == KindTrack {
		return &fault{at: at, reason: reasonTrack}
	}
	return &fault{at: at, reason: reasonNibble}
}

func (c *bcd) encode(dst, value []byte) ([]byte, *fault) {
	out := dst
	i := 0
	if c.left && len(value)%2 != 0 {
		only := c.nibbles[value[0]]
		if only == notNibble {
			return dst, c.notDigit(0)
		}
		out = append(out, only)
		i++
	}
	for ; i+1 < len(value); i += 2 {
		high, low := c.nibbles[value[i]], c.nibbles[value[i+1]]
		if high == notNibble {
			return dst, c.notDigit(i)
		}
		if low == notNibble {
			return dst, c.notDigit(i + 1)
		}
		out = append(out, high<<4|low)
	}
	if i < len(value) { // right-padded with 0
		only := c.nibbles[value[i]]
		if only == notNibble {
			return dst, c.notDigit(i)
		}
		out = append(out, only<<4)
	}
	return out, nil
}

// notDigit is a character of a value that has no nibble.
func (c *bcd) notDigit(at int) *fault {
	if c.of == KindTrack {
		return &fault{at: at, reason: reasonTrack}
	}
	return &fault{at: at, reason: reasonDigit}
}
