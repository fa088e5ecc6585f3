package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"meridian/internal/pglocal/pgtest"
	"meridian/migrations"
)

// binaryVariable hands the path of the binary that TestMain built to the tests.
const binaryVariable = "MERIDIAN_TEST_BINARY"

func TestMain(m *testing.M) {
	os.Exit(func() int {
		directory, err := os.MkdirTemp("", "meridian-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(directory)
		binary := filepath.Join(directory, "meridian")
		build := exec.Command("go", "build", "-o", binary, ".")
		if output, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, output)
			return 1
		}
		if err := os.Setenv(binaryVariable, binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return pgtest.Main(m)
	}())
}

// binary is the path of the program.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv(binaryVariable)
	if path == "" {
		t.Fatal("TestMain has built no binary")
	}
	return path
}

// migrate makes a database as meridian migrate would.
func migrate(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

// outcome is what a command said.
type outcome struct {
	code           int
	stdout, stderr string
}

// call runs a command line in this process, without signals and with nothing but the given environment.
func call(t testing.TB, arguments ...string) outcome {
	t.Helper()
	return callWith(t, nil, "", arguments...)
}

func callWith(t testing.TB, environ []string, stdin string, arguments ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	g := &globals{environ: environ, stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr}
	code := execute(t.Context(), g, newRootCommand(g), arguments)
	return outcome{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// want fails the test when a command ended otherwise.
func (o outcome) want(t testing.TB, code int, parts ...string) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", o.code, code, o.stdout, o.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(o.stdout+o.stderr, part) {
			t.Errorf("it does not say %q\nstdout:\n%s\nstderr:\n%s", part, o.stdout, o.stderr)
		}
	}
	return o
}

// updateVariable makes golden write what it gets. Look at the difference before it is committed.
const updateVariable = "MERIDIAN_TEST_UPDATE"

// golden compares a text with testdata/name.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv(updateVariable) != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (%s=1 writes it anew):\n got:\n%s\nwant:\n%s", path, updateVariable, got, want)
	}
}

// steady replaces what differs from run to run by its kind.
func steady(text string) string {
	for _, v := range []struct{ pattern, kind string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`, "<id>"},
		{`(approval +)[0-9A-Z]{6}`, "${1}<code>"},
		{`("auth_code": ")[0-9A-Z]{6}`, "${1}<code>"},
		{`("took_ns": )[0-9]+`, "${1}<ns>"},
		{`verified in [0-9.]+m?s`, "verified in <time>"},
	} {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.kind)
	}
	return text
}
