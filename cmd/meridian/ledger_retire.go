package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/switch"
)

// retirement is what ledger retire did, or would do.
type retirement struct {
	// Planned are the months that are there before the one asked for.
	Planned []string `json:"planned"`
	// Obstacles are why they cannot be retired.
	Obstacles []string `json:"obstacles"`
	// Retired are the months that were taken out.
	Retired []*switching.RetiredMonth `json:"retired"`
	// KeysRemoved of transactions in months that are retired, in this run or an earlier one.
	KeysRemoved int64 `json:"keys_removed"`
	DryRun      bool  `json:"dry_run"`
}

func newLedgerRetireCommand(g *globals, database *databaseFlags) *cobra.Command {
	var beforeText string
	var dryRun bool
	var connections int
	var why change
	command := &cobra.Command{
		Use:   "retire --before MONTH --by NAME --reason TEXT",
		Short: "Take old months out of the ledger: what they come to stays, their rows leave",
		Long: `Takes the months before MONTH out of the ledger, the oldest first. What every account moved in a month is carried forward, its
partitions are detached (they stay in the database, as tables of their own, until somebody drops them), and the keys of its
transactions are removed. Statements, batches, holds, exceptions and the audit log stay. Verifications, settlements and
searches have that much less to go over from then on; a retired transaction cannot be found, refunded or reversed any more.

Nothing of a month may be under way: its dates are closed, its batches settled, no hold of it is open and no refund of it is
under review, every policy's time for refunds has passed, and for 31 days nothing has spoken of it. The ledger is verified
before the first month goes and after the last; when something is off it names the rows and exits with 5. Hosts may work
meanwhile. Whoever reads for long, such as a dump, is waited for. The login owns the schema. It may be interrupted, and run
again.`,
		Example: `  meridian ledger retire --before 2025-11 --dry-run
  meridian ledger retire --before 2025-11 --by "Ann Lee" --reason "kept for a year"`,
		Args: noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&beforeText, "before", "", "the first month that stays, such as 2025-11")
	flags.BoolVar(&dryRun, "dry-run", false, "say what would be retired, or why it cannot be, and do nothing")
	verifyConnections(command, &connections)
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if beforeText == "" {
			return usagef("--before is missing: the first month that stays, such as 2025-11")
		}
		before, err := switching.MonthBegin(beforeText)
		if err != nil {
			return usagef("--before %w", err)
		}
		if err := checkVerifyConnections(connections); err != nil {
			return err
		}
		if !dryRun {
			if err := why.check(); err != nil {
				return err
			}
		}
		pool, err := database.openWide(c.Context(), g, connections)
		if err != nil {
			return err
		}
		defer pool.Close()
		plan, err := switching.PlanRetirement(c.Context(), pool, before)
		if err != nil {
			return databaseError(err)
		}
		r := &retirement{Planned: []string{}, Obstacles: plan.Obstacles, Retired: []*switching.RetiredMonth{}, DryRun: dryRun}
		for _, m := range plan.Months {
			r.Planned = append(r.Planned, m.Time().Format("2006-01"))
		}
		if !dryRun && len(plan.Obstacles) == 0 {
			if err = database.retire(c.Context(), pool, r, plan, connections, &why); err != nil {
				err = retireError(err)
			}
		}
		if printErr := g.print(r, r.write); printErr != nil {
			return printErr
		}
		switch n := len(plan.Obstacles); {
		case n > 1:
			return fmt.Errorf("nothing is retired: %s (and %d more)", plan.Obstacles[0], n-1)
		case n == 1:
			return fmt.Errorf("nothing is retired: %s", plan.Obstacles[0])
		}
		return err
	}
	return command
}

// retire the months of a plan, and remove the keys of all that are retired.
func (d *databaseFlags) retire(ctx context.Context, pool *pgxpool.Pool, r *retirement, plan *switching.RetirementPlan,
	connections int, why *change,
) error {
	at, err := d.clockOf(ctx, pool)
	if err != nil {
		return err
	}
	if len(plan.Months) > 0 {
		if err := mustVerify(ctx, pool, connections, "nothing is retired"); err != nil {
			return err
		}
	}
	for left := plan.Months; len(left) > 0; {
		n, err := switching.LeaveTogether(ctx, pool, left)
		if err != nil {
			return err
		}
		months, err := switching.RetireMonths(ctx, pool, left[:n], at.now, switching.PolicyChange{Who: why.by, Why: why.reason})
		if err != nil {
			return err
		}
		r.Retired = append(r.Retired, months...)
		left = left[n:]
	}
	if r.KeysRemoved, err = switching.RemoveRetiredKeys(ctx, pool); err != nil {
		return err
	}
	if len(plan.Months) == 0 {
		return nil
	}
	return mustVerify(ctx, pool, connections, "the months are retired")
}

// mustVerify fails with what is off, and with how far it came before.
func mustVerify(ctx context.Context, pool *pgxpool.Pool, connections int, soFar string) error {
	v, err := switching.VerifyOn(ctx, pool, connections)
	if err != nil {
		return err
	}
	if v.OK() {
		return nil
	}
	f := v.Findings[0]
	return withExit(exitInvariant, fmt.Errorf("%s, and the ledger does not hold: %d findings, the first: %s: %s: %s",
		soFar, len(v.Findings), f.Check, f.Subject, f.Detail))
}

func retireError(err error) error {
	if exitCode(err) == exitInvariant {
		return err
	}
	err = databaseError(err)
	if exitCode(err) == exitConfiguration {
		return withExit(exitConfiguration, fmt.Errorf("%w (retiring needs the login that owns the schema)", err))
	}
	return err
}

func (r *retirement) write(w io.Writer) {
	for _, o := range r.Obstacles {
		_, _ = fmt.Fprintf(w, "in the way: %s\n", o)
	}
	switch {
	case len(r.Planned) == 0:
		_, _ = fmt.Fprintln(w, "there is no such month")
	case r.DryRun && len(r.Obstacles) == 0:
		_, _ = fmt.Fprintf(w, "can be retired: %s\n", strings.Join(r.Planned, ", "))
	}
	if len(r.Retired) > 0 {
		rows := make([][]string, 0, len(r.Retired))
		for _, m := range r.Retired {
			rows = append(rows, []string{
				m.Month.Time().Format("2006-01"), strconv.FormatInt(m.Transactions, 10), strconv.FormatInt(m.Transfers, 10), strings.Join(m.Tables, ", "),
			})
		}
		table(w, []string{"MONTH", "TRANSACTIONS", "TRANSFERS", "TABLES"}, rows)
	}
	if !r.DryRun && len(r.Obstacles) == 0 {
		_, _ = fmt.Fprintf(w, "%d keys removed\n", r.KeysRemoved)
	}
}
