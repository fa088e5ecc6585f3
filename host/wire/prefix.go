package wire

import (
	"fmt"

	"github.com/moov-io/iso8583/prefix"
)

// lengthPrefix is the length in front of a value: so many decimal digits as
// ASCII characters or as right-justified BCD. It plugs into moov's specs as it
// is.
type lengthPrefix struct {
	label  string
	length LengthKind
	digits int
	bcd    bool
}

var _ prefix.Prefixer = (*lengthPrefix)(nil)

var (
	fixedLength = &lengthPrefix{"Fixed", Fixed, 0, false}
	asciiLL     = &lengthPrefix{"ASCII.LL", LL, 2, false}
	asciiLLL    = &lengthPrefix{"ASCII.LLL", LLL, 3, false}
	bcdLL       = &lengthPrefix{"BCD.LL", LL, 2, true}
	bcdLLL      = &lengthPrefix{"BCD.LLL", LLL, 3, true}
)

// bytes is the size of the prefix on the wire.
func (p *lengthPrefix) bytes() int {
	if p.bcd {
		return (p.digits + 1) / 2
	}
	return p.digits
}

// decode reads the length of a value of at most limit units from the start of
// rest. The length is checked against the table, not yet against the message.
func (p *lengthPrefix) decode(rest []byte, limit int) (units int, f *fault) {
	if p.length == Fixed {
		return limit, nil
	}
	size := p.bytes()
	if len(rest) < size {
		return 0, &fault{at: len(rest), reason: "message ends inside the length prefix"}
	}
	for i := range size {
		b := rest[i]
		switch {
		case p.bcd && b>>4 <= 9 && b&0x0F <= 9:
			units = units*100 + int(b>>4)*10 + int(b&0x0F)
		case !p.bcd && isDigit(b):
			units = units*10 + int(b-'0')
		default:
			return 0, &fault{at: i, reason: "length prefix is not decimal"}
		}
	}
	if units > limit {
		return 0, &fault{reason: fmt.Sprintf("length %d is over the maximum of %d", units, limit)}
	}
	return units, nil
}

// encode appends the prefix of a value of so many units.
func (p *lengthPrefix) encode(dst []byte, units, limit int) ([]byte, *fault) {
	switch {
	case p.length == Fixed:
		if units != limit {
			return dst, &fault{reason: fmt.Sprintf("length %d is not the fixed length of %d", units, limit)}
		}
		return dst, nil
	case units > limit:
		return dst, &fault{reason: fmt.Sprintf("length %d is over the maximum of %d", units, limit)}
	case p.bcd && p.length == LL:
		return append(dst, bcdByte(units)), nil
	case p.bcd:
		return append(dst, bcdByte(units/100), bcdByte(units%100)), nil
	case p.length == LL:
		return append(dst, '0'+byte(units/10), '0'+byte(units%10)), nil
	default:
		return append(dst, '0'+byte(units/100), '0'+byte(units/10%10), '0'+byte(units%10)), nil
	}
}

// EncodeLength implements moov's prefix.Prefixer.
func (p *lengthPrefix) EncodeLength(maxLen, dataLen int) ([]byte, error) {
	out, f := p.encode(nil, dataLen, maxLen)
	if f != nil {
		return nil, f
	}
	return out, nil
}

// DecodeLength implements moov's prefix.Prefixer.
func (p *lengthPrefix) DecodeLength(maxLen int, data []byte) (int, int, error) {
	size := p.bytes()
	units, f := p.decode(data[:min(size, len(data))], maxLen)
	if f != nil {
		return 0, 0, f
	}
	return units, size, nil
}

// Inspect implements moov's prefix.Prefixer.
func (p *lengthPrefix) Inspect() string { return p.label }
