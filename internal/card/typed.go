package card

import "strings"

// HideTyped is [MaskDigits] for a text that somebody typed (a reason, a search): a
// card number in it becomes its first six and last four digits with an ellipsis
// between them, as people search for one. other, where it is not nil, tells numbers
// that are known to be something else.
func HideTyped(text string, other func(digits string) bool) string {
	return hideNumbers(text, "…", other)
}

// Ungrouped is a number without the spaces and dashes between its groups.
func Ungrouped(text string) string { return strings.NewReplacer(" ", "", "-", "").Replace(text) }
