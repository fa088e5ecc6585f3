package archtest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// floor is one storey of the house, the lowest first.
type floor struct {
	folders []string
	name    string
}

func floors() []floor {
	return []floor{
		{[]string{"internal", "migrations"}, "what everything stands on"},
		{[]string{"ledger"}, "the ledger"},
		{[]string{"switch"}, "the switch"},
		{[]string{"host"}, "the host"},
		{[]string{"console", "sandbox"}, "console and sandbox"},
		{[]string{"cmd", "deploy", "docs"}, "the program"},
	}
}

// floorOf returns the number of the floor that a path is on, or -1.
func floorOf(path string) int {
	return slices.IndexFunc(floors(), func(f floor) bool {
		return slices.ContainsFunc(f.folders, func(folder string) bool { return under(path, folder) })
	})
}

// rule says what packages may import of their own floor, package by package.
type rule struct {
	packages []string
	on       []string
}

// rules are for every package of ours, so that a new one has to find its place here.
//
//	node -> host -> dialect -> wire;  terminal -> wire;  sandbox -> console
func rules() []rule {
	return []rule{
		{[]string{"internal/capture", "internal/card", "internal/config", "internal/gbk", "internal/leak", "internal/loadgen", "internal/money"}, nil},
		{[]string{"internal/archtest"}, []string{"internal/config"}},
		{[]string{"internal/vault"}, []string{"internal/card"}},
		{[]string{"internal/hsm/cipherkey"}, []string{"internal/vault"}},
		{
			[]string{"internal/hsm/dukpt", "internal/hsm/keyblock", "internal/hsm/mac", "internal/hsm/pinblock", "internal/hsm/track"},
			[]string{"internal/hsm/cipherkey", "internal/vault", "internal/card", "internal/hsm/mac", "internal/hsm/pinblock"},
		},
		{[]string{"internal/hsm"}, []string{
			"internal/hsm/cipherkey", "internal/hsm/dukpt", "internal/hsm/keyblock", "internal/hsm/mac", "internal/hsm/pinblock", "internal/hsm/track",
			"internal/vault", "internal/card",
		}},
		{[]string{"internal/pglocal"}, nil},
		{[]string{"internal/pglocal/pgtest"}, []string{"internal/pglocal"}},
		{[]string{"internal/postgres"}, []string{"internal/pglocal/pgtest"}},
		{[]string{"migrations"}, []string{"internal/pglocal/pgtest", "internal/postgres"}}, // its tests make databases
		{[]string{"ledger"}, nil},
		{[]string{"switch"}, []string{"switch/model"}},
		{[]string{"switch/model"}, nil},
		{[]string{"host/wire"}, nil},
		{[]string{"host/dialect", "host/terminal"}, []string{"host/wire"}},
		{[]string{"host"}, []string{"host/dialect", "host/wire"}},
		{[]string{"host/node"}, []string{"host", "host/dialect", "host/wire"}},
		{[]string{"host/node/soak"}, []string{"host/node", "host", "host/wire"}},
		{[]string{"console/certification"}, nil},
		{[]string{"console"}, []string{"console/certification"}},
		{[]string{"sandbox/bench", "sandbox/scenario", "sandbox/story"}, nil},
		{[]string{"sandbox"}, []string{"sandbox/scenario", "sandbox/story", "console", "console/certification"}},
		{[]string{"cmd/meridian"}, []string{"docs"}},
		{[]string{"deploy", "docs"}, nil},
	}
}

// besides tells whether a package may stand on another of its floor. Tests beside a package import it.
func besides(from, to string) bool {
	return from == to || slices.ContainsFunc(rules(), func(r rule) bool {
		return slices.Contains(r.packages, from) && slices.Contains(r.on, to)
	})
}

// wrongImport says why one package of ours may not import another, or nothing.
func wrongImport(from, to string) string {
	fromFloor, toFloor := floorOf(from), floorOf(to)
	switch {
	case toFloor > fromFloor:
		return fmt.Sprintf("%s is above %s: imports go down (declare a small interface where it is used)",
			floors()[toFloor].name, floors()[fromFloor].name)
	case (from == "switch/model" || from == "host/terminal") && from != to && (under(to, "switch") || under(to, "ledger")):
		return "what the switch and the host are compared with is written apart from them"
	case toFloor == fromFloor && !besides(from, to):
		return fmt.Sprintf("%s does not stand on %s (see rules)", from, to)
	}
	return ""
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range ours(t) {
		if floorOf(p.path()) < 0 {
			t.Errorf("%s is on no floor: the top level is %s", p.path(), strings.Join(topLevel(), ", "))
			continue
		}
		for _, imported := range slices.Concat(p.Imports, p.inTests()) {
			to := within(imported)
			if to == "" || floorOf(to) < 0 {
				continue
			}
			if reason := wrongImport(p.path(), to); reason != "" {
				t.Errorf("%s imports %s: %s", p.path(), to, reason)
			}
		}
	}
}

func topLevel() []string {
	var folders []string
	for _, f := range floors() {
		folders = append(folders, f.folders...)
	}
	return folders
}

// Every package has a rule, and no rule is about what is not there.
func TestEveryPackageHasARule(t *testing.T) {
	var there, ruled, named []string
	for _, p := range ours(t) {
		there = append(there, p.path())
	}
	for _, r := range rules() {
		ruled, named = append(ruled, r.packages...), append(named, r.on...)
	}
	for _, path := range there {
		if !slices.Contains(ruled, path) {
			t.Errorf("%s is in no rule: say what it may import of its own floor", path)
		}
	}
	for _, path := range slices.Concat(ruled, named) {
		if !slices.Contains(there, path) {
			t.Errorf("a rule names %s, which is no package", path)
		}
	}
	slices.Sort(ruled)
	if len(slices.Compact(ruled)) != len(there) {
		t.Error("a package is in two rules")
	}
	for _, folder := range topLevel() {
		if !slices.ContainsFunc(there, func(path string) bool { return under(path, folder) }) {
			t.Errorf("the floors name %s, where no package is", folder)
		}
	}
}

// The table above is itself looked at, in both directions.
func TestTheFloors(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"cmd/meridian", "sandbox", true},
		{"sandbox", "console", true},
		{"console", "sandbox", false},
		{"sandbox", "cmd/meridian", false},
		{"console", "switch", true},
		{"host", "host/dialect", true},
		{"host", "host/wire", true},
		{"host/node", "host", true},
		{"host/node", "host/terminal", false},
		{"host", "host/node", false},
		{"sandbox", "host/node", true},
		{"host/terminal", "host/wire", true},
		{"host/terminal", "host/dialect", false}, // a peer of its own reads what the host writes
		{"host/terminal", "host", false},
		{"host/terminal", "switch", false},
		{"host/dialect", "host/wire", true},
		{"host/dialect", "switch", true},
		{"host/wire", "host/dialect", false},
		{"host/wire", "internal/card", true},
		{"host/dialect", "host", false},
		{"switch", "host/wire", false},
		{"switch", "ledger", true},
		{"switch/model", "switch", false},
		{"switch/model", "ledger", false},
		{"ledger", "switch", false},
		{"ledger", "migrations", true},
		{"internal/card", "ledger", false},
		{"internal/money", "internal/card", false},
		{"migrations", "internal/money", false},
	} {
		if reason := wrongImport(c.from, c.to); (reason == "") != c.allowed {
			t.Errorf("%s -> %s: %q, want allowed %t", c.from, c.to, reason, c.allowed)
		}
	}
}

// place says where a library may be imported, and why nowhere else.
type place struct {
	library   string
	folders   []string // of the program
	inTests   []string // of tests besides; "" is every test
	otherwise string
}

func places() []place {
	return []place{
		{
			"github.com/moov-io",
			[]string{"host"},
			nil,
			"ISO 8583 ends in host: the domain speaks of requests, dialects translate",
		},
		{
			// The test terminal is a peer that is not ours.
			"github.com/moov-io/iso8583-connection",
			[]string{"host/terminal"},
			nil,
			"it serves the test terminal; terminals are served by our own session",
		},
		{
			"github.com/jackc/pgx/v5",
			[]string{"internal", "migrations", "ledger", "switch", "host/node", "console", "sandbox", "cmd"},
			[]string{""},
			"the TCP side knows no database; host/node opens it and hands it down",
		},
		{"database/sql", []string{"migrations"}, []string{""}, "pgx is used directly; only migrations need database/sql"},
		{"github.com/pressly/goose", []string{"migrations"}, nil, "migrations run in migrations"},
		{"github.com/fergusstrange/embedded-postgres", []string{"internal/pglocal"}, nil, "a private Postgres is internal/pglocal's"},
		{"github.com/spf13/cobra", []string{"cmd"}, nil, "the command line is cmd's"},
		{
			"go.yaml.in/yaml",
			[]string{"internal/config", "sandbox/story"},
			[]string{"internal/archtest", "deploy"},
			"configuration is read by internal/config, scenario files by sandbox/story",
		},
		{"github.com/gopacket/gopacket", []string{"internal/capture"}, []string{""}, "captures are read by internal/capture"},
		{"github.com/chromedp", nil, []string{""}, "it is for tests"},
		{"pgregory.net/rapid", nil, []string{""}, "it is for tests"},
		{"github.com/anishathalye/porcupine", nil, []string{""}, "it is for tests"},
		{"go.uber.org/goleak", nil, []string{""}, "it is for tests"},
		{"github.com/Shopify/toxiproxy", nil, []string{""}, "it is for tests"},
		{module + "/internal/pglocal/pgtest", nil, []string{""}, "it is for tests"},
		{module + "/internal/leak", nil, []string{""}, "it is for tests"},
		{module + "/internal/loadgen", []string{"sandbox/bench"}, []string{""}, "it makes load for tests and the bench"},
		{module + "/switch/model", nil, []string{"switch"}, "it is what tests compare the switch with"},
		{
			module + "/sandbox/scenario",
			[]string{"sandbox", "cmd/meridian"},
			nil,
			"a host that misbehaves on purpose is the sandbox's; the command asks a running one",
		},
		{
			module + "/internal/pglocal",
			[]string{"internal/pglocal", "sandbox"},
			[]string{""},
			"a host is given its database; only the sandbox and the bench make one",
		},
	}
}

// A production host plays no scenarios: nothing but the sandbox gives a node any, and
// of the program only the command that asks a running sandbox knows of them.
func TestOnlyTheSandboxPlaysScenarios(t *testing.T) {
	gives := regexp.MustCompile(`\bScenarios:|\.Scenarios\s*=[^=]`)
	knows := regexp.MustCompile(`"meridian/sandbox/scenario"`)
	given := map[string]bool{}
	for _, f := range files(t, ".go") {
		switch {
		case f.isTest():
		case under(path.Dir(f.path), "cmd") && knows.MatchString(f.text) && !strings.HasPrefix(path.Base(f.path), "scenario"):
			t.Errorf("%s knows the scenarios of a sandbox", f.path)
		case gives.MatchString(f.text):
			given[f.path] = true
		}
	}
	for file := range given {
		// node hands down what it is given; the sandbox gives it.
		if file != "host/node/node.go" && !under(file, "sandbox") {
			t.Errorf("%s gives somebody scenarios", file)
		}
	}
	if !given["sandbox/sandbox.go"] || !given["host/node/node.go"] {
		t.Errorf("scenarios are given by %v: this test looks for something else", given)
	}
}

func TestLibrariesHaveTheirPlace(t *testing.T) {
	used := map[string]bool{} // library and folder
	for _, p := range ours(t) {
		for _, imported := range p.Imports {
			where, ok := placeOf(imported)
			if ok && !anyUnder(p.path(), where.folders) && !isTestHelper(p) {
				t.Errorf("%s imports %s: %s", p.path(), imported, where.otherwise)
			}
			for _, folder := range where.folders {
				used[where.library+" "+folder] = used[where.library+" "+folder] || under(p.path(), folder)
			}
		}
		for _, imported := range p.inTests() {
			where, ok := placeOf(imported)
			if ok && !slices.Contains(where.inTests, "") && !anyUnder(p.path(), slices.Concat(where.folders, where.inTests)) {
				t.Errorf("the tests of %s import %s: %s", p.path(), imported, where.otherwise)
			}
			for _, folder := range where.inTests {
				used[where.library+" "+folder] = used[where.library+" "+folder] || folder == "" || under(p.path(), folder)
			}
		}
	}
	for _, where := range places() {
		for _, folder := range slices.Concat(where.folders, where.inTests) {
			if !used[where.library+" "+folder] && folder != "" {
				t.Errorf("%s has a place in %s, and nothing there imports it", where.library, folder)
			}
		}
	}
}

// placeOf finds the entry of an imported package, the longest that fits: a part of a library may have a place of its own.
func placeOf(imported string) (place, bool) {
	var best place
	for _, p := range places() {
		if under(imported, p.library) && len(p.library) > len(best.library) {
			best = p
		}
	}
	return best, best.library != ""
}

func anyUnder(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return under(path, folder) })
}

// isTestHelper tells packages that only tests import, by the ending that such names have.
func isTestHelper(p goPackage) bool { return strings.HasSuffix(p.path(), "test") }

// The program holds nothing of what tests stand on: package testing registers flags, a test helper makes databases.
func TestProgramHoldsNoTests(t *testing.T) {
	for _, p := range ours(t) {
		if isTestHelper(p) || p.Name == "main" {
			continue
		}
		for _, imported := range p.Imports {
			if imported == "testing" || strings.HasPrefix(imported, "testing/") || within(imported) != "" && strings.HasSuffix(imported, "test") {
				t.Errorf("%s imports %s outside of its tests; a package for tests has a name that ends in test", p.path(), imported)
			}
		}
	}
	for _, p := range ours(t) {
		if p.Name != "main" {
			continue
		}
		for _, dependency := range p.Deps {
			// Package testing itself comes with embedded-postgres, which has a helper of its tests among its files.
			if within(dependency) != "" && strings.HasSuffix(dependency, "test") {
				t.Errorf("the program %s holds %s", p.path(), dependency)
			}
		}
	}
}
