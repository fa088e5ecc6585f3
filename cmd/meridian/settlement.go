package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/ledger"
)

func newSettlementCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "settlement",
		Short: "Show and export settlement statements",
		Long: `A settlement statement says what a business date came to for one merchant: sales, voids and refunds, discount, reserve, and
what the merchant is owed and owes. It is made when the date closes, and equals the ledger to the last unit.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newSettlementShowCommand(g, database),
		newSettlementExportCommand(g, database),
	)
	return command
}

// statementFlags choose statements.
type statementFlags struct {
	mid  string
	date string
}

func (f *statementFlags) filter() (ledger.StatementFilter, error) {
	if f.date == "" {
		return ledger.StatementFilter{}, usagef("give the business date: --date YYYY-MM-DD")
	}
	date, err := ledger.ParseDate(f.date)
	if err != nil {
		return ledger.StatementFilter{}, usagef("--date %q is not YYYY-MM-DD", f.date)
	}
	return ledger.StatementFilter{MID: f.mid, From: date, To: date}, nil
}

func newSettlementShowCommand(g *globals, database *databaseFlags) *cobra.Command {
	var chosen statementFlags
	command := &cobra.Command{
		Use:     "show",
		Short:   "Show a merchant's statement of a business date",
		Example: "  meridian settlement show --mid 104110000000001 --date 2026-03-10",
		Args:    noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&chosen.mid, "mid", "", "the merchant (MID, F42)")
	flags.StringVar(&chosen.date, "date", "", "the business date, YYYY-MM-DD")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if chosen.mid == "" {
			return usagef("name the merchant: --mid")
		}
		filter, err := chosen.filter()
		if err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		list, _, err := ledger.Statements(c.Context(), pool, filter)
		if err != nil {
			return databaseError(err)
		}
		if len(list) == 0 {
			return whyNoStatement(c.Context(), pool, filter)
		}
		return g.print(list, func(w io.Writer) {
			for i := range list {
				if i > 0 {
					_, _ = fmt.Fprintln(w)
				}
				writeStatement(w, &list[i])
			}
		})
	}
	return command
}

// whyNoStatement tells an unknown merchant, a date that is not closed and a date on which nothing moved apart.
func whyNoStatement(ctx context.Context, pool *pgxpool.Pool, f ledger.StatementFilter) error {
	if err := unsettledMerchant(ctx, pool, f); err != nil {
		return err
	}
	return fmt.Errorf("%s is settled, and nothing moved for merchant %s", f.From, f.MID)
}

// unsettledMerchant says why the business date of a merchant is not settled; nil where it is.
func unsettledMerchant(ctx context.Context, pool *pgxpool.Pool, f ledger.StatementFilter) error {
	state, err := ledger.DateStateOf(ctx, pool, f.MID, f.From)
	switch {
	case err != nil:
		return databaseError(err)
	case !state.MerchantKnown:
		return fmt.Errorf("no merchant has MID %q", f.MID)
	case !state.DateMade:
		return fmt.Errorf("%s is not settled: the business date is not made", f.From)
	case state.State != ledger.WindowClosed:
		return fmt.Errorf("%s is not settled: its cutoff is at %s (see meridian cutover status)",
			f.From, state.ClosesAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// allStatements returns the statements that a filter wants, when the date is settled for all of their merchants: who takes
// an export for the whole day's must not get a part. Whether it is settled is looked at first: what is closed then stays so.
func allStatements(ctx context.Context, pool *pgxpool.Pool, f ledger.StatementFilter) ([]ledger.Statement, error) {
	// Without a statement a date may be nobody's: before the first one, or wherever a merchant was before it moved.
	var none error
	if f.MID != "" {
		none = unsettledMerchant(ctx, pool, f)
	} else {
		waiting, settled, err := ledger.UnsettledCalendars(ctx, pool, f.From)
		switch {
		case err != nil:
			return nil, databaseError(err)
		case len(waiting) > 0:
			return nil, unsettledCalendars(f.From, waiting)
		case !settled:
			none = fmt.Errorf("%s is not settled: no calendar with merchants has the business date", f.From)
		}
	}
	list, more, err := ledger.Statements(ctx, pool, f)
	switch {
	case err != nil:
		return nil, databaseError(err)
	case more:
		return nil, fmt.Errorf("%s has more than %d statements: export it merchant by merchant with --mid", f.From, ledger.StatementsMax)
	case len(list) == 0 && none != nil:
		return nil, none
	}
	return list, nil
}

// unsettledCalendars names the first of the calendars that a date waits for.
func unsettledCalendars(date ledger.Date, waiting []ledger.UnsettledCalendar) error {
	first, others := waiting[0], ""
	if len(waiting) > 1 {
		others = fmt.Sprintf(" and %d more", len(waiting)-1)
	}
	why := "the business date is not made"
	if first.DateMade {
		why = fmt.Sprintf("its cutoff is at %s (see meridian cutover status)", first.ClosesAt.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("%s is not settled in %s%s: %s", date, printable(first.Calendar), others, why)
}

func writeStatement(w io.Writer, s *ledger.Statement) {
	amount := func(minor int64) string { return money.FormatMinor(minor, s.Currency) }
	_, _ = fmt.Fprintf(w, "%s  %s\nbusiness date %s, value date %s, in %s, settled %s\n\n",
		s.MID, printable(s.MerchantName), s.BusinessDate, s.ValueDate, s.Currency.Alpha(), s.SettledAt.Format(time.RFC3339))
	var rows [][]string
	class := func(name string, t ledger.ClassTotal, sign int64) {
		if t != (ledger.ClassTotal{}) {
			rows = append(rows, []string{name, strconv.FormatInt(t.Count, 10), amount(sign * t.Minor)})
		}
	}
	line := func(name string, minor int64, always bool) {
		if always || minor != 0 {
			rows = append(rows, []string{name, "", amount(minor)})
		}
	}
	line("payable before", s.Opening.PayableMinor, true)
	class("sales", s.Sales, 1)
	class("cashback", s.Cashback, 1)
	class("completions", s.Completions, 1)
	class("offline advices", s.Advices, 1)
	class("reinstated", s.Reinstatements, 1)
	class("amounts changed", s.AmountChanges, 1)
	class("voids", s.Voids, -1)
	class("reversals", s.Reversals, -1)
	line("gross", s.GrossMinor, true)
	class("refunds", s.Refunds, -1)
	class("refunds reversed", s.RefundReversals, 1)
	class("late reversals", s.Adjustments, -1)
	line("other", s.OtherMinor, false)
	line("discount", -s.DiscountMinor, true)
	line("discount returned", s.DiscountReturnedMinor, false)
	line("reserve released", s.ReserveReleasedMinor, false)
	line("recovered debt", -s.RecoveredMinor, false)
	line("reserve", -s.ReserveMinor, false)
	line("moved to debt", s.ToReceivableMinor, false)
	line("payable", s.Closing.PayableMinor, true)
	line("reserve held", s.Closing.ReserveMinor, false)
	line("debt", s.Closing.ReceivableMinor, false)
	// Numbers are read from the right.
	width := [2]int{len("COUNT"), len("AMOUNT")}
	for _, row := range rows {
		width[0], width[1] = max(width[0], len(row[1])), max(width[1], len(row[2]))
	}
	for _, row := range append([][]string{{"", "COUNT", "AMOUNT"}}, rows...) {
		_, _ = fmt.Fprintf(w, "%-18s %*s  %*s\n", row[0], width[0], row[1], width[1], row[2])
	}
}

func newSettlementExportCommand(g *globals, database *databaseFlags) *cobra.Command {
	const formatCSV, formatJSON = "csv", "json"
	var chosen statementFlags
	var format string
	command := &cobra.Command{
		Use:   "export",
		Short: "Write all statements of a business date as CSV or JSON",
		Long: `Writes the statements of a business date, all merchants' or one's. Amounts are in minor units of the statement's currency;
its number of decimals is in the column exponent. With --output json the format is JSON too. Nothing is written, and the exit code is
1, while a calendar with merchants (with --mid: the merchant's) has the date still to settle. A settled date on which nothing moved
is an empty list.`,
		Example: "  meridian settlement export --date 2026-03-10 --format csv > 2026-03-10.csv",
		Args:    noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&chosen.mid, "mid", "", "only this merchant (MID, F42)")
	flags.StringVar(&chosen.date, "date", "", "the business date, YYYY-MM-DD")
	flags.StringVar(&format, "format", formatCSV, "csv or json")
	command.RunE = func(c *cobra.Command, _ []string) error {
		if format != formatCSV && format != formatJSON {
			return usagef("--format %q: it is csv or json", format)
		}
		filter, err := chosen.filter()
		if err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		list, err := allStatements(c.Context(), pool, filter)
		if err != nil {
			return err
		}
		if format == formatJSON || g.json() {
			encoder := json.NewEncoder(g.stdout)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(list); err != nil {
				return fmt.Errorf("write statements: %w", err)
			}
			return nil
		}
		return writeStatementsCSV(g.stdout, list)
	}
	return command
}

// writeStatementsCSV writes one line a statement, after RFC 4180. Merchants' names are left out: a spreadsheet would take
// one that begins with = for a formula.
func writeStatementsCSV(w io.Writer, list []ledger.Statement) error {
	out := csv.NewWriter(w)
	header := []string{"mid", "business_date", "value_date", "currency", "exponent"}
	for _, f := range (&ledger.Statement{}).Figures() {
		header = append(header, f.Column)
	}
	header = append(header, "reserve_release_on", "journal_id", "transfer_count", "transfer_minor")
	if err := out.Write(header); err != nil {
		return fmt.Errorf("write statements: %w", err)
	}
	for i := range list {
		s := &list[i]
		row := []string{s.MID, s.BusinessDate.String(), s.ValueDate.String(), s.Currency.Alpha(), strconv.Itoa(s.Currency.Exponent())}
		for _, f := range s.Figures() {
			row = append(row, strconv.FormatInt(f.Value, 10))
		}
		release := ""
		if s.ReserveReleaseOn != nil {
			release = s.ReserveReleaseOn.String()
		}
		row = append(row, release, s.JournalID.String(), strconv.FormatInt(s.TransferCount, 10), strconv.FormatInt(s.TransferMinor, 10))
		if err := out.Write(row); err != nil {
			return fmt.Errorf("write statements: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write statements: %w", err)
	}
	return nil
}
