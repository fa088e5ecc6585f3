package console

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// sampleStories are some that were played, and one that is being played.
type sampleStories struct{}

func (sampleStories) List() ([]Story, error) {
	return []Story{
		{Name: "void", Title: "A void of an unsettled sale", About: "A sale, and its void on the same day.", Dialects: []string{"nac", "unionpay"}},
		{Name: "late-cancel", Title: "A cancel behind the cutoff", About: "It becomes a refund.", Dialects: []string{"nac"}},
	}, nil
}

func (sampleStories) Play(_ context.Context, name, _ string) (string, error) {
	if name == "late-cancel" {
		return "", ErrStoryPlaying
	}
	return "void-3", nil
}

func (s sampleStories) Told(int) ([]*ToldStory, error) {
	good, _ := s.Find("late-cancel-1")
	bad, _ := s.Find("broken-2")
	return []*ToldStory{bad, good}, nil
}

func (sampleStories) Find(id string) (*ToldStory, error) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	told := map[string]*ToldStory{
		"late-cancel-1": {
			Name: "late-cancel", Title: "A cancel behind the cutoff", Outcome: "passed", Verdict: "2 of 2 steps as expected", RRNs: []string{"606900000001"},
			Steps: []ToldStep{
				{Tell: "A sale of 12.34", Did: "sale", At: at, Messages: []ToldMessage{{Sent: "0200 sale", CameBack: "0210 00", RRN: "606900000001", Good: true}}},
				{Tell: "The cutoff passes", Did: "clock past-cutoff", At: at.Add(time.Hour), Books: []string{"2026-03-10 is closed"}},
			},
		},
		"broken-2": {
			Name: "void", Title: "A void of an unsettled sale", Outcome: "failed", Verdict: "1 difference",
			Steps: []ToldStep{{Tell: "A void", At: at, Differences: []string{"code: 12, expected 00"}}},
		},
	}[id]
	if told != nil {
		told.ID, told.Dialect, told.TID, told.MID, told.StartedAt = id, "nac", till, shop, at
	}
	return told, nil
}

func TestStoriesPages(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Stories = sampleStories{} })
	w.get("/stories").want(t, 200, "A void of an unsettled sale", "Play in unionpay", "late-cancel nac 10000001 as told 606900000001", "void nac 10000001 failed")
	w.get("/stories/late-cancel-1").want(t, 200, "2 of 2 steps as expected", "→ 0200 sale ← 0210 00 · 606900000001", "2026-03-10 is closed")
	w.get("/stories/broken-2").want(t, 200, "Not as expected: code: 12, expected 00")
	w.get("/stories/none").want(t, 404, "the last hundred are")

	play := func(name, dialect, reason string) answer {
		return w.post("/stories/"+name, url.Values{"dialect": {dialect}, "reason": {reason}})
	}
	play("void", "unionpay", "").want(t, 400, "Say why")
	play("void", "ascii", "tried").want(t, 400, "is not one of the dialect “ascii”")
	play("none", "nac", "tried").want(t, 404)
	if rows := w.audited("story_played"); len(rows) != 0 {
		t.Errorf("audited %q", rows)
	}
	if to := play("void", "unionpay", "tried").want(t, http.StatusSeeOther).header.Get("Location"); to != "/stories/void-3" {
		t.Errorf("it leads to %q", to)
	}
	play("late-cancel", "nac", "tried").want(t, 409, "Another story is being played")
	if rows := w.audited("story_played"); len(rows) != 2 {
		t.Errorf("audited %q", rows)
	}
}
