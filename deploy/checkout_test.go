package deploy

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md and deploy/grafana anew")

// root is the checkout.
const root = ".."

// read returns a file of the checkout.
func read(t *testing.T, parts ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{root}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// names of a folder's files that end so.
func names(t *testing.T, folder, ending string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ending) {
			list = append(list, filepath.Join(folder, e.Name()))
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s has no file that ends in %s", folder, ending)
	}
	return list
}

// generated compares a file with what it should be, or writes it with -update.
func generated(t *testing.T, want string, parts ...string) {
	t.Helper()
	path := filepath.Join(append([]string{root}, parts...)...)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := read(t, parts...); got != want {
		t.Errorf("%s is stale: make docs writes it anew\n%s", path, firstDifference(got, want))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "has    " + g[i] + "\nwants  " + w[i]
		}
	}
	return "one is the beginning of the other"
}

// programs of Prometheus: the folder that has them, empty without one. Asked for
// once: a machine that has none tries to fetch them.
var programs = sync.OnceValues(func() (directory string, err error) {
	var said bytes.Buffer
	find := exec.Command("scripts/need.sh", "prometheus-directory")
	find.Dir = root
	find.Stderr = &said
	output, err := find.Output()
	if err != nil {
		return "", fmt.Errorf("scripts/need.sh prometheus-directory: %w\n%s", err, said.Bytes())
	}
	return string(bytes.TrimSpace(output)), nil
})

// noPrometheus is why something is not tested.
const noPrometheus = "there is no Prometheus on this machine, and only Debian's package can be fetched: put prometheus and promtool on PATH"

func hasPrometheus(t *testing.T) bool {
	t.Helper()
	directory, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return directory != ""
}

// program of Prometheus: promtool or prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	if !hasPrometheus(t) {
		t.Skip(noPrometheus)
	}
	directory, _ := programs()
	return filepath.Join(directory, name)
}

// promtool runs it, and fails the test with what it said.
func promtool(t *testing.T, arguments ...string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), program(t, "promtool"), arguments...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments[:2], " "), err, output)
	}
}
