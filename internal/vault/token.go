package vault

import (
	"crypto/sha256"
	"fmt"
	"hash"

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

// tokenMAC is a code that tokens are computed with one after the other: every
// message with a card asks for one, and a key's schedule is made once. Nothing of a
// card stays in it.
type tokenMAC struct {
	code   hash.Hash
	digits [card.MaxPANDigits]byte
	sum    [1 + sha256.Size]byte
}

func token(key dataKey, pan card.PAN) [TokenBytes]byte {
	if pan.IsZero() {
		return [TokenBytes]byte{}
	}
	mac, _ := key.tokens.Get().(*tokenMAC)
	defer key.tokens.Put(mac)
	mac.sum[0] = byte(key.version)
	n := copy(mac.digits[:], pan.Reveal())
	mac.code.Write(mac.digits[:n])
	mac.code.Sum(mac.sum[:1])
	token := [TokenBytes]byte(mac.sum[:TokenBytes])
	mac.code.Reset()
	clear(mac.digits[:])
	clear(mac.sum[:])
	return token
}

// Token is [DataKeys.Token] under the data keys that a database begins with, see
// [Vault.FirstDataKeys].
func (v *Vault) Token(pan card.PAN) [TokenBytes]byte { return v.FirstDataKeys().Token(pan) }
