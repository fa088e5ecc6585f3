//go:build unix

package sandbox

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/bits"

	"meridian/internal/hsm"
)

// keyBytes is a double-length DES key, the length that terminals of all three
// dialects take.
const keyBytes = 16

// keys of a terminal, in clear: they are public. sandbox.json does not list the
// track key: who signs in for one is given it under the TMK.
type keys struct{ tmk, mak, pik, tdk []byte }

// keysOf derives a terminal's keys from its TID. Every sandbox has the same
// ones, so that a terminal that was loaded once works with the next sandbox.
func keysOf(tid string) keys {
	return keys{
		tmk: wellKnownKey("tmk", tid), mak: wellKnownKey("mak", tid), pik: wellKnownKey("pik", tid), tdk: wellKnownKey("tdk", tid),
	}
}

// of returns the terminal's key for a use.
func (k keys) of(use hsm.Use) []byte {
	switch use {
	case hsm.UseTerminalMaster:
		return k.tmk
	case hsm.UseMAC:
		return k.mak
	case hsm.UsePIN:
		return k.pik
	case hsm.UseTrack:
		return k.tdk
	default:
		return nil
	}
}

// workingKeys hands out the keys that sandbox.json lists in place of drawn ones,
// or their first halves, so that whoever writes a terminal can compare.
func workingKeys(module *hsm.Software) func(context.Context, string, hsm.Use, hsm.Algorithm) (hsm.Key, error) {
	return func(_ context.Context, tid string, use hsm.Use, algorithm hsm.Algorithm) (hsm.Key, error) {
		key := keysOf(tid).of(use)
		if len(key) < algorithm.KeyBytes() {
			return hsm.Key{}, fmt.Errorf("there is no %s key of %s in a sandbox", use, algorithm)
		}
		return module.Enter(use, algorithm, key[:algorithm.KeyBytes()])
	}
}

// wellKnownKey hashes the names and sets odd parity in every byte, which
// hardware terminals insist on.
func wellKnownKey(kind, tid string) []byte {
	sum := sha256.Sum256([]byte("Meridian sandbox key, not secret: " + kind + " " + tid))
	key := sum[:keyBytes]
	for i, b := range key {
		if bits.OnesCount8(b)%2 == 0 {
			key[i] = b ^ 1
		}
	}
	return key
}
