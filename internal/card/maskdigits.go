package card

// MaskDigits replaces the card numbers it recognises in a text by their truncated
// form, and returns s itself when there are none: for what others wrote, such as a
// field of a message, an error of a library or a line of the log. It is the last line
// of defence behind the types of this package.
//
// A number shows as [PAN.Masked] has it, also where it was written in groups or is a
// part of more digits; what follows it in a track does not show at all. A number of 13
// to 19 digits that stands alone passes by chance once in ten times, and is masked:
// that is the price. Whose values have a form that tells them from card numbers looks
// at that first, and asks [Issued].
func MaskDigits(s string) string { return hideNumbers(s, panMask, nil) }
