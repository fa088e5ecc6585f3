package switching

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"meridian/internal/hsm"
	"meridian/internal/hsm/dukpt"
)

// Lengths of an AES key serial number, and of the terminal's part of it.
const (
	aesKSNBytes     = dukpt.KSNBytesAES
	aesInitialBytes = aesKSNBytes - 4
)

// splitKSN tells the terminal's part of a key serial number from its counter.
// Which of the AES algorithms the base key has does not matter to its form.
func splitKSN(scheme KeyScheme, ksn []byte) (initial []byte, counter int64, ok bool) {
	base := hsm.AES128
	switch scheme {
	case SchemeTDES:
		base = hsm.TDES2
	case SchemeAES:
	default:
		return nil, 0, false
	}
	k, err := dukpt.Parse(base, ksn)
	if err != nil {
		return nil, 0, false
	}
	initial, err = hex.DecodeString(k.Terminal())
	return initial, int64(k.Counter()), err == nil
}

// ksnOf tells whether a key serial number is one of the terminal's: another
// terminal under the same base key cannot speak for it.
func ksnOf(t *Terminal, ksn []byte) bool {
	initial, _, ok := splitKSN(t.Scheme, ksn)
	return ok && bytes.Equal(initial, t.InitialKSN)
}

// derive makes the verifier of one message.
func (s *KeySet) derive(ctx context.Context, ksn []byte) ([]Verifier, error) {
	if s.broken != nil {
		return nil, fmt.Errorf("base key: %w", s.broken)
	}
	if !ksnOf(s.terminal, ksn) {
		return nil, ErrKSN
	}
	v := Verifier{ksn: ksn}
	for _, one := range []struct {
		direction hsm.Direction
		mac       *hsm.MAC
	}{{hsm.FromTerminal, &v.Request}, {hsm.ToTerminal, &v.Answer}} {
		var err error
		*one.mac, err = s.ring.module.DUKPTMAC(ctx, s.base, ksn, one.direction, s.terminal.MACAlgorithm)
		if errors.Is(err, hsm.ErrKSN) { // a counter that is skipped
			return nil, ErrKSN
		}
		if err != nil {
			return nil, fmt.Errorf("derive MAC key: %w", err)
		}
	}
	return []Verifier{v}, nil
}
