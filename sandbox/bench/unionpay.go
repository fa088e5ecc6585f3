//go:build unix

package bench

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // UnionPay's MAC is defined with DES
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"meridian/internal/loadgen"
)

// UnionPay terminals sign in and then sell like the others: a template of theirs
// is what package loadgen makes of a sale, and where it differs between two
// sales is what changes.

// unionPayHead is TPDU and application header.
const unionPayHead = len(tpdu) + 6

// signIn gives a UnionPay terminal its session, if it has none yet.
func (t *terminal) signIn(ctx context.Context, address string, unionPay bool) error {
	if !unionPay || t.session != nil {
		return nil
	}
	pos := loadgen.NewPOS(t.tid, t.mid, t.key)
	if err := pos.Connect(ctx, address); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	answer, err := pos.SignIn(ctx, loadgen.SignInDouble)
	if err := errors.Join(err, pos.Close()); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	if answer.Code() != "00" {
		return fmt.Errorf("sign in: %w: %s", errDeclined, answer.Code())
	}
	t.session = pos
	return nil
}

// asUnionPay makes a line that of a UnionPay terminal: it sells.
func (l *line) asUnionPay() (err error) {
	l.head = unionPayHead
	if l.mac, err = newUnionPayMAC(l.terminal.session.Keys().MAK); err != nil {
		return err
	}
	l.sale, err = unionPaySale(l.terminal.session)
	return err
}

// unionPaySale is the template of a keyed sale.
func unionPaySale(pos *loadgen.POS) (*message, error) {
	frame := func(digit string, minor int64) ([]byte, error) {
		card := loadgen.Card{PAN: strings.Repeat(digit, panDigits), Expiry: expiry}
		body, err := pos.Body(pos.Request(loadgen.Sale, card.Keyed(), loadgen.Amount(minor), map[int]string{11: strings.Repeat(digit, 6)}))
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		return loadgen.UnionPay().FrameOf(body), nil
	}
	one, err := frame("1", 111_111_111_111)
	if err != nil {
		return nil, err
	}
	other, err := frame("2", 222_222_222_222)
	if err != nil {
		return nil, err
	}
	m := &message{frame: one, body: lengthSize + unionPayHead, sealed: true}
	// In the order of the fields: card number, amount, trace number.
	at := m.body
	for _, part := range []struct {
		place *int
		bytes int
	}{{&m.pan, (panDigits + 1) / 2}, {&m.amount, 6}, {&m.stan, 3}} {
		for at < len(one) && one[at] == other[at] {
			at++
		}
		if at+part.bytes > len(one)-macBytes || bytes.Equal(one[at:at+part.bytes], other[at:at+part.bytes]) {
			return nil, errors.New("template: a sale has not what changes where it is expected")
		}
		*part.place = at
		at += part.bytes
	}
	return m, nil
}

// unionPayMAC is UnionPay's ECB MAC, apart from the host's.
type unionPayMAC struct {
	key   cipher.Block
	block [des.BlockSize]byte
	text  [2 * des.BlockSize]byte
}

func newUnionPayMAC(key []byte) (*unionPayMAC, error) {
	k, err := des.NewTripleDESCipher(append(bytes.Clone(key), key[:8]...)) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("MAC key: %w", err)
	}
	return &unionPayMAC{key: k}, nil
}

func (u *unionPayMAC) sum(data, into []byte) {
	u.block = [des.BlockSize]byte{}
	for i, b := range data {
		u.block[i%des.BlockSize] ^= b
	}
	upperHex(u.text[:], u.block[:])
	u.key.Encrypt(u.block[:], u.text[:des.BlockSize])
	for i := range u.block {
		u.block[i] ^= u.text[des.BlockSize+i]
	}
	u.key.Encrypt(u.block[:], u.block[:])
	upperHex(into, u.block[:macBytes/2])
}

// upperHex writes two characters for each byte.
func upperHex(into, b []byte) {
	hex.Encode(into, b)
	copy(into, bytes.ToUpper(into[:2*len(b)]))
}
