package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"meridian/internal/card"
)

// TokenBytes is the length of a token: the version of the token key, and fifteen
// bytes of HMAC, at which two of a hundred thousand million (10^11) cards share a
// token with a chance of 10^-14.
const TokenBytes = 16

// Token returns what stands for the card number in the database: the same
// number has the same token, and without the key a token can neither be made
// nor be tried out against the few numbers of a BIN. Its first byte is the
// version of the token key. The zero PAN has the zero token.
func (k *DataKeys) Token(pan card.PAN) [TokenBytes]byte {
	key := k.newest(PurposeToken)
	return token(key, pan)
}

// TokenAt returns the card's token under an older token key, for rows that were
// stored with it. It fails with [ErrDataKey] where there is no such version.
func (k *DataKeys) TokenAt(version int16, pan card.PAN) ([TokenBytes]byte, error) {
	key, err := k.version(PurposeToken, version)
	if err != nil {
		return [TokenBytes]byte{}, fmt.Errorf("token: %w", err)
	}
	return token(key, pan), nil
}

// TokenVersion is the version of the tokens that [DataKeys.Token] makes.
func (k *DataKeys) TokenVersion() int16 { return k.newest(PurposeToken).version }

func token(key dataKey, pan card.PAN) [TokenBytes]byte {
	if pan.IsZero() {
		return [TokenBytes]byte{}
	}
	mac := hmac.New(sha256.New, key.key)
	mac.Write([]byte(pan.Reveal()))
	var sum [1 + sha256.Size]byte
	sum[0] = byte(key.version)
	mac.Sum(sum[:1])
	return [TokenBytes]byte(sum[:TokenBytes])
}

// Token is [DataKeys.Token] under the data keys that a database begins with, see
// [Vault.FirstDataKeys].
func (v *Vault) Token(pan card.PAN) [TokenBytes]byte { return v.FirstDataKeys().Token(pan) }
