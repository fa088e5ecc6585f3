package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A command as a page has it: in a block or between backticks, up to its end.
var pageCommand = regexp.MustCompile("(?m)(?:^|`)meridian ([a-z][^`#\n]*)")

// Runbooks name commands and flags that the program has: whoever is woken at night
// copies them.
func TestRunbooksNameRealCommands(t *testing.T) {
	pages, err := filepath.Glob("../../deploy/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range pageCommand.FindAllStringSubmatch(string(text), -1) {
			seen++
			if wrong := wrongInCommand(match[1]); wrong != "" {
				t.Errorf("%s: meridian %s: %s", page, match[1], wrong)
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d commands were found on %d pages", seen, len(pages))
	}
}

// wrongInCommand says what the program does not have of a command line, or
// nothing. What follows the command's name is an argument, not looked at, or a
// flag.
func wrongInCommand(line string) string {
	words := strings.Fields(line)
	command, arguments, err := newRootCommand(&globals{}).Find(words)
	if err != nil {
		return err.Error()
	}
	if command.HasSubCommands() && len(arguments) > 0 && !strings.HasPrefix(arguments[0], "-") {
		return "no command " + arguments[0]
	}
	if !command.HasParent() {
		return "no command"
	}
	for _, word := range words {
		flag, isFlag := strings.CutPrefix(strings.TrimRight(word, ".,;:)"), "--")
		flag, _, _ = strings.Cut(flag, "=")
		if isFlag && command.Flags().Lookup(flag) == nil && command.InheritedFlags().Lookup(flag) == nil {
			return "no flag --" + flag
		}
	}
	return ""
}

func TestWrongInCommand(t *testing.T) {
	for line, want := range map[string]bool{
		"ledger verify":                           false,
		"ledger verify --output json":             false,
		"transaction show RRN":                    false,
		"terminals suspend TID --by NAME":         false,
		"ledger verfy":                            true,
		"nothing":                                 true,
		"ledger verify --nothing":                 true,
		"transaction show RRN --nothing=1":        true,
		"audit verify --expect-head HASH":         false,
		"terminals unlock TID --by NAME --reason": false,
	} {
		if got := wrongInCommand(line); got != "" != want {
			t.Errorf("meridian %s: %q", line, got)
		}
	}
}
