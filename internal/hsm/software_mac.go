package hsm

import (
	"context"
	"fmt"

	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/mac"
)

// MAC implements MACs.
func (s *Software) MAC(_ context.Context, k Key, algorithm string) (MAC, error) {
	content, err := s.open(k, UseMAC, ModeMAC)
	if err != nil {
		return nil, fmt.Errorf("set up MAC: %w", err)
	}
	defer clear(content)
	if mac.KeyAlgorithm(algorithm, len(content)) != k.Algorithm {
		return nil, fmt.Errorf("set up MAC: %w: %s with a key of %s", ErrAlgorithm, algorithm, k.Algorithm)
	}
	return newMAC(algorithm, content)
}

// DUKPTMAC implements MACs.
func (s *Software) DUKPTMAC(_ context.Context, base Key, ksn []byte, direction Direction, algorithm string) (MAC, error) {
	purpose := dukpt.MACRequest
	if direction == ToTerminal {
		purpose = dukpt.MACResponse
	}
	working := TDES2
	if algorithm == mac.AESCMAC {
		working = base.Algorithm
		if !working.IsAES() {
			return nil, fmt.Errorf("set up MAC: %w: %s under a base key of %s", ErrAlgorithm, algorithm, base.Algorithm)
		}
	}
	content, err := s.transactionKey(base, ksn, purpose, working)
	if err != nil {
		return nil, fmt.Errorf("set up MAC: %w", err)
	}
	defer clear(content)
	return newMAC(algorithm, content)
}

func newMAC(algorithm string, key []byte) (MAC, error) {
	m, err := mac.New(algorithm, key)
	if err != nil {
		return nil, fmt.Errorf("set up MAC: %w: %w", ErrAlgorithm, err)
	}
	return m, nil
}
