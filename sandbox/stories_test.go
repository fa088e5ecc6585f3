//go:build unix

package sandbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"meridian/console"
	"meridian/internal/pglocal/pgtest"
	"meridian/sandbox/story"
)

// player plays scenarios at a running sandbox, as the command line does: over TCP
// and the ops address.
func player(t *testing.T, s *running) *story.Player {
	t.Helper()
	pool, err := console.OpenPool(t.Context(), s.Manifest().DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &story.Player{Timeout: patience, World: story.World{
		DataDir: s.DataDir(), Terminals: s.Manifest().StoryTerminals(), Pool: pool,
		Clock: func(_ context.Context, move story.Move) (story.Reading, error) {
			if move.Do == "" {
				r := s.clock.Read()
				return r.story(), nil
			}
			r := moveClock(t, s.Manifest(), ClockChange{Do: move.Do, Duration: move.Duration, Instant: move.Instant})
			return r.story(), nil
		},
	}}
}

// TestStoriesAreTrue: every story comes out as it says, in each of its dialects,
// and the books are right afterwards.
func TestStoriesAreTrue(t *testing.T) {
	o := options(dataDir(t))
	o.DatabaseURL = pgtest.Database(t, nil)
	o.Now = (&realTime{tuesday}).Now
	s := start(t, o)
	p := player(t, s)
	all, err := story.Stories()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for _, dialect := range story.Dialects {
		for _, one := range all {
			if !one.Plays(dialect) {
				continue
			}
			begun := time.Now()
			told, err := p.Play(t.Context(), one, story.Choice{Dialect: dialect})
			if err != nil {
				t.Errorf("%s in %s: %v", one.Name, dialect, err)
			}
			if told == nil {
				continue
			}
			var text strings.Builder
			told.WriteHead(&text)
			for i, step := range told.Steps {
				step.WriteStep(&text, i+1)
			}
			told.WriteEnd(&text)
			said.WriteString(text.String())
			if told.Outcome != story.Passed {
				t.Log(text.String())
			}
			t.Log(one.Name, dialect, time.Since(begun))
		}
	}
	verify(t, s.Manifest().DatabaseURL)
	for _, card := range s.Manifest().Cards {
		if strings.Contains(said.String(), card.PAN) {
			t.Fatal("a card number was told")
		}
	}
}
