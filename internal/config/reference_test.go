package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// updateVariable makes this test write the page: make docs.
const updateVariable = "MERIDIAN_TEST_UPDATE"

// docs/reference/configuration.md has every key, from the structs that are read.
func TestReferenceConfiguration(t *testing.T) {
	example, err := os.ReadFile(filepath.Join("..", "..", "cmd", "meridian", "example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString(`# Configuration

Every key that ` + "`meridian serve`" + ` reads, written from the program itself (` + "`make docs`" + `). A value comes from the first of
these that has one: the command line, the environment, the YAML file (` + "`--config`, `MERIDIAN_CONFIG`" + `), the default.

- What is not known, not readable or out of range stops the start with file, line, key and reason, all problems at once.
  ` + "`meridian config check FILE`" + ` says so beforehand; ` + "`meridian config`" + ` shows what is in force and where it came from.
- A list is written with commas in a variable. An empty variable counts as not set.
- A path is relative to the file it stands in. The database's password belongs into a file: ` + "`database.url_file`" + `.
  That file and the master key's have mode 0640 at most, or they are refused. Platforms that mount secrets as 0444 have a setting for
  it, such as ` + "`mode: 0440`" + ` (Swarm) or ` + "`defaultMode: 0440`" + ` beside ` + "`fsGroup`" + ` (Kubernetes).
- A duration has its unit: ` + "`500ms`, `30s`, `10m`" + `.

| key | variable | takes | default |
| --- | --- | --- | --- |
`)
	config, listener := Default(), DefaultListener()
	keys := referenceRows(&page, reflect.ValueOf(&config).Elem(), reflect.ValueOf(&listener).Elem(), "")
	if len(keys) < 50 || !slices.Contains(keys, "listeners[0].tls.client_ca") {
		t.Fatalf("only %d keys: %v", len(keys), keys)
	}
	for _, key := range keys {
		if name, ok := keyOf(strings.TrimPrefix(Variable(key), variablePrefix), reflect.TypeFor[Config]()); !ok || name != key {
			t.Errorf("%s has variable %s, which is %q", key, Variable(key), name)
		}
	}
	fmt.Fprintf(&page, `
`+"`[0]`"+` is the first listener; there may be %d.

## The example, with what each key is for

`+"`meridian config example`"+` prints it; an example for a host in production is in [deploy/production](../../deploy/production/meridian.yaml).

`+"```yaml\n%s```\n", maxListeners, example)
	path := filepath.Join("..", "..", "docs", "reference", "configuration.md")
	if os.Getenv(updateVariable) != "" {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if stored, err := os.ReadFile(path); err != nil || string(stored) != page.String() {
		t.Errorf("docs/reference/configuration.md is stale: make docs writes it anew (%v)", err)
	}
}

func referenceRows(page *strings.Builder, structure, listener reflect.Value, section string) (keys []string) {
	for _, f := range fieldsOf(structure) {
		key := join(section, f.key)
		switch f.kind {
		case kindSection:
			keys = append(keys, referenceRows(page, f.value, listener, key)...)
		case kindListeners:
			keys = append(keys, referenceRows(page, listener, listener, itemKey(key, 0))...)
		case kindPrefixes, kindText, kindNumber, kindSwitch, kindDuration:
			keys = append(keys, key)
			fallback := ""
			if text := f.text(); text != "" {
				fallback = "`" + text + "`"
			}
			fmt.Fprintf(page, "| `%s` | `%s` | %s | %s |\n", key, Variable(key), takes(f), fallback)
		}
	}
	return keys
}

// takes says what a key may have.
func takes(f field) string {
	what := f.kind.noun()
	switch {
	case len(f.oneof) > 0:
		what = "`" + strings.Join(f.oneof, "`, `") + "`"
	case f.path:
		what = "the name of a file"
	case f.kind == kindPrefixes:
		what = "networks, such as `10.0.0.0/8`"
	case f.kind == kindDuration:
		what = "a duration"
	}
	if f.limits != "" {
		least, most, _ := strings.Cut(f.limits, "..")
		what += ", " + least + " to " + most
	}
	if f.required {
		what += "; required"
	}
	return what
}
