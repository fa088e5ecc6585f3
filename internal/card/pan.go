package card

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// Bounds of a primary account number. ISO/IEC 7812-1 ends at 19 digits; below
// 12 no network issues cards.
const (
	MinPANDigits = 12
	MaxPANDigits = 19
)

// ErrPAN is in the chain of every error about a card number. Such errors never
// contain any part of it.
var ErrPAN = errors.New("not a card number")

// PAN is a primary account number that shows itself truncated (see
// [PAN.Masked]) in every rendering. The zero value is "no card number".
//
// PANs are compared with [PAN.Equal]; == does not compile, as it would compare
// addresses.
type PAN struct {
	_      [0]func()
	digits *string // see the package's invariants for why it is a pointer
}

// ParsePAN reads 12 to 19 ASCII digits and nothing else: no spaces, no
// separators. It does not check the Luhn digit, because a number that fails it
// still has to be answered with its own response code: see [PAN.LuhnOK].
func ParsePAN(s string) (PAN, error) {
	if len(s) < MinPANDigits || len(s) > MaxPANDigits {
		return PAN{}, fmt.Errorf("%w: %d characters, want %d to %d digits", ErrPAN, len(s), MinPANDigits, MaxPANDigits)
	}
	if i := firstNonDigit(s); i >= 0 {
		return PAN{}, fmt.Errorf("%w: the character at offset %d is not a digit", ErrPAN, i)
	}
	digits := strings.Clone(s) // s may be a part of a whole frame
	return PAN{digits: &digits}, nil
}

// firstNonDigit returns the offset of the first byte that is not an ASCII
// digit, or -1.
func firstNonDigit(s string) int {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return i
		}
	}
	return -1
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// Reveal returns the digits in clear: for a key derivation, a MAC, a field of
// an outgoing message, never for a log, an error or a row.
func (p PAN) Reveal() string {
	if p.digits == nil {
		return ""
	}
	return *p.digits
}

// IsZero reports whether there is no card number.
func (p PAN) IsZero() bool { return p.digits == nil }

// Equal reports whether both are the same number. The time it takes depends on
// the lengths, not on how many digits agree.
func (p PAN) Equal(other PAN) bool {
	return subtle.ConstantTimeCompare([]byte(p.Reveal()), []byte(other.Reveal())) == 1
}
