//go:build unix

package bench

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
)

// Report of a run. Rates are messages per second, times are seconds.
type Report struct {
	Version    string  `json:"version"`
	Postgres   string  `json:"postgres"`
	Processors int     `json:"processors"`
	Rounds     int     `json:"rounds"`
	EachS      float64 `json:"each_s"`
	Merchants  int     `json:"merchants"`
	Cards      int     `json:"cards"`
	// Stored sales were asked for before the first measurement.
	Stored int `json:"stored,omitempty"`
	// Months before this one had partitions.
	Months int `json:"months,omitempty"`

	Measurements []Measurement `json:"measurements"`
	Targets      []Target      `json:"targets"`
	// Killed is what became of approvals when everything was killed under load.
	Killed *Killed `json:"killed,omitempty"`
	// Verified: the ledger was found sound after the run.
	Verified bool `json:"verified"`
}

// Measurement is one line of the report: medians over the rounds.
type Measurement struct {
	Name   string  `json:"name"`
	PerS   float64 `json:"per_s"`
	ToTPCB float64 `json:"to_tpcb,omitempty"`
	P50S   float64 `json:"p50_s,omitempty"`
	P99S   float64 `json:"p99_s,omitempty"`
	P999S  float64 `json:"p999_s,omitempty"`
	// Processor seconds for 1,000 messages.
	HostCPU      float64 `json:"host_cpu_s_per_1000,omitempty"`
	GeneratorCPU float64 `json:"generator_cpu_s_per_1000,omitempty"`
	PostgresCPU  float64 `json:"postgres_cpu_s_per_1000,omitempty"`
	// For one message.
	WALBytes    float64 `json:"wal_bytes,omitempty"`
	Fsyncs      float64 `json:"fsyncs,omitempty"`
	Allocations float64 `json:"allocations,omitempty"`
	// Rounds are the rates of each round.
	Rounds []float64 `json:"rounds_per_s"`
}

// Killed tells of host and Postgres, ended by SIGKILL at once under a closed loop of
// sales, and started again. What is lost or stored twice ends a run with an error.
type Killed struct {
	// Answered approvals, before the end.
	Answered int `json:"answered"`
	// Repeated requests after it: those that had no approval.
	Repeated int `json:"repeated"`
	// Unheard are those of them that were stored already: committed, and not answered.
	Unheard int `json:"unheard"`
	// Lost are approvals, before or after, that are not stored.
	Lost int `json:"lost"`
	// Twice is how many sales more are stored than were approved.
	Twice int `json:"twice"`
}

func (k *Killed) String() string {
	return fmt.Sprintf("host and Postgres killed under load: %d approvals answered before, %d requests repeated after, "+
		"%d of which had been committed; %d lost, %d stored twice", k.Answered, k.Repeated, k.Unheard, k.Lost, k.Twice)
}

// Target is a figure that the product promises.
type Target struct {
	Name   string  `json:"name"`
	Figure float64 `json:"figure"`
	Want   string  `json:"want"`
	Met    bool    `json:"met"`
}

// Write the report for people.
func (r *Report) Write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "Postgres %s, %d processors for everything, %d rounds of %.0f s, %d merchants, %d cards\n\n",
		r.Postgres, r.Processors, r.Rounds, r.EachS, r.Merchants, r.Cards)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\t/s\t÷ TPC-B\tp50 ms\tp99 ms\tp99.9 ms\thost\tgenerator\tPostgres\tWAL B\tfsyncs\tallocs\t")
	for i := range r.Measurements {
		m := &r.Measurements[i]
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", m.Name, m.PerS, figure(m.ToTPCB, "%.2f"),
			figure(m.P50S*1e3, "%.2f"), figure(m.P99S*1e3, "%.2f"), figure(m.P999S*1e3, "%.2f"),
			figure(m.HostCPU, "%.3f"), figure(m.GeneratorCPU, "%.3f"), figure(m.PostgresCPU, "%.3f"),
			figure(m.WALBytes, "%.0f"), figure(m.Fsyncs, "%.3f"), figure(m.Allocations, "%.0f"))
	}
	_ = table.Flush()
	_, _ = fmt.Fprintln(w, "\nhost, generator, Postgres: processor seconds for 1,000 messages; WAL, fsyncs, allocations: for one")
	_, _ = fmt.Fprintln(w)
	table = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range r.Targets {
		met := "missed"
		if t.Met {
			met = "met"
		}
		_, _ = fmt.Fprintf(table, "%s\t%.3g\twant %s\t%s\n", t.Name, t.Figure, t.Want, met)
	}
	_ = table.Flush()
	if r.Killed != nil {
		_, _ = fmt.Fprintf(w, "\n%s\n", r.Killed)
	}
}

func figure(v float64, format string) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

// find a measurement; an empty one if there is none.
func (r *Report) find(name string) Measurement {
	for i := range r.Measurements {
		if r.Measurements[i].Name == name {
			return r.Measurements[i]
		}
	}
	return Measurement{}
}

// bound is the direction in which a target is met.
type bound string

const (
	atLeast bound = "≥"
	atMost  bound = "≤"
)

// target adds a promise, if what it is about was measured.
func (r *Report) target(name string, value float64, is bound, want float64) {
	if value == 0 {
		return
	}
	r.Targets = append(r.Targets, Target{
		Name: name, Figure: value, Want: fmt.Sprintf("%s %g", is, want), Met: is == atLeast && value >= want || is == atMost && value <= want,
	})
}

func newReport(o *Options, postgres string) *Report {
	return &Report{
		Version: o.Version, Postgres: postgres, Processors: runtime.NumCPU(), Rounds: o.Rounds, EachS: o.Each.Seconds(),
		Merchants: o.Merchants, Cards: o.Cards, Stored: o.Stored, Months: o.Months,
	}
}
