package gbk

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// Encode returns a character in GBK; a question mark for one that is not in the
// table.
func Encode(c rune) string {
	if c < utf8.RuneSelf {
		return string(c)
	}
	if code, ok := codes[c]; ok {
		return string([]byte{byte(code >> 8), byte(code)})
	}
	return "?"
}

var characters = sync.OnceValue(func() map[uint16]rune {
	byCode := make(map[uint16]rune, len(codes))
	for c, code := range codes {
		byCode[code] = c
	}
	return byCode
})

// Decode reads a text in GBK. What is not in the table becomes U+FFFD.
func Decode(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] < utf8.RuneSelf {
			out.WriteByte(text[i])
			continue
		}
		c := utf8.RuneError
		if i+1 < len(text) {
			if known, ok := characters()[uint16(text[i])<<8|uint16(text[i+1])]; ok {
				c = known
			}
			i++
		}
		out.WriteRune(c)
	}
	return out.String()
}
