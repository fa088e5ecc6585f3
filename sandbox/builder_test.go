//go:build unix

package sandbox

import (
	"encoding/hex"
	"html"
	"io"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"meridian/host/wire"
	"meridian/internal/pglocal/pgtest"
)

// builder is the console's message builder.
type builder struct {
	t *testing.T
	m *Manifest
}

var (
	builtHex   = regexp.MustCompile(`(?s)<textarea name="hex"[^>]*>(.*?)</textarea>`)
	sampleText = regexp.MustCompile(`(?s)<pre data-sample="([a-z]+)"[^>]*>(.*?)</pre>`)
)

// post sends the form and returns the page.
func (b *builder) post(do string, more ...string) string {
	b.t.Helper()
	form := neturl.Values{"do": {do}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	answer, err := http.PostForm(b.m.Addresses.Console+"/builder", form)
	if err != nil {
		b.t.Fatal(err)
	}
	page, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %v: %d\n%s", do, more, answer.StatusCode, page)
	}
	return string(page)
}

// sent builds a message and sends it; change may edit its hex in between.
func (b *builder) sent(want string, change func(string) string, form ...string) string {
	b.t.Helper()
	page := b.post("build", form...)
	frame := builtHex.FindStringSubmatch(page)
	if frame == nil || frame[1] == "" {
		b.t.Fatalf("%v: nothing was built\n%s", form, page)
	}
	text := frame[1]
	if change != nil {
		text = change(text)
	}
	page = b.post("send", append(form, "hex", text)...)
	if !strings.Contains(page, want) {
		b.t.Errorf("%v: no %q\n%s", form, want, page)
	}
	return page
}

// Every dialect's messages get their answers through the listeners, with their MACs.
func TestMessageBuilder(t *testing.T) {
	o := options(dataDir(t))
	o.DatabaseURL = pgtest.Database(t, migrate)
	s := start(t, o)
	b := &builder{t, s.Manifest()}
	for _, tid := range []string{"10000001", "10000002", "10000003", "10000004"} {
		sale := b.sent("Sale approved", nil, "terminal", tid, "kind", "sale", "amount", "12.34")
		rrn := regexp.MustCompile(`href="/transactions/([0-9]{12})"`).FindStringSubmatch(sale)
		if rrn == nil {
			t.Fatalf("no transaction\n%s", sale)
		}
		b.sent("VOID R16", nil, "terminal", tid, "kind", "cancel", "rrn", rrn[1])
		b.sent("Echo approved", nil, "terminal", tid, "kind", "echo")
	}
	b.sent("Sale declined", nil, "terminal", "10000002", "kind", "sale", "amount", "4999999.99", "pin", "1")
	if page := b.post("build", "terminal", "10000005", "kind", "sale", "amount", "1.00"); !strings.Contains(page, "build and send a logon first") {
		t.Errorf("a terminal that has not signed in: %s", page)
	}
	b.sent("Logon approved", nil, "terminal", "10000005", "kind", "logon")
	b.sent("Sale approved", nil, "terminal", "10000005", "kind", "sale", "amount", "9.99", "pin", "1")
	b.sent("Reversal approved", nil, "terminal", "10000005", "kind", "reversal")

	// A changed message has a wrong MAC, and a mended one the right one.
	spoil := func(text string) string { return strings.Replace(text, "00 00 00 00 43 21", "00 00 00 00 43 22", 1) }
	form := []string{"terminal", "10000002", "kind", "sale", "amount", "43.21"}
	b.sent(">63<", spoil, form...)
	b.sent("Sale approved", func(text string) string {
		return builtHex.FindStringSubmatch(b.post("mend", append(form, "hex", spoil(text))...))[1]
	}, form...)
	for text, want := range map[string]string{"": "There is no frame yet", "0": "An odd number", "zz": "Digit 1 is not hexadecimal", "00 00": "closed the connection without an answer"} {
		if page := b.post("send", "terminal", "10000001", "kind", "sale", "amount", "1", "hex", text); !strings.Contains(page, want) {
			t.Errorf("%q: no %q\n%s", text, want, page)
		}
	}
	t.Run("samples", func(t *testing.T) { runSamples(t, b) })
	verify(t, s.Manifest().DatabaseURL)
}

// The programs that the builder writes send the message, and print its answer.
func runSamples(t *testing.T, b *builder) {
	t.Helper()
	languages := map[string]struct {
		program, version string
		run              []string // before the file
		file, dialect    string
	}{
		"go":     {"go", "version", []string{"run"}, "message.go", "nac"},
		"python": {"python3", "--version", nil, "message.py", "ascii"},
		"java":   {"java", "-version", []string{"-XX:TieredStopAtLevel=1"}, "Message.java", "nac"},
		"node":   {"node", "--version", nil, "message.js", "ascii"},
	}
	nac := b.post("build", "terminal", "10000002", "kind", "sale", "amount", "5.00")
	ascii := b.post("build", "terminal", "10000004", "kind", "sale", "amount", "6.00")
	for name, l := range languages {
		t.Run(name, func(t *testing.T) {
			path, err := exec.LookPath(l.program)
			if err != nil {
				t.Skipf("%s is not installed: its sample is not run", l.program)
			}
			// A name on the path may be a stand-in for what is not installed.
			if err := exec.CommandContext(t.Context(), path, l.version).Run(); err != nil {
				t.Skipf("%s does not run here (%v): its sample is not run", l.program, err)
			}
			page, tid, spec := nac, "10000002", wire.NAC()
			if l.dialect == "ascii" {
				page, tid, spec = ascii, "10000004", wire.ASCII87()
			}
			var text string
			for _, found := range sampleText.FindAllStringSubmatch(page, -1) {
				if found[1] == name {
					text = html.UnescapeString(found[2])
				}
			}
			file := filepath.Join(t.TempDir(), l.file)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), path, append(l.run, file)...)
			command.Dir = filepath.Dir(file)
			command.Stderr = t.Output()
			out, err := command.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			answer, err := hex.DecodeString(strings.TrimSpace(string(out)))
			if err != nil {
				t.Fatalf("it printed %q", out)
			}
			if l.dialect == "nac" {
				answer = answer[len(wire.TPDU{}):]
			}
			m, err := spec.Parse(answer)
			if err != nil {
				t.Fatal(err)
			}
			if m.MTI() != "0210" || m.Get(39) != "00" || m.Get(41) != tid {
				t.Errorf("it was answered %s, %s to %s", m.MTI(), m.Get(39), m.Get(41))
			}
		})
	}
}
