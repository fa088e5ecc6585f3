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
	path string // empty: forgotten at the end
	real func() time.Time
	// give hands the file to the data directory's owner.
	give func(path string) error

	mu    sync.Mutex
	state clockState
}

type clockState struct {
	Offset   time.Duration `json:"offset_ns"`
	FrozenAt time.Time     `json:"frozen_at,omitzero"` // zero while it runs
}

// ClockReading is what the clock shows.
type ClockReading struct {
	Now time.Time `json:"now"`
	// Was is what it showed before the change that this answers, if it answers one.
	Was    time.Time `json:"was,omitzero"`
	Real   time.Time `json:"real"`
	Offset string    `json:"offset"`
	Frozen bool      `json:"frozen"`
}

// OpenClock reads the clock that the data directory keeps; the real one, if it
// keeps none. Without a data directory nothing is read and nothing kept.
func OpenClock(dataDir string, actual func() time.Time) (*Clock, error) {
	c := &Clock{real: actual, give: func(string) error { return nil }}
	if dataDir == "" {
		return c, nil
	}
	c.path = filepath.Join(dataDir, clockFile)
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

func (c *Clock) now() time.Time { return c.at(c.real()) }

// at is what the clock shows at an instant of the real time.
func (c *Clock) at(actual time.Time) time.Time {
	if !c.state.FrozenAt.IsZero() {
		return c.state.FrozenAt
	}
	return actual.Add(c.state.Offset)
}

// Read shows the clock.
func (c *Clock) Read() ClockReading {
	c.mu.Lock()
	defer c.mu.Unlock()
	actual := c.real()
	now := c.at(actual)
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
	if err := c.keep(next); err != nil {
		return fmt.Errorf("keep the sandbox's clock: %w", err)
	}
	c.state = next
	return nil
}

func (c *Clock) keep(next clockState) error {
	if c.path == "" {
		return nil
	}
	b, err := json.Marshal(next)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by change
	}
	staged := c.path + ".new"
	if err := os.WriteFile(staged, b, 0o600); err != nil {
		return err
	}
	if err := c.give(staged); err != nil {
		return err
	}
	return os.Rename(staged, c.path)
}
