package hsm

import "meridian/internal/hsm/pinblock"

// PINFormat is the form of a PIN block.
type PINFormat = pinblock.Format

// The formats of PIN blocks.
const (
	PINFormat0     = pinblock.Format0     // ISO 9564-1 format 0, ANSI X9.8: DES, bound to the card number
	PINFormat1     = pinblock.Format1     // ISO 9564-1 format 1: DES, bound to random digits
	PINFormat3     = pinblock.Format3     // ISO 9564-1 format 3: DES, bound to the card number, random fill
	PINFormat4     = pinblock.Format4     // ISO 9564-1 format 4: AES, bound to the card number
	PINFormatNoPAN = pinblock.FormatNoPAN // UnionPay's "X9.8 without PAN": DES, bound to nothing
)
