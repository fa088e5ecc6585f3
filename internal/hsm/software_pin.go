package hsm

import (
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/vault"
)

// A reference is the version of its form, the version of its key, and
//
//	HMAC-SHA256(data key, "meridian/pin/v1" │ token of the card │ digits │ PIN)
//
// with a byte for the number of digits. Nobody without the module's data key can
// try out the ten thousand PINs there are; the token makes equal PINs of two cards
// differ, and a reference that is copied to another card verify nothing.
const (
	referenceForm  = 1
	referenceLabel = "meridian/pin/v1"

	// ReferenceBytes is the length of a PIN reference.
	ReferenceBytes = 2 + sha256.Size
)

// ReferencePIN implements PINs.
func (s *Software) ReferencePIN(_ context.Context, e EncryptedPIN, token [vault.TokenBytes]byte) ([]byte, error) {
	pin, err := s.decryptPIN(e)
	if err != nil {
		return nil, fmt.Errorf("reference PIN: %w", err)
	}
	return s.reference(pin, token, s.keys.NewestVersion(vault.PurposePINReference))
}

// ReferenceClearPIN makes the reference of a clear PIN: of a sandbox's card, whose
// PIN everybody knows. It fails with [ErrSandboxOnly] where the vault's key is not
// one of sandboxes, and with [ErrPINBlock] for what is no PIN.
func (s *Software) ReferenceClearPIN(pin string, token [vault.TokenBytes]byte) ([]byte, error) {
	if !s.vault.IsSandbox() {
		return nil, fmt.Errorf("reference PIN: %w", ErrSandboxOnly)
	}
	if !pinblock.IsPIN([]byte(pin)) {
		return nil, fmt.Errorf("reference PIN: %w", ErrPINBlock)
	}
	return s.reference(vault.NewSecret([]byte(pin)), token, s.keys.NewestVersion(vault.PurposePINReference))
}

func (s *Software) reference(pin vault.Secret, token [vault.TokenBytes]byte, version int16) ([]byte, error) {
	digits := pin.Reveal()
	defer clear(digits)
	sum, err := s.keys.HMAC(vault.PurposePINReference, version,
		[]byte(referenceLabel), token[:], []byte{byte(len(digits))}, digits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	reference := make([]byte, 0, ReferenceBytes)
	reference = append(reference, referenceForm, byte(version))
	return append(reference, sum[:]...), nil
}

// VerifyPIN implements PINs.
func (s *Software) VerifyPIN(_ context.Context, check PINCheck) (PINResult, error) {
	if len(check.Reference) != ReferenceBytes || check.Reference[0] != referenceForm {
		return 0, fmt.Errorf("verify PIN: %w: %d bytes", ErrReference, len(check.Reference))
	}
	pin, err := s.decryptPIN(check.EncryptedPIN)
	switch {
	case errors.Is(err, ErrPINBlock):
		return PINMalformed, nil
	case err != nil:
		return 0, fmt.Errorf("verify PIN: %w", err)
	}
	want, err := s.reference(pin, check.Token, int16(check.Reference[1]))
	if err != nil {
		return 0, fmt.Errorf("verify PIN: %w", err)
	}
	if !hmac.Equal(want, check.Reference) {
		return PINWrong, nil
	}
	return PINCorrect, nil
}

// TranslatePIN implements PINs.
func (s *Software) TranslatePIN(_ context.Context, e EncryptedPIN, to PINTarget) ([]byte, error) {
	if e.Format.Bound() && !to.Format.Bound() {
		return nil, fmt.Errorf("translate PIN: %w: from %s to %s", ErrPINFormat, e.Format, to.Format)
	}
	target, err := s.open(to.Key, UsePIN, ModeBoth, ModeEncrypt)
	if err != nil {
		return nil, fmt.Errorf("translate PIN: target: %w", err)
	}
	defer clear(target)
	block, err := to.Key.Algorithm.Block(target)
	if err != nil {
		return nil, fmt.Errorf("translate PIN: %w", err)
	}
	pin, err := s.decryptPIN(e)
	if err != nil {
		return nil, fmt.Errorf("translate PIN: %w", err)
	}
	encrypted, err := pinblock.Encrypt(to.Format, block, pin, e.PAN)
	if err != nil {
		return nil, fmt.Errorf("translate PIN: %w: %w", ErrPINFormat, err)
	}
	return encrypted, nil
}

func (s *Software) decryptPIN(e EncryptedPIN) (vault.Secret, error) {
	block, err := s.pinCipher(e)
	if err != nil {
		return vault.Secret{}, err
	}
	pin, err := pinblock.Decrypt(e.Format, block, e.Block, e.PAN)
	switch {
	case errors.Is(err, pinblock.ErrBlock):
		return vault.Secret{}, ErrPINBlock
	case err != nil:
		return vault.Secret{}, fmt.Errorf("%w: %w", ErrPINFormat, err)
	}
	return pin, nil
}

// pinCipher opens the PIN key, or derives it: format 4 is of AES, the others of
// TDES.
func (s *Software) pinCipher(e EncryptedPIN) (cipher.Block, error) {
	algorithm, open := e.Key.Algorithm, func() ([]byte, error) { return s.open(e.Key, UsePIN, ModeBoth, ModeDecrypt) }
	if e.Key.Use == UseDUKPTBase {
		if e.Format != PINFormat4 {
			algorithm = TDES2
		}
		open = func() ([]byte, error) { return s.transactionKey(e.Key, e.KSN, dukpt.PIN, algorithm) }
	} else if len(e.KSN) > 0 {
		return nil, fmt.Errorf("%w: a key serial number with a %s", ErrKSN, e.Key)
	}
	content, err := open()
	if err != nil {
		return nil, err
	}
	defer clear(content)
	block, err := algorithm.Block(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return block, nil
}
