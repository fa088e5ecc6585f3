package card

// The truncation format is the first six digits, six asterisks and the last
// four digits: the baseline of PCI SSC FAQ 1091, acceptable to every network
// from 16 digits up.
const (
	headDigits = 6
	tailDigits = 4
	panMask    = "******"

	// minHidden is how many digits stay hidden at least. With 15 digits six
	// and four leave five, the fewest the FAQ names for that length. Shorter
	// numbers keep five hidden too and show less of their tail.
	minHidden = 5
)

// Masked returns the truncated number, always 16 characters: "621234******0012".
// Below 15 digits the tail shows fewer digits, "621234*******012" for 14. For
// the zero PAN it returns "".
func (p PAN) Masked() string {
	if p.digits == nil {
		return ""
	}
	return maskedDigits(*p.digits)
}

// First6 returns the first six digits, "" for the zero PAN.
func (p PAN) First6() string {
	if p.digits == nil {
		return ""
	}
	return (*p.digits)[:headDigits]
}

// Last4 returns four characters: the last four digits, those that the format
// does not show replaced by asterisks ("*012" for a number of 14 digits). It is
// "" for the zero PAN.
func (p PAN) Last4() string {
	if p.digits == nil {
		return ""
	}
	return tail(*p.digits)
}

// Truncated puts [PAN.First6] and [PAN.Last4], as the database keeps them,
// together to what [PAN.Masked] shows.
func Truncated(first6, last4 string) string { return first6 + panMask + last4 }

// maskedDigits truncates at least MinPANDigits digits.
func maskedDigits(digits string) string {
	return Truncated(digits[:headDigits], tail(digits))
}

func tail(digits string) string {
	shown := shownTail(len(digits))
	return panMask[:tailDigits-shown] + digits[len(digits)-shown:]
}

// shownTail is how many digits at the end of a number of n digits show.
func shownTail(n int) int { return min(tailDigits, n-headDigits-minHidden) }
