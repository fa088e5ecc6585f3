package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/switch"
)

const (
	// Operators have numbers of two or three digits.
	minOperatorDigits, maxOperatorDigits = 2, 3
	// A password is hashed beside the traffic; no terminal types more than 32.
	minPasswordChars, maxPasswordChars = 4, 32
)

// signOn reads F63 of a logon: `number/password` signs an operator on at the
// terminal. Without it, the terminal says no more than that it is there.
func signOn(m *wire.Message, r *switching.Request) *Refusal {
	text := strings.TrimRight(m.Get(63), " ")
	if text == "" {
		return nil
	}
	number, password, both := strings.Cut(text, "/")
	if _, ok := digits(number); !ok || !both || len(number) < minOperatorDigits || len(number) > maxOperatorDigits {
		return malformed(63, "not an operator's number of two or three digits, a slash and a password")
	}
	if len(password) < minPasswordChars || len(password) > maxPasswordChars {
		return malformed(63, "an operator's password has 4 to 32 characters")
	}
	r.OperatorNo, r.OperatorPassword = number, password
	return nil
}
