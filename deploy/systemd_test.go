//go:build unix

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"meridian/internal/config"
)

// unit is meridian.service by section and key.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	settings, section := map[string][]string{}, ""
	for line := range strings.Lines(read(t, "deploy", "systemd", "meridian.service")) {
		line = strings.TrimSpace(line)
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case ok:
			settings[section+"."+key] = append(settings[section+"."+key], value)
		default:
			t.Fatalf("meridian.service has %q", line)
		}
	}
	return settings
}

func TestSystemdUnit(t *testing.T) {
	u := unit(t)
	for key, want := range map[string]string{
		"Service.DynamicUser": "yes", "Service.NoNewPrivileges": "yes", "Service.ProtectSystem": "strict", "Service.ProtectHome": "yes",
		"Service.PrivateDevices": "yes", "Service.CapabilityBoundingSet": "", "Service.LimitCORE": "0", "Service.Restart": "always",
		"Service.MemoryDenyWriteExecute": "yes", "Install.WantedBy": "multi-user.target",
	} {
		if got := strings.Join(u[key], " "); got != want || len(u[key]) != 1 {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	seconds, err := strconv.Atoi(u["Service.TimeoutStopSec"][0])
	if drain := config.Default().Shutdown.DrainTimeout; err != nil || time.Duration(seconds)*time.Second <= drain {
		t.Errorf("systemd kills after %v s; a host drains for %s", u["Service.TimeoutStopSec"], drain)
	}
	files, err := strconv.Atoi(u["Service.LimitNOFILE"][0])
	if most := config.Default().Limits.MaxConnections; err != nil || files <= most {
		t.Errorf("a host may have %v files and %d connections", u["Service.LimitNOFILE"], most)
	}
	// What it sets is known to the configuration, and each credential is loaded.
	for variable := range strings.FieldsSeq(u["Service.Environment"][0]) {
		name, value, _ := strings.Cut(variable, "=")
		if _, err := config.Load(config.Options{Environ: []string{name + "="}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if credential, ok := strings.CutPrefix(value, "%d/"); ok && !strings.Contains(strings.Join(u["Service.LoadCredential"], " "), credential+":") {
			t.Errorf("%s is no credential that is loaded", credential)
		}
	}
}

// systemd itself reads the unit, where it is installed; it does not have to run.
func TestSystemdReadsTheUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze on this machine: the unit is parsed by TestSystemdUnit alone")
	}
	// The program is not installed where tests run.
	text := strings.ReplaceAll(read(t, "deploy", "systemd", "meridian.service"), "/usr/bin/meridian ", "/bin/true ")
	path := filepath.Join(t.TempDir(), "meridian.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(output), "meridian.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, output)
	}
	output, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", "--threshold=20", path).CombinedOutput()
	if err != nil && strings.Contains(string(output), "unrecognized option") {
		t.Skip("this systemd is too old to rate a unit that it does not run")
	}
	// 0 is the safest, 10 the most exposed; a network service has 1 for its network.
	if !regexp.MustCompile(`Overall exposure level for meridian.service: [01]\.`).Match(output) || err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, output)
	}
}
