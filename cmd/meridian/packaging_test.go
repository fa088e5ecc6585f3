//go:build unix

package main

import (
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
