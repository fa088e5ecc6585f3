package config

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// asYAML renders a configuration as a file that would load as the same, with the database's password hidden. A URL that
// was read from a file is left out, since the file stands in its place.
func asYAML(c Config) ([]byte, error) {
	if c.Database.URLFile != "" {
		c.Database.URL = ""
	}
	return yaml.Marshal(c)
}

// validate is what [Load] finds wrong with the values themselves.
func validate(c Config) error { return asError(append(c.checkFields(), c.checkRelations()...)) }

func TestYAMLLoadsAsTheSame(t *testing.T) {
	loaded := mustLoad(t, Options{File: filepath.Join("testdata", "full.yaml")})
	content, err := asYAML(loaded.Config)
	if err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, Options{File: write(t, string(content))})
	if !reflect.DeepEqual(again.Config, loaded.Config.Redacted()) {
		t.Errorf("got  %+v\nwant %+v\nfrom\n%s", again.Config, loaded.Config.Redacted(), content)
	}
}

func TestReadyToServe(t *testing.T) {
	file := write(t, "log: {level: debug}\n")
	lines := func(err error) []string {
		t.Helper()
		configError, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("got %v, want an *Error", err)
		}
		return strings.Split(strings.ReplaceAll(configError.Error(), filepath.Dir(file)+string(filepath.Separator), ""), "\n")
	}
	const missing = "database.url: is missing: give it here or by database.url_file, " +
		"by MERIDIAN_DATABASE_URL or MERIDIAN_DATABASE_URL_FILE, or by --database-url"
	const none = "listeners: has none: terminals could not connect"
	if got := lines(mustLoad(t, Options{}).ReadyToServe()); !slices.Equal(got, []string{missing, none}) {
		t.Errorf("without a file: %q", got)
	}
	if got := lines(mustLoad(t, Options{File: file}).ReadyToServe()); !slices.Equal(got, []string{"meridian.yaml: " + missing, "meridian.yaml: " + none}) {
		t.Errorf("with a file: %q", got)
	}
	if err := mustLoad(t, Options{File: filepath.Join("testdata", "full.yaml")}).ReadyToServe(); err != nil {
		t.Errorf("the full file: %v", err)
	}
}

func TestCheckFiles(t *testing.T) {
	file := write(t, listenerWith("spec_file: spec.json", "tls:", "  certificate: .", "  key: meridian.yaml"))
	directory := filepath.Dir(file)
	err := mustLoad(t, Options{File: file, Environ: []string{"MERIDIAN_MASTER_KEY_FILE=" + directory + "/master"}}).CheckFiles()
	configError, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	got := strings.Split(strings.ReplaceAll(configError.Error(), directory, "DIR"), "\n")
	want := []string{
		"MERIDIAN_MASTER_KEY_FILE: master_key_file: DIR/master: cannot be read: no such file or directory",
		"DIR/meridian.yaml:5: listeners[0].spec_file: DIR/spec.json: cannot be read: no such file or directory",
		"DIR/meridian.yaml:7: listeners[0].tls.certificate: DIR: is a directory",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestValuesOutOfRange(t *testing.T) {
	c := Default()
	c.Switch.Queue = 0
	c.Listeners = []Listener{{Name: "nac"}}
	err := validate(c)
	configError, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	for _, want := range []string{
		"switch.queue: 0 is outside 1 to 1000000",
		"listeners[0].max_frame_bytes: 0 is outside 64 to 65535",
		"listeners[0].dialect: is missing: one of nac, ascii, unionpay",
	} {
		if !slices.Contains(strings.Split(configError.Error(), "\n"), want) {
			t.Errorf("%q is not in\n%s", want, configError)
		}
	}
}

// Every key has a variable that finds it, every range can be read, and the names in the docs are the structs' own.
func TestEveryKeyCanBeSet(t *testing.T) {
	var walk func(structure reflect.Value, section string)
	walk = func(structure reflect.Value, section string) {
		for _, f := range fieldsOf(structure) {
			key := join(section, f.key)
			if f.key == "" || strings.ToLower(f.key) != f.key {
				t.Errorf("%s has the key %q", section, f.key)
			}
			switch f.kind {
			case kindSection:
				walk(f.value, key)
				continue
			case kindListeners:
				walk(reflect.ValueOf(&Listener{}).Elem(), itemKey(key, 0))
				continue
			default:
			}
			name := strings.TrimPrefix(Variable(key), variablePrefix)
			if found, ok := keyOf(name, reflect.TypeFor[Config]()); !ok || found != key {
				t.Errorf("%s finds %q, want %s", Variable(key), found, key)
			}
			if f.kind == kindNumber || f.kind == kindDuration {
				least, most, ok := strings.Cut(f.limits, "..")
				if !ok || f.bound(least) >= f.bound(most) {
					t.Errorf("%s has the range %q", key, f.limits)
				}
			}
			if f.kind == kindDuration && f.value.Type() != reflect.TypeFor[time.Duration]() {
				t.Errorf("%s is a %s", key, f.value.Type())
			}
		}
	}
	walk(reflect.ValueOf(&Config{}).Elem(), "")
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"level", "level", 0},
		{"levle", "level", 1},
		{"lvel", "level", 1},
		{"levvel", "level", 1},
		{"lavel", "level", 1},
		{"nac", "ascii", 4},
		{"", "abc", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
