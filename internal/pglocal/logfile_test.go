//go:build unix

package pglocal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLogIsBounded(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "log")

	log, err := openLog(path, os.Geteuid(), os.Getegid())
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()

	chunk := bytes.Repeat([]byte("a line of the log\n"), 10_000)

	for written := 0; written < 3*maxLogBytes; written += len(chunk) {
		log.write(chunk)
	}

	log.write([]byte("the last line\n"))

	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		if err != nil || info.Size() > maxLogBytes || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}

	if data, err := os.ReadFile(path); err != nil || !bytes.HasSuffix(data, []byte("\nthe last line\n")) {
		t.Error("the last line is not at the end")
	}
}

func TestLogThatCannotBeWrittenIsStillRead(t *testing.T) {
	t.Parallel()

	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}

	log, err := openLog(filepath.Join(dir, "log"), os.Geteuid(), os.Getegid())
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}

	log.close()

	end := newTail()
	log.drain(strings.NewReader("FATAL: no space left\n"), end)

	if end.last() != "FATAL: no space left" {
		t.Errorf("the end is %q", end.last())
	}
}

func TestTailHoldsWholeLines(t *testing.T) {
	t.Parallel()

	end := newTail()
	for n := range 1000 {
		fmt.Fprintf(end, "this is line %d\n", n)
	}

	lines := strings.Split(end.last(), "\n")
	if lines[len(lines)-1] != "this is line 999" || !strings.HasPrefix(lines[0], "this is line") || len(end.last()) > maxTailBytes {
		t.Errorf("%d bytes from %q to %q", len(end.last()), lines[0], lines[len(lines)-1])
	}
}

// What a failing statement was about stays out of the log.
func TestServerLogHoldsNoValues(t *testing.T) {
	t.Parallel()

	dir := usedDir(t)
	server := start(t, fast(dir))
	execute(t, server.URL(), "CREATE TABLE cards (number text PRIMARY KEY); INSERT INTO cards VALUES ('4111111111111111')")

	for _, sql := range []string{
		"INSERT INTO cards VALUES ('4111111111111111')",
		"SELECT '4111111111111111' FROM nowhere",
	} {
		if err := tryExecute(t, server.URL(), sql); err == nil {
			t.Fatalf("%s succeeded", sql)
		}
	}

	stop(t, server)

	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil || !bytes.Contains(log, []byte("duplicate key")) {
		t.Errorf("the log lacks the errors: %v", err)
	}

	if bytes.Contains(log, []byte("4111111111111111")) {
		t.Error("the log holds a card number")
	}
}
