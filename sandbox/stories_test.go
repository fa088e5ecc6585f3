//go:build unix

package sandbox

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/console"
	"meridian/internal/pglocal/pgtest"
	"meridian/sandbox/story"
)

// everyStoryVariable has every story played in every dialect, as `make stories`
// has it. Without it those that wait for a cutoff, which takes a second or so each,
// are shared out among the dialects.
const everyStoryVariable = "MERIDIAN_TEST_STORIES"

// cutoffStories and the dialect that each is played in by default.
var cutoffStories = map[string]string{"refund": listenerNAC, "partial-refunds": listenerASCII, "late-cancel": listenerUnionPay}

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
			r := s.clock.Read()
			if move.Do != "" {
				r = moveClock(t, s.Manifest(), ClockChange{Do: move.Do, Duration: move.Duration, Instant: move.Instant})
			}
			return r.story(), nil
		},
	}}
}

// aloud is a telling as people get it.
func aloud(told *story.Telling) string {
	var text strings.Builder
	told.WriteHead(&text)
	for i, step := range told.Steps {
		step.WriteStep(&text, i+1)
	}
	told.WriteEnd(&text)
	return text.String()
}

// TestStoriesAreTrue: every story comes out as it says, in each of its dialects,
// over TCP, and the books are right afterwards. The console plays them, too.
func TestStoriesAreTrue(t *testing.T) {
	o := options(dataDir(t))
	o.DatabaseURL = pgtest.Database(t, migrate)
	o.Now = (&realTime{tuesday}).Now
	s := start(t, o)
	p := player(t, s)
	// Whoever has done the tutorial has been in the next business date and is back.
	for _, change := range []ClockChange{{Do: "advance", Duration: 24 * time.Hour}, {Do: "real"}} {
		moveClock(t, s.Manifest(), change)
	}
	all, err := story.Stories()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 11 {
		t.Fatalf("%d stories", len(all))
	}
	var said strings.Builder
	for _, dialect := range story.Dialects {
		for _, one := range all {
			only := cutoffStories[one.Name]
			if !one.Plays(dialect) || only != "" && only != dialect && os.Getenv(everyStoryVariable) == "" {
				continue
			}
			told, err := p.Play(t.Context(), one, story.Choice{Dialect: dialect})
			if err != nil {
				t.Errorf("%s in %s: %v", one.Name, dialect, err)
			}
			if told == nil {
				continue
			}
			text := aloud(told)
			said.WriteString(text)
			if told.Outcome != story.Passed {
				t.Log(text)
			}
		}
	}
	for _, want := range []string{
		"it became a VOID, by rule R16", "why: R29, ", "otherwise: before the cutoff at ", "Dr card:1001, Cr merchant:1:pending (sale)",
		"no answer: the answer got lost on its way", "wrong", "MAC sent",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nobody was told %q", want)
		}
	}
	secrets(t, s.Manifest(), "the stories", said.String())
	storiesInTheConsole(t, s)
	checklists(t, s)
	expectTooMuch(t, p)
	verify(t, s.Manifest().DatabaseURL)
}

// secrets must not be in what people see.
func secrets(t *testing.T, m *Manifest, where, text string) {
	t.Helper()
	for _, card := range m.Cards {
		if strings.Contains(text, card.PAN) || strings.Contains(text, card.Track2) {
			t.Fatalf("%s: a card's number", where)
		}
	}
	for _, merchant := range m.Merchants {
		for _, terminal := range merchant.Terminals {
			if strings.Contains(text, terminal.MAK) || strings.Contains(text, terminal.TMK) {
				t.Fatalf("%s: a key", where)
			}
		}
	}
}

// storiesInTheConsole plays one there and finds it in the audit log.
func storiesInTheConsole(t *testing.T, s *running) {
	t.Helper()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	read := func(r *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, html.UnescapeString(string(body))
	}
	at := s.Manifest().Addresses.Console
	if status, text := read(http.Get(at + "/stories")); status != http.StatusOK || !strings.Contains(text, "meridian trigger late-cancel") {
		t.Fatalf("%d %s", status, text)
	}
	status, page := read(http.PostForm(at+"/stories/void", url.Values{"dialect": {"unionpay"}, "reason": {"a test tries it"}}))
	rrns := regexp.MustCompile(`/transactions/([0-9]{12})`).FindAllStringSubmatch(page, -1)
	if status != http.StatusOK || len(rrns) < 2 || !strings.Contains(page, "as told") || !strings.Contains(page, "Sale is approved") {
		t.Fatalf("%d %s", status, page)
	}
	secrets(t, s.Manifest(), "the story's page", page)
	if status, text := read(http.Get(at + "/transactions/" + rrns[0][1])); status != http.StatusOK || !strings.Contains(text, "voided") {
		t.Errorf("%d: the story's sale", status)
	}
	if _, text := read(http.Get(at + "/stories")); !strings.Contains(text, rrns[0][1]) {
		t.Error("the list does not show the story's transactions")
	}
	if _, text := read(http.Get(at + "/audit?kind=story_played")); !strings.Contains(text, "void in unionpay, by sandbox console: a test tries it") {
		t.Error("the audit log does not know of it")
	}
	for path, form := range map[string]url.Values{
		"/stories/void":    {"dialect": {"unionpay"}},
		"/stories/nothing": {"dialect": {"nac"}, "reason": {"a test"}},
		"/stories/sale":    {"dialect": {"morse"}, "reason": {"a test"}},
	} {
		if status, _ := read(http.PostForm(at+path, form)); status < 400 || status >= 500 {
			t.Errorf("%s with %v: %d", path, form, status)
		}
	}
	if status, _ := read(http.Get(at + "/stories/20260101T000000.000000Z-10000001")); status != http.StatusNotFound {
		t.Errorf("a story that was never played: %d", status)
	}
}

// expectTooMuch plays scenarios that do not come out as they say.
func expectTooMuch(t *testing.T, p *story.Player) {
	t.Helper()
	for _, c := range []struct {
		steps   string
		outcome string
		differ  []string
	}{
		{
			"- {id: a, send: sale, amount: 1.00, expect: {code: 51, rule: R16, state: voided, balances: {card: 1.00, held: 2.00}}}", story.Failed,
			[]string{
				"the response code is 00, expected 51", "the rule is nothing, expected R16", "its state is approved, expected voided",
				"the balance of card is -1.00 CNY, expected +1.00 CNY", "the balance of held is 0.00 CNY, expected +2.00 CNY",
			},
		},
		{
			"- {send: sale, amount: 1.00}\n- {send: settle, expect: {settled: unbalanced, batch: {state: open, sales: 99, refunds_amount: 1.00}}}", story.Failed,
			[]string{
				"the settlement is balanced, expected unbalanced", "the batch's state is closed, expected open", "what the batch refunded is 0.00 CNY, expected +1.00 CNY",
			},
		},
		{"- {id: a, send: sale, amount: 1.00}\n- {id: b, send: sale, amount: 1.00, expect: {same_as: a}}", story.Failed, []string{"the RRN is"}},
		{"- {send: sale, amount: 1.00, wrong_mac: true, expect: {code: 00}}", story.Failed, []string{"the response code is 63, expected 00"}},
		{"- {send: sale, amount: 1.234}", story.Broken, nil},
		{"- {send: sale, amount: 1.00, card: nobody}", story.Broken, nil},
		{"- {wait: 1ms, expect: {balances: {card: 0.01}}}", story.Failed, []string{"the balance of card is 0.00 CNY, expected +0.01 CNY"}},
	} {
		s, err := story.Parse("test.yaml", []byte("name: test\nsteps:\n"+c.steps+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		told, err := p.Play(t.Context(), s, story.Choice{})
		if err == nil || told == nil || told.Outcome != c.outcome {
			t.Errorf("%s: %v", c.steps, err)
			continue
		}
		var got []string
		for _, d := range told.Differences() {
			got = append(got, d.String())
		}
		for _, want := range c.differ {
			if !slices.ContainsFunc(got, func(one string) bool { return strings.HasPrefix(one, want) }) {
				t.Errorf("%s: differences %q, want %q", c.steps, got, want)
			}
		}
		if c.outcome == story.Broken && told.Error == "" || !strings.Contains(aloud(told), fmt.Sprint("test (", told.Dialect, ")")) {
			t.Errorf("%s: told %s", c.steps, aloud(told))
		}
	}
}
