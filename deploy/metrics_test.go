//go:build unix

package deploy

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// family of metrics as a host exposes it (Prometheus' text format).
type family struct {
	name, help, kind string
	labels           []string // sorted, le left out
}

// families of /metrics by name.
func families(t *testing.T, text string) map[string]*family {
	t.Helper()
	found := map[string]*family{}
	var current *family
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "# HELP "):
			name, help, _ := strings.Cut(strings.TrimPrefix(line, "# HELP "), " ")
			current = &family{name: name, help: help}
			found[name] = current
		case strings.HasPrefix(line, "# TYPE "):
			name, kind, _ := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " ")
			if current == nil || current.name != name {
				t.Fatalf("%s has no help", name)
			}
			current.kind = kind
		case line != "":
			for label := range labelsOf(line) {
				if label != "le" && label != "quantile" && !slices.Contains(current.labels, label) {
					current.labels = append(current.labels, label)
					slices.Sort(current.labels)
				}
			}
		}
	}
	if len(found) < 50 {
		t.Fatalf("only %d metrics are exposed", len(found))
	}
	return found
}

var labelPair = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)

// labelsOf a sample, with their values.
func labelsOf(sample string) map[string]string {
	labels := map[string]string{}
	for _, pair := range labelPair.FindAllStringSubmatch(sample, -1) {
		labels[pair[1]] = pair[2]
	}
	return labels
}

// section of the reference page: what its metrics begin with.
type section struct {
	title    string
	prefixes []string
}

func sections() []section {
	return []section{
		{"Messages and answers", []string{
			"meridian_requests_", "meridian_answers_total", "meridian_request_duration_", "meridian_decisions_", "meridian_cancel_",
			"meridian_reversals_", "meridian_duplicates_", "meridian_answers_before_", "meridian_exceptions_",
		}},
		{"Connections and frames", []string{
			"meridian_connections", "meridian_closes_", "meridian_refusals_", "meridian_accept_", "meridian_frames_", "meridian_received_",
			"meridian_sent_", "meridian_in_flight", "meridian_reader_", "meridian_answers_ignored_", "meridian_answers_unsendable_",
		}},
		{"What is not let in", []string{
			"meridian_parse_", "meridian_refused_", "meridian_mac_", "meridian_denied_", "meridian_terminal_", "meridian_terminals_", "meridian_audit_rows_lost_",
		}},
		{"Units of work", []string{"meridian_unit_", "meridian_lane_", "meridian_expired_"}},
		{"Business dates, batches, reviews", []string{"meridian_cutover_", "meridian_batch", "meridian_reviews_", "meridian_standing_"}},
		{"The ledger and the audit log", []string{"meridian_ledger_", "meridian_audit_"}},
		{"Database", []string{"meridian_database_"}},
		{"The host itself", []string{"meridian_build_", "meridian_directory_", "meridian_housekeeping_", "meridian_draining", "meridian_decision_panics_", "meridian_message_panics_", "meridian_handler_panics_"}},
	}
}

// reference is docs/reference/metrics.md.
func reference(t *testing.T, found map[string]*family) string {
	t.Helper()
	var page strings.Builder
	page.WriteString(`# Metrics

What a host shows at ` + "`/metrics`" + ` of its ops address, with the names, types and texts of the host itself: this page is
written by a test (` + "`make docs`" + `), which fails when it is stale.

- Base units: seconds, bytes; money in minor units, and named so.
- Histograms are classic and native at once: a Prometheus with native histograms takes those.
- No label has a value that a terminal, a card or a merchant chooses. Networks and calendars are rows that people make, and
  bounded: 4096 series of a counter, 64 calendars; what is more is ` + "`other`" + `.
- What every host reads from the same database (dates, batches, reviews, the ledger) is the same on each: take the maximum,
  not the sum.
- ` + "`go_*` and `process_*`" + ` are those of Prometheus' Go library.

Alert rules, dashboards and runbooks that use them are in [deploy](../../deploy/prometheus/README.md).
`)
	left := maps.Clone(found)
	maps.DeleteFunc(left, func(name string, _ *family) bool { return !strings.HasPrefix(name, "meridian_") })
	for _, s := range sections() {
		fmt.Fprintf(&page, "\n## %s\n\n| metric | type | labels | |\n| --- | --- | --- | --- |\n", s.title)
		var here []*family
		for _, prefix := range s.prefixes {
			var list []*family
			for name, f := range left {
				if strings.HasPrefix(name, prefix) {
					list = append(list, f)
					delete(left, name)
				}
			}
			slices.SortFunc(list, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
			here = append(here, list...)
		}
		for _, f := range here {
			labels := "–"
			if len(f.labels) > 0 {
				labels = "`" + strings.Join(f.labels, "`, `") + "`"
			}
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", f.name, f.kind, labels, strings.ReplaceAll(f.help, "|", `\|`))
		}
	}
	for name := range left {
		t.Errorf("%s is in no section of the reference: see sections", name)
	}
	return page.String()
}

// knownLabels have small sets of values, which the code or an operator chooses.
var knownLabels = []string{
	"bound", "calendar", "class", "code", "content", "currency", "go", "kind", "listener", "network", "origin", "outcome", "phase",
	"pool", "problem", "reason", "response_class", "rule", "state", "step", "type", "verdict", "version",
}

var wellFormed = regexp.MustCompile(`^meridian_[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func wellNamed(t *testing.T, found map[string]*family) {
	t.Helper()
	for name, f := range found {
		if !strings.HasPrefix(name, "meridian_") {
			continue
		}
		if !wellFormed.MatchString(name) {
			t.Errorf("%s is not meridian_words_with_underscores", name)
		}
		if isTotal := strings.HasSuffix(name, "_total"); isTotal != (f.kind == "counter") {
			t.Errorf("%s is a %s: counters, and nothing else, end in _total", name, f.kind)
		}
		if strings.Contains(name, "duration") && !strings.HasSuffix(name, "_seconds") {
			t.Errorf("%s is a time and not in seconds", name)
		}
		for _, unit := range []string{"_ms", "_millis", "_micros", "_minutes", "_kb", "_percent"} {
			if strings.HasSuffix(strings.TrimSuffix(name, "_total"), unit) {
				t.Errorf("%s is not in a base unit", name)
			}
		}
		if len(f.help) < 20 || !strings.HasSuffix(strings.TrimSpace(f.help), ".") {
			t.Errorf("%s says %q: a sentence for operators is wanted", name, f.help)
		}
		for _, label := range f.labels {
			if !slices.Contains(knownLabels, label) {
				t.Errorf("%s has label %s: say in knownLabels why its values are few", name, label)
			}
		}
	}
}

// nobodyNamed: no series names a terminal, a merchant or a card.
func nobodyNamed(t *testing.T, text string) {
	t.Helper()
	digits := regexp.MustCompile(`[0-9]{8,}`)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "meridian_") {
			continue
		}
		for label, value := range labelsOf(lines.Text()) {
			if digits.MatchString(value) {
				t.Errorf("label %s is %q", label, value)
			}
		}
	}
}

var inCode = regexp.MustCompile(`(?:Name:\s*|histogram\(|gauges?\(|describe\(|perListener\()"(meridian_[a-z0-9_]+)"`)

// nothingHidden: a metric that the code has is exposed from the start on, so that
// nobody alerts on what is not there.
func nothingHidden(t *testing.T, found map[string]*family) {
	t.Helper()
	seen := 0
	for _, folder := range []string{"host", "switch", "ledger", "sandbox", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			code, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if !bytes.Contains(code, []byte(`"meridian_`)) {
				return nil
			}
			for _, match := range inCode.FindAllStringSubmatch(string(code), -1) {
				seen++
				if found[match[1]] == nil {
					t.Errorf("%s has %s, which a host under load does not expose", path, match[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ours := 0
	for name := range found {
		if strings.HasPrefix(name, "meridian_") {
			ours++
		}
	}
	if seen < ours {
		t.Errorf("%d metrics found in the code, %d exposed: inCode does not find all", seen, ours)
	}
}

// queriesFit holds every query of rules and dashboards against what is exposed.
func queriesFit(t *testing.T, found map[string]*family) {
	t.Helper()
	recorded := map[string]bool{}
	queries := dashboardQueries(t)
	for _, r := range rules(t) {
		recorded[r.Record] = true
		queries["rule "+r.Record+r.Alert] = r.Expr
	}
	for where, query := range queries {
		query = concrete(query, "5m")
		asked := selectedLabels(query)
		grouped := groupedLabels(query)
		var known []string // labels of all that the query reads
		for _, name := range metricNames(query) {
			labels, ok := labelsOfMetric(name, found, recorded)
			if !ok {
				t.Errorf("%s reads %s, which no host exposes and no rule records", where, name)
				continue
			}
			known = append(known, labels...)
			for _, label := range asked[name] {
				if !slices.Contains(labels, label) && !recorded[name] {
					t.Errorf("%s asks for label %s, which %s does not have", where, label, name)
				}
			}
		}
		for _, label := range grouped {
			if !slices.Contains(known, label) {
				t.Errorf("%s groups by %s, which nothing that it reads has", where, label)
			}
		}
	}
}

var metricOnPage = regexp.MustCompile(`\bmeridian_[a-z0-9_]*`)

// runbooksFit: pages tell people to look at what is there. One that ends in _ is a
// family, of which one is there.
func runbooksFit(t *testing.T, found map[string]*family) {
	t.Helper()
	all := strings.Join(slices.Sorted(maps.Keys(found)), " ")
	seen := 0
	for _, page := range names(t, "runbooks", ".md") {
		for _, name := range metricOnPage.FindAllString(read(t, "deploy", page), -1) {
			seen++
			if _, ok := labelsOfMetric(name, found, nil); !ok && (!strings.HasSuffix(name, "_") || !strings.Contains(all, " "+name)) {
				t.Errorf("%s names %s, which no host exposes", page, name)
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d metrics were found on the pages", seen)
	}
}

// labelsOfMetric with those that Prometheus adds.
func labelsOfMetric(name string, found map[string]*family, recorded map[string]bool) (labels []string, ok bool) {
	scraped := []string{"job", "instance"}
	switch {
	case name == "up" || strings.HasPrefix(name, "scrape_"):
		return scraped, true
	case name == "ALERTS":
		return []string{"alertname", "alertstate"}, true
	case recorded[name]:
		level, _, _ := strings.Cut(name, ":")
		return []string{level}, true
	}
	f := found[name]
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base := found[strings.TrimSuffix(name, suffix)]; f == nil && base != nil && (base.kind == "histogram" || base.kind == "summary") {
			f = base
			scraped = append(scraped, "le")
		}
	}
	if f == nil {
		return nil, false
	}
	return slices.Concat(scraped, f.labels), true
}

// Every query of every dashboard parses: promtool reads them as recordings.
func TestQueriesParse(t *testing.T) {
	queries := dashboardQueries(t)
	var file strings.Builder
	file.WriteString("groups:\n- name: dashboards\n  rules:\n")
	for i, where := range slices.Sorted(maps.Keys(queries)) {
		fmt.Fprintf(&file, "  - record: query_%d\n    # %s\n    expr: >-\n      %s\n", i, where, concrete(queries[where], "5m"))
	}
	path := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", "--lint=none", path)
}
