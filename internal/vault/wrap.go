package vault

import (
	"errors"
	"fmt"
	"strings"
)

// Usage says what a wrapped value is for. It is authenticated with the value
// and not stored in it: who unwraps has to know what the value should be. A usage
// is part of every stored value and is never renamed.
type Usage string

const (
	wrapVersion = 1

	headerBytes = 1 + len(keyID{})

	// WrapOverhead is how much longer a wrapped value is than its content.
	WrapOverhead = headerBytes + xaesNonceBytes + gcmTagBytes

	// MaxPlainBytes bounds what is wrapped: keys, key blocks and card data are
	// far below it, so more is a mistake.
	MaxPlainBytes = 4096

	maxUsageBytes = 64 // a word, not a payload
)

// Errors of [Vault.Wrap] and [Vault.Unwrap]. None of them contains content.
var (
	// ErrUsage: the usage is empty or too long.
	ErrUsage = errors.New("not a usage")
	// ErrPlainTooLong: more than MaxPlainBytes.
	ErrPlainTooLong = errors.New("too long to wrap")
	// ErrNotWrapped: the value was not made by Wrap, or by a later version.
	ErrNotWrapped = errors.New("not a wrapped value")
	// ErrOtherKey: the value was wrapped under a master key the vault lacks.
	ErrOtherKey = errors.New("wrapped under another master key")
	// ErrUnwrap: the value was changed, or wrapped for another usage.
	ErrUnwrap = errors.New("wrapped value was changed or is for another usage")
)

// Wrap encrypts and authenticates plain for one usage; only [Vault.Unwrap] with
// the same usage and master key opens it. The result is [WrapOverhead] longer
// and different each time. It fails with [ErrUsage] or [ErrPlainTooLong].
func (v *Vault) Wrap(usage Usage, plain []byte) ([]byte, error) {
	if err := checkUsage(usage); err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	if len(plain) > MaxPlainBytes {
		return nil, fmt.Errorf("wrap %s: %w: %d bytes, at most %d", usage, ErrPlainTooLong, len(plain), MaxPlainBytes)
	}
	wrapped := make([]byte, 0, len(plain)+WrapOverhead)
	wrapped = append(wrapped, wrapVersion)
	wrapped = append(wrapped, v.current[:]...)
	wrapped, err := (*v.wrapping.Value())[v.current].seal(wrapped, plain, associated(wrapped, usage))
	if err != nil {
		return nil, fmt.Errorf("wrap %s: %w", usage, err)
	}
	return wrapped, nil
}

// Unwrap returns the content of a value that [Vault.Wrap] made for the same
// usage under any of the vault's master keys. It fails with [ErrUsage], [ErrNotWrapped], [ErrOtherKey] or
// [ErrUnwrap], and returns nothing then.
func (v *Vault) Unwrap(usage Usage, wrapped []byte) ([]byte, error) {
	if err := checkUsage(usage); err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	id, err := wrappedUnder(wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap %s: %w", usage, err)
	}
	cipher := (*v.wrapping.Value())[id]
	if cipher == nil {
		return nil, fmt.Errorf("unwrap %s: %w: %s, this vault has %s", usage, ErrOtherKey, id, strings.Join(v.KeyIDs(), ", "))
	}
	header, sealed := wrapped[:headerBytes], wrapped[headerBytes:]
	plain, err := cipher.open(sealed, associated(header, usage))
	if err != nil {
		return nil, fmt.Errorf("unwrap %s: %w", usage, err)
	}
	return plain, nil
}

// wrappedUnder reads the header. It fails with [ErrNotWrapped].
func wrappedUnder(wrapped []byte) (keyID, error) {
	if len(wrapped) < WrapOverhead || len(wrapped) > MaxPlainBytes+WrapOverhead {
		return keyID{}, fmt.Errorf("%w: %d bytes, want %d to %d", ErrNotWrapped, len(wrapped), WrapOverhead, MaxPlainBytes+WrapOverhead)
	}
	if wrapped[0] != wrapVersion {
		return keyID{}, fmt.Errorf("%w: version %d, this program knows %d", ErrNotWrapped, wrapped[0], wrapVersion)
	}
	return keyID(wrapped[1:headerBytes]), nil
}

// NeedsRewrap reports whether the value is under an older master key than the
// vault's newest: that one can be retired when no stored value needs it.
func (v *Vault) NeedsRewrap(wrapped []byte) bool {
	id, err := wrappedUnder(wrapped)
	return err == nil && id != v.current
}

// Rewrap wraps the content of a wrapped value under the newest master key. It
// fails as [Vault.Unwrap] does.
func (v *Vault) Rewrap(usage Usage, wrapped []byte) ([]byte, error) {
	plain, err := v.Unwrap(usage, wrapped)
	if err != nil {
		return nil, fmt.Errorf("rewrap: %w", err)
	}
	defer clear(plain)
	return v.Wrap(usage, plain)
}

func checkUsage(usage Usage) error {
	if usage == "" || len(usage) > maxUsageBytes {
		return fmt.Errorf("%w: %d bytes, want 1 to %d", ErrUsage, len(usage), maxUsageBytes)
	}
	return nil
}

// associated is the additional data: the header, whose length is fixed, and the
// usage.
func associated(header []byte, usage Usage) []byte {
	data := make([]byte, 0, headerBytes+maxUsageBytes)
	data = append(data, header...)
	return append(data, usage...)
}
