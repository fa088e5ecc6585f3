//go:build unix

package pglocal

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()

	for line, want := range map[string]struct {
		version string
		major   int
	}{
		"postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n": {"15.14", 15},
		"postgres (PostgreSQL) 16.9":                             {"16.9", 16},
		"postgres (PostgreSQL) 18beta1":                          {"18beta1", 18},
		"postgres (PostgreSQL) 9.6.24":                           {"9.6.24", 9},
	} {
		version, major, err := parseVersion(line)
		if err != nil || version != want.version || major != want.major {
			t.Errorf("%q: %s %d %v", line, version, major, err)
		}
	}

	for _, line := range []string{"", "postgres (EnterpriseDB) 15.1", "command not found", "(PostgreSQL) x", "(PostgreSQL) 99999999999999999999"} {
		if version, major, err := parseVersion(line); err == nil && major > 999 {
			t.Errorf("%q: %s %d", line, version, major)
		} else if err == nil && !strings.HasPrefix(line, "(PostgreSQL) 9") {
			t.Errorf("%q is taken for a version", line)
		}
	}
}

// installed makes an installation that only knows its version. Not for parallel
// tests: a program cannot be run while a child that another test has just forked
// still holds it open for writing.
func installed(t *testing.T, dir, version string) string {
	t.Helper()

	if err := makeDir(dir); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"postgres", "initdb"} {
		script := "#!/bin/sh\necho \"" + name + " (PostgreSQL) " + version + "\"\n"
		path := filepath.Join(dir, name)

		if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}

		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}

	return dir
}

func testFinder(t *testing.T, base string) finder {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir()) // the library that downloads leaves a file there

	return finder{
		runner:     unprivileged(),
		patterns:   []string{filepath.Join(base, "lib", "%d", "bin")},
		cacheDir:   filepath.Join(base, "cache"),
		repository: "http://127.0.0.1:1", // nobody listens on tcpmux
		logger:     slog.New(slog.DiscardHandler),
	}
}

func TestFindPrefersThePathThenTheNewest(t *testing.T) {
	base := openDir(t)
	f := testFinder(t, base)

	for _, version := range []string{"14.1", "15.2", "16.3", "17.4", "19.1"} {
		installed(t, filepath.Join(base, "lib", version[:2], "bin"), version)
	}

	check := func(major int, want string) {
		t.Helper()

		found, err := f.find(testContext(t), major)
		if err != nil || found.Version != want {
			t.Errorf("looking for %d: found %+v %v, want %s", major, found, err, want)
		}
	}

	check(anyMajor, "17.4")
	check(15, "15.2")

	// A link on PATH stands for the installation it leads to.
	links := filepath.Join(base, "links")
	if err := makeDir(links); err != nil {
		t.Fatal(err)
	}

	if err := os.Symlink(filepath.Join(base, "lib", "16", "bin", "postgres"), filepath.Join(links, "postgres")); err != nil {
		t.Fatal(err)
	}

	if err := os.Symlink(filepath.Join(base, "lib", "16", "bin", "initdb"), filepath.Join(links, "initdb")); err != nil {
		t.Fatal(err)
	}

	f.path = strings.Join([]string{
		installed(t, filepath.Join(base, "old"), "14.1"), "relative", filepath.Join(base, "nothing"), links,
	}, string(os.PathListSeparator))

	check(anyMajor, "16.3")
	check(17, "17.4")

	found, err := f.find(testContext(t), anyMajor)
	if resolved, _ := filepath.EvalSymlinks(filepath.Join(base, "lib", "16", "bin")); err != nil || found.Dir != resolved {
		t.Errorf("found %s %v", found.Dir, err)
	}
}

func TestFindNamesEverythingItTried(t *testing.T) {
	base := openDir(t)
	f := testFinder(t, base)
	f.path = installed(t, filepath.Join(base, "old"), "14.1")

	broken := installed(t, filepath.Join(base, "lib", "17", "bin"), "17.1")
	if err := os.WriteFile(filepath.Join(broken, "postgres"), []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}

	_, err := f.find(testContext(t), anyMajor)
	if err == nil {
		t.Fatal("found something")
	}

	for _, want := range []string{
		"15 to 18", f.path + ": Postgres 14.1 is not supported", broken, "exit status 3",
		filepath.Join(base, "lib", "18", "bin"), filepath.Join(base, "lib", "15", "bin") + ": no postgres",
		"download Postgres 18", f.cacheDir, f.repository,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in the error:\n%v", want, err)
		}
	}
}

// repository serves a miniature installation as the repository of binaries does.
func repository(t *testing.T, spoil bool) (address string, downloads *atomic.Int32) {
	t.Helper()

	content, err := os.ReadFile(filepath.Join("testdata", "miniature.txz"))
	if err != nil {
		t.Fatal(err)
	}

	var archive bytes.Buffer

	writer := zip.NewWriter(&archive)

	entry, err := writer.Create("postgres.txz")
	if err == nil {
		_, err = entry.Write(content)
	}

	if err := errors.Join(err, writer.Close()); err != nil {
		t.Fatal(err)
	}

	sum := sha256.Sum256(archive.Bytes())
	if spoil {
		sum[0]++
	}

	downloads = new(atomic.Int32)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".jar.sha256"):
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
		case strings.HasSuffix(r.URL.Path, ".jar"):
			downloads.Add(1)

			_, _ = w.Write(archive.Bytes())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)

	return server.URL, downloads
}

func TestDownloadOnce(t *testing.T) {
	base := openDir(t)
	f := testFinder(t, base)

	address, downloads := repository(t, false)
	f.repository = address

	// Several at once, as the test binaries of a fresh machine.
	const finders = 3

	var wg sync.WaitGroup
	for range finders {
		wg.Go(func() {
			found, err := f.find(testContext(t), anyMajor)
			if err != nil || found.Version != "18.3" || !strings.HasPrefix(found.Dir, f.cacheDir) {
				t.Errorf("found %+v %v", found, err)
			}
		})
	}

	wg.Wait()

	if n := downloads.Load(); n != 1 {
		t.Errorf("%d downloads", n)
	}

	if left, err := filepath.Glob(filepath.Join(f.cacheDir, "unpack-*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}

	http.DefaultClient.CloseIdleConnections() // the library's
	goleak.VerifyNone(t, goleak.IgnoreCurrent())
}

func TestDownloadThatDoesNotMatchItsChecksum(t *testing.T) {
	f := testFinder(t, openDir(t))
	f.repository, _ = repository(t, true)

	if found, err := f.find(testContext(t), 17); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("found %+v %v", found, err)
	}

	if !missing(filepath.Join(f.cacheDir, "postgres-17.5.0")) {
		t.Error("it was installed")
	}

	http.DefaultClient.CloseIdleConnections()
}

func TestDownloadGivesUpWithItsContext(t *testing.T) {
	f := testFinder(t, openDir(t))

	ctx, cancel := context.WithCancel(testContext(t))

	asked := make(chan struct{}, 1)
	release := make(chan struct{})

	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer silent.Close()
	defer close(release)

	f.repository = silent.URL

	go func() {
		<-asked
		cancel()
	}()

	if _, err := f.find(ctx, anyMajor); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}
