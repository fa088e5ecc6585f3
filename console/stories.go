package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Stories are what a sandbox can play, and what was played there lately, by
// whomever. They tell nothing of a card but its first six and last four digits.
type Stories interface {
	List() ([]Story, error)
	// Play plays a story to its end and returns the telling's id. It fails with
	// [ErrStoryPlaying] while another one is played. A story that does not come out
	// as it should is told so and no error.
	Play(ctx context.Context, name, dialect string) (id string, err error)
	// Told are the newest tellings, without their steps.
	Told(most int) ([]*ToldStory, error)
	// Find a telling; nil where it is not kept.
	Find(id string) (*ToldStory, error)
}

// ErrStoryPlaying: stories are played one after the other.
var ErrStoryPlaying = errors.New("another story is being played")

// Story is one that can be played.
type Story struct {
	Name, Title, About string
	Dialects           []string
}

// ToldStory is one that was played.
type ToldStory struct {
	ID, Name, Title, About string
	Dialect, TID, MID      string
	// Outcome is passed, failed or broken; Verdict says it in a line.
	Outcome, Verdict string
	StartedAt        time.Time // by the sandbox's clock
	RRNs             []string
	Steps            []ToldStep
}

// Good tells whether it came out as it should.
func (s *ToldStory) Good() bool { return s.Outcome == "passed" }

// ToldStep is one step of a story.
type ToldStep struct {
	Tell, Did   string
	At          time.Time
	Messages    []ToldMessage
	Books       []string // what the books did and why, line by line
	Differences []string // what is not as expected
}

// ToldMessage is a request and its answer, each in a line.
type ToldMessage struct {
	Sent, CameBack, RRN string
	Good                bool // approved
}

const (
	// storyTimeout bounds a story: some of them wait for a clock that closes a day.
	storyTimeout = 3 * time.Minute
	// toldShown on the page of stories.
	toldShown = 30
)

// storiesBody is what can be played, and what was.
type storiesBody struct {
	List   []Story
	Told   []*ToldStory
	CanAct bool
}

func (c *Console) stories(r *http.Request) (*view, error) {
	body := &storiesBody{CanAct: personOf(r).CanAct()}
	var err error
	if body.List, err = c.o.Stories.List(); err != nil {
		return nil, err
	}
	if body.Told, err = c.o.Stories.Told(toldShown); err != nil {
		return nil, err
	}
	return &view{template: "stories.html", title: "Stories", section: "stories", body: body}, nil
}

func (c *Console) story(r *http.Request) (*view, error) {
	told, err := c.o.Stories.Find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if told == nil {
		return nil, notFound("This story is not kept: the last hundred are.")
	}
	return &view{template: "story.html", title: "Story " + told.Name, section: "stories", body: told}, nil
}

// playStory plays a story for an operator.
func (c *Console) playStory(r *http.Request, who, why string) (string, error) {
	name, dialect := r.PathValue("id"), r.PostFormValue("dialect")
	list, err := c.o.Stories.List()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(s Story) bool { return s.Name == name })
	switch {
	case i < 0:
		return "", notFound("There is no story “" + truncate(name) + "”.")
	case !slices.Contains(list[i].Dialects, dialect):
		return "", badRequest("The story is not one of the dialect “" + truncate(dialect) + "”.")
	}
	detail := fmt.Sprintf("%s in %s, by %s: %s", name, dialect, who, why)
	if err := c.record(r.Context(), "story_played", "sandbox", detail); err != nil {
		return "", err
	}
	// Who leaves the page does not stop a story in its middle.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storyTimeout)
	defer cancel()
	id, err := c.o.Stories.Play(ctx, name, dialect)
	if errors.Is(err, ErrStoryPlaying) {
		return "", &pageError{http.StatusConflict, "Another story is being played", "Stories are played one after the other. Try again when it is over."}
	}
	if err != nil {
		return "", err
	}
	return "/stories/" + url.PathEscape(id), nil
}
