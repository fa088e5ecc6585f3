package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// referenceFolder is where the generated pages are: make docs writes them anew.
const referenceFolder = "../../docs/reference"

// reference compares a generated page with what the program has, or writes it.
func reference(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join(referenceFolder, name)
	if os.Getenv(updateVariable) != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/reference/%s is stale: make docs writes it anew", name)
	}
}

// documentedRoot is the tree of commands as a user has it.
func documentedRoot() *cobra.Command { return newRootCommand(&globals{}) }

// documented calls f with every command that people see.
func documented(c *cobra.Command, f func(*cobra.Command)) {
	if c.Hidden {
		return
	}
	f(c)
	for _, child := range c.Commands() {
		documented(child, f)
	}
}

func TestReferenceCommandLine(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Command line

Every command with its flags, written from the program itself (` + "`make docs`" + `). ` + "`meridian COMMAND --help`" + ` says the same.
What commands exit with is in [Exit codes](exit-codes.md), what hosts read besides in [Configuration](configuration.md).

Every command takes these:

`)
	root := documentedRoot()
	flagTable(&page, root.PersistentFlags())
	page.WriteString("\n| command | |\n| --- | --- |\n")
	count := 0
	documented(root, func(c *cobra.Command) {
		if c.HasParent() {
			count++
			fmt.Fprintf(&page, "| [%s](#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), prose(c.Short))
		}
	})
	if count < 60 {
		t.Fatalf("only %d commands were found", count)
	}
	documented(root, func(c *cobra.Command) {
		if c.HasParent() {
			describeCommand(&page, c)
		}
	})
	reference(t, "command-line.md", page.String())
}

func describeCommand(page *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(page, "\n## %s\n\n", c.CommandPath())
	if c.Long != "" {
		paragraphs(page, c.Long)
	} else {
		page.WriteString(prose(c.Short) + ".\n")
	}
	if c.Runnable() {
		fmt.Fprintf(page, "\n```text\n%s\n```\n", c.UseLine())
	}
	if c.LocalFlags().HasAvailableFlags() {
		page.WriteString("\n")
		flagTable(page, c.LocalFlags())
	}
	if from := flagsFrom(c); from != "" {
		page.WriteString("\n" + from + "\n")
	}
	if c.Example != "" {
		fmt.Fprintf(page, "\n```sh\n%s\n```\n", undent(c.Example))
	}
}

// flagsFrom names the flags that a command has from the groups above it.
func flagsFrom(c *cobra.Command) string {
	var names []string
	group := ""
	for parent := c.Parent(); parent != nil && parent.HasParent(); parent = parent.Parent() {
		parent.PersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, "`--"+f.Name+"`")
				group = parent.CommandPath()
			}
		})
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("With %s as [%s](#%s).", strings.Join(names, ", "), group, strings.ReplaceAll(group, " ", "-"))
}

func flagTable(page *strings.Builder, flags *pflag.FlagSet) {
	page.WriteString("| flag | takes | default | |\n| --- | --- | --- | --- |\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		takes, usage := pflag.UnquoteUsage(f)
		fallback := f.DefValue
		switch {
		case fallback == "" || fallback == "[]" || f.Value.Type() == "bool" && fallback == "false":
			fallback = ""
		default:
			fallback = "`" + fallback + "`"
		}
		fmt.Fprintf(page, "| %s | %s | %s | %s |\n", name, takes, fallback, cell(prose(usage)))
	})
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// wild is a word that Markdown would read as more than a word.
var wild = regexp.MustCompile("(^|[\\s(])([^\\s(`]*[*_<>][^\\s`,.;:)]*)")

// prose keeps words such as MERIDIAN_* whole.
func prose(text string) string { return wild.ReplaceAllString(text, "$1`$2`") }

// paragraphs writes a help text: indented lines are as they stand, others flow.
func paragraphs(page *strings.Builder, text string) {
	inCode := false
	for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
		line = strings.TrimSuffix(line, "\n")
		if isCode := strings.HasPrefix(line, "  "); isCode != inCode && line != "" {
			if isCode {
				page.WriteString("\n```text\n")
			} else {
				page.WriteString("```\n\n")
			}
			inCode = isCode
		}
		switch {
		case inCode:
			page.WriteString(line + "\n")
		default:
			page.WriteString(prose(line) + "\n")
		}
	}
	if inCode {
		page.WriteString("```\n")
	}
}

func undent(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "  "))
	}
	return strings.Join(lines, "\n")
}

// exitMeanings are the constants of exit.go with their comments.
func exitMeanings(t *testing.T) (meanings []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "exit.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	meanings = []string{"done, and what was looked at holds"}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "exit") {
			return true
		}
		if code, err := strconv.Atoi(value.Value); err != nil || code != len(meanings) {
			t.Fatalf("%s is %s: the codes follow one another", spec.Names[0].Name, value.Value)
		}
		meanings = append(meanings, strings.TrimSpace(spec.Comment.Text()))
		return true
	})
	if len(meanings) != exitInvariant+1 {
		t.Fatalf("%d exit codes", len(meanings))
	}
	return meanings
}

var (
	saysExit    = regexp.MustCompile(`Exit codes?:|exits? with|exit code`)
	sentenceEnd = regexp.MustCompile(`\.\s+`)
)

// exitSentences are those of a command's help that speak of exit codes.
func exitSentences(c *cobra.Command) string {
	var said []string
	for _, sentence := range sentenceEnd.Split(strings.TrimSuffix(strings.TrimSpace(c.Long), "."), -1) {
		if saysExit.MatchString(sentence) {
			said = append(said, strings.Join(strings.Fields(sentence), " ")+".")
		}
	}
	return strings.Join(said, " ")
}

func TestReferenceExitCodes(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Exit codes

Scripts may rely on these: a code keeps its meaning. Errors go to standard error, results to standard output; with
` + "`--output json`" + ` an error is one line, ` + "`{\"error\": …, \"code\": …}`" + `.

| code | meaning |
| --- | --- |
`)
	for code, meaning := range exitMeanings(t) {
		fmt.Fprintf(&page, "| %d | %s |\n", code, meaning)
	}
	page.WriteString("\nWhat single commands say of theirs:\n\n| command | |\n| --- | --- |\n")
	documented(documentedRoot(), func(c *cobra.Command) {
		if said := exitSentences(c); said != "" {
			fmt.Fprintf(&page, "| [%s](command-line.md#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), cell(prose(said)))
		}
	})
	reference(t, "exit-codes.md", page.String())
}
