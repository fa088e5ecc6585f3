package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "meridian"

// goPackage is what `go list -json` says of one package.
type goPackage struct {
	ImportPath   string
	Name         string
	Dir          string
	Standard     bool
	DepOnly      bool
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// inTests lists what the package's tests import.
func (p goPackage) inTests() []string { return slices.Concat(p.TestImports, p.XTestImports) }

// path is the package's place in the module: host/wire, or nothing for the root.
func (p goPackage) path() string { return within(p.ImportPath) }

// within cuts the module's name off an import path; what belongs to no folder of ours gives nothing.
func within(importPath string) string {
	path, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return ""
	}
	return path
}

// under tells whether a path is a folder or below it.
func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// root is the checkout's directory.
func root(t *testing.T) string {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return directory
		}
		parent := filepath.Dir(directory)
		if parent == directory {
			t.Fatal("no go.mod above the test")
		}
		directory = parent
	}
}

// packages lists the module's packages and everything they stand on.
func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json", "./...")
	command.Dir = root(t)
	command.Stderr = t.Output()
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var listed []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p goPackage
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return listed
		case err != nil:
			t.Fatalf("go list: %v", err)
		}
		listed = append(listed, p)
	}
}

// ours keeps the module's own packages.
func ours(t *testing.T) []goPackage {
	t.Helper()
	own := slices.DeleteFunc(packages(t), func(p goPackage) bool { return p.DepOnly || p.path() == "" })
	if len(own) < 5 {
		t.Fatalf("go list names only %d packages of ours", len(own))
	}
	return own
}

// file is a file of the checkout that people write.
type file struct {
	path string // with slashes, from the checkout's root
	text string
}

func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// files reads the checkout's files whose names end in one of the endings. Reading them here, not in a program of git's,
// also tells go test's cache when a rule has to be looked at again.
func files(t *testing.T, endings ...string) []file {
	t.Helper()
	var found []file
	top := root(t)
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			// Hidden folders hold git's, the sandbox's and the tools' files; .ci is ours.
			if path != top && strings.HasPrefix(name, ".") && name != ".ci" || name == "testdata" || name == "bin" || name == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(name, ending) }) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(top, path)
		found = append(found, file{path: filepath.ToSlash(relative), text: string(content)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no file ends in %v", endings)
	}
	return found
}

// read returns one file of the checkout.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
