//go:build unix

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/console"
	"meridian/sandbox/story"
)

// StoryTerminals are the sandbox's terminals as scenarios see them.
func (m *Manifest) StoryTerminals() []story.Terminal {
	var list []story.Terminal
	for _, merchant := range m.Merchants {
		for _, t := range merchant.Terminals {
			list = append(list, story.Terminal{TID: t.TID, MID: merchant.MID, Dialect: t.Dialect, Stories: t.Stories})
		}
	}
	return list
}

// story is a reading as scenarios take it.
func (r *ClockReading) story() story.Reading { return story.Reading{Now: r.Now, Frozen: r.Frozen} }

// stories are what the sandbox's console plays and shows. What the command line
// plays is found beside it, in the data directory.
type stories struct {
	sandbox *Sandbox
	pool    *pgxpool.Pool
	playing sync.Mutex
}

func (s *stories) List() ([]console.Story, error) {
	list, err := story.Stories()
	if err != nil {
		return nil, err
	}
	shown := make([]console.Story, len(list))
	for i, one := range list {
		shown[i] = console.Story{Name: one.Name, Title: one.Title, About: strings.TrimSpace(one.About), Dialects: one.Dialects}
	}
	return shown, nil
}

// Play plays a story through the sandbox's own listeners.
func (s *stories) Play(ctx context.Context, name, dialect string) (string, error) {
	if !s.playing.TryLock() {
		return "", console.ErrStoryPlaying
	}
	defer s.playing.Unlock()
	scenario, err := story.Story(name)
	if err != nil {
		return "", err
	}
	if scenario == nil {
		return "", fmt.Errorf("there is no story %s", name)
	}
	player := story.Player{World: story.World{
		DataDir: s.sandbox.home.dir, Terminals: s.sandbox.manifest.StoryTerminals(), Pool: s.pool, Clock: s.turn,
	}}
	told, err := player.Play(ctx, scenario, story.Choice{Dialect: dialect})
	if told == nil {
		return "", err
	}
	// Whatever became of it is told on its page.
	if err := story.Keep(s.sandbox.home.dir, told); err != nil {
		return "", err
	}
	return told.ID, nil
}

// turn moves the sandbox's clock for a story.
func (s *stories) turn(ctx context.Context, move story.Move) (story.Reading, error) {
	if move.Do == "" {
		r := s.sandbox.control.read()
		return r.story(), nil
	}
	r, err := s.sandbox.control.change(ctx, ClockChange{Do: move.Do, Duration: move.Duration, Instant: move.Instant}, nil) // who plays a story is in the audit log
	return r.story(), err
}

func (s *stories) Told(most int) ([]*console.ToldStory, error) {
	kept, err := story.Kept(s.sandbox.home.dir, most)
	if err != nil {
		return nil, err
	}
	list := make([]*console.ToldStory, len(kept))
	for i, t := range kept {
		list[i] = head(t)
	}
	return list, nil
}

func (s *stories) Find(id string) (*console.ToldStory, error) {
	t, err := story.KeptTelling(s.sandbox.home.dir, id)
	if errors.Is(err, story.ErrNotKept) {
		return nil, nil //nolint:nilnil // the page says so
	}
	if err != nil {
		return nil, err
	}
	shown := head(t)
	for _, step := range t.Steps {
		one := console.ToldStep{Tell: step.Heading(), Did: step.Did, At: step.At}
		for _, x := range step.Exchanges {
			one.Messages = append(one.Messages, console.ToldMessage{Sent: x.Sent(), CameBack: x.CameBack(), RRN: x.Transaction(), Good: x.Approved()})
		}
		if step.Books != nil {
			one.Books = step.Books.Lines()
		}
		for _, d := range step.Differences {
			one.Differences = append(one.Differences, d.String())
		}
		shown.Steps = append(shown.Steps, one)
	}
	return shown, nil
}

func head(t *story.Telling) *console.ToldStory {
	return &console.ToldStory{
		ID: t.ID, Name: t.Scenario, Title: t.Title, About: strings.TrimSpace(t.About), Dialect: t.Dialect, TID: t.TID, MID: t.MID,
		Outcome: t.Outcome, Verdict: t.Verdict(), StartedAt: t.StartedAt, RRNs: t.RRNs(),
	}
}
