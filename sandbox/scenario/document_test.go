package scenario

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/reference/sandbox-scenarios.md anew")

const document = "../../docs/reference/sandbox-scenarios.md"

// The document's tables are the published one.
func TestDocument(t *testing.T) {
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	var codeRows, otherRows strings.Builder
	for _, e := range Table() {
		if e.Do == Code {
			fmt.Fprintf(&codeRows, "| %s | %s | %s |\n", e.AmountEnds, e.Code, e.What)
		} else {
			fmt.Fprintf(&otherRows, "| %s | `%s` | %s |\n", e.AmountEnds, e.Card, e.What)
		}
	}
	want := between(t, text, "<!-- codes -->", "### Misbehaviour", "| Amount ends | F39 | What |\n| --- | --- | --- |\n"+codeRows.String())
	want = between(t, want, "<!-- behaviours -->", "An answer that is held back", "| Amount ends | Card | What |\n| --- | --- | --- |\n"+otherRows.String())
	if want == text {
		return
	}
	if !*update {
		t.Fatal("the tables of docs/reference/sandbox-scenarios.md are not the published ones: go test ./sandbox/scenario -update")
	}
	if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// between puts a table between two places of a text.
func between(t *testing.T, text, after, before, table string) string {
	t.Helper()
	head, rest, found := strings.Cut(text, after)
	_, tail, ends := strings.Cut(rest, before)
	if !found || !ends {
		t.Fatalf("no %q before %q", after, before)
	}
	return head + after + "\n\n" + table + "\n" + before + tail
}
