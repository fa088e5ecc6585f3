package card

import "fmt"

// LuhnOK reports whether the last digit is the check digit of the others
// (ISO/IEC 7812-1 annex B). The zero PAN has none and fails.
func (p PAN) LuhnOK() bool {
	return p.digits != nil && luhnSum(*p.digits)%10 == 0
}

// WithCheckDigit makes a PAN from its 11 to 18 digits before the check digit:
// how seeds and load generators number their cards.
func WithCheckDigit(body string) (PAN, error) {
	if i := firstNonDigit(body); i >= 0 {
		return PAN{}, fmt.Errorf("%w: the character at offset %d is not a digit", ErrPAN, i)
	}
	sum := luhnSum(body + "0")
	return ParsePAN(body + string(rune('0'+(10-sum%10)%10)))
}

// luhnSum adds the digits, counting from the right every second one doubled
// and, above nine, reduced by nine.
func luhnSum(digits string) int {
	sum, double := 0, false
	for i := len(digits) - 1; i >= 0; i-- {
		digit := int(digits[i] - '0')
		if double {
			digit *= 2
			if digit > 9 {
				digit -= 9
			}
		}
		sum += digit
		double = !double
	}
	return sum
}
