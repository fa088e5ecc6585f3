//go:build unix

package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// prometheusServer is a Prometheus that scrapes one host.
type prometheusServer struct{ address string }

// observation is how a Prometheus looks at a host.
type observation struct {
	rules    string // a folder
	scrape   time.Duration
	evaluate time.Duration
	native   bool // histograms
}

// asLongAsRead runs a program until standard input ends: when the test says so, or
// when the test's process is gone, however it went.
const asLongAsRead = `"$@" </dev/null & exec 2>/dev/null; read -r _; kill $!; wait $!`

// startPrometheus runs one until the test ends.
func startPrometheus(t *testing.T, l *lab, o observation) *prometheusServer {
	t.Helper()
	directory := t.TempDir()
	configuration := fmt.Sprintf(`
global: {scrape_interval: %s, scrape_timeout: %[1]s, evaluation_interval: %s}
rule_files: [%q]
scrape_configs:
  - job_name: meridian
    static_configs: [{targets: [%q]}]
`, milliseconds(o.scrape), milliseconds(o.evaluate), filepath.Join(o.rules, "*.rules.yaml"), strings.TrimPrefix(l.Addresses.Ops, "http://"))
	path := filepath.Join(directory, "prometheus.yaml")
	arguments := []string{
		"--config.file=" + path, "--storage.tsdb.path=" + filepath.Join(directory, "data"), "--web.listen-address=127.0.0.1:0",
		"--log.format=json",
	}
	if o.native {
		configuration += nativeHistograms(t)
		arguments = append(arguments, "--enable-feature=native-histograms")
	}
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.Command("bash", slices.Concat([]string{"-c", asLongAsRead, "bash", program(t, "prometheus")}, arguments)...)
	life, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	listening, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		followLog(t, log, listening)
	}()
	t.Cleanup(func() {
		_ = life.Close()
		<-ended // its log is read to the end before it is waited for
		_ = process.Wait()
	})
	p := &prometheusServer{}
	select {
	case p.address = <-listening:
	case <-ended:
		t.Fatal("Prometheus has ended")
	case <-time.After(patience):
		t.Fatal("Prometheus does not start")
	}
	p.awaitReady(t)
	return p
}

// nativeHistograms is how a Prometheus from 3.8 on is asked for them; an older one
// does not know the setting, and takes them by its feature flag.
func nativeHistograms(t *testing.T) string {
	t.Helper()
	const setting = "    scrape_native_histograms: true\n"
	path := filepath.Join(t.TempDir(), "prometheus.yaml")
	if err := os.WriteFile(path, []byte("scrape_configs:\n  - job_name: meridian\n"+setting), 0o600); err != nil {
		t.Fatal(err)
	}
	if exec.CommandContext(t.Context(), program(t, "promtool"), "check", "config", path).Run() != nil {
		return ""
	}
	return setting
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// followLog tells where a Prometheus listens, and shows what it complains of.
func followLog(t *testing.T, log io.Reader, listening chan<- string) {
	t.Helper()
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Level, Msg, Address string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || strings.EqualFold(line.Level, "error") {
			_, _ = fmt.Fprintln(t.Output(), lines.Text())
		}
		if line.Msg == "Listening on" {
			select {
			case listening <- line.Address:
			default: // an address is told already
			}
		}
	}
}

func (p *prometheusServer) awaitReady(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if _, err := p.get(t.Context(), "/-/ready"); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("Prometheus does not get ready: %v", err)
		}
		time.Sleep(50 * time.Millisecond) // it announces nothing
	}
}

// get what an address of Prometheus says.
func (p *prometheusServer) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, err
}

// ask the API, and put what it says into data.
func (p *prometheusServer) ask(t *testing.T, path string, data any) {
	t.Helper()
	body, err := p.get(t.Context(), "/api/v1/"+path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := json.Unmarshal(body, &struct{ Data any }{data}); err != nil {
		t.Fatalf("%s: %v in %s", path, err, body)
	}
}

// sample of an instant query. A native histogram has no value.
type sample struct {
	Metric map[string]string
	Value  []any
}

func (s sample) String() string { return fmt.Sprint(s.Metric, " ", s.Value) }

func (p *prometheusServer) query(t *testing.T, expr string) []sample {
	t.Helper()
	var answer struct{ Result []sample }
	p.ask(t, "query?query="+url.QueryEscape(expr), &answer)
	return answer.Result
}

// brokenRules are those that Prometheus cannot evaluate, or has not yet.
func (p *prometheusServer) brokenRules(t *testing.T) []string {
	t.Helper()
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.ask(t, "rules", &answer)
	var broken []string
	for _, g := range answer.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				broken = append(broken, fmt.Sprintf("%s: %s %s", r.Name, r.Health, r.LastError))
			}
		}
	}
	return broken
}

// fired are the alerts that fired since Prometheus started.
func (p *prometheusServer) fired(t *testing.T) []string {
	t.Helper()
	return alertNames(p.query(t, `max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1d]))`))
}

func (p *prometheusServer) firing(t *testing.T) []string {
	t.Helper()
	return alertNames(p.query(t, `ALERTS{alertstate="firing"}`))
}

func alertNames(samples []sample) []string {
	names := map[string]bool{}
	for _, s := range samples {
		names[s.Metric["alertname"]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// pollEvery is how often a Prometheus is asked for what it tells nobody.
const pollEvery = 250 * time.Millisecond

// await the alerts' firing.
func (p *prometheusServer) await(t *testing.T, limit time.Duration, alerts ...string) {
	t.Helper()
	begun, seen := time.Now(), map[string]bool{}
	for {
		for _, name := range p.firing(t) {
			if !seen[name] {
				seen[name] = true
				t.Logf("%s fires after %s", name, time.Since(begun).Round(time.Second))
			}
		}
		if !slices.ContainsFunc(alerts, func(name string) bool { return !seen[name] }) {
			return
		}
		if time.Since(begun) > limit {
			t.Fatalf("after %s %v have fired, want all of %v", limit, slices.Sorted(maps.Keys(seen)), alerts)
		}
		time.Sleep(pollEvery)
	}
}

// awaitEnd of alerts.
func (p *prometheusServer) awaitEnd(t *testing.T, limit time.Duration, alerts ...string) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(pollEvery) {
		firing := p.firing(t)
		if !slices.ContainsFunc(alerts, func(name string) bool { return slices.Contains(firing, name) }) {
			return
		}
		if time.Since(begun) > limit {
			t.Fatalf("%v still fire after %s, want none of %v", firing, limit, alerts)
		}
	}
}
