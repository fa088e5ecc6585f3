package switching

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meridian/internal/hsm"
	"meridian/internal/hsm/mac"
)

// rolloverOverlap is how long keys are still taken after their successors were
// first used: a message that was under way by then has arrived, or its terminal
// has given it up.
const rolloverOverlap = time.Minute

// KeySet is what a host knows of one terminal's keys. It does not change, but
// for the note of when a generation was first used.
type KeySet struct {
	ring        *Keyring
	terminal    *Terminal
	generations []*generation // the newest first; none of a terminal whose keys are derived
	base        hsm.Key       // of one whose keys are
	// broken tells that the base key cannot be used, and why.
	broken error
}

// generation is one set of a terminal's working keys.
type generation struct {
	number        int32  // 0 are the keys of the terminal's row
	mak, pik, tdk []byte // as their row has them; nil for none

	firstUsed atomic.Int64 // nanoseconds since 1970; 0 for never

	mu sync.Mutex
	// alone is the verifier of messages under this generation, made when it is first
	// needed; a slice, as most terminals have no other.
	alone []Verifier

	readPIN sync.Once
	pinKeys []hsm.Key // what pik holds: one, or none that can be used
}

// NewKeySet is what a host knows of a terminal that has no other keys than those
// of its row. A host's own sets come from its [Keyring]; this one needs no
// database, for tests of what stands above.
func NewKeySet(module hsm.Module, now func() time.Time, t *Terminal) *KeySet {
	ring := &Keyring{module: module, now: now}
	if t.Scheme.Derives() {
		return ring.derived(t)
	}
	return ring.newSet(t, nil)
}

// Verifier checks one message and seals its answer.
type Verifier struct {
	// Request and Answer are the same but where keys are derived.
	Request, Answer hsm.MAC

	generation *generation
	ksn        []byte
}

// ErrKSN: a message of a terminal whose keys are derived names none of its keys.
var ErrKSN = errors.New("no key serial number of this terminal")

// SignedIn tells that the terminal has a session, or needs none.
func (s *KeySet) SignedIn() bool { return s.terminal.Scheme != SchemeSession || len(s.generations) > 0 }

// live lists the generations that are taken now, the newest first: all down to
// one that has been used for the time of the overlap.
func (s *KeySet) live() []*generation {
	now := s.ring.now()
	for i, g := range s.generations {
		if used := g.firstUsed.Load(); used != 0 && now.Sub(time.Unix(0, used)) >= rolloverOverlap {
			return s.generations[:i+1]
		}
	}
	return s.generations
}

// Verifiers of a message: one of them made its MAC, the likeliest comes first.
// The error tells of keys that cannot be used, beside those that can; with
// [ErrKSN] there are none. A terminal without a MAC has no verifier.
func (s *KeySet) Verifiers(ctx context.Context, ksn []byte) ([]Verifier, error) {
	if s.terminal.MACAlgorithm == noMAC {
		return nil, nil
	}
	if s.terminal.Scheme.Derives() {
		return s.derive(ctx, ksn)
	}
	var list []Verifier
	var broken error
	for _, g := range s.live() {
		alone, err := g.verifier(ctx, s.ring.module, s.terminal.MACAlgorithm)
		switch {
		case err != nil:
			broken = errors.Join(broken, fmt.Errorf("MAC key of generation %d: %w", g.number, err))
		case list == nil:
			list = alone
		default:
			list = append(list, alone...) // a copy: alone has no room
		}
	}
	return list, broken
}

// noMAC as the algorithm of a terminal without.
const noMAC = "none"

// verifier makes the generation's algorithm once. What fails is tried again: a
// module may be away for a moment.
func (g *generation) verifier(ctx context.Context, module hsm.Module, algorithm string) ([]Verifier, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.alone != nil {
		return g.alone, nil
	}
	key, err := hsm.ParseKey(g.mak, hsm.UseMAC)
	if err != nil {
		return nil, err
	}
	mac, err := module.MAC(ctx, key, algorithm)
	if err != nil {
		return nil, err
	}
	g.alone = []Verifier{{Request: mac, Answer: mac, generation: g}}
	return g.alone, nil
}

// pins are the generation's PIN keys. A terminal without one is the rule, and
// what is no key stays none: it is read once, not with every message.
func (g *generation) pins() []hsm.Key {
	g.readPIN.Do(func() {
		if key, err := hsm.ParseKey(g.pik, hsm.UsePIN); err == nil {
			g.pinKeys = []hsm.Key{key}
		}
	})
	return g.pinKeys
}

// Verified notes that a message's MAC was right, and returns what the message
// may be trusted with: the PIN is under the keys of the same generation.
func (s *KeySet) Verified(v *Verifier) Credentials {
	if v.generation == nil {
		return Credentials{SignedIn: true, PINKeys: []hsm.Key{s.base}, KSN: v.ksn, Counts: true}
	}
	s.ring.used(s, v.generation)
	return Credentials{SignedIn: s.SignedIn(), PINKeys: v.generation.pins()}
}

// Unverified are the credentials of a message that carries no MAC: whatever key
// opens its PIN will do.
func (s *KeySet) Unverified(ksn []byte) Credentials {
	if s.terminal.Scheme.Derives() {
		c := Credentials{SignedIn: true}
		if s.broken == nil && ksnOf(s.terminal, ksn) {
			c.PINKeys, c.KSN, c.Counts = []hsm.Key{s.base}, ksn, s.terminal.MACAlgorithm == noMAC
		}
		return c
	}
	c := Credentials{SignedIn: s.SignedIn()}
	for _, g := range s.live() {
		if c.PINKeys == nil {
			c.PINKeys = g.pins()
		} else {
			c.PINKeys = append(c.PINKeys, g.pins()...) // a copy: there is no room
		}
	}
	return c
}

// Seal is the MAC of an answer to a message that nothing could verify, so that a
// stranger may have written it, and chosen what its answer repeats: under the keys
// that the terminal has been seen to have, else the newest. It is nil if there is
// none that can be used, or none that may be used for strangers ([mac.Resists]).
func (s *KeySet) Seal(ctx context.Context, ksn []byte) hsm.MAC {
	if !mac.Resists(s.terminal.MACAlgorithm) {
		return nil
	}
	list, _ := s.Verifiers(ctx, ksn) // what cannot be used is told where it is needed
	for _, v := range list {
		if v.generation == nil || v.generation.number == 0 || v.generation.firstUsed.Load() != 0 {
			return v.Answer
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[0].Answer
}

// inherit takes what an earlier set has made of the same keys.
func (s *KeySet) inherit(from *KeySet) {
	if from == nil || from.terminal.MACAlgorithm != s.terminal.MACAlgorithm {
		return
	}
	for i, g := range s.generations {
		at, found := slices.BinarySearchFunc(from.generations, g.number, func(o *generation, n int32) int { return cmp.Compare(n, o.number) })
		if !found || !from.generations[at].same(g) {
			continue
		}
		old := from.generations[at]
		if used := g.firstUsed.Load(); used != 0 {
			old.firstUsed.CompareAndSwap(0, used)
		}
		s.generations[i] = old
	}
}

func (g *generation) same(o *generation) bool {
	return bytes.Equal(g.mak, o.mak) && bytes.Equal(g.pik, o.pik) && bytes.Equal(g.tdk, o.tdk)
}
