package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/switch"
)

func newBatchCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "batch",
		Short: "Look at terminals' batches and close them",
		Long: `A terminal's transactions are gathered in numbered batches. It settles the current one by stating its totals (0500); where
the host has others it is answered 95 and uploads its transactions, and what differs is kept for people. The host's records stand.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newBatchListCommand(g, database),
		newBatchShowCommand(g, database),
		newBatchCloseCommand(g, database),
		newBatchCloseIdleCommand(g, database),
	)
	return command
}

func newBatchListCommand(g *globals, database *databaseFlags) *cobra.Command {
	const maxLimit = 1000 // what the listing itself allows
	var filter switching.BatchFilter
	command := &cobra.Command{
		Use:   "list",
		Short: "List batches with their totals: the current ones, then the closed ones, the newest first",
		Args:  noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&filter.MID, "mid", "", "only those of a merchant (F42)")
	flags.StringVar(&filter.TID, "tid", "", "only those of a terminal (F41)")
	flags.BoolVar(&filter.Current, "current", false, "only those that are not closed")
	flags.BoolVar(&filter.Differing, "differing", false, "only those with differences between terminal and host")
	flags.IntVar(&filter.Limit, "limit", 20, fmt.Sprintf("at most so many, up to %d", maxLimit))
	command.RunE = func(c *cobra.Command, _ []string) error {
		if filter.Limit < 1 || filter.Limit > maxLimit {
			return usagef("--limit %d: it is 1 to %d", filter.Limit, maxLimit)
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		list, err := switching.ListBatches(c.Context(), pool, filter)
		if err != nil {
			return databaseError(err)
		}
		if len(list) == 0 {
			if err := knownParties(c.Context(), pool, filter.MID, filter.TID); err != nil {
				return err
			}
			list = []*switching.BatchSummary{} // an empty list, not null
		}
		return g.print(list, func(w io.Writer) { writeBatches(w, list) })
	}
	return command
}

func writeBatches(w io.Writer, list []*switching.BatchSummary) {
	rows := make([][]string, 0, len(list))
	for _, b := range list {
		closed := "-"
		if b.ClosedAt != nil {
			closed = listTime(*b.ClosedAt)
		}
		rows = append(rows, []string{
			b.MID, b.TID, batchNumber(b.BatchNo), b.State.String(), listTime(b.OpenedAt), closed, orDash(b.ClosedBy.String()),
			counted(b, b.Totals.SaleCount, b.Totals.SaleMinor), counted(b, b.Totals.VoidCount, b.Totals.VoidMinor),
			counted(b, b.Totals.RefundCount, b.Totals.RefundMinor), strconv.Itoa(b.Differences),
		})
	}
	table(w, []string{
		"MERCHANT", "TERMINAL", "BATCH", "STATE", "OPENED (UTC)", "CLOSED (UTC)", "BY", "SALES", "VOIDS", "REFUNDS", "DIFFERENCES",
	}, rows)
}

// batchNumber as terminals have it in F60.
func batchNumber(number int32) string { return fmt.Sprintf("%06d", number) }

func counted(b *switching.BatchSummary, count int32, minor int64) string {
	return fmt.Sprintf("%d: %s", count, money.Amount{Minor: minor, Currency: b.Currency})
}

func newBatchShowCommand(g *globals, database *databaseFlags) *cobra.Command {
	var number int32
	command := &cobra.Command{
		Use:     "show TID",
		Short:   "Show a terminal's batch: totals, transactions, and what terminal and host disagree about",
		Example: "  meridian batch show 10000001 --number 3",
		Args:    oneArgument("TID"),
	}
	command.Flags().Int32Var(&number, "number", 0, "number of the batch (default the current one)")
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if number < 0 || number > 999_999 {
			return usagef("--number %d: a batch has 1 to 999999", number)
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		report, err := switching.ShowBatch(c.Context(), pool, arguments[0], number)
		if err != nil {
			return batchError(c.Context(), pool, err, arguments[0])
		}
		return g.print(report, func(w io.Writer) { writeBatch(w, report) })
	}
	return command
}

// batchError says which batches there are where one is not, or that there is no such terminal.
func batchError(ctx context.Context, pool *pgxpool.Pool, err error, tid string) error {
	if errors.Is(err, switching.ErrNoBatch) {
		if unknown := knownParties(ctx, pool, "", tid); unknown != nil {
			return unknown
		}
		return fmt.Errorf("terminal %s has no such batch (meridian batch list --tid %s)", printable(tid), printable(tid))
	}
	return databaseError(err)
}

func writeBatch(w io.Writer, b *switching.BatchReport) {
	line := func(name, format string, values ...any) {
		_, _ = fmt.Fprintf(w, "  %-8s %s\n", name, fmt.Sprintf(format, values...))
	}
	_, _ = fmt.Fprintf(w, "batch %s of terminal %s, merchant %s: %s\n", batchNumber(b.BatchNo), b.TID, b.MID, b.State)
	line("opened", "%s", instant(b.OpenedAt))
	if b.ClosedAt != nil {
		line("closed", "%s by %s, business date %s", instant(*b.ClosedAt), b.ClosedBy, b.ClosedDate)
	}
	line("sales", "%s", counted(b.BatchSummary, b.Totals.SaleCount, b.Totals.SaleMinor))
	line("voids", "%s", counted(b.BatchSummary, b.Totals.VoidCount, b.Totals.VoidMinor))
	line("refunds", "%s", counted(b.BatchSummary, b.Totals.RefundCount, b.Totals.RefundMinor))
	if b.Stated != nil {
		line("terminal", "stated %s", statedTotals(b.BatchSummary))
	}
	if len(b.Transactions) > 0 {
		_, _ = fmt.Fprintln(w)
		writeBatchTransactions(w, b)
	}
	if len(b.Differing) > 0 {
		_, _ = fmt.Fprintln(w)
		writeDifferences(w, b)
	}
}

// statedTotals are what the terminal said last, in the words of its form.
func statedTotals(b *switching.BatchSummary) string {
	s := b.Stated
	sales, refunds := counted(b, s.SaleCount, s.SaleMinor), counted(b, s.RefundCount, s.RefundMinor)
	switch s.Form {
	case switching.TotalsNet:
		return "sales less voids " + sales
	case switching.TotalsGross:
		return "debits " + sales + ", credits " + refunds
	default:
		return "sales " + sales + ", refunds " + refunds
	}
}

func writeBatchTransactions(w io.Writer, b *switching.BatchReport) {
	rows := make([][]string, 0, len(b.Transactions))
	for _, t := range b.Transactions {
		rows = append(rows, []string{
			fmt.Sprintf("%06d", t.STAN), t.RRN, t.Kind.String(), money.Amount{Minor: t.AmountMinor, Currency: b.Currency}.String(), orDash(t.Card),
			t.State.String(), t.Reason.String(),
		})
	}
	table(w, []string{"STAN", "RRN", "KIND", "AMOUNT", "CARD", "STATE", "REASON"}, rows)
}

func writeDifferences(w io.Writer, b *switching.BatchReport) {
	amount := func(minor *int64) string {
		if minor == nil {
			return "-"
		}
		return money.Amount{Minor: *minor, Currency: b.Currency}.String()
	}
	rows := make([][]string, 0, len(b.Differing))
	for _, d := range b.Differing {
		rows = append(rows, []string{
			fmt.Sprintf("%06d", d.STAN), orDash(d.RRN), strings.ReplaceAll(d.Kind, "_", " "), amount(d.TerminalMinor), amount(d.HostMinor),
		})
	}
	table(w, []string{"STAN", "RRN", "DIFFERENCE", "TERMINAL", "HOST"}, rows)
}

// closedBatch is what became of a batch that a person closed.
type closedBatch struct {
	TID     string `json:"tid"`
	BatchNo int32  `json:"batch"`
	Next    int32  `json:"next"`
	Clock   string `json:"clock"` // sandbox or real

	clock string // for people
}

func newBatchCloseCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	closing := switching.BatchClosing{}
	command := &cobra.Command{
		Use:   "close TID --by NAME --reason TEXT",
		Short: "Close a terminal's current batch with the host's totals, and open the next one",
		Long: `Closes the batch of a terminal that cannot: it is lost, or stays in the middle of an upload. The host's totals stand. A
terminal that settles the batch after all is answered 00 where it has the same totals.

It needs the service's role or the owner's login.`,
		Example: `  meridian batch close 10000001 --by "Ann Lee" --reason "terminal replaced" --next 123`,
		Args:    oneArgument("TID"),
	}
	why.register(command)
	command.Flags().Int32Var(&closing.Next, "next", 0, "number of the next batch, where a new terminal counts from another one (default the one that follows)")
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if err := why.check(); err != nil {
			return err
		}
		if closing.Next < 0 || closing.Next > 999_999 {
			return usagef("--next %d: a batch has 1 to 999999", closing.Next)
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
		closing.TID, closing.Who, closing.Why = arguments[0], why.by, why.reason
		number, err := switching.CloseBatch(c.Context(), pool, at.now, closing)
		if errors.Is(err, switching.ErrBatchNumberUsed) {
			return usagef("--next %d: terminal %s has had a batch of that number", closing.Next, printable(closing.TID))
		}
		if err != nil {
			return batchError(c.Context(), pool, err, closing.TID)
		}
		report, err := switching.ShowBatch(c.Context(), pool, closing.TID, 0)
		if err != nil {
			return batchError(c.Context(), pool, err, closing.TID)
		}
		closed := &closedBatch{TID: closing.TID, BatchNo: number, Next: report.BatchNo, Clock: at.clock, clock: at.why}
		return g.print(closed, closed.write)
	}
	return command
}

func (b *closedBatch) write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "batch %s of terminal %s closed with the host's totals, by %s; the current one is %s\n",
		batchNumber(b.BatchNo), b.TID, b.clock, batchNumber(b.Next))
}
