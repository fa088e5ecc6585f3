package cipherkey

import (
	"encoding/hex"
	"strings"
)

// CheckValueBytes is how much of a check value is kept: what UnionPay's sign-in
// carries. Custodians compare the first three bytes.
const CheckValueBytes = 4

// CheckValue is the first bytes of what a key makes of zeros.
type CheckValue [CheckValueBytes]byte

// String returns the first three bytes in six hexadecimal characters, as
// custodians' forms have them.
func (v CheckValue) String() string { return strings.ToUpper(hex.EncodeToString(v[:3])) }

// CheckValueOf computes the check value of a clear key: the ECB encryption of a
// block of zeros with DES, the CMAC of a block of zeros with AES (ANSI X9.24-1:2017
// Annex A; ASC X9.143, optional block KC). It fails with [ErrKey].
func CheckValueOf(a Algorithm, key []byte) (CheckValue, error) {
	block, err := a.Block(key)
	if err != nil {
		return CheckValue{}, err
	}
	zeros := make([]byte, block.BlockSize())
	if a.IsAES() {
		sum := NewCMAC(block).Sum(zeros)
		return CheckValue(sum[:CheckValueBytes]), nil
	}
	block.Encrypt(zeros, zeros)
	return CheckValue(zeros[:CheckValueBytes]), nil
}
