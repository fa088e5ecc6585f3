package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each command that people see has its page, and nothing else has one.
func TestManualPages(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "man", "man1")
	call(t, "man", "--directory", directory).want(t, 0, "manual pages in "+directory)
	files, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, file := range files {
		missing[filepath.Base(file)] = true
	}
	documented(documentedRoot(), func(c *cobra.Command) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		if !missing[name] && c.Name() != "help" { // cobra writes none for help
			t.Errorf("%s has no page", c.CommandPath())
		}
		delete(missing, name)
	})
	for name := range missing {
		t.Errorf("%s is the page of no command", name)
	}
	page, err := os.ReadFile(filepath.Join(directory, "meridian-ledger-verify.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"meridian ledger verify", "database-url", "SEE ALSO"} {
		if !strings.Contains(strings.ReplaceAll(string(page), `\-`, "-"), want) {
			t.Errorf("meridian-ledger-verify.1 does not say %q", want)
		}
	}
	if regexp.MustCompile(`20[0-9]{2}`).Match(page[:200]) {
		t.Error("a page says when it was written: the same program has to write the same pages")
	}
	if _, err := exec.LookPath("groff"); err != nil {
		t.Log("no groff on this machine: the pages' markup is not checked")
		return
	}
	for _, file := range files {
		// -ww -z: every warning, no output.
		output, err := exec.CommandContext(t.Context(), "groff", "-man", "-ww", "-z", "-Tutf8", "-k", file).CombinedOutput()
		if err != nil || len(output) > 0 {
			t.Errorf("groff %s: %v\n%s", filepath.Base(file), err, output)
		}
	}
}
