package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What of a query is neither a metric's name nor a function. promtool says whether
// a query parses; here it is only taken apart.
var (
	quoted      = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)
	selection   = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{([^{}]*)\}`)
	grouping    = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)`)
	span        = regexp.MustCompile(`\[[^\]]*\]|\boffset\s+-?[0-9][0-9a-z]*`)
	number      = regexp.MustCompile(`\b[0-9][0-9a-zA-Z.]*\b`)
	identifier  = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	labelOf     = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)`)
	notMetrics  = []string{"and", "or", "unless", "bool", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "inf", "nan"}
	withoutText = `""`
)

// metricNames are the metrics that a query reads.
func metricNames(query string) []string {
	query = quoted.ReplaceAllString(query, withoutText)
	query = selection.ReplaceAllString(query, "$1 ")
	query = grouping.ReplaceAllString(query, " ")
	query = span.ReplaceAllString(query, " ")
	query = number.ReplaceAllString(query, " ")
	var found []string
	for _, word := range identifier.FindAllString(query, -1) {
		word = strings.TrimSpace(word)
		if strings.HasSuffix(word, "(") || slices.Contains(notMetrics, strings.ToLower(word)) || slices.Contains(found, word) {
			continue
		}
		found = append(found, word)
	}
	return found
}

// selectedLabels are the labels that a query asks of each metric.
func selectedLabels(query string) map[string][]string {
	query = quoted.ReplaceAllString(query, withoutText)
	labels := map[string][]string{}
	for _, match := range selection.FindAllStringSubmatch(query, -1) {
		for _, label := range labelOf.FindAllStringSubmatch(match[2], -1) {
			labels[match[1]] = append(labels[match[1]], label[1])
		}
	}
	return labels
}

// groupedLabels are the labels that a query groups by.
func groupedLabels(query string) []string {
	query = quoted.ReplaceAllString(query, withoutText)
	var labels []string
	for _, match := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(match[1], ",") {
			if label = strings.TrimSpace(label); label != "" {
				labels = append(labels, label)
			}
		}
	}
	return labels
}

func TestQueriesAreTakenApart(t *testing.T) {
	for query, want := range map[string]string{
		`sum by (type, code) (rate(meridian_answers_total{class=~"a|b(c)", x!="d{e}"}[5m])) > 3.5e2`: "meridian_answers_total",
		`time() - max(a) > 4 * 3600`:                                               "a",
		`a{b="c"} / on (x) group_left (y) d:e:f offset 15m or vector(0)`:           "a d:e:f",
		`histogram_quantile(0.99, sum by (le) (rate(a_bucket[$__rate_interval])))`: "a_bucket",
		`absent(up{job="meridian"}) unless ALERTS`:                                 "up ALERTS",
	} {
		if got := strings.Join(metricNames(query), " "); got != want {
			t.Errorf("%s reads %q, want %q", query, got, want)
		}
	}
	query := `sum by (type, code) (rate(a{class=~"x, y=z", code!="1"}[5m])) / b{}`
	if got := selectedLabels(query)["a"]; !slices.Equal(got, []string{"class", "code"}) {
		t.Errorf("selects %v of a", got)
	}
	if got := groupedLabels(query); !slices.Equal(got, []string{"type", "code"}) {
		t.Errorf("groups by %v", got)
	}
}
