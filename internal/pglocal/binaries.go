//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The supported major versions of Postgres.
const (
	oldestMajor = 15
	newestMajor = 18
)

// Binaries are an installation of Postgres.
type Binaries struct {
	Dir     string // the directory of postgres and initdb
	Version string // as postgres --version gives it, such as "15.14"
	Major   int    // such as 15
}

func (b Binaries) postgres() string { return filepath.Join(b.Dir, "postgres") }
func (b Binaries) initdb() string   { return filepath.Join(b.Dir, "initdb") }

// anyMajor asks for any supported version.
const anyMajor = 0

// finder is where to look, and for whom.
type finder struct {
	runner     account // must be able to execute what is found
	path       string  // as in the environment variable PATH
	patterns   []string
	cacheDir   string
	repository string // of the binaries to download; empty is the default one
	logger     *slog.Logger
}

func systemFinder(runner account, cacheDir string, logger *slog.Logger) finder {
	return finder{
		runner: runner,
		path:   os.Getenv("PATH"),
		patterns: []string{ // %d is the major version
			"/usr/lib/postgresql/%d/bin",                          // Debian, Ubuntu
			"/usr/pgsql-%d/bin",                                   // the project's own packages for Red Hat
			"/usr/libexec/postgresql%d",                           // Alpine
			"/opt/homebrew/opt/postgresql@%d/bin",                 // Homebrew on Apple silicon
			"/usr/local/opt/postgresql@%d/bin",                    // Homebrew on Intel
			"/home/linuxbrew/.linuxbrew/opt/postgresql@%d/bin",    // Homebrew on Linux
			"/Applications/Postgres.app/Contents/Versions/%d/bin", // Postgres.app
			"/opt/local/lib/postgresql%d/bin",                     // MacPorts
			"/usr/local/pgsql-%d/bin",                             // built from source, by custom
		},
		cacheDir:   cacheDir,
		repository: os.Getenv("MERIDIAN_POSTGRES_REPOSITORY"), // a mirror, where the default cannot be reached
		logger:     logger,
	}
}

// find returns binaries of the major version, or of any supported one: on PATH,
// then the newest where packages put them (Debian, Red Hat, Alpine, Homebrew,
// Postgres.app), else downloaded into the user's cache directory. The error names
// everything that was tried.
func (f finder) find(ctx context.Context, major int) (Binaries, error) {
	var tried []error

	for _, dir := range f.candidates(major) {
		found, err := probe(ctx, f.runner, dir)

		switch {
		case err != nil:
			tried = append(tried, fmt.Errorf("%s: %w", dir, err))
		case found.Major < oldestMajor || found.Major > newestMajor:
			tried = append(tried, fmt.Errorf("%s: Postgres %s is not supported", dir, found.Version))
		case major != anyMajor && found.Major != major:
			tried = append(tried, fmt.Errorf("%s: Postgres %s, not %d", dir, found.Version, major))
		default:
			return found, nil
		}

		if ctx.Err() != nil {
			return Binaries{}, fmt.Errorf("look for Postgres: %w", ctx.Err())
		}
	}

	found, err := f.download(ctx, major)
	if err == nil {
		return found, nil
	}

	wanted := fmt.Sprintf("%d to %d", oldestMajor, newestMajor)
	if major != anyMajor {
		wanted = strconv.Itoa(major)
	}

	return Binaries{}, fmt.Errorf("no Postgres %s for %s found (install one, or give a database URL); tried:\n%w",
		wanted, f.runner.name, errors.Join(append(tried, err)...))
}

// candidates are the directories to look at, in order.
func (f finder) candidates(major int) []string {
	var dirs []string

	for _, dir := range filepath.SplitList(f.path) {
		if !filepath.IsAbs(dir) {
			continue // what is found must not depend on where we stand
		}

		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			dirs = append(dirs, dir)
		}
	}

	for version := newestMajor; version >= oldestMajor; version-- {
		if major != anyMajor && version != major {
			continue
		}

		for _, pattern := range f.patterns {
			dirs = append(dirs, fmt.Sprintf(pattern, version))
		}
	}

	return dirs
}

// probeTimeout bounds postgres --version, which answers in milliseconds.
const probeTimeout = 10 * time.Second

// probe looks at the installation in dir, as the account that will run it.
func probe(ctx context.Context, runner account, dir string) (Binaries, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()

	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return Binaries{}, errors.New("no " + name)
		}
	}

	// Homebrew and Alpine have links in directories on PATH; the programs look
	// for their libraries beside the real ones.
	if target, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
		if _, err := os.Stat(filepath.Join(filepath.Dir(target), "initdb")); err == nil {
			dir = filepath.Dir(target)
		}
	}

	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Dir = "/"
	cmd.Env = cleanEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: runner.credential}

	out, err := cmd.Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("run postgres --version as %s: %w", runner.name, err)
	}

	version, major, err := parseVersion(string(out))
	if err != nil {
		return Binaries{}, err
	}

	return Binaries{Dir: dir, Version: version, Major: major}, nil
}

// parseVersion reads a line like "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)";
// a version may also look like 18beta1.
func parseVersion(line string) (version string, major int, err error) {
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d{1,3})\S*)`).FindStringSubmatch(line)
	if match == nil {
		return "", 0, fmt.Errorf("not a Postgres version: %.80q", strings.TrimSpace(line))
	}

	major, err = strconv.Atoi(match[2])
	if err != nil {
		return "", 0, fmt.Errorf("not a Postgres version: %w", err)
	}

	return match[1], major, nil
}
