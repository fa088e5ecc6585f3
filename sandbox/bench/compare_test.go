//go:build unix

package bench_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"meridian/sandbox/bench"
)

func report(version string, measurements ...bench.Measurement) *bench.Report {
	return &bench.Report{Version: version, Measurements: measurements}
}

// What was written as JSON is read again and set beside another run; what only
// one of the two has measured is left out.
func TestCompareReports(t *testing.T) {
	t.Parallel()
	before := report("one",
		bench.Measurement{Name: "TPC-B", PerS: 1000, ToTPCB: 1, Rounds: []float64{900, 1000, 1100}},
		bench.Measurement{Name: "sales", PerS: 3000, ToTPCB: 3, WALBytes: 1000, Rounds: []float64{2900, 3000, 3100}},
		bench.Measurement{Name: "gone", PerS: 1})
	after := report("two",
		bench.Measurement{Name: "TPC-B", PerS: 500, ToTPCB: 1, Rounds: []float64{400, 500, 1000}},
		bench.Measurement{Name: "sales", PerS: 2250, ToTPCB: 4.5, WALBytes: 600, Rounds: []float64{2200, 2250, 2300}},
		bench.Measurement{Name: "new", PerS: 1})
	var written bytes.Buffer
	if err := json.NewEncoder(&written).Encode(before); err != nil {
		t.Fatal(err)
	}
	read, err := bench.ReadReport(&written)
	if err != nil {
		t.Fatal(err)
	}
	c, err := bench.CompareReports(read, after)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Lines) != 2 || c.Before != "one" || c.After != "two" {
		t.Fatalf("compared %+v", c)
	}
	if yardstick := c.Lines[0]; yardstick.Rate != 0.5 || yardstick.ToTPCB != 1 || yardstick.Apart || yardstick.WAL != 0 {
		t.Errorf("yardstick %+v", yardstick)
	}
	if sales := c.Lines[1]; sales.Rate != 0.75 || sales.ToTPCB != 1.5 || !sales.Apart || sales.WAL != 0.6 {
		t.Errorf("sales %+v", sales)
	}
	var text strings.Builder
	c.Write(&text)
	for _, want := range []string{"one, then two", "0.75", "0.60", "~"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

func TestCompareReportsOfNothingInCommon(t *testing.T) {
	t.Parallel()
	if _, err := bench.CompareReports(report("one"), report("two", bench.Measurement{Name: "sales"})); err == nil {
		t.Error("compared")
	}
	if _, err := bench.ReadReport(strings.NewReader("not a report")); err == nil {
		t.Error("read")
	}
}
