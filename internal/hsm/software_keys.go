package hsm

import (
	"context"
	"crypto/subtle"
	"fmt"

	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/vault"
)

// Generate implements Keys.
func (s *Software) Generate(_ context.Context, use Use, algorithm Algorithm) (Key, error) {
	k := newKey(use, algorithm)
	if err := k.check(); err != nil {
		return Key{}, fmt.Errorf("generate key: %w", err)
	}
	content, err := cipherkey.Generate(algorithm)
	if err != nil {
		return Key{}, fmt.Errorf("generate %s key: %w: %w", use, ErrAlgorithm, err)
	}
	return s.wrap(k, content)
}

// Bounds of dual control: one component is one person, and more than three people
// do not come together for a key.
const (
	minComponents = 2
	maxComponents = 3
)

// FormKey implements Keys.
func (s *Software) FormKey(_ context.Context, use Use, algorithm Algorithm, components ...vault.Secret) (Key, error) {
	k := newKey(use, algorithm)
	if err := k.check(); err != nil {
		return Key{}, fmt.Errorf("form key: %w", err)
	}
	content, err := combine(algorithm, components)
	if err != nil {
		return Key{}, fmt.Errorf("form %s key: %w", use, err)
	}
	return s.wrap(k, content)
}

// combine adds components. One that is the same as another, or constant, would
// leave the key to fewer people than it has components.
func combine(algorithm Algorithm, components []vault.Secret) ([]byte, error) {
	if len(components) < minComponents || len(components) > maxComponents {
		return nil, fmt.Errorf("%w: there are %d, want %d or %d", ErrComponents, len(components), minComponents, maxComponents)
	}
	formed := make([]byte, algorithm.KeyBytes())
	var seen []vault.Secret
	for i, component := range components {
		content := component.Reveal()
		if len(content) != len(formed) {
			return nil, fmt.Errorf("%w: component %d has %d bytes, a key of %s %d", ErrComponents, i+1, len(content), algorithm, len(formed))
		}
		if algorithm.IsDES() {
			cipherkey.SetOddParity(content)
		}
		if constant(content) {
			return nil, fmt.Errorf("%w: all bytes of component %d are the same", ErrComponents, i+1)
		}
		this := vault.NewSecret(content)
		for j, other := range seen {
			if this.Equal(other) {
				return nil, fmt.Errorf("%w: components %d and %d are the same", ErrComponents, j+1, i+1)
			}
		}
		seen = append(seen, this)
		subtle.XORBytes(formed, formed, content)
		clear(content)
	}
	if algorithm.IsDES() {
		cipherkey.SetOddParity(formed)
	}
	if err := cipherkey.CheckStrength(algorithm, formed); err != nil {
		clear(formed)
		return nil, fmt.Errorf("%w: %w", ErrComponents, err)
	}
	return formed, nil
}

func constant(content []byte) bool {
	var differs byte
	for _, b := range content {
		differs |= b ^ content[0]
	}
	return differs == 0
}

// ComponentCheckValue is what the person who enters a component compares. It fails
// with [ErrComponents] where the component has not the length of a key.
func ComponentCheckValue(algorithm Algorithm, component vault.Secret) (CheckValue, error) {
	content := component.Reveal()
	defer clear(content)
	value, err := cipherkey.CheckValueOf(algorithm, content)
	if err != nil {
		return CheckValue{}, fmt.Errorf("%w: %w", ErrComponents, err)
	}
	return value, nil
}

// CheckValue implements Keys.
func (s *Software) CheckValue(_ context.Context, k Key) (CheckValue, error) {
	content, err := s.unwrap(k)
	if err != nil {
		return CheckValue{}, fmt.Errorf("check value: %w", err)
	}
	defer clear(content)
	value, err := cipherkey.CheckValueOf(k.Algorithm, content)
	if err != nil {
		return CheckValue{}, fmt.Errorf("check value of %s: %w", k, err)
	}
	return value, nil
}

// InitialKey implements Blocks.
func (s *Software) InitialKey(_ context.Context, base Key, ksn []byte) (Key, error) {
	content, err := s.open(base, UseDUKPTBase)
	if err != nil {
		return Key{}, fmt.Errorf("derive initial key: %w", err)
	}
	defer clear(content)
	serial, err := dukpt.First(base.Algorithm, ksn)
	if err != nil {
		return Key{}, fmt.Errorf("derive initial key: %w: %w", ErrKSN, err)
	}
	initial, err := dukpt.InitialKey(base.Algorithm, content, serial)
	if err != nil {
		return Key{}, fmt.Errorf("derive initial key: %w", err)
	}
	return s.wrap(newKey(UseDUKPTInitial, base.Algorithm), initial)
}

// transactionKey derives the key of one transaction.
func (s *Software) transactionKey(base Key, ksn []byte, purpose dukpt.Purpose, working Algorithm) ([]byte, error) {
	content, err := s.open(base, UseDUKPTBase)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	serial, err := dukpt.Parse(base.Algorithm, ksn)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKSN, err)
	}
	initial, err := dukpt.InitialKey(base.Algorithm, content, serial)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	defer clear(initial)
	key, err := dukpt.WorkingKey(base.Algorithm, initial, serial, purpose, working)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	return key, nil
}
