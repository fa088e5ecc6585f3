package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzLoad holds that whatever the file and the environment contain, loading ends with problems that can be shown on one
// line each, or with a configuration that is valid and says the same when it is written out and loaded again.
func FuzzLoad(f *testing.F) {
	full, err := os.ReadFile(filepath.Join("testdata", "full.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full, "")
	f.Add([]byte("log: {level: info}\n"), "MERIDIAN_LOG_LEVEL=debug\nMERIDIAN_LISTENERS_0_NAME=nac")
	f.Add([]byte("a: &a [*a]\n<<: *a\n"), "MERIDIAN_DATABASE_URL=postgres://u:p@h/db")
	f.Add([]byte("listeners: [{allow: [10.0.0.0/8]}]\n---\n"), "MERIDIAN_LISTENERS_0_ALLOW=::/0,")
	f.Add([]byte("? [x]\n: y\n\"\\x00\": 1\n"), "MERIDIAN_=1")
	f.Fuzz(func(t *testing.T, content []byte, environment string) {
		directory := t.TempDir()
		file := filepath.Join(directory, "meridian.yaml")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var environ []string
		for entry := range strings.SplitSeq(environment, "\n") {
			// A file that the input names may be anything on this machine, such as a pipe that nobody writes to.
			if !strings.HasPrefix(entry, "MERIDIAN_DATABASE_URL_FILE=") {
				environ = append(environ, entry)
			}
		}
		if strings.Contains(string(content), "url_file") {
			return // the same
		}
		loaded, err := Load(Options{File: file, Environ: environ})
		if err != nil {
			configError, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			for _, problem := range configError.Problems {
				if problem.Reason == "" || strings.ContainsAny(problem.String(), "\n\r\x00\x1b") {
					t.Fatalf("the problem %q cannot be shown", problem)
				}
			}
			return
		}
		if err := validate(loaded.Config); err != nil {
			t.Fatalf("a loaded configuration is not valid: %v", err)
		}
		rendered, err := asYAML(loaded.Config)
		if err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(directory, "again.yaml")
		if err := os.WriteFile(again, rendered, 0o600); err != nil {
			t.Fatal(err)
		}
		reloaded, err := Load(Options{File: again})
		if err != nil {
			t.Fatalf("what was written out does not load: %v\n%s", err, rendered)
		}
		if a, b := settingsOf(reloaded), settingsOf(loaded); !reflect.DeepEqual(a, b) {
			t.Fatalf("written out and loaded again:\n%v\nwas\n%v", a, b)
		}
	})
}

// settingsOf lists keys and values without their places.
func settingsOf(l *Loaded) [][2]string {
	var pairs [][2]string
	for _, setting := range l.Settings() {
		pairs = append(pairs, [2]string{setting.Key, setting.Value})
	}
	return pairs
}
