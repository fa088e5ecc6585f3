//go:build unix

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Comparison of two runs, measurement by measurement.
type Comparison struct {
	Before string    `json:"before"` // version
	After  string    `json:"after"`
	Lines  []Compare `json:"measurements"`
}

// Compare is one measurement in both runs. A ratio is after ÷ before, and 0 where
// one of the two has no figure.
type Compare struct {
	Name      string  `json:"name"`
	BeforePer float64 `json:"before_per_s"`
	AfterPer  float64 `json:"after_per_s"`
	Rate      float64 `json:"rate"`
	// ToTPCB compares what each run measured against its own yardstick: of the two
	// figures for speed the one that a noisier machine does not move.
	ToTPCB      float64 `json:"to_tpcb,omitempty"`
	P99         float64 `json:"p99,omitempty"`
	HostCPU     float64 `json:"host_cpu,omitempty"`
	PostgresCPU float64 `json:"postgres_cpu,omitempty"`
	WAL         float64 `json:"wal,omitempty"`
	Allocations float64 `json:"allocations,omitempty"`
	// Apart: no round of the one was as fast as any of the other, in three rounds
	// at least. Anything less may be chance.
	Apart bool `json:"apart"`
}

var errNothingInCommon = errors.New("the two runs have no measurement in common")

// ReadReport reads what a run wrote as JSON.
func ReadReport(r io.Reader) (*Report, error) {
	var report Report
	if err := json.NewDecoder(r).Decode(&report); err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	return &report, nil
}

// CompareReports sets one run beside another.
func CompareReports(before, after *Report) (*Comparison, error) {
	c := &Comparison{Before: before.Version, After: after.Version}
	for i := range after.Measurements {
		a := &after.Measurements[i]
		b := before.find(a.Name)
		if b.Name == "" {
			continue
		}
		c.Lines = append(c.Lines, Compare{
			Name: a.Name, BeforePer: b.PerS, AfterPer: a.PerS, Rate: ratio(a.PerS, b.PerS), ToTPCB: ratio(a.ToTPCB, b.ToTPCB),
			P99: ratio(a.P99S, b.P99S), HostCPU: ratio(a.HostCPU, b.HostCPU), PostgresCPU: ratio(a.PostgresCPU, b.PostgresCPU),
			WAL: ratio(a.WALBytes, b.WALBytes), Allocations: ratio(a.Allocations, b.Allocations), Apart: apart(b.Rounds, a.Rounds),
		})
	}
	if len(c.Lines) == 0 {
		return nil, errNothingInCommon
	}
	return c, nil
}

// apartRounds is how many rounds of either side can tell at all: with three and
// three, one order of twenty has them apart by chance.
const apartRounds = 3

func apart(before, after []float64) bool {
	return len(before) >= apartRounds && len(after) >= apartRounds &&
		(slices.Max(before) < slices.Min(after) || slices.Max(after) < slices.Min(before))
}

// Write the comparison for people.
func (c *Comparison) Write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s, then %s; ratios are after \u00f7 before\n\n", c.Before, c.After)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\tbefore /s\tafter /s\tratio\t\t\u00f7 TPC-B\tp99\thost\tPostgres\tWAL\tallocs\t")
	for _, l := range c.Lines {
		chance := "~"
		if l.Apart {
			chance = ""
		}
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", l.Name, l.BeforePer, l.AfterPer,
			figure(l.Rate, "%.2f"), chance, figure(l.ToTPCB, "%.2f"), figure(l.P99, "%.2f"), figure(l.HostCPU, "%.2f"),
			figure(l.PostgresCPU, "%.2f"), figure(l.WAL, "%.2f"), figure(l.Allocations, "%.2f"))
	}
	_ = table.Flush()
	_, _ = fmt.Fprintln(w, "\n~: the rounds of the two overlap, or are fewer than three; host, Postgres: processor time for a message")
}
