package terminal

import (
	"strings"
	"testing"
)

func TestTextOfAnAnswer(t *testing.T) {
	const issuer = "                    "
	for f63, want := range map[string][2]string{
		"":    {},
		"CUP": {},
		"CUP" + issuer + "\xBD\xBB\xD2\xD7\xB3\xC9\xB9\xA6            " + issuer: {"交易成功", ""},
		"CUP" + issuer + "APPROVED": {"APPROVED", ""},
		// Over two lines, and what it means for a cancel.
		"CUP" + issuer + "\xD2\xD1\xBD\xE1\xCB\xE3\xA3\xAC\xD2\xD1\xD7\xAA\xCE\xAA\xCD\xCB\xBB\xF5  ": {"已结算，已转为退货", "REFUND"},
		"CUP" + strings.Repeat("x", 20) + strings.Repeat("y", 20) + strings.Repeat("z", 20) + "what the terminal had sent": {
			strings.Repeat("x", 20) + strings.Repeat("y", 20) + strings.Repeat("z", 20), "",
		},
		// What no host should send.
		"CUP4111111111111111":      {"411111******1111", ""},
		"CUP\x1B[2Jgone\x00\r\xFF": {"?[2Jgone??\uFFFD", ""},
	} {
		if text, verdict := textOf(f63); text != want[0] || verdict != want[1] {
			t.Errorf("%q is told as %q, verdict %q; want %q", f63, text, verdict, want)
		}
	}
}
