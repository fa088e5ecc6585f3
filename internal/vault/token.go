package vault

import (
	"crypto/hmac"
	"crypto/sha256"

	"meridian/internal/card"
)

// TokenBytes is the length of a token: half of the HMAC, at which two of a
// hundred thousand million (10^11) cards share a token with a chance of 10^-17.
const TokenBytes = 16

// tokenVersion counts the ways in which tokens were made; see
// [Vault.TokenVersion].
const tokenVersion = 1

// Token returns what stands for the card number in the database: the same
// number has the same token, and without the key a token can neither be made
// nor be tried out against the few numbers of a BIN. The zero PAN has the zero
// token.
func (v *Vault) Token(pan card.PAN) [TokenBytes]byte {
	if pan.IsZero() {
		return [TokenBytes]byte{}
	}
	mac := hmac.New(sha256.New, v.keys.value().token)
	mac.Write([]byte(pan.Reveal()))
	var sum [sha256.Size]byte
	return [TokenBytes]byte(mac.Sum(sum[:0]))
}

// TokenVersion is stored beside tokens. Tokens of different versions of one
// card differ, so a row is looked up by the version it was stored with.
func (v *Vault) TokenVersion() int16 { return tokenVersion }
