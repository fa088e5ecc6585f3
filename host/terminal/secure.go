package terminal

import (
	"crypto/cipher"
	"fmt"

	"meridian/host/wire"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/mac"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/hsm/track"
	"meridian/internal/vault"
)

// PINOfCard as a request's PIN takes the one that sandbox.json has for the card.
const PINOfCard = "card"

// How a PIN came about, in notes of cards.
const (
	pinOfCard = PINOfCard
	pinGiven  = "given"
)

// check tells whether it is a DES key by its length.
func (k key) check() error {
	if cipherkey.OfDES(len(k)) == 0 {
		return fmt.Errorf("it is %d bytes, not 8, 16 or 24", len(k))
	}
	return nil
}

// block is the cipher of a DES key.
func (k key) block() (cipher.Block, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	return cipherkey.OfDES(len(k)).Block(k)
}

// sealing is what makes and verifies MACs now; nil for none. A terminal that
// signs in has a key of its session, unless the user gave another.
func (t *Terminal) sealing(st *state) (wire.MACAlgorithm, error) {
	if t.mac == macNone {
		return nil, nil //nolint:nilnil // no MAC is not an error
	}
	sealing := t.mak
	if len(sealing) == 0 {
		keys, err := t.sessionKeys(st)
		if err != nil {
			return nil, err
		}
		sealing = keys.mak
	}
	algorithm, err := mac.New(t.mac, sealing)
	if err != nil {
		return nil, errorf(KindUsage, "MAC key: %w", err)
	}
	return algorithm, nil
}

// secure puts in the PIN that was entered, and enciphers the track, where the
// request wants that.
func (t *Terminal) secure(d *draft, r *Request, st *state) error {
	if r.PIN == "" && !r.SealTrack {
		return nil
	}
	if d.card == nil {
		return errorf(KindUsage, "--pin and --seal-track need a card")
	}
	if err := t.enterPIN(d, r, st); err != nil {
		return err
	}
	return t.sealTrack(d, r, st)
}

// enterPIN puts in F52 in format 0 of ISO 9564-1, which is ANSI X9.8 with the card
// number, and says so in F22; UnionPay's terminals add how many digits they take
// (F26) and the format (F53).
func (t *Terminal) enterPIN(d *draft, r *Request, st *state) error {
	if r.PIN == "" {
		return nil
	}
	digits := vault.NewSecret([]byte(r.PIN))
	d.card.pinEntered = pinGiven
	if r.PIN == PINOfCard {
		digits, d.card.pinEntered = d.card.pin, pinOfCard
		if digits.IsZero() {
			return errorf(KindUsage, "--pin card: %s has no PIN for this card", sandboxName)
		}
	}
	enciphering := t.pik
	if len(enciphering) == 0 {
		keys, err := t.sessionKeys(st)
		if err != nil {
			return err
		}
		enciphering = keys.pik
	}
	block, err := enciphering.block()
	if err != nil {
		return errorf(KindUsage, "PIN key: %w", err)
	}
	entered, err := pinblock.Encrypt(pinblock.Format0, block, digits, d.card.pan)
	if err != nil {
		return errorf(KindUsage, "--pin: %w", err)
	}
	d.fields[52] = string(entered)
	d.fields[22] = d.fields[22][:2] + string(entryPIN)
	if t.dialect == dialectUnionPay {
		d.fields[26] = maxPINDigits
		d.fields[53] = securityControl(pinWithPAN, len(enciphering), '0')
	}
	return nil
}

// sealTrack enciphers F35 under the session's track key.
func (t *Terminal) sealTrack(d *draft, r *Request, st *state) error {
	if !r.SealTrack {
		return nil
	}
	if d.fields[35] == "" {
		return errorf(KindUsage, "--seal-track: the message has no track")
	}
	keys, err := t.sessionKeys(st)
	if err != nil {
		return err
	}
	if len(keys.tdk) == 0 {
		return errorf(KindUsage, "--seal-track: the session has no track key: 'logon --keys track' first")
	}
	block, err := keys.tdk.block()
	if err != nil {
		return errorf(KindUsage, "track key: %w", err)
	}
	sealed, err := track.Encrypt(block, d.fields[35])
	if err != nil {
		return errorf(KindUsage, "--seal-track: %w", err)
	}
	d.fields[35], d.card.sealTrack = sealed, true
	if f53 := d.fields[53]; f53 != "" {
		d.fields[53] = f53[:2] + "1" + f53[3:]
	} else {
		d.fields[53] = securityControl('0', len(keys.tdk), '1')
	}
	return nil
}

// F53 of UnionPay's messages: the format of the PIN block (2 is X9.8 with the card
// number, 0 no PIN), the length of the key (0 single, 6 double), whether the track
// is enciphered; the rest is zeros.
const pinWithPAN = '2'

// maxPINDigits is F26: how many digits this terminal takes.
const maxPINDigits = "12"

func securityControl(format byte, keyBytes int, sealedTrack byte) string {
	length := byte('0')
	if keyBytes > 8 {
		length = '6'
	}
	return string([]byte{format, length, sealedTrack}) + "0000000000000"
}
