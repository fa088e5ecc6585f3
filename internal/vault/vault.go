package vault

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Labels of the derived keys. A label is part of every stored value: it never
// changes, a new use gets a new one.
const (
	wrappingLabel = "meridian/wrapping/v1"
	keyIDLabel    = "meridian/key-id/v1"
)

// MaxMasterKeys bounds the keys of a vault: a rotation needs two, one that was
// interrupted three, and every further one is opened at each start.
const MaxMasterKeys = 8

// Vault wraps keys under its first master key and opens what was wrapped under
// any of them.
type Vault struct {
	wrapping Opaque[map[keyID]*xaes]
	first    Opaque[derivedKeys] // the data keys' first versions
	current  keyID
	sandbox  bool
}

// keyID tells master keys apart. It is derived, so that nobody has to number
// keys; four bytes are many for the few keys a vault ever sees.
type keyID [4]byte

func (id keyID) String() string { return hex.EncodeToString(id[:]) }

// Open derives the vault's keys from master keys, the newest first: it wraps, all
// of them open. It fails with [ErrMasterKey] without a key, with a zero one, with
// one that is there twice, and with more than [MaxMasterKeys].
func Open(masters ...MasterKey) (*Vault, error) {
	if len(masters) == 0 || len(masters) > MaxMasterKeys {
		return nil, fmt.Errorf("open vault: %w: there are %d, want 1 to %d", ErrMasterKey, len(masters), MaxMasterKeys)
	}
	v := &Vault{}
	wrapping := make(map[keyID]*xaes, len(masters))
	for i, master := range masters {
		id, cipher, err := openMaster(master)
		if err != nil {
			return nil, fmt.Errorf("open vault: key %d of %d: %w", i+1, len(masters), err)
		}
		if wrapping[id] != nil {
			return nil, fmt.Errorf("open vault: %w: key %d of %d, %s, is there twice", ErrMasterKey, i+1, len(masters), id)
		}
		wrapping[id] = cipher
		if i == 0 {
			v.current = id
		}
		v.sandbox = v.sandbox || master.sandbox
	}
	first, err := deriveDataKeys(masters[len(masters)-1])
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v.wrapping, v.first = Conceal(wrapping), Conceal(first)
	return v, nil
}

func openMaster(master MasterKey) (keyID, *xaes, error) {
	if master.IsZero() {
		return keyID{}, nil, fmt.Errorf("%w: there is none", ErrMasterKey)
	}
	id, err := derive(master, keyIDLabel, len(keyID{}))
	if err != nil {
		return keyID{}, nil, err
	}
	wrappingKey, err := derive(master, wrappingLabel, aes256KeyBytes)
	if err != nil {
		return keyID{}, nil, err
	}
	cipher, err := newXAES(wrappingKey)
	return keyID(id), cipher, err
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

// IsSandbox reports whether one of the vault's keys is a sandbox key, whose
// secrets are public: production refuses to start with it.
func (v *Vault) IsSandbox() bool { return v.sandbox }

// KeyID names the newest master key in logs and errors, in eight hexadecimal
// characters. It says nothing about the key itself.
func (v *Vault) KeyID() string { return v.current.String() }

// KeyIDs names all master keys, the newest first and the others in order.
func (v *Vault) KeyIDs() []string {
	ids := make([]string, 0, MaxMasterKeys)
	for id := range *v.wrapping.Value() {
		if id != v.current {
			ids = append(ids, id.String())
		}
	}
	slices.Sort(ids)
	return slices.Insert(ids, 0, v.KeyID())
}
