package card

import "strings"

// identifier returns the length of a UUID or a SHA-256 digest that begins at i, 0 if
// none does. Some digits of every hundredth would pass for a card number, and who
// looks for one of them needs all of it.
func identifier(text string, i int) int {
	const uuid, digest = 36, 64
	if i > 0 && isWord(text[i-1]) {
		return 0
	}
	for _, length := range [...]int{uuid, digest} {
		if len(text)-i < length || len(text)-i > length && isWord(text[i+length]) {
			continue
		}
		id := text[i : i+length]
		if length == uuid && isUUID(id) || length == digest && isHex(id) && strings.ContainsAny(id, "abcdef") {
			return length
		}
	}
	return 0
}

func isUUID(s string) bool {
	return s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
		isHex(s[:8]) && isHex(s[9:13]) && isHex(s[14:18]) && isHex(s[19:23]) && isHex(s[24:])
}

// isHex tells whether a text is digits and lower letters, as identifiers are written;
// a dump of bytes in capitals may have a card number in it.
func isHex(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}

func isWord(b byte) bool { return isDigit(b) || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' }
