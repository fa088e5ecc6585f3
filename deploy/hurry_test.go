//go:build unix

package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hurry is how many times as often as in production rules are evaluated in the tests
// that everybody runs, and by what part of the time conditions have to hold.
// Conditions themselves, with their windows, are as they are.
const hurry = 30

// scrapeEvery is as often as a busy machine bears: a look that takes longer than
// until the next one shows a host that is down.
const scrapeEvery = time.Second

var pace = regexp.MustCompile(`(?m)^( *(?:- )?(?:interval|for): )([0-9]+[smh])`)

// hurried is how a Prometheus looks that is in a hurry.
func hurried(t *testing.T, native bool) observation {
	t.Helper()
	folder, hastened := t.TempDir(), 0
	for _, path := range names(t, rulesFolder, ".rules.yaml") {
		text := pace.ReplaceAllStringFunc(read(t, "deploy", path), func(line string) string {
			parts := pace.FindStringSubmatch(line)
			d, err := time.ParseDuration(parts[2])
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			hastened++
			return parts[1] + milliseconds(d/hurry)
		})
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(path)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if hastened < 20 {
		t.Fatalf("only %d intervals were found in the rules", hastened)
	}
	return observation{rules: folder, scrape: scrapeEvery, evaluate: 15 * time.Second / hurry, native: native}
}

// asTheyAre is how a Prometheus of production looks, scraping a little more often.
func asTheyAre(t *testing.T) observation {
	t.Helper()
	folder, err := filepath.Abs(rulesFolder)
	if err != nil {
		t.Fatal(err)
	}
	return observation{rules: folder, scrape: scrapeEvery, evaluate: 15 * time.Second}
}

// The rules of a hurried Prometheus differ in nothing else.
func TestHurriedRules(t *testing.T) {
	folder := hurried(t, false).rules
	for _, path := range names(t, rulesFolder, ".rules.yaml") {
		hasty, err := os.ReadFile(filepath.Join(folder, filepath.Base(path)))
		if err != nil {
			t.Fatal(err)
		}
		was, is := strings.Split(read(t, "deploy", path), "\n"), strings.Split(string(hasty), "\n")
		for i := range was {
			if was[i] != is[i] && !pace.MatchString(was[i]) {
				t.Errorf("%s:%d: %s", path, i+1, is[i])
			}
		}
	}
}
