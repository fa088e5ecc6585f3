package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestEveryPackageExplainsItself(t *testing.T) {
	for _, p := range ours(t) {
		if len(p.GoFiles) > 0 && !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has no doc.go: it says what the package holds, its invariants, and draws one picture", p.path())
		}
		if len(p.GoFiles) == 0 {
			t.Errorf("%s has tests and no package: put a doc.go beside them", p.path())
		}
	}
	for _, f := range files(t, "/doc.go", "doc.go") {
		if path.Base(f.path) != "doc.go" {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.text, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if parsed.Doc == nil || len(strings.Fields(parsed.Doc.Text())) < 10 {
			t.Errorf("%s explains nothing: a package's comment stands right before its package clause", f.path)
		}
	}
}

func TestPackagesAreNamedForWhatTheyHold(t *testing.T) {
	forbidden := []string{"util", "utils", "common", "helper", "helpers", "model", "models", "misc", "shared", "base", "lib", "types", "tools"}
	for _, p := range ours(t) {
		for part := range strings.SplitSeq(p.path(), "/") {
			// The reference model of the tests is called what the field calls it.
			if slices.Contains(forbidden, part) && p.path() != "switch/model" {
				t.Errorf("%s: %q says nothing; name a package for what it holds", p.path(), part)
			}
		}
		folder := path.Base(p.path())
		want := folder
		switch {
		case p.Name == "main":
			continue
		case p.path() == "switch":
			want = "switching" // switch is a keyword
		}
		if p.Name != want {
			t.Errorf("the folder %s holds package %s, want %s", p.path(), p.Name, want)
		}
	}
}

const (
	// largeLines is where a file is worth a look: houses we like have 95 of 100 files below it.
	largeLines = 600
	// maxLines is where a file has grown into several concepts.
	maxLines = 800
)

func TestFilesStaySmall(t *testing.T) {
	for _, f := range files(t, ".go", ".sql", ".sh", ".js", ".css", ".html") {
		if f.isTest() {
			continue // a table may be long
		}
		switch lines := strings.Count(f.text, "\n"); {
		case lines > maxLines:
			t.Errorf("%s has %d lines, more than %d: one file, one concept", f.path, lines, maxLines)
		case lines > largeLines:
			t.Logf("%s has %d lines", f.path, lines)
		}
	}
}

// literals calls a function for each text in a Go file's code, comments left out.
func literals(t *testing.T, f file, visit func(line int, text string)) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, f.path, f.text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v", err)
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		if _, isImport := node.(*ast.ImportSpec); isImport {
			return false
		}
		literal, ok := node.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatalf("%s: %v", set.Position(literal.Pos()), err)
		}
		visit(set.Position(literal.Pos()).Line, text)
		return true
	})
}

// ofMessages finds what belongs to messages and not to the domain.
func ofMessages(text string) string {
	for what, pattern := range map[string]*regexp.Regexp{
		"an MTI":          regexp.MustCompile(`^0[1-8][0-9]{2}$`),
		"a response code": regexp.MustCompile(`^(?:[0-9]{2}|A0)$`),
		"a field number":  regexp.MustCompile(`\b(?:DE|F|[Ff]ield )[0-9]{1,3}\b`),
	} {
		if pattern.MatchString(text) {
			return what
		}
	}
	return ""
}

func TestDomainKnowsNoMessages(t *testing.T) {
	for _, f := range files(t, ".go") {
		// The reference model is part of the tests: it has card expiries that look like message types.
		if !under(f.path, "switch") && !under(f.path, "ledger") || f.isTest() || under(f.path, "switch/model") {
			continue
		}
		literals(t, f, func(line int, text string) {
			if what := ofMessages(text); what != "" {
				t.Errorf("%s:%d: %q is %s: dialects know those, the domain names the reason", f.path, line, text, what)
			}
		})
	}
	for text, want := range map[string]string{
		"0200": "an MTI", "51": "a response code", "missing F37": "a field number", "Field 63": "a field number",
		"2026": "", "R16": "", "CNY": "", "SELECT 51": "", "%02d": "",
	} {
		if got := ofMessages(text); got != want {
			t.Errorf("%q is taken for %q, want %q", text, got, want)
		}
	}
}
