package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The scripts are whole, and each shell that is here reads them.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			script := call(t, "completion", shell).want(t, 0, "__complete", "meridian").stdout
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Logf("no %s on this machine: its script is not read", shell)
				return
			}
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			if output, err := exec.CommandContext(t.Context(), path, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%s -n: %v\n%s", shell, err, output)
			}
		})
	}
}

// What the scripts ask the program.
func TestCompletion(t *testing.T) {
	for line, want := range map[string][]string{
		"led":                     {"ledger\tLook into the ledger and verify it", ":4"},
		"ledger ":                 {"accounts\t", "transfers\t", "verify\t", ":4"},
		"ledger verify --output ": {"text\n", "json\n", ":4"},
		"serve --config ":         {"yaml\n", "yml\n", ":8"},
		"transaction show ":       {":4"}, // an RRN: no file is offered for it
		"terminal sale --am":      {"--amount\t", ":4"},
	} {
		words := strings.Split(line, " ")
		call(t, append([]string{"__complete"}, words...)...).want(t, 0, want...)
	}
	call(t, "completion", "csh").want(t, exitUsage, "bash, fish, zsh")
	call(t, "completion").want(t, exitUsage, "one argument")
	if o := call(t, "__complete", "ma").want(t, 0); strings.Contains(o.stdout, "man") {
		t.Errorf("man is offered, which is for those who build packages:\n%s", o.stdout)
	}
}
