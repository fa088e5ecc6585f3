package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const rulesFolder = "prometheus"

// rule of a rules file: a recording or an alert.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, path := range names(t, rulesFolder, ".rules.yaml") {
		var file struct {
			Groups []struct {
				Name  string `yaml:"name"`
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal([]byte(read(t, "deploy", path)), &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func alerts(t *testing.T) []rule {
	t.Helper()
	all := slices.DeleteFunc(rules(t), func(r rule) bool { return r.Alert == "" })
	if len(all) < 20 {
		t.Fatalf("only %d alerts", len(all))
	}
	return all
}

func TestRulesParse(t *testing.T) {
	promtool(t, slices.Concat([]string{"check", "rules", "--lint=all", "--lint-fatal"}, names(t, rulesFolder, ".rules.yaml"))...)
	promtool(t, "check", "config", filepath.Join(rulesFolder, "prometheus.yaml"))
}

// Each alert says how urgent it is, what is wrong and where to read on.
func TestAlertsSayWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range alerts(t) {
		if seen[a.Alert] {
			t.Errorf("there are two alerts %s", a.Alert)
		}
		seen[a.Alert] = true
		if !strings.HasPrefix(a.Alert, "Meridian") {
			t.Errorf("%s is one alert among many programs': it begins with Meridian", a.Alert)
		}
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has severity %q: critical wakes somebody, warning waits for the day", a.Alert, s)
		}
		for _, name := range []string{"summary", "description"} {
			if text := a.Annotations[name]; len(text) < 20 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s has %s %q: a sentence is wanted", a.Alert, name, text)
			}
		}
		if want := "deploy/runbooks/" + a.Alert + ".md"; a.Annotations["runbook_url"] != want {
			t.Errorf("%s has runbook_url %q, want %q", a.Alert, a.Annotations["runbook_url"], want)
		}
	}
	for _, path := range names(t, "runbooks", ".md") {
		if name := strings.TrimSuffix(filepath.Base(path), ".md"); name != "README" && !seen[name] {
			t.Errorf("%s is the page of no alert", path)
		}
	}
}

// Each page says the same three things, and how urgent it is, as the alert does.
func TestRunbooks(t *testing.T) {
	index := read(t, "deploy", "runbooks", "README.md")
	for _, a := range alerts(t) {
		page, err := os.ReadFile(filepath.Join("runbooks", a.Alert+".md"))
		if err != nil {
			t.Errorf("%s has no page: %v", a.Alert, err)
			continue
		}
		text := string(page)
		for _, want := range []string{"# " + a.Alert + "\n", "\n## What it means\n", "\n## How to look\n", "\n## What to do\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("runbooks/%s.md has no %q", a.Alert, strings.TrimSpace(want))
			}
		}
		severity := map[string]string{"critical": "**Critical", "warning": "**Warning"}[a.Labels["severity"]]
		if !strings.Contains(text, "\n"+severity) {
			t.Errorf("runbooks/%s.md does not begin with %s**, as the alert's severity is", a.Alert, severity)
		}
		if !strings.Contains(index, "("+a.Alert+".md)") {
			t.Errorf("runbooks/README.md does not list %s", a.Alert)
		}
	}
}

var (
	block    = regexp.MustCompile("(?s)```.*?```")
	lineEnds = regexp.MustCompile(`\n\s*`)
	// phrase of small letters in code style: what the log says.
	phrase = regexp.MustCompile("`([a-z]+[ ,;]+[a-z][a-z ,;:]+)`")
	// onBoard is a dashboard, and what of it a page speaks of.
	onBoard = regexp.MustCompile(`(?:\*([^*]+)\*(?: and \*([^*]+)\*)? on )?the \*([^*]+)\* dashboard`)
)

// Whoever searches the log or a dashboard for what a page says finds it.
func TestRunbooksQuote(t *testing.T) {
	code := programText(t)
	titles := map[string]bool{}
	for _, b := range boards() {
		titles[b.file] = true
		for _, r := range b.rows {
			for _, p := range r.panels {
				titles[b.file+" "+p.title] = true
			}
		}
	}
	phrases, panels := 0, 0
	for _, page := range names(t, "runbooks", ".md") {
		text := lineEnds.ReplaceAllString(block.ReplaceAllString(read(t, "deploy", page), ""), " ")
		for _, match := range phrase.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(match[1], "meridian ") { // a command
				continue
			}
			phrases++
			if !strings.Contains(code, strings.TrimSuffix(match[1], ":")) {
				t.Errorf("%s: nothing says %q", page, match[1])
			}
		}
		for _, match := range onBoard.FindAllStringSubmatch(text, -1) {
			panels++
			board := match[3]
			if !titles[board] {
				t.Errorf("%s: there is no dashboard %s", page, board)
			}
			for _, panel := range match[1:3] {
				if panel != "" && !titles[board+" "+panel] {
					t.Errorf("%s: there is no %s on %s", page, panel, board)
				}
			}
		}
	}
	if phrases < 8 || panels < 3 {
		t.Errorf("only %d phrases and %d dashboards were found", phrases, panels)
	}
}

// programText is all that the program is made of.
func programText(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, folder := range []string{"cmd", "host", "switch", "ledger"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			code, err := os.ReadFile(path)
			text.Write(code)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// ruleTests is a file of promtool's unit tests.
type ruleTests struct {
	Tests []struct {
		Name   string `yaml:"name"`
		Alerts []struct {
			Alert  string `yaml:"alertname"`
			Expect []struct {
				Labels map[string]string `yaml:"exp_labels"`
			} `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
		Queries []struct {
			Expr   string `yaml:"expr"`
			Expect []any  `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	} `yaml:"tests"`
}

// Each alert fires in one unit test and is silent in another, and each recording
// comes to something in one.
func TestEveryRuleIsTested(t *testing.T) {
	fires, silent, comesTo := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, path := range names(t, filepath.Join(rulesFolder, "tests"), ".yaml") {
		var file ruleTests
		if err := yaml.Unmarshal([]byte(read(t, "deploy", path)), &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, test := range file.Tests {
			for _, a := range test.Alerts {
				if len(a.Expect) > 0 {
					fires[a.Alert] = true
				} else {
					silent[a.Alert] = true
				}
			}
			for _, q := range test.Queries {
				for _, name := range metricNames(q.Expr) {
					comesTo[name] = comesTo[name] || len(q.Expect) > 0
				}
			}
		}
	}
	for _, r := range rules(t) {
		switch {
		case r.Alert != "" && !fires[r.Alert]:
			t.Errorf("%s fires in no unit test", r.Alert)
		case r.Alert != "" && !silent[r.Alert]:
			t.Errorf("%s is silent in no unit test", r.Alert)
		case r.Record != "" && !comesTo[r.Record]:
			t.Errorf("%s comes to nothing in any unit test", r.Record)
		}
	}
}

// promtool's own tests, a file each, side by side.
func TestRulesDoWhatTheyShould(t *testing.T) {
	t.Parallel()
	for _, path := range names(t, filepath.Join(rulesFolder, "tests"), ".yaml") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", path)
		})
	}
}

// level:metric:operation, so that a recording is told from a metric.
var recordName = regexp.MustCompile(`^[a-z]+:[a-z_]+:[a-z0-9_]+$`)

func TestRecordingsAreNamedByConvention(t *testing.T) {
	for _, r := range rules(t) {
		if r.Record != "" && !recordName.MatchString(r.Record) {
			t.Errorf("%s is not level:metric:operation", r.Record)
		}
	}
}
