package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ParseHex reads hexadecimal digits with space, colons and 0x among them. An error
// names the place and not the character: it may be a part of a card number.
func ParseHex(text string) ([]byte, error) {
	text = strings.NewReplacer("0x", "", "0X", "", ":", "", " ", "", "\t", "", "\n", "", "\r", "").Replace(text)
	data, err := hex.DecodeString(text)
	switch {
	case errors.Is(err, hex.ErrLength):
		return nil, fmt.Errorf("an odd number of hexadecimal digits (%d): one is missing", len(text))
	case err != nil:
		return nil, fmt.Errorf("digit %d is not hexadecimal", 2*len(data)+1)
	}
	return data, nil
}
