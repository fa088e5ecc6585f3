package hsm

import (
	"context"
	"fmt"

	"meridian/internal/hsm/track"
)

// DecryptTrack implements Tracks.
func (s *Software) DecryptTrack(_ context.Context, k Key, encrypted string) (string, error) {
	content, err := s.open(k, UseTrack, ModeBoth, ModeDecrypt)
	if err != nil {
		return "", fmt.Errorf("decrypt track: %w", err)
	}
	defer clear(content)
	block, err := k.Algorithm.Block(content)
	if err != nil {
		return "", fmt.Errorf("decrypt track: %w", err)
	}
	clearTrack, err := track.Decrypt(block, encrypted)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTrack, err)
	}
	return clearTrack, nil
}
