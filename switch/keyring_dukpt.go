package switching

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"meridian/internal/hsm"
)

// Derived keys: each message names a key by its key serial number, which is the
// terminal's own part and a transaction counter.
//
//	TDES (ANSI X9.24-1:2009, A.1)  10 bytes: 59 bits of the terminal, 21 bits of counter
//	AES  (ANSI X9.24-3:2017, 6.3)  12 bytes: 8 bytes of the terminal,  4 bytes of counter
const (
	tdesKSNBytes    = 10
	tdesCounterMask = 1<<21 - 1
	aesKSNBytes     = 12
	aesInitialBytes = 8
)

// splitKSN tells the terminal's part of a key serial number from its counter.
func splitKSN(scheme KeyScheme, ksn []byte) (initial []byte, counter int64, ok bool) {
	switch {
	case scheme == SchemeTDES && len(ksn) == tdesKSNBytes:
		low := binary.BigEndian.Uint32(ksn[tdesKSNBytes-4:])
		initial = bytes.Clone(ksn)
		binary.BigEndian.PutUint32(initial[tdesKSNBytes-4:], low&^tdesCounterMask)
		counter = int64(low & tdesCounterMask)
	case scheme == SchemeAES && len(ksn) == aesKSNBytes:
		initial, counter = ksn[:aesInitialBytes], int64(binary.BigEndian.Uint32(ksn[aesInitialBytes:]))
	}
	return initial, counter, counter > 0 // there is no transaction before the first
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
