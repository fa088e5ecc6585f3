package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meridian/ledger"
	"meridian/switch"
)

// closedIdle is what batch close-idle did, or would do.
type closedIdle struct {
	Batches []*switching.IdleBatch `json:"batches"`
	DryRun  bool                   `json:"dry_run"`
	Clock   string                 `json:"clock"` // sandbox or real

	before ledger.Date
	clock  string // for people
}

func newBatchCloseIdleCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var beforeText string
	var dryRun bool
	command := &cobra.Command{
		Use:   "close-idle --before DATE --by NAME --reason TEXT",
		Short: "Close, with the host's totals, the batches that nobody has used since a date",
		Long: `Closes the batches of terminals that have gone: those that are not settled and whose newest transaction is of a business date
before DATE. Each is closed as meridian batch close does it, with a row in the audit log; one that its terminal uses again
meanwhile is left. Months of transactions cannot be retired before their batches are settled.

It needs the service's role or the owner's login. It may be interrupted, and run again.`,
		Example: `  meridian batch close-idle --before 2026-01-01 --dry-run
  meridian batch close-idle --before 2026-01-01 --by "Ann Lee" --reason "terminals not seen for a year"`,
		Args: noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&beforeText, "before", "", "business date, YYYY-MM-DD, since which nothing has come under the batch")
	flags.BoolVar(&dryRun, "dry-run", false, "list the batches, and close none")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if beforeText == "" {
			return usagef("--before is missing: a business date, YYYY-MM-DD")
		}
		before, err := parseDateFlag("before", beforeText)
		if err != nil {
			return err
		}
		if !dryRun {
			if err := why.check(); err != nil {
				return err
			}
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		at, err := database.clockOf(c.Context(), pool)
		if err != nil {
			return err
		}
		if today := ledger.DateOf(at.now); before > today {
			return usagef("--before %s: it is %s, by %s, and batches in use would be closed, too", before, today, at.why)
		}
		told := &closedIdle{DryRun: dryRun, Clock: at.clock, before: before, clock: at.why}
		if dryRun {
			told.Batches, err = switching.IdleBatches(c.Context(), pool, before)
		} else {
			told.Batches, err = switching.CloseIdleBatches(c.Context(), pool, at.now, before, switching.PolicyChange{Who: why.by, Why: why.reason})
		}
		if told.Batches == nil {
			told.Batches = []*switching.IdleBatch{} // an empty list, not null
		}
		if printErr := g.print(told, told.write); printErr != nil {
			return printErr
		}
		return databaseError(err)
	}
	return command
}

func (i *closedIdle) write(w io.Writer) {
	rows := make([][]string, 0, len(i.Batches))
	for _, b := range i.Batches {
		rows = append(rows, []string{b.MID, b.TID, batchNumber(b.BatchNo), b.Last.String()})
	}
	if len(rows) > 0 {
		table(w, []string{"MERCHANT", "TERMINAL", "BATCH", "LAST USED"}, rows)
	}
	did := "closed with the host's totals, by " + i.clock
	if i.DryRun {
		did = "would be closed"
	}
	_, _ = fmt.Fprintf(w, "%d batches without a transaction since %s: %s\n", len(rows), i.before, did)
}
