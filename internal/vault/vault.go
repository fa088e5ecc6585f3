package vault

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Labels of the derived keys. A label is part of every stored value: it never
// changes, a new use gets a new one.
const (
	wrappingLabel = "meridian/wrapping/v1"
	tokenLabel    = "meridian/token/v1"
	keyIDLabel    = "meridian/key-id/v1"
)

// Vault wraps keys and makes tokens under one master key.
type Vault struct {
	keys    opaque[derivedKeys]
	keyID   keyID
	sandbox bool
}

// keyID tells master keys apart. It is derived, so that nobody has to number
// keys; four bytes are many for the few keys a vault ever sees.
type keyID [4]byte

func (id keyID) String() string { return hex.EncodeToString(id[:]) }

type derivedKeys struct {
	wrapping *xaes
	token    []byte
}

// Open derives the vault's keys from the master key. It fails with
// [ErrMasterKey] for the zero MasterKey.
func Open(master MasterKey) (*Vault, error) {
	if master.IsZero() {
		return nil, fmt.Errorf("open vault: %w: there is none", ErrMasterKey)
	}
	wrappingKey, err := derive(master, wrappingLabel, aes256KeyBytes)
	if err != nil {
		return nil, err
	}
	wrapping, err := newXAES(wrappingKey)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	token, err := derive(master, tokenLabel, sha256.Size)
	if err != nil {
		return nil, err
	}
	id, err := derive(master, keyIDLabel, len(keyID{}))
	if err != nil {
		return nil, err
	}
	return &Vault{
		keys:    conceal(derivedKeys{wrapping: wrapping, token: token}),
		keyID:   keyID(id),
		sandbox: master.sandbox,
	}, nil
}

// derive needs no salt: the master key is uniformly random, the label keeps the
// keys apart.
func derive(master MasterKey, label string, size int) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, master.key.Reveal(), nil, label, size)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", label, err)
	}
	return key, nil
}

// IsSandbox reports whether the vault was opened with a sandbox key, whose
// secrets are public: production refuses to start with it.
func (v *Vault) IsSandbox() bool { return v.sandbox }

// KeyID names the master key in logs and errors, in eight hexadecimal
// characters. It says nothing about the key itself.
func (v *Vault) KeyID() string { return v.keyID.String() }
