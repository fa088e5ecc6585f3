//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"meridian/sandbox/bench"
)

func newBenchCommand(g *globals) *cobra.Command {
	var o bench.Options
	command := &cobra.Command{
		Use:   "bench",
		Short: "Measure a host beside its database, as ratios of one run",
		Long: `Starts a private, durable Postgres and a host of its own, loads merchants and cards, and measures in one run, round after
round: pgbench's TPC-B on that server (the yardstick), one approval per transaction by pgbench, units of work in process,
approved sales over TCP in closed loops (NAC with X9.19, UnionPay with its MAC), a mix, sales at half load, an echo without database, and idle connections.
Everything is durable while it is measured. At the end host and Postgres are killed under load and started again: every approval
that was answered must be stored, once. The ledger is verified after it. A whole run takes some 15 GB of disk, 4 of which are
the server's log, written once before anything is measured.

Machines are noisy: the ratios tell, the rates are of this machine.`,
		Example: `  meridian bench
  meridian bench --rounds 1 --each 2s --cards 10000 --merchants 200 --connections 1,64 --idle 1000`,
		Args: noArguments,
	}
	flags := command.Flags()
	flags.IntVar(&o.Rounds, "rounds", 3, "measure everything so often")
	flags.DurationVar(&o.Each, "each", 0, "how long each measurement lasts (default 8s)")
	flags.IntVar(&o.Merchants, "merchants", 1_000, "merchants in the database")
	flags.IntVar(&o.Cards, "cards", 100_000, "cards in the database")
	flags.IntVar(&o.Months, "months", 0, "months before this one that have partitions, as after years")
	flags.IntVar(&o.Stored, "stored", 0, "sales of the day before, at least (default 10 for each terminal)")
	flags.IntSliceVar(&o.Connections, "connections", []int{1, 16, 64, 256, 1024}, "connections of the closed loops, ascending")
	flags.IntVar(&o.Idle, "idle", 10_000, "idle connections")
	only := flags.String("only", "", "measure what matches this regular expression, such as 'TPC-B|ledger path'")
	command.RunE = func(c *cobra.Command, _ []string) (err error) {
		if *only != "" {
			if o.Only, err = regexp.Compile(*only); err != nil {
				return usagef("--only: %v", err)
			}
		}
		if o.Directory, err = os.MkdirTemp("", "meridian-bench-"); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
		defer os.RemoveAll(o.Directory)
		if o.Program, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		o.Progress, o.Version = g.stderr, version
		report, err := bench.Run(c.Context(), o)
		if err != nil {
			err = fmt.Errorf("bench: %w", err)
		}
		if report != nil { // what was measured before an error is worth its time
			err = errors.Join(g.print(report, report.Write), err)
		}
		return err
	}
	command.AddCommand(newBenchCompareCommand(g))
	return command
}

func newBenchCompareCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Set one run beside another: two files of bench --output json",
		Example: `  meridian bench --output json >before.json
  meridian bench --output json >after.json
  meridian bench compare before.json after.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, names []string) error {
			var reports [2]*bench.Report
			for i, name := range names {
				file, err := os.Open(name)
				if err != nil {
					return fmt.Errorf("bench: %w", err)
				}
				reports[i], err = bench.ReadReport(file)
				_ = file.Close() // nothing was written
				if err != nil {
					return fmt.Errorf("bench: %s: %w", name, err)
				}
			}
			compared, err := bench.CompareReports(reports[0], reports[1])
			if err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			return g.print(compared, compared.Write)
		},
	}
}
