package story

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/host/terminal"
)

// told is a telling with everything in it.
func told(n int) *Telling {
	begun := time.Date(2026, 11, 24, 12, 0, n, 0, time.UTC)
	return &Telling{
		ID: begun.Format("20060102T150405.000000Z") + "-10000007", Scenario: "a <story>", Title: "A story", File: "a.yaml", Dialect: "nac",
		TID: "10000007", MID: "104110000000001", StartedAt: begun, RealTime: begun, Took: time.Second, Outcome: Failed,
		Steps: []*Told{
			{Line: 3, Tell: "It sells.", At: begun, Exchanges: []*Exchange{{&terminal.Report{
				Operation: terminal.Sale, RRN: "632700000001", Code: "00", Outcome: terminal.Approved,
				Request:  terminal.Message{MTI: "0200", MAC: "sent", Fields: []terminal.Field{{Field: 2, Value: "411111******1111"}}},
				Response: &terminal.Message{MTI: "0210", MAC: "ok", Fields: []terminal.Field{{Field: 39, Value: "00"}}},
			}}}, Books: &Books{RRN: "632700000001", Became: "sale", Asked: "sale", State: "approved", Legs: []Leg{}}},
			{Line: 9, At: begun, Differences: []Difference{{Line: 11, What: "the rule", Want: "R16", Got: "R<29>"}}},
		},
	}
}

func TestTellingsAreKept(t *testing.T) {
	dir := t.TempDir()
	for n := range maxKept + 3 {
		if err := Keep(dir, told(n%60+60*(n/60))); err != nil {
			t.Fatal(err)
		}
	}
	list, err := Kept(dir, 2)
	if err != nil || len(list) != 2 || !list[0].StartedAt.After(list[1].StartedAt) {
		t.Fatalf("%v: %+v", err, list)
	}
	want := told(maxKept + 2).withoutFields()
	got, gotErr := json.Marshal(list[0])
	if text, err := json.Marshal(want); err != nil || gotErr != nil || string(got) != string(text) || !strings.Contains(string(text), `"rrns":["632700000001"]`) {
		t.Errorf("kept %s, want %s", got, text)
	}
	if strings.Contains(string(got), "411111") {
		t.Error("the fields of messages are kept")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != maxKept {
		t.Errorf("%d files are kept (%v)", len(entries), err)
	}
	for _, id := range []string{"", "../../etc/passwd", "20261124T120000.000000Z-10000007", "20991124T120000.000000Z-10000007"} {
		if _, err := KeptTelling(dir, id); !errors.Is(err, ErrNotKept) {
			t.Errorf("%q: %v", id, err)
		}
	}
	damaged := keptPath(dir, "20991124T120000.000000Z-1")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Kept(dir, 5); err == nil {
		t.Error("half a file is read")
	}
	if info, err := os.Stat(filepath.Join(dir, "story-"+want.ID+".json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestJUnit(t *testing.T) {
	broken := told(1)
	broken.Outcome, broken.Error, broken.Steps = Broken, "no answer & no hope", broken.Steps[:1]
	var text strings.Builder
	if err := WriteJUnit(&text, []*Telling{told(0), broken}); err != nil {
		t.Fatal(err)
	}
	var read junitSuites
	if err := xml.Unmarshal([]byte(text.String()), &read); err != nil {
		t.Fatal(err)
	}
	if read.Tests != 3 || read.Failures != 1 || read.Errors != 1 || len(read.Suites) != 2 {
		t.Errorf("%+v", read)
	}
	failure := read.Suites[0].Cases[1].Failure
	if failure == nil || failure.Message != "the rule is R<29>, expected R16" || failure.Text != "a.yaml:11: the rule is R<29>, expected R16" {
		t.Errorf("%+v", failure)
	}
	if e := read.Suites[1].Cases[0].Error; e == nil || !strings.Contains(e.Message, "no hope") {
		t.Errorf("%+v", e)
	}
}

func TestWhoPlays(t *testing.T) {
	w := World{Terminals: []Terminal{
		{"10000001", "m1", "nac", false},
		{"10000007", "m1", "nac", true},
		{"20000007", "m2", "nac", true},
		{"20000009", "m2", "unionpay", true},
	}}
	anyone, own := &Scenario{Name: "any", Dialects: Dialects}, &Scenario{Name: "own", Dialects: []string{"unionpay"}, Merchant: "m2"}
	for i, c := range []struct {
		s    *Scenario
		c    Choice
		want string
	}{
		{anyone, Choice{}, "10000007"},
		{anyone, Choice{MID: "m2"}, "20000007"},
		{anyone, Choice{Dialect: "unionpay"}, "20000009"},
		{anyone, Choice{TID: "10000001"}, "10000001"},
		{own, Choice{}, "20000009"},
		{own, Choice{TID: "10000001"}, ""},
		{own, Choice{Dialect: "nac"}, ""},
		{anyone, Choice{Dialect: "ascii"}, ""},
		{anyone, Choice{TID: "99999999"}, ""},
		{anyone, Choice{TID: "10000001", Dialect: "ascii"}, ""},
	} {
		got, err := w.cast(c.s, c.c)
		if got.TID != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, ErrNobody) {
			t.Errorf("%d: %s, %v, want %q", i, got.TID, err, c.want)
		}
	}
}

func TestStoriesCanBeRead(t *testing.T) {
	list, err := Stories()
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range list {
		if s.Name != order[i] || s.Title == "" || s.About == "" || s.File != s.Name+".yaml" {
			t.Errorf("%d: %s in %s, want %s", i, s.Name, s.File, order[i])
		}
		for _, step := range s.Steps {
			if step.Tell == "" {
				t.Errorf("%s:%d tells nothing", s.File, step.Line)
			}
		}
	}
	if s, err := Story("nobody's"); s != nil || err != nil {
		t.Errorf("%v %v", s, err)
	}
}
