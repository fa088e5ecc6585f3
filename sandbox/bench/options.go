//go:build unix

package bench

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"
)

// Options of a run.
type Options struct {
	// Directory holds the private Postgres and the host's files while the run
	// lasts. Required.
	Directory string
	// Program is the meridian binary that serves and verifies. Required.
	Program string
	// Rounds: 3.
	Rounds int
	// Each measurement lasts so long: 8 s.
	Each time.Duration
	// Merchants and Cards in the database: 1,000 and 100,000.
	Merchants, Cards int
	// Stored sales of the day before, at least: ten for each terminal. Millions
	// show what a full database costs, and take their time.
	Stored int
	// Months before this one that have partitions: none. What a past of years costs
	// whoever plans over it.
	Months int
	// Connections of the closed loops, ascending: 1, 16, 64, 256, 1024.
	Connections []int
	// Idle connections: 10,000.
	Idle int
	// Only measures what matches: the rest of a round is left out, and so are
	// the targets that would need it. Nil measures everything.
	Only *regexp.Regexp
	// Progress receives a line per measurement; nil drops them.
	Progress io.Writer
	// Version of the binary, for the report.
	Version string
}

// monthsMost are ten years.
const monthsMost = 120

func (o *Options) setDefaults() error {
	if o.Directory == "" || o.Program == "" {
		return errors.New("bench: a directory and the program are required")
	}
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.Rounds, 3)
	set(&o.Merchants, 1_000)
	set(&o.Cards, 100_000)
	set(&o.Idle, 10_000)
	if o.Each == 0 {
		o.Each = 8 * time.Second
	}
	if o.Connections == nil {
		o.Connections = []int{1, 16, 64, 256, 1024}
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	most := slices.Max(o.Connections)
	switch {
	case o.Stored < 0 || o.Stored > o.Merchants*terminalsEach*999_999:
		return fmt.Errorf("bench: %d stored sales: a batch of a terminal has 999,999 at most", o.Stored)
	case o.Months < 0 || o.Months > monthsMost:
		return fmt.Errorf("bench: %d months: at most %d", o.Months, monthsMost)
	case o.Rounds < 1 || o.Each < 100*time.Millisecond:
		return errors.New("bench: at least one round, and 100 ms for each measurement")
	case o.Merchants < 1 || o.Cards < o.Merchants:
		return fmt.Errorf("bench: %d merchants and %d cards: at least one merchant, and a card for each", o.Merchants, o.Cards)
	case most > o.Merchants*terminalsEach:
		return fmt.Errorf("bench: %d connections need as many terminals, and %d merchants have %d", most, o.Merchants, o.Merchants*terminalsEach)
	}
	return nil
}

// many connections are those of the mix.
func (o *Options) many() int { return min(256, o.Connections[len(o.Connections)-1]) }

// wants tells whether a measurement is part of the run.
func (o *Options) wants(name string) bool { return o.Only == nil || o.Only.MatchString(name) }

func (o *Options) sayf(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, format+"\n", args...)
}
