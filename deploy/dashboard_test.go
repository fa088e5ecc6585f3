package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Dashboards are written down here and in dashboards_test.go as rows of panels;
// the JSON that Grafana reads is made of them, so that all look and work alike.

// board is a dashboard.
type board struct {
	file, title, description string
	rows                     []row
}

// row of panels; they stand side by side as far as there is room.
type row struct {
	title  string
	panels []panel
}

// panel shows one or more queries.
type panel struct {
	title string
	// help says what the panel shows and what to do about it.
	help    string
	kind    string // stat, timeseries, table or heatmap
	unit    string // of Grafana's
	width   int    // of 24
	queries []query
	// stacked adds the series up.
	stacked bool
	// worse is where a stat turns red; with okAbove from where on it is green.
	worse   *float64
	okAbove *float64
}

// query with the legend of its series.
type query struct{ expr, legend string }

const (
	wide    = 24
	half    = 12
	third   = 8
	quarter = 6
	narrow  = 4

	statHeight  = 4
	graphHeight = 8
)

func stat(title, help, unit, expr string) panel {
	return panel{title: title, help: help, kind: "stat", unit: unit, width: narrow, queries: []query{{expr, ""}}}
}

func graph(title, help, unit string, queries ...query) panel {
	return panel{title: title, help: help, kind: "timeseries", unit: unit, width: half, queries: queries}
}

func (p panel) wide(width int) panel {
	p.width = width
	return p
}

func (p panel) stack() panel {
	p.stacked = true
	return p
}

// redFrom colours a stat red from a value on, green below.
func (p panel) redFrom(value float64) panel {
	p.worse = &value
	return p
}

// greenFrom colours a stat green from a value on, red below.
func (p panel) greenFrom(value float64) panel {
	p.okAbove = &value
	return p
}

// Grafana's JSON, as far as it is used: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
//
//nolint:tagliatelle // Grafana's names
type (
	jsonBoard struct {
		UID           string         `json:"uid"`
		Title         string         `json:"title"`
		Description   string         `json:"description"`
		Tags          []string       `json:"tags"`
		SchemaVersion int            `json:"schemaVersion"`
		Version       int            `json:"version"`
		Editable      bool           `json:"editable"`
		GraphTooltip  int            `json:"graphTooltip"` // 1: one crosshair for all panels
		Refresh       string         `json:"refresh"`
		Time          jsonTime       `json:"time"`
		Timezone      string         `json:"timezone"`
		Links         []jsonLink     `json:"links"`
		Templating    jsonTemplating `json:"templating"`
		Annotations   jsonNotes      `json:"annotations"`
		Panels        []jsonPanel    `json:"panels"`
	}
	jsonTime struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	jsonLink struct {
		Type        string   `json:"type"`
		Title       string   `json:"title"`
		Tags        []string `json:"tags"`
		AsDropdown  bool     `json:"asDropdown"`
		IncludeVars bool     `json:"includeVars"`
		KeepTime    bool     `json:"keepTime"`
	}
	jsonTemplating struct {
		List []jsonVariable `json:"list"`
	}
	jsonVariable struct {
		Name       string      `json:"name"`
		Label      string      `json:"label"`
		Type       string      `json:"type"`
		Query      string      `json:"query"`
		Datasource *jsonSource `json:"datasource,omitempty"`
		Refresh    int         `json:"refresh,omitempty"`
		IncludeAll bool        `json:"includeAll,omitempty"`
		Multi      bool        `json:"multi,omitempty"`
		AllValue   string      `json:"allValue,omitempty"`
		Current    *jsonOption `json:"current,omitempty"`
	}
	jsonOption struct {
		Text  string `json:"text"`
		Value string `json:"value"`
	}
	jsonNotes struct {
		List []jsonNote `json:"list"`
	}
	jsonNote struct {
		Name       string     `json:"name"`
		Enable     bool       `json:"enable"`
		IconColor  string     `json:"iconColor"`
		Datasource jsonSource `json:"datasource"`
		Expr       string     `json:"expr"`
		TitleText  string     `json:"titleFormat"`
	}
	jsonSource struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	jsonPanel struct {
		ID          int          `json:"id"`
		Type        string       `json:"type"`
		Title       string       `json:"title"`
		Description string       `json:"description,omitempty"`
		GridPos     jsonGrid     `json:"gridPos"`
		Collapsed   *bool        `json:"collapsed,omitempty"` // rows
		Datasource  *jsonSource  `json:"datasource,omitempty"`
		Targets     []jsonTarget `json:"targets,omitempty"`
		FieldConfig *jsonFields  `json:"fieldConfig,omitempty"`
		Options     any          `json:"options,omitempty"`
	}
	jsonGrid struct {
		H int `json:"h"`
		W int `json:"w"`
		X int `json:"x"`
		Y int `json:"y"`
	}
	jsonTarget struct {
		RefID        string     `json:"refId"`
		Datasource   jsonSource `json:"datasource"`
		Expr         string     `json:"expr"`
		LegendFormat string     `json:"legendFormat,omitempty"`
		Range        bool       `json:"range"`
		Instant      bool       `json:"instant"`
		Format       string     `json:"format,omitempty"`
	}
	jsonFields struct {
		Defaults jsonDefaults `json:"defaults"`
	}
	jsonDefaults struct {
		Unit       string          `json:"unit,omitempty"`
		Min        *float64        `json:"min,omitempty"`
		NoValue    string          `json:"noValue,omitempty"`
		Custom     *jsonCustom     `json:"custom,omitempty"`
		Thresholds *jsonThresholds `json:"thresholds,omitempty"`
		Color      *jsonColor      `json:"color,omitempty"`
	}
	jsonCustom struct {
		FillOpacity int           `json:"fillOpacity"`
		ShowPoints  string        `json:"showPoints"`
		Stacking    *jsonStacking `json:"stacking,omitempty"`
	}
	jsonStacking struct {
		Mode string `json:"mode"`
	}
	jsonThresholds struct {
		Mode  string     `json:"mode"`
		Steps []jsonStep `json:"steps"`
	}
	jsonStep struct {
		Color string   `json:"color"`
		Value *float64 `json:"value"`
	}
	jsonColor struct {
		Mode string `json:"mode"`
	}
)

var source = jsonSource{Type: "prometheus", UID: "${datasource}"}

// render makes Grafana's JSON of a board.
func (b board) render(t *testing.T) string {
	t.Helper()
	out := jsonBoard{
		UID: "meridian-" + b.file, Title: "Meridian / " + b.title, Description: b.description, Tags: []string{"meridian"},
		SchemaVersion: 39, Version: 1, GraphTooltip: 1, Refresh: "30s", Time: jsonTime{From: "now-3h", To: "now"}, Timezone: "browser",
		Links: []jsonLink{{Type: "dashboards", Title: "Meridian", Tags: []string{"meridian"}, AsDropdown: true, IncludeVars: true, KeepTime: true}},
		Templating: jsonTemplating{List: []jsonVariable{
			{Name: "datasource", Label: "Prometheus", Type: "datasource", Query: "prometheus", Current: &jsonOption{"default", "default"}},
			{
				Name: "instance", Label: "Host", Type: "query", Query: "label_values(meridian_build_info, instance)", Datasource: &source,
				Refresh: 2, IncludeAll: true, Multi: true, AllValue: ".*", Current: &jsonOption{"All", "$__all"},
			},
		}},
		Annotations: jsonNotes{List: []jsonNote{{
			Name: "Alerts", Enable: true, IconColor: "red", Datasource: source,
			Expr: `ALERTS{alertname=~"Meridian.*",alertstate="firing"}`, TitleText: "{{alertname}}",
		}}},
	}
	id, y := 0, 0
	for _, r := range b.rows {
		id++
		open := false
		out.Panels = append(out.Panels, jsonPanel{
			ID: id, Type: "row", Title: r.title, GridPos: jsonGrid{H: 1, W: wide, Y: y}, Collapsed: &open,
		})
		y++
		x, height := 0, 0
		for _, p := range r.panels {
			h := graphHeight
			if p.kind == "stat" {
				h = statHeight
			}
			if x+p.width > wide {
				x, y = 0, y+height
				height = 0
			}
			id++
			out.Panels = append(out.Panels, p.render(id, jsonGrid{H: h, W: p.width, X: x, Y: y}))
			x, height = x+p.width, max(height, h)
		}
		y += height
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // queries are to be read
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(out); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func (p panel) render(id int, at jsonGrid) jsonPanel {
	zero := 0.0
	out := jsonPanel{
		ID: id, Type: p.kind, Title: p.title, Description: p.help, GridPos: at, Datasource: &source,
		FieldConfig: &jsonFields{Defaults: jsonDefaults{Unit: p.unit}},
	}
	for i, q := range p.queries {
		target := jsonTarget{RefID: string(rune('A' + i)), Datasource: source, Expr: q.expr, LegendFormat: q.legend}
		target.Instant = p.kind == "stat" || p.kind == "table"
		target.Range = !target.Instant
		if p.kind == "table" || p.kind == "heatmap" {
			target.Format = p.kind
		}
		out.Targets = append(out.Targets, target)
	}
	defaults := &out.FieldConfig.Defaults
	switch p.kind {
	case "timeseries":
		defaults.Min = &zero
		if strings.HasPrefix(p.help, "Signed:") {
			defaults.Min = nil
		}
		defaults.Custom = &jsonCustom{FillOpacity: 10, ShowPoints: "never"}
		if p.stacked {
			defaults.Custom.FillOpacity, defaults.Custom.Stacking = 40, &jsonStacking{Mode: "normal"}
		}
		out.Options = map[string]any{
			"legend":  map[string]any{"displayMode": "table", "placement": "bottom", "calcs": []string{"lastNotNull", "max"}},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		}
	case "stat":
		defaults.NoValue = "none"
		defaults.Color = &jsonColor{Mode: "thresholds"}
		steps := []jsonStep{{Color: "blue"}}
		switch {
		case p.worse != nil:
			steps = []jsonStep{{Color: "green"}, {Color: "red", Value: p.worse}}
		case p.okAbove != nil:
			steps = []jsonStep{{Color: "red"}, {Color: "green", Value: p.okAbove}}
		}
		defaults.Thresholds = &jsonThresholds{Mode: "absolute", Steps: steps}
		out.Options = map[string]any{
			"colorMode": "value", "graphMode": "none", "reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}},
		}
	case "heatmap":
		out.Options = map[string]any{"calculate": false, "yAxis": map[string]any{"unit": p.unit}}
	}
	return out
}

// queries of all dashboards, each with where it stands.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, b := range boards() {
		for _, r := range b.rows {
			for _, p := range r.panels {
				for i, q := range p.queries {
					found[fmt.Sprintf("%s, %s, query %c", b.title, p.title, 'A'+i)] = q.expr
				}
			}
		}
	}
	if len(found) < 80 {
		t.Fatalf("only %d queries", len(found))
	}
	return found
}

// concrete puts values in place of Grafana's variables.
func concrete(query, interval string) string {
	return strings.NewReplacer("$__rate_interval", interval, "$__range", interval, "$instance", ".*").Replace(query)
}

func TestDashboardsAreGenerated(t *testing.T) {
	var files []string
	for _, b := range boards() {
		files = append(files, filepath.Join("grafana", b.file+".json"))
		generated(t, b.render(t), "deploy", "grafana", b.file+".json")
	}
	slices.Sort(files)
	if got := names(t, "grafana", ".json"); !slices.Equal(got, files) {
		t.Errorf("deploy/grafana has %v, want %v", got, files)
	}
}

// What a person sees of a panel: a title, what it means, a unit.
func TestPanelsExplainThemselves(t *testing.T) {
	for _, b := range boards() {
		titles := map[string]bool{}
		for _, r := range b.rows {
			for _, p := range r.panels {
				if titles[p.title] {
					t.Errorf("%s has two panels %q", b.title, p.title)
				}
				titles[p.title] = true
				if len(p.help) < 20 || p.unit == "" && p.kind != "table" || len(p.queries) == 0 {
					t.Errorf("%s, %s: no help, unit or query", b.title, p.title)
				}
				for _, q := range p.queries {
					if len(p.queries) > 1 && q.legend == "" {
						t.Errorf("%s, %s: %s has no legend", b.title, p.title, q.expr)
					}
				}
			}
		}
	}
}
