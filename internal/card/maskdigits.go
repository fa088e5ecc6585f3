package card

import "strings"

// MaskDigits replaces the card numbers it recognises in free text by their
// truncated form, and returns s itself when there are none. It is the last line
// of defence behind the types of this package, for text that others wrote: a
// peer's message, an error of a library.
//
// A card number is a whole run of 12 to 19 digits that passes the Luhn check,
// also behind its own two-digit length as the wire has it. A longer run is cut
// to its first six digits whatever it is: among so many digits some part always
// passes. Digits that follow a masked run behind a track separator are dropped.
//
// One run in ten passes by chance, so a retrieval reference number can be
// masked too: that is the price. Text whose digits matter goes into an
// attribute of its own, not through here.
func MaskDigits(s string) string {
	var out strings.Builder
	copied := 0
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			i++
			continue
		}
		start := i
		i = endOfDigits(s, start)
		masked, ok := maskRun(s[start:i])
		if !ok {
			continue
		}
		out.WriteString(s[copied:start])
		out.WriteString(masked)
		if i+1 < len(s) && isSeparator(s[i]) && isDigit(s[i+1]) {
			out.WriteByte(s[i])
			out.WriteString("****")
			i = endOfDigits(s, i+1)
		}
		copied = i
	}
	if copied == 0 {
		return s
	}
	out.WriteString(s[copied:])
	return out.String()
}

func endOfDigits(s string, from int) int {
	for from < len(s) && isDigit(s[from]) {
		from++
	}
	return from
}

// maskRun returns what stands for a run of digits, and false when it may stand
// as it is.
func maskRun(run string) (string, bool) {
	const lengthDigits = 2
	switch {
	case len(run) < MinPANDigits:
		return "", false
	case len(run) > MaxPANDigits+lengthDigits:
		return Truncated(run[:headDigits], "****"), true
	case len(run) <= MaxPANDigits && luhnSum(run)%10 == 0:
		return maskedDigits(run), true
	}
	if number := run[lengthDigits:]; twoDigits(run) == len(number) && len(number) >= MinPANDigits && luhnSum(number)%10 == 0 {
		return run[:lengthDigits] + maskedDigits(number), true
	}
	if len(run) > MaxPANDigits {
		return Truncated(run[:headDigits], "****"), true
	}
	return "", false
}
