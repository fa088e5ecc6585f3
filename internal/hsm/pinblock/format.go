package pinblock

import "fmt"

// Format is the form of a PIN block.
type Format uint8

// The formats. The zero Format is none.
const (
	Format0 Format = iota + 1
	Format1
	Format3
	Format4
	FormatNoPAN
)

var names = [...]string{Format0: "iso-0", Format1: "iso-1", Format3: "iso-3", Format4: "iso-4", FormatNoPAN: "no-pan"}

// Valid reports whether there is such a format.
func (f Format) Valid() bool { return f >= Format0 && f <= FormatNoPAN }

// String returns the format's name in configuration and logs, such as "iso-0".
func (f Format) String() string {
	if !f.Valid() {
		return fmt.Sprintf("PIN format %d", uint8(f))
	}
	return names[f]
}

// BlockBytes is the length of an encrypted block, 0 of no format.
func (f Format) BlockBytes() int {
	switch {
	case !f.Valid():
		return 0
	case f == Format4:
		return 16
	default:
		return 8
	}
}

// Bound reports whether the block is bound to the card number.
func (f Format) Bound() bool { return f == Format0 || f == Format3 || f == Format4 }
