package gbk

import (
	"strings"
	"testing"
)

// Texts as iconv encodes them.
func TestTexts(t *testing.T) {
	for text, encoded := range map[string]string{
		"":          "",
		"POS终端":     "POS\xD6\xD5\xB6\xCB",
		"已结算，已转为退货": "\xD2\xD1\xBD\xE1\xCB\xE3\xA3\xAC\xD2\xD1\xD7\xAA\xCE\xAA\xCD\xCB\xBB\xF5",
		"MAC校验错 ":   "MAC\xD0\xA3\xD1\xE9\xB4\xED ",
	} {
		var got strings.Builder
		for _, c := range text {
			got.WriteString(Encode(c))
		}
		if got.String() != encoded {
			t.Errorf("%s is %X, want %X", text, got.String(), encoded)
		}
		if back := Decode(encoded); back != text {
			t.Errorf("%X is read as %q, want %q", encoded, back, text)
		}
	}
}

func TestEveryCharacterComesBack(t *testing.T) {
	if len(characters()) != len(codes) {
		t.Fatalf("%d characters have %d codes", len(codes), len(characters()))
	}
	for c := range codes {
		if got := Decode(Encode(c)); got != string(c) {
			t.Errorf("%c comes back as %s", c, got)
		}
	}
}

func TestWhatIsNotInTheTable(t *testing.T) {
	if got := Encode('龘'); got != "?" {
		t.Errorf("encoded as %X", got)
	}
	for text, want := range map[string]string{"\xFD\x98": "\uFFFD", "a\xD6": "a\uFFFD", "\xFF\xFFb": "\uFFFDb"} {
		if got := Decode(text); got != want {
			t.Errorf("%X is read as %q, want %q", text, got, want)
		}
	}
}
