package card

import (
	"regexp"
	"strings"
)

// typed is what people write card numbers as: from 13 digits on, so that no
// retrieval reference number is one, in groups or not. The groups of a UUID are none
// of theirs.
var typed = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9](?:[ -]?[0-9]){12,}`)

// HideTyped replaces the card numbers in a text that somebody typed (a reason, a
// search) by their first six and last four digits. other, where it is not nil, tells
// numbers that are known to be something else. [MaskDigits] is for what machines
// wrote: it looks at 12 digits, too, and at no groups.
func HideTyped(text string, other func(digits string) bool) string {
	return typed.ReplaceAllStringFunc(text, func(found string) string {
		digits := Ungrouped(found)
		pan, err := ParsePAN(digits)
		if err != nil || !pan.LuhnOK() || other != nil && other(digits) {
			return found
		}
		return pan.First6() + "…" + pan.Last4()
	})
}

// Ungrouped is a number without the spaces and dashes between its groups.
func Ungrouped(text string) string { return strings.NewReplacer(" ", "", "-", "").Replace(text) }
