package pinblock

import (
	"crypto/rand"
	"crypto/subtle"

	"meridian/internal/card"
)

const (
	blockBytes   = 8
	format4Bytes = 16

	// boundDigits of the card number are in formats 0 and 3.
	boundDigits = 12
)

// Control nibbles, which a clear block begins with.
const (
	control0 = 0x0
	control1 = 0x1
	control3 = 0x3
	control4 = 0x4
)

// control returns the control nibble of a format.
func (f Format) control() byte {
	switch f {
	case Format1:
		return control1
	case Format3:
		return control3
	case Format4:
		return control4
	default:
		return control0
	}
}

// fill writes what stands behind the digits of a PIN into the nibbles from the
// digits' end on; the rest of the block is there already.
func (f Format) fill(block []byte, digits int) {
	var random [2 * format4Bytes]byte // one for each nibble
	_, _ = rand.Read(random[:])       // never fails: it ends the program instead
	for i := 2 + digits; i < 2*len(block); i++ {
		switch {
		case f == Format1 || f == Format4 && i >= 2*blockBytes:
			setNibble(block, i, random[i]&0x0f)
		case f == Format3:
			setNibble(block, i, letter(random[i]))
		case f == Format4:
			setNibble(block, i, 0x0a)
		default:
			setNibble(block, i, 0x0f)
		}
	}
}

// letter makes of a random byte a nibble from A to F, each as likely as the others.
func letter(random byte) byte {
	const letters = 6
	var again [1]byte
	for random >= 256/letters*letters {
		_, _ = rand.Read(again[:])
		random = again[0]
	}
	return 0x0a + random%letters
}

// isFill reports whether a nibble may stand behind the digits.
func (f Format) isFill(nibble byte) bool {
	switch f {
	case Format1:
		return true
	case Format3:
		return nibble >= 0x0a
	case Format4:
		return nibble == 0x0a
	default:
		return nibble == 0x0f
	}
}

// bind puts the card number into a block of 8 bytes, or takes it out again.
func bind(block []byte, pan card.PAN) {
	var number [blockBytes]byte
	digits := pan.Reveal()
	digits = digits[:len(digits)-1] // without the check digit
	for i := range min(boundDigits, len(digits)) {
		setNibble(number[:], 2*blockBytes-1-i, digits[len(digits)-1-i]-'0')
	}
	subtle.XORBytes(block, block, number[:])
}

// panField is the card number as format 4 has it.
func panField(pan card.PAN) [format4Bytes]byte {
	var field [format4Bytes]byte
	digits := pan.Reveal() // 12 at least
	setNibble(field[:], 0, byte(len(digits)-boundDigits))
	for i := range len(digits) {
		setNibble(field[:], 1+i, digits[i]-'0')
	}
	return field
}

func nibble(block []byte, i int) byte { return block[i/2] >> (4 * (1 - i%2)) & 0x0f }

func setNibble(block []byte, i int, value byte) {
	shift := 4 * (1 - i%2)
	block[i/2] = block[i/2]&^(0x0f<<shift) | value<<shift
}
