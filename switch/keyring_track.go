package switching

import (
	"context"
	"errors"
	"fmt"

	"meridian/internal/hsm"
)

// DecryptTrack opens a track that a terminal enciphered under its track key. Its
// keys are at hand by then: a message with a track has been verified with them.
// Where several generations are taken, the one that was last seen in use comes
// first, and a track that is none under it is tried under the others.
func (s *Switch) DecryptTrack(tid, track string) (string, error) {
	t := s.Terminal(tid)
	if t == nil || s.ring.module == nil {
		return "", fmt.Errorf("decrypt track: %w", ErrNoModule)
	}
	set := s.ring.known(t)
	if set == nil {
		return "", errors.New("decrypt track: the terminal's keys are not at hand")
	}
	err := fmt.Errorf("decrypt track: %w: the terminal has no track key", hsm.ErrKey)
	for _, g := range set.likeliest() {
		key, parseErr := hsm.ParseKey(g.tdk, hsm.UseTrack)
		if parseErr != nil {
			continue
		}
		var clearTrack string
		if clearTrack, err = s.ring.module.DecryptTrack(context.Background(), key, track); err == nil {
			return clearTrack, nil
		}
	}
	return "", err
}

// likeliest lists the generations that are taken, the last that was seen in use
// first.
func (s *KeySet) likeliest() []*generation {
	var used, unused []*generation
	for _, g := range s.live() {
		if g.number == 0 || g.firstUsed.Load() != 0 {
			used = append(used, g)
		} else {
			unused = append(unused, g)
		}
	}
	return append(used, unused...)
}

// known is what was last read of a terminal's keys; nil for nothing.
func (k *Keyring) known(t *Terminal) *KeySet {
	e := k.entry(t.ID)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}
