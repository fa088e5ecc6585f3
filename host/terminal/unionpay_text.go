package terminal

import (
	"strings"
	"unicode"

	"meridian/internal/card"
	"meridian/internal/gbk"
)

// F63 of an answer: the card's scheme, three lines of twenty bytes for the
// terminal's display in GBK, and what the terminal had sent.
const (
	schemeBytes = 3
	lineBytes   = 20
	textLines   = 3
)

// turned are the texts by which our host tells what became of a cancel.
var turned = []struct{ text, verdict string }{
	{"已转为退货", "REFUND"},
	{"已转为撤销", "VOID"},
	{"退货审核中", "REVIEW"},
}

// textOf reads what F63 tells the cashier. Where it says that a cancel became
// something else, that is the verdict. It is fit for a screen, whatever a host may
// have put there: card numbers are masked, and nothing in it controls the screen.
func textOf(f63 string) (text, verdict string) {
	if len(f63) <= schemeBytes {
		return "", ""
	}
	lines := f63[schemeBytes:min(len(f63), schemeBytes+textLines*lineBytes)]
	var words strings.Builder
	for len(lines) > 0 {
		n := min(lineBytes, len(lines))
		words.WriteString(strings.TrimRight(gbk.Decode(lines[:n]), " "))
		lines = lines[n:]
	}
	text = card.MaskDigits(strings.Map(visible, words.String()))
	for _, t := range turned {
		if strings.Contains(text, t.text) {
			return text, t.verdict
		}
	}
	return text, ""
}

// visible is a character of a text, or a question mark for one that is none.
func visible(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return '?'
}
