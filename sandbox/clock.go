package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// clockFile keeps a moved clock over restarts: business dates that were begun
// must not be begun again.
const clockFile = "clock.json"

// Clock is the sandbox's business clock: the real one, moved, or standing
// still. Production has no such thing.
type Clock struct {
	path string
	real func() time.Time

	mu    sync.Mutex
	state clockState
}

type clockState struct {
	Offset   time.Duration `json:"offset_ns"`
	FrozenAt time.Time     `json:"frozen_at,omitzero"` // zero while it runs
}

// ClockReading is what the clock shows.
type ClockReading struct {
	Now    time.Time `json:"now"`
	Real   time.Time `json:"real"`
	Offset string    `json:"offset"`
	Frozen bool      `json:"frozen"`
}

// OpenClock reads the clock that the data directory keeps; the real one, if it
// keeps none.
func OpenClock(dataDir string, real func() time.Time) (*Clock, error) {
	c := &Clock{path: filepath.Join(dataDir, clockFile), real: real}
	b, err := os.ReadFile(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's clock: %w", err)
	}
	if err := json.Unmarshal(b, &c.state); err != nil {
		return nil, fmt.Errorf("read the sandbox's clock %s: %w (remove the file for the real time)", c.path, err)
	}
	return c, nil
}

// Now is the business time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if !c.state.FrozenAt.IsZero() {
		return c.state.FrozenAt
	}
	return c.real().Add(c.state.Offset)
}

// Read shows the clock.
func (c *Clock) Read() ClockReading {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, actual := c.now(), c.real()
	return ClockReading{
		Now: now.UTC(), Real: actual.UTC(), Offset: now.Sub(actual).Round(time.Second).String(), Frozen: !c.state.FrozenAt.IsZero(),
	}
}

// Advance moves the clock by d, which may be negative.
func (c *Clock) Advance(d time.Duration) error {
	return c.change(func(s *clockState) {
		if s.FrozenAt.IsZero() {
			s.Offset += d
			return
		}
		s.FrozenAt = s.FrozenAt.Add(d)
	})
}

// Set moves the clock to t. A frozen clock stays frozen, at t.
func (c *Clock) Set(t time.Time) error {
	return c.change(func(s *clockState) {
		if s.FrozenAt.IsZero() {
			s.Offset = t.Sub(c.real())
			return
		}
		s.FrozenAt = t
	})
}

// Freeze stops the clock where it is.
func (c *Clock) Freeze() error {
	return c.change(func(s *clockState) { s.FrozenAt = c.now() })
}

// Real goes back to the real time.
func (c *Clock) Real() error {
	return c.change(func(s *clockState) { *s = clockState{} })
}

// change keeps the new state on disk before it counts.
func (c *Clock) change(how func(*clockState)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.state
	how(&next)
	b, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("keep the sandbox's clock: %w", err)
	}
	temporary := c.path + ".new"
	if err := os.WriteFile(temporary, b, 0o600); err != nil {
		return fmt.Errorf("keep the sandbox's clock: %w", err)
	}
	if err := os.Rename(temporary, c.path); err != nil {
		return fmt.Errorf("keep the sandbox's clock: %w", err)
	}
	c.state = next
	return nil
}
