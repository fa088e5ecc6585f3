//go:build unix

package deploy

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"meridian/internal/config"
)

// No test starts a container. What can be held against the checkout is.

// instruction of a Dockerfile, its lines joined.
type instruction struct{ name, rest string }

// dockerfile takes deploy/container/Dockerfile apart: comments, continued lines,
// https://docs.docker.com/reference/dockerfile/.
func dockerfile(t *testing.T) (list []instruction) {
	t.Helper()
	text := strings.ReplaceAll(read(t, "deploy", "container", "Dockerfile"), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if !slices.Contains([]string{"FROM", "WORKDIR", "COPY", "RUN", "ARG", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}, name) {
			t.Fatalf("Dockerfile has %q, which this test knows nothing of", line)
		}
		list = append(list, instruction{name, strings.TrimSpace(rest)})
	}
	return list
}

// one is the last instruction of a name.
func one(t *testing.T, list []instruction, name string) string {
	t.Helper()
	for _, i := range slices.Backward(list) {
		if i.name == name {
			return i.rest
		}
	}
	t.Fatalf("Dockerfile has no %s", name)
	return ""
}

var pinnedImage = regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9][a-z0-9._-]*$`)

func TestDockerfile(t *testing.T) {
	list := dockerfile(t)
	stages, final := map[string]bool{}, ""
	for _, i := range list {
		switch i.name {
		case "FROM":
			words := strings.Fields(i.rest)
			final = words[0]
			if !pinnedImage.MatchString(final) || strings.HasSuffix(final, ":latest") {
				t.Errorf("FROM %s: an image is pinned by its tag at least", final)
			}
			if len(words) == 3 && words[1] == "AS" {
				stages[words[2]] = true
			}
		case "COPY":
			words := strings.Fields(i.rest)
			if stage, ok := strings.CutPrefix(words[0], "--from="); ok {
				if !stages[stage] {
					t.Errorf("COPY %s: there is no such stage", i.rest)
				}
				continue
			}
			for _, source := range words[:len(words)-1] {
				if _, err := os.Stat(filepath.Join(root, source)); err != nil {
					t.Errorf("COPY %s: %v", i.rest, err)
				}
			}
		}
	}
	if !strings.Contains(final, "distroless/static") {
		t.Errorf("the image stands on %s: a static binary needs nothing but certificates and zones", final)
	}
	if user := one(t, list, "USER"); !regexp.MustCompile(`^[1-9][0-9]+:[1-9][0-9]+$`).MatchString(user) {
		t.Errorf("USER %s: a number, so that an orchestrator sees that it is not root", user)
	}
	if entry := one(t, list, "ENTRYPOINT"); entry != `["/usr/bin/meridian"]` {
		t.Errorf("ENTRYPOINT %s", entry)
	}
	// The same Go as go.mod's, and the same build as the Makefile's.
	version := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	if list[0].rest != "golang:"+version+"-bookworm AS build" {
		t.Errorf("it is built with %s, go.mod wants %s", list[0].rest, version)
	}
	build := one(t, list[:slices.IndexFunc(list, func(i instruction) bool { return strings.Contains(i.rest, "distroless") })], "RUN")
	for _, want := range []string{"go build -trimpath", "-X main.version=${VERSION}", "-o /out/meridian ./cmd/meridian"} {
		if !strings.Contains(build, want) {
			t.Errorf("RUN %s has no %s", build, want)
		}
	}
	if !strings.Contains(read(t, "Makefile"), "-X main.version=$(VERSION)") {
		t.Error("the Makefile stamps its version otherwise")
	}
	ports := strings.Fields(one(t, list, "EXPOSE"))
	for _, address := range productionAddresses(t) {
		if _, port, err := net.SplitHostPort(address); err != nil || !slices.Contains(ports, port) {
			t.Errorf("the example for production listens on %s, which is not EXPOSEd (%v)", address, err)
		}
	}
}

// Everything that the program embeds is in the context of the image's build.
func TestDockerIgnore(t *testing.T) {
	for line := range strings.Lines(read(t, ".dockerignore")) {
		line = strings.TrimSpace(line)
		for _, needed := range []string{"cmd", "console", "docs", "host", "internal", "ledger", "migrations", "sandbox", "switch", "go.mod", "go.sum"} {
			if line == needed || strings.HasPrefix(line, needed+"/") || line == "*" || line == "**/*.md" || line == "*.md" {
				t.Errorf(".dockerignore leaves out %s, which the build needs", line)
			}
		}
	}
}

// productionConfig is the example as a host reads it.
func productionConfig(t *testing.T, environ ...string) config.Config {
	t.Helper()
	loaded, err := config.Load(config.Options{File: filepath.Join("production", "meridian.yaml"), Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

func productionAddresses(t *testing.T) (addresses []string) {
	t.Helper()
	c := productionConfig(t, "MERIDIAN_DATABASE_URL_FILE="+urlFile(t))
	for _, l := range c.Listeners {
		addresses = append(addresses, l.Address)
	}
	return append(addresses, c.Ops.Address)
}

func urlFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("postgres://meridian_host@db/meridian\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// composeFile is what compose.yaml uses of https://compose-spec.io; what is not here is
// an error, so that a mistyped key is.
type composeFile struct {
	Name     string `yaml:"name"`
	Services map[string]struct {
		Image string `yaml:"image"`
		Build struct {
			Context    string `yaml:"context"`
			Dockerfile string `yaml:"dockerfile"`
		} `yaml:"build"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Secrets     []string          `yaml:"secrets"`
		Volumes     []string          `yaml:"volumes"`
		Ports       []string          `yaml:"ports"`
		DependsOn   yaml.Node         `yaml:"depends_on"`
		Healthcheck struct {
			Test     []string `yaml:"test"`
			Interval string   `yaml:"interval"`
			Timeout  string   `yaml:"timeout"`
			Retries  int      `yaml:"retries"`
		} `yaml:"healthcheck"`
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Restart     string   `yaml:"restart"`
		Grace       string   `yaml:"stop_grace_period"`
	} `yaml:"services"`
	Volumes map[string]any `yaml:"volumes"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

func compose(t *testing.T) composeFile {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "deploy", "container", "compose.yaml")))
	decoder.KnownFields(true)
	var file composeFile
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	return file
}

func TestCompose(t *testing.T) {
	file := compose(t)
	prepared := read(t, "deploy", "container", "prepare.sh")
	for name, s := range file.Services {
		if s.Build.Context == "" && (!pinnedImage.MatchString(s.Image) || strings.HasSuffix(s.Image, ":latest")) {
			t.Errorf("%s: image %q is not pinned by its tag", name, s.Image)
		}
		if s.Build.Context != "" {
			if _, err := os.Stat(filepath.Join("container", s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("%s could write to its image or gain rights", name)
			}
		}
		for _, volume := range s.Volumes {
			source, rest, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(source, ".") {
				if _, ok := file.Volumes[source]; !ok {
					t.Errorf("%s: there is no volume %s", name, source)
				}
				continue
			}
			if _, err := os.Stat(filepath.Join("container", source)); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
			if !strings.HasSuffix(rest, ":ro") {
				t.Errorf("%s could write to %s", name, source)
			}
		}
		for _, secret := range s.Secrets {
			given, ok := file.Secrets[secret]
			if !ok {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
			if base := filepath.Base(given.File); !strings.Contains(prepared, base) {
				t.Errorf("prepare.sh does not make %s", base)
			}
		}
		for _, value := range s.Environment {
			if path, ok := strings.CutPrefix(value, "/run/secrets/"); ok && !slices.Contains(s.Secrets, path) {
				t.Errorf("%s reads %s, a secret that it is not given", name, value)
			}
		}
		for i := 0; i+1 < len(s.DependsOn.Content); i += 2 {
			if _, ok := file.Services[s.DependsOn.Content[i].Value]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, s.DependsOn.Content[i].Value)
			}
		}
	}
	host := file.Services["meridian"]
	var environ []string
	for name, value := range host.Environment {
		if name == "MERIDIAN_DATABASE_URL_FILE" {
			value = urlFile(t)
		}
		environ = append(environ, name+"="+value)
	}
	c := productionConfig(t, environ...) // a variable that nothing reads is an error
	if !slices.Contains(host.Secrets, filepath.Base(c.MasterKeyFile)) {
		t.Errorf("the host is not given %s", c.MasterKeyFile)
	}
	for _, l := range c.Listeners {
		port := l.Address[strings.LastIndex(l.Address, ":")+1:]
		if !slices.Contains(host.Ports, port+":"+port) {
			t.Errorf("listener %s on %s is not published", l.Name, l.Address)
		}
	}
	watched := scraped(t, "container", "prometheus.yaml")
	if len(watched) != 1 || watched[0] != "meridian"+c.Ops.Address {
		t.Errorf("Prometheus scrapes %v, the host serves metrics on %s", watched, c.Ops.Address)
	}
	provisioned(t, file)
}

// scraped are the targets of a Prometheus' configuration, under the one job that
// alerts know.
func scraped(t *testing.T, parts ...string) (targets []string) {
	t.Helper()
	var file struct {
		Scrapes []struct {
			Job    string `yaml:"job_name"`
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, append([]string{"deploy"}, parts...)...)), &file); err != nil {
		t.Fatal(err)
	}
	for _, s := range file.Scrapes {
		if s.Job != "meridian" {
			t.Errorf("%v: alerts look for job meridian, not %s", parts, s.Job)
		}
		for _, static := range s.Static {
			targets = append(targets, static.Targets...)
		}
	}
	return targets
}

// provisioned: Grafana finds its source and the dashboards where they are mounted.
func provisioned(t *testing.T, file composeFile) {
	t.Helper()
	var source struct {
		Datasources []struct {
			Type    string `yaml:"type"`
			URL     string `yaml:"url"`
			Default bool   `yaml:"isDefault"` //nolint:tagliatelle // Grafana's name
		} `yaml:"datasources"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy", "container", "grafana", "datasources.yaml")), &source); err != nil {
		t.Fatal(err)
	}
	for _, d := range source.Datasources {
		at, err := url.Parse(d.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := file.Services[at.Hostname()]; !ok || d.Type != "prometheus" || !d.Default {
			t.Errorf("source %+v: dashboards take the default one, a Prometheus of this file", d)
		}
	}
	var providers struct {
		Providers []struct {
			Options struct {
				Path string `yaml:"path"`
			} `yaml:"options"`
		} `yaml:"providers"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy", "container", "grafana", "dashboards.yaml")), &providers); err != nil {
		t.Fatal(err)
	}
	if len(source.Datasources) != 1 || len(providers.Providers) != 1 ||
		!slices.Contains(file.Services["grafana"].Volumes, "../grafana:"+providers.Providers[0].Options.Path+":ro") {
		t.Errorf("dashboards are looked for in %+v", providers)
	}
}

// Prometheus takes the configuration that compose.yaml mounts, with the rules beside it.
func TestComposePrometheus(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "prometheus.yaml"), []byte(read(t, "deploy", "container", "prometheus.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(directory, "rules"), os.DirFS("prometheus")); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "config", filepath.Join(directory, "prometheus.yaml"))
	if targets := scraped(t, "prometheus", "prometheus.yaml"); !slices.Contains(targets, config.Default().Ops.Address) {
		t.Errorf("prometheus/prometheus.yaml scrapes %v, a host serves %s by default", targets, config.Default().Ops.Address)
	}
}

// Scripts can be run and stop at the first error; cmd/meridian's tests run them.
func TestScripts(t *testing.T) {
	for _, name := range names(t, "container", ".sh") {
		info, err := os.Stat(name)
		if err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be run (%v)", name, err)
		}
		if !strings.Contains(read(t, "deploy", name), "\nset -euo pipefail\n") {
			t.Errorf("%s goes on after an error", name)
		}
	}
}
