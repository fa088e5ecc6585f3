//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"meridian/internal/pglocal/pgtest"
)

// page is a document whose commands are run as they stand: those in blocks of
// language sh, in their order, each block by a shell of its own that has the
// variables of the one before. A block of language text right after one is what it
// prints: each line has to come, in this order, … is whatever comes, and what differs
// from run to run (RRNs, codes, times) may.
type page struct {
	t         *testing.T
	name      string
	directory string
	environ   []string
	// rrns of the page and what they are in this run.
	rrns map[string]string
	// sandbox is what `make sandbox` does here.
	sandbox func()
}

var (
	pageBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	rrnOf     = regexp.MustCompile(`\b[0-9]{12}\b`)
	varying   = []struct {
		pattern *regexp.Regexp
		kind    string
	}{
		{rrnOf, "<rrn>"},
		{regexp.MustCompile(`approval [0-9A-Z]{6}`), "approval <code>"},
		{regexp.MustCompile(`\b[0-9.]+(ms|s)\b`), "<time>"},
		{regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+Z)?`), "<date>"},
		{regexp.MustCompile(`business date [0-9-]{5}`), "business date <date>"},
		{regexp.MustCompile(`[ \t]+`), " "},
	}
)

func steadyLine(line string) string {
	for _, v := range varying {
		line = v.pattern.ReplaceAllString(line, v.kind)
	}
	return strings.TrimSpace(line)
}

// newPage makes the folder in which a page's commands run; meridian is on PATH there,
// as bin/meridian, and as a clone has it.
func newPage(t *testing.T, name string, environ ...string) *page {
	t.Helper()
	for _, tool := range []string{"bash", "jq", "openssl", "psql", "pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the commands of %s need %s, which this machine does not have", name, tool)
		}
	}
	p := &page{t: t, name: name, directory: t.TempDir(), rrns: map[string]string{}}
	if err := os.Mkdir(filepath.Join(p.directory, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary(t), filepath.Join(p.directory, "bin", "meridian")); err != nil {
		t.Fatal(err)
	}
	p.environ = append([]string{"PATH=" + filepath.Join(p.directory, "bin") + ":" + os.Getenv("PATH"), "HOME=" + p.directory}, environ...)
	return p
}

// run the page's commands, at least so many blocks of them.
func (p *page) run(least int) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", p.name))
	if err != nil {
		p.t.Fatal(err)
	}
	said, ran := "", 0
	for _, block := range pageBlock.FindAllStringSubmatch(string(text), -1) {
		switch language, content := block[1], block[2]; {
		case language == "sh" && strings.HasPrefix(content, "make "):
			if p.sandbox != nil {
				p.sandbox()
			}
			said = ""
		case language == "sh":
			ran++
			said = p.shell(content)
		case language == "text" && said != "":
			p.expect(content, said)
			said = ""
		default:
			said = ""
		}
	}
	if ran < least {
		p.t.Errorf("%s has only %d blocks of commands", p.name, ran)
	}
}

func (p *page) shell(commands string) string {
	p.t.Helper()
	commands = rrnOf.ReplaceAllStringFunc(commands, func(rrn string) string {
		if here, ok := p.rrns[rrn]; ok {
			return here
		}
		return rrn
	})
	variables := filepath.Join(p.directory, ".variables")
	script := "set -euo pipefail\n[ ! -e " + variables + " ] || . " + variables + "\n" + commands + "\nexport -p > " + variables + "\ndeclare -p id 2>/dev/null >> " + variables + " || true\n"
	command := exec.CommandContext(p.t.Context(), "bash", "-c", script)
	command.Dir, command.Env = p.directory, p.environ
	output, err := command.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s\nsaid:\n%s", p.name, err, commands, output)
	}
	return string(output)
}

// expect each line of what the page says among those that were said, in order.
func (p *page) expect(page, said string) {
	p.t.Helper()
	left := strings.Split(said, "\n")
	for line := range strings.Lines(page) {
		want := steadyLine(line)
		if want == "…" || want == "" {
			continue
		}
		parts := strings.Split(want, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(strings.TrimSpace(parts[i]))
		}
		pattern := regexp.MustCompile("^ ?" + strings.Join(parts, ".*") + " ?$")
		at := slices.IndexFunc(left, func(l string) bool { return pattern.MatchString(steadyLine(l)) })
		if at < 0 {
			p.t.Errorf("%s: the page has\n%s\nwhich does not come (any more) in\n%s", p.name, line, said)
			return
		}
		of, here := rrnOf.FindAllString(line, -1), rrnOf.FindAllString(left[at], -1)
		for i := range min(len(of), len(here)) {
			p.rrns[of[i]] = here[i]
		}
		left = left[at+1:]
	}
}

// inSandbox makes `make sandbox` start one in the page's folder, on ports that are free.
func (p *page) inSandbox() {
	database := pgtest.Database(p.t, nil)
	p.sandbox = func() {
		p.t.Helper()
		const anyPort = "127.0.0.1:0"
		s := start(p.t, "sandbox", "--data-dir", filepath.Join(p.directory, ".meridian"), "--database-url", database, "--nac", anyPort,
			"--ascii", anyPort, "--unionpay", anyPort, "--console", anyPort, "--ops", anyPort, "--output", "json")
		manifest := filepath.Join(p.directory, ".meridian", "sandbox.json")
		s.awaitFile(manifest)
	}
}

func TestTutorial(t *testing.T) {
	t.Parallel()
	p := newPage(t, "docs/tutorial.md")
	p.inSandbox()
	p.run(8)
}

func TestREADME(t *testing.T) {
	t.Parallel()
	p := newPage(t, "README.md")
	p.inSandbox()
	p.run(3)
}

func TestConnectATerminal(t *testing.T) {
	t.Parallel()
	p := newPage(t, "docs/how-to/connect-a-terminal.md")
	p.inSandbox()
	p.sandbox()
	p.run(4)
}

// TestHowTo runs the pages for operators one after the other on one installation,
// as its operators would.
func TestHowTo(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgtest.Durable()) // doctor wants it so
	owner := server.URL()
	if err := migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	p := newPage(t, "docs/how-to/add-a-merchant.md", "MERIDIAN_DATABASE_URL="+owner, "RESTORED_URL="+server.AdminURL("restored"))
	configuration := fmt.Sprintf("master_key_file: master-key\nsecurity_module: software\n%s", listener)
	for name, content := range map[string]string{"meridian.yaml": configuration, "master-key": strings.Repeat("3f", 32) + "\n"} {
		if err := os.WriteFile(filepath.Join(p.directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.run(5)
	for _, one := range []struct {
		name  string
		least int
	}{{"issue-cards", 5}, {"cutover-by-hand", 4}, {"rotate-keys", 5}, {"upgrade", 4}, {"retire-old-months", 2}, {"back-up-and-restore", 4}} {
		p.name = "docs/how-to/" + one.name + ".md"
		p.run(one.least)
	}
}

// Each command that a page names is one that the program has; those in blocks of
// language text, too.
func TestDocumentsNameRealCommands(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(filepath.Join("..", "..", "docs"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range pageCommand.FindAllStringSubmatch(string(text), -1) {
			seen++
			line, _, _ := strings.Cut(match[1], " > ")
			if wrong := wrongInCommand(strings.ReplaceAll(line, "[", " ")); wrong != "" && !strings.Contains(path, "command-line.md") {
				t.Errorf("%s: meridian %s: %s", path, match[1], wrong)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 60 {
		t.Errorf("only %d commands were found", seen)
	}
}
