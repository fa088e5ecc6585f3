package archtest

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"meridian/internal/config"
)

// Work that is left has an issue; code says what is.
func TestNothingIsLeftForLater(t *testing.T) {
	// The words are put together here, or this file would be the first one found. Three X are a currency code.
	words := []string{"TO" + "DO", "FIX" + "ME", "not " + "implemented", "un" + "implemented"}
	left := regexp.MustCompile(`\b(?:` + strings.Join(words, "|") + `)\b`)
	for _, f := range files(t, ".go", ".sql", ".sh", ".js", ".html", ".css", ".yaml", ".yml", "Makefile", "run") {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(f.text, word) }) {
			continue // line by line takes a hundred times as long
		}
		for i, line := range strings.Split(f.text, "\n") {
			if found := left.FindString(line); found != "" {
				t.Errorf("%s:%d: %s: finish it, or file an issue and leave the word out", f.path, i+1, found)
			}
		}
	}
}

func TestLicence(t *testing.T) {
	text := read(t, "LICENSE")
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(text, want) {
			t.Errorf("LICENSE does not say %q", want)
		}
	}
}

var (
	// A target is a line such as `name: needs ## help`; those that only others need are listed without help.
	target     = regexp.MustCompile(`(?m)^([a-z][a-z-]*):(.*)$`)
	phony      = regexp.MustCompile(`(?m)^\.PHONY: (.*)$`)
	inDocument = regexp.MustCompile("(?m)(?:^|`|\\$ |    )make ([a-z][a-z-]*)")
)

// makeTargets returns the Makefile's targets, and whether each has a line of help.
func makeTargets(t *testing.T) map[string]bool {
	t.Helper()
	targets := map[string]bool{}
	for _, match := range target.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[match[1]] = strings.Contains(match[2], " ## ")
	}
	return targets
}

func TestMakefileHelps(t *testing.T) {
	targets := makeTargets(t)
	inner := []string{"go", "race", "postgres", "prometheus", "browser"} // other targets stand on these; nobody calls them
	for name, hasHelp := range targets {
		if hasHelp == slices.Contains(inner, name) {
			t.Errorf("make %s: help %t; every target that a person calls has `## what it does`", name, hasHelp)
		}
	}
	for _, match := range phony.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		for name := range strings.FieldsSeq(match[1]) {
			if _, ok := targets[name]; !ok {
				t.Errorf(".PHONY names %s, which is no target", name)
			}
			delete(targets, name)
		}
	}
	for name := range targets {
		t.Errorf("make %s is not .PHONY: a file of that name would stop it from running", name)
	}
}

func TestDocumentsNameRealCommands(t *testing.T) {
	targets := makeTargets(t)
	for _, want := range []string{"sandbox", "test", "lint", "fuzz", "vuln", "fmt"} {
		if !targets[want] {
			t.Errorf("the Makefile has no target %s", want)
		}
	}
	for _, f := range files(t, ".md") {
		for _, match := range inDocument.FindAllStringSubmatch(f.text, -1) {
			if _, ok := targets[match[1]]; !ok {
				t.Errorf("%s speaks of make %s, which the Makefile does not have", f.path, match[1])
			}
		}
	}
}

// CI runs what the README tells a newcomer to run.
func TestCIRunsTheREADMEsTests(t *testing.T) {
	ci := read(t, ".ci/run")
	for _, command := range []string{"make lint", "make test"} {
		if !regexp.MustCompile(`(?m)^` + command + `$`).MatchString(ci) {
			t.Errorf(".ci/run does not run %s", command)
		}
	}
	lines := strings.Split(strings.TrimSpace(ci), "\n")
	if last := lines[len(lines)-1]; last != "make test" {
		t.Errorf(".ci/run ends with %q; the tests come last, so that their outcome closes the log", last)
	}
}

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan  = regexp.MustCompile("`[^`\n]*`")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	// A heading's anchor has its letters and digits in small, lines for spaces, and nothing else.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	elsewhere   = regexp.MustCompile(`^[a-z]+:`)
)

// anchors that the headings of a document make.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		title := link.ReplaceAllString(match[1], "]")
		name := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
		for i := 0; found[name]; i++ {
			name = strings.TrimSuffix(name, "-"+strconv.Itoa(i)) + "-" + strconv.Itoa(i+1)
		}
		found[name] = true
	}
	return found
}

// Every link of every document leads to a file that is there, and to a heading that it has.
func TestDocumentsLinkToWhatExists(t *testing.T) {
	documents, headings, seen := map[string]string{}, map[string]map[string]bool{}, 0
	for _, f := range files(t, ".md") {
		documents[f.path] = f.text
	}
	for from, text := range documents {
		text = codeSpan.ReplaceAllString(codeBlock.ReplaceAllString(text, ""), "")
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if elsewhere.MatchString(match[1]) {
				continue
			}
			seen++
			target, fragment, _ := strings.Cut(match[1], "#")
			place := from
			if target != "" {
				place = path.Join(path.Dir(from), target)
			}
			if _, err := os.Stat(filepath.Join(root(t), filepath.FromSlash(place))); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which does not exist", from, match[1])
				continue
			}
			if fragment == "" || !strings.HasSuffix(place, ".md") {
				continue
			}
			if headings[place] == nil {
				headings[place] = anchors(documents[place])
			}
			if !headings[place][fragment] {
				t.Errorf("%s links to %s, and %s has no such heading", from, match[1], place)
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d links were found", seen)
	}
}

func TestAnchors(t *testing.T) {
	got := anchors("# A *title* & `more`\n\n```\n# none\n```\n## With [a link](x.md)\n## Same\n### Same\n## 1. Über 3\n")
	for _, want := range []string{"a-title--more", "with-a-link", "same", "same-1", "1-über-3"} {
		if !got[want] {
			t.Errorf("no %s among %v", want, got)
		}
	}
	if len(got) != 5 {
		t.Errorf("got %v", got)
	}
}

// Whoever looks for a document finds it from the index.
func TestIndexNamesEveryDocument(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, f := range files(t, ".md") {
		name, below := strings.CutPrefix(f.path, "docs/")
		if below && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not lead to %s", name)
		}
	}
}

// Whoever meets a silenced linter finds out why.
func TestEverySilencedLinterHasItsReason(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, ".golangci.yml")), &document); err != nil {
		t.Fatal(err)
	}
	disabled := 0
	var walk func(node *yaml.Node)
	walk = func(node *yaml.Node) {
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i].Value, node.Content[i+1]
			if (key == "disable" || key == "disabled-checks" || key == "excludes") && value.Kind == yaml.SequenceNode {
				for _, item := range value.Content {
					disabled++
					if item.LineComment == "" {
						t.Errorf(".golangci.yml:%d: %s is off without a reason on its line", item.Line, item.Value)
					}
				}
			}
		}
		for _, inner := range node.Content {
			walk(inner)
		}
	}
	walk(&document)
	if disabled == 0 {
		t.Error("no disabled linter was found: the configuration is not read as it is written")
	}
}

var variable = regexp.MustCompile(`^MERIDIAN_[A-Z0-9_]*[A-Z0-9]$`)

// The configuration refuses variables it does not know, so it has to know all that the code reads.
func TestEveryVariableIsKnown(t *testing.T) {
	for _, f := range files(t, ".go") {
		if f.isTest() {
			continue
		}
		literals(t, f, func(line int, text string) {
			if !variable.MatchString(text) {
				return
			}
			if _, err := config.Load(config.Options{Environ: []string{text + "="}}); err != nil {
				t.Errorf("%s:%d: internal/config does not know %s, and would refuse to start where it is set: %v", f.path, line, text, err)
			}
		})
	}
}
