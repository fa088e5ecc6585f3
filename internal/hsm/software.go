package hsm

import (
	"context"
	"fmt"
	"slices"

	"meridian/internal/vault"
)

// SoftwareName is the [Software] module's name in configuration.
const SoftwareName = "software"

// Software is a module without hardware: keys are wrapped by the vault, opened in
// the process's memory for as long as an operation takes, and cleared. Whoever can
// read the process's memory can read its keys, which is what a hardware module is
// for.
type Software struct {
	vault *vault.Vault
	keys  *vault.DataKeys
}

var _ Module = (*Software)(nil)

// NewSoftware returns a module over a vault and its database's data keys, of which
// it uses the one for PIN references.
func NewSoftware(v *vault.Vault, keys *vault.DataKeys) *Software {
	return &Software{vault: v, keys: keys}
}

// Name implements Module.
func (s *Software) Name() string { return SoftwareName }

// usage binds everything a key says of itself to its wrapping.
func (k Key) usage() vault.Usage {
	return vault.Usage(fmt.Sprintf("key/%s/%s/%c/%c", k.Use, k.Algorithm, k.Mode, k.Exportability))
}

// wrap makes a key of a clear one, which it clears.
func (s *Software) wrap(k Key, content []byte) (Key, error) {
	defer clear(content)
	if err := k.check(); err != nil {
		return Key{}, err
	}
	if len(content) != k.Algorithm.KeyBytes() {
		return Key{}, fmt.Errorf("%w: %d bytes for %s, want %d", ErrAlgorithm, len(content), k.Algorithm, k.Algorithm.KeyBytes())
	}
	var err error
	if k.Wrapped, err = s.vault.Wrap(k.usage(), content); err != nil {
		return Key{}, fmt.Errorf("wrap %s: %w", k, err)
	}
	return k, nil
}

// newKey describes a key that the module makes.
func newKey(use Use, algorithm Algorithm) Key {
	rule := use.rule()
	return Key{Use: use, Algorithm: algorithm, Mode: rule.mode, Exportability: rule.export}
}

// check refuses what does not go together.
func (k Key) check() error {
	switch {
	case !k.Use.Valid():
		return fmt.Errorf("%w: there is no %s", ErrUse, k.Use)
	case !k.Use.takes(k.Algorithm):
		return fmt.Errorf("%w: no %s key is of %s", ErrAlgorithm, k.Use, k.Algorithm)
	case !k.Use.allows(k.Mode):
		return fmt.Errorf("%w: no %s key has the mode %q", ErrUse, k.Use, byte(k.Mode))
	case !k.Exportability.Valid():
		return fmt.Errorf("%w: there is no exportability %q", ErrExportability, byte(k.Exportability))
	}
	return nil
}

// open returns the clear key, for the caller to clear. An empty list of modes
// means any.
func (s *Software) open(k Key, want Use, modes ...Mode) ([]byte, error) {
	if k.Use != want {
		return nil, fmt.Errorf("%w: %s, want a %s key", ErrUse, k, want)
	}
	if !k.may(modes) {
		return nil, fmt.Errorf("%w: the mode of the %s is %q", ErrUse, k, byte(k.Mode))
	}
	return s.unwrap(k)
}

func (k Key) may(modes []Mode) bool {
	return len(modes) == 0 || k.Mode == ModeAny || slices.Contains(modes, k.Mode)
}

func (s *Software) unwrap(k Key) ([]byte, error) {
	content, err := s.vault.Unwrap(k.usage(), k.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKey, k, err)
	}
	if len(content) != k.Algorithm.KeyBytes() {
		clear(content)
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrKey, k, len(content))
	}
	return content, nil
}

// Rewrap implements Keys.
func (s *Software) Rewrap(_ context.Context, k Key) (Key, error) {
	wrapped, err := s.vault.Rewrap(k.usage(), k.Wrapped)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %s: %w", ErrKey, k, err)
	}
	k.Wrapped = wrapped
	return k, nil
}

// NeedsRewrap implements Keys.
func (s *Software) NeedsRewrap(k Key) bool { return s.vault.NeedsRewrap(k.Wrapped) }

// Enter takes a clear key, with any parity: a sandbox's, which everybody knows. It
// fails with [ErrSandboxOnly] where the vault's key is not one of sandboxes, and
// with ErrUse or ErrAlgorithm.
func (s *Software) Enter(use Use, algorithm Algorithm, key []byte) (Key, error) {
	if !s.vault.IsSandbox() {
		return Key{}, fmt.Errorf("enter %s key: %w", use, ErrSandboxOnly)
	}
	return s.wrap(newKey(use, algorithm), slices.Clone(key))
}
