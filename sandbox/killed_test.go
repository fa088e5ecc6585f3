//go:build unix

package sandbox

import (
	"bufio"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A sandbox whose process is killed starts again on the same data directory, at
// once, and has every answered sale.
func TestKilled(t *testing.T) {
	dir := dataDir(t)
	command, m := startChild(t, dir)
	before := m.card(t, "JPY", behaviourApprove).Available
	const sales = 5
	for stan := range sales {
		sell(t, m, "JPY", stan+1, 100, "00")
	}
	kill(t, command)
	if _, err := os.Stat(filepath.Join(dir, ManifestName)); err != nil {
		t.Fatalf("a killed sandbox removes no file: %v", err)
	}

	s := start(t, options(dir))
	again := s.Manifest()
	if got := again.card(t, "JPY", behaviourApprove).Available; got != before-sales*100 {
		t.Errorf("available %d, want %d", got, before-sales*100)
	}
	sell(t, again, "JPY", sales+1, 100, "00")
	verify(t, again.DatabaseURL)
}

// What a killed run left is gone before anything of the next one is there, so
// that nobody takes it for the new one's.
func TestStaleFileGoesFirst(t *testing.T) {
	dir := dataDir(t)
	for _, name := range []string{ManifestName, ".sandbox-123.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"ready": true}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := options(dir)
	o.DatabaseURL = "postgres://127.0.0.1:1/nothing-there"
	if _, err := Start(t.Context(), o); err == nil {
		t.Fatal("it started without a database")
	}
	if names := listing(t, dir); len(names) != 1 || names[0] != lockName {
		t.Errorf("left: %v", names)
	}
}

// A signal ends it in order, and the exit code is 0.
func TestSignal(t *testing.T) {
	dir := dataDir(t)
	command, m := startChild(t, dir)
	echo(t, m)
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("ended by %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ManifestName)); err == nil {
		t.Error("sandbox.json is still there")
	}
	// In order: a checkpoint was made, so that nothing has to be recovered.
	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "database system is shut down") {
		t.Error("Postgres was not shut down in order")
	}
}

// An ephemeral sandbox that was killed is cleaned up after by the next one.
func TestKilledEphemeral(t *testing.T) {
	temporary := temporaryDirectory(t)
	abandoned, err := claimTemporary()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(abandoned.path(ManifestName), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := abandoned.release(); err != nil { // as the kernel does
		t.Fatal(err)
	}
	alive, err := claimTemporary()
	if err != nil {
		t.Fatal(err)
	}
	removeAbandoned(t.Context(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if names := listing(t, temporary); len(names) != 1 || names[0] != filepath.Base(alive.dir) {
		t.Errorf("left: %v; the living one is %s", names, filepath.Base(alive.dir))
	}
	if err := alive.remove(); err != nil {
		t.Error(err)
	}
}

// startChild runs this test binary as a sandbox.
func startChild(t *testing.T, dir string) (*exec.Cmd, *Manifest) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	command.Env = append(os.Environ(), childVariable+"="+dir)
	command.Stderr = t.Output()
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if command.ProcessState == nil {
			kill(t, command)
		}
	})
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the child says %q", lines.Text())
	}
	return command, readManifest(t, dir)
}

// kill ends a process the way the kernel does when memory is short.
func kill(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if err := command.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = command.Wait()
}
