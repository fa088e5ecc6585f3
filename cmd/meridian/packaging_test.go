//go:build unix

package main

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"meridian/internal/pglocal/pgtest"
)

// packaged reads a file of deploy, with the paths that it has in a container moved below a folder.
func packaged(t *testing.T, directory string, parts ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "deploy"}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(content), "/run/secrets/", filepath.Join(directory, "secrets")+"/")
}

// What the compose file does, without containers: its scripts, the schema under the owner's login, and a host under its
// own with the example for production.
func TestComposeWithoutContainers(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "openssl", "psql"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the scripts need %s, which this machine does not have", tool)
		}
	}
	server := pgtest.Server(t)
	owner, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	bash := func(name, script string, environ ...string) {
		t.Helper()
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "bash", path)
		command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + directory}, environ...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, output)
		}
	}
	// Another user's files could not be read by this test's host.
	prepare := strings.Replace(packaged(t, directory, "container", "prepare.sh"), `if [ "$(id -u)" = 0 ]; then`, "if false; then", 1)
	bash("prepare.sh", prepare)
	bash("prepare.sh", prepare) // what is there stays
	onlyOwnersRead(t, filepath.Join(directory, "secrets"))
	password, _ := owner.User.Password()
	bash("database.sh", packaged(t, directory, "container", "database.sh"), "POSTGRES_USER="+owner.User.Username(), "POSTGRES_DB="+strings.Trim(owner.Path, "/"),
		"PGHOST="+owner.Hostname(), "PGPORT="+owner.Port(), "PGPASSWORD="+password)
	call(t, "migrate", "--database-url", server.URL()).want(t, 0, "the schema went from version 0")

	hostURL, err := os.ReadFile(filepath.Join(directory, "secrets", "host-url"))
	if err != nil {
		t.Fatal(err)
	}
	login, err := url.Parse(strings.TrimSpace(string(hostURL)))
	if err != nil || login.Hostname() != "postgres" {
		t.Fatalf("prepare.sh names the database %s: %v", login.Redacted(), err)
	}
	login.Host, login.Path = owner.Host, owner.Path
	file := filepath.Join(directory, "secrets", "database-url")
	if err := os.WriteFile(file, []byte(login.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	configuration := packaged(t, directory, "production", "meridian.yaml")
	for _, port := range []string{":8583", ":8585", ":9580"} {
		if !strings.Contains(configuration, "address: "+port) {
			t.Fatalf("the example does not listen on %s", port)
		}
		configuration = strings.ReplaceAll(configuration, "address: "+port, "address: 127.0.0.1:0")
	}
	path := filepath.Join(directory, "meridian.yaml")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "config", "check", path).want(t, 0, "could start with it, on 2 listeners")
	host := start(t, "serve", "--config", path)
	ready := host.await("ready")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address(t, ready, "ops")+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %v, %v", response, err)
	}
	if response != nil {
		_ = response.Body.Close()
	}
	host.signal(syscall.SIGTERM)
	if code := host.wait(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, host.stderr)
	}
}

// What prepare.sh draws is for its readers alone, also where an earlier run or a copy left it readable.
func TestPreparedSecretsAreForTheirReaders(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the script needs %s, which this machine does not have", tool)
		}
	}
	directory := t.TempDir()
	path, secrets := filepath.Join(directory, "prepare.sh"), filepath.Join(directory, "secrets")
	if err := os.WriteFile(path, []byte(packaged(t, directory, "container", "prepare.sh")), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if output, err := exec.CommandContext(t.Context(), "bash", path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		onlyOwnersRead(t, secrets)
		if err := errors.Join(os.Chmod(secrets, 0o755), os.Chmod(filepath.Join(secrets, "owner-password"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// onlyOwnersRead fails the test where anybody but its owner may look at a folder or a file in it.
func onlyOwnersRead(t *testing.T, directory string) {
	t.Helper()
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
