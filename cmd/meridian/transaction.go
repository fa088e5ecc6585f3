package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

func newTransactionCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "transaction",
		Short: "Look at transactions and why they were decided so",
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newTransactionShowCommand(g, database),
		newTransactionListCommand(g, database),
		newTransactionPreviewCommand(g, database),
	)
	return command
}

// rrnDigits is the length of F37.
const rrnDigits = 12

func parseRRN(text string) (int64, error) {
	rrn, err := strconv.ParseUint(text, 10, 63)
	if err != nil || len(text) != rrnDigits {
		return 0, usagef("%q is no RRN (F37): it has %d digits", text, rrnDigits)
	}
	return int64(rrn), nil
}

// find returns the transactions with an RRN, and an error when there is none.
func find(ctx context.Context, pool *pgxpool.Pool, rrn int64) ([]*switching.Inspection, error) {
	found, err := switching.FindByRRN(ctx, pool, rrn)
	if err != nil {
		return nil, databaseError(err)
	}
	if len(found) == 0 {
		kept, err := ledger.KeptFrom(ctx, pool)
		if err != nil {
			return nil, databaseError(err)
		}
		if kept != 0 {
			return nil, fmt.Errorf("no transaction since %s has RRN %0*d; months before are retired", kept, rrnDigits, rrn)
		}
		return nil, fmt.Errorf("no transaction has RRN %0*d", rrnDigits, rrn)
	}
	return found, nil
}

func newTransactionShowCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "show RRN",
		Short:   "Show what was asked, what became of it, on what grounds, and what it moved",
		Example: "  meridian transaction show 632518000042",
		Args:    oneArgument("RRN"),
		RunE: func(c *cobra.Command, arguments []string) error {
			rrn, err := parseRRN(arguments[0])
			if err != nil {
				return err
			}
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			found, err := find(c.Context(), pool, rrn)
			if err != nil {
				return err
			}
			shown := make([]*shownTransaction, 0, len(found))
			for _, i := range found {
				shown = append(shown, newShownTransaction(i))
			}
			return g.print(shown, func(w io.Writer) {
				for i, one := range shown {
					if i > 0 {
						_, _ = fmt.Fprintln(w)
					}
					one.write(w)
				}
			})
		},
	}
}

func newTransactionListCommand(g *globals, database *databaseFlags) *cobra.Command {
	const maxLimit = 1000 // what the listing itself allows
	filter := switching.TransactionFilter{}
	command := &cobra.Command{
		Use:   "list",
		Short: "List transactions, the newest first",
		Args:  noArguments,
	}
	flags := command.Flags()
	flags.StringVar(&filter.MID, "mid", "", "only those of a merchant (F42)")
	flags.StringVar(&filter.TID, "tid", "", "only those of a terminal (F41)")
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
		list, err := switching.ListTransactions(c.Context(), pool, filter)
		if err != nil {
			return databaseError(err)
		}
		if len(list) == 0 {
			if err := knownParties(c.Context(), pool, filter.MID, filter.TID); err != nil {
				return err
			}
			list = []*switching.Inspection{} // an empty list, not null
		}
		return g.print(list, func(w io.Writer) { writeTransactions(w, list) })
	}
	return command
}

func writeTransactions(w io.Writer, list []*switching.Inspection) {
	rows := make([][]string, 0, len(list))
	for _, i := range list {
		rows = append(rows, []string{
			i.RRN, i.AcceptedAt.Format("2006-01-02 15:04:05"), i.BusinessDate.String(), i.MID, i.TID,
			became(i), money.Amount{Minor: i.AmountMinor, Currency: i.Currency}.String(), orDash(i.Card),
			i.State.String(), i.Reason.String(),
		})
	}
	table(w, []string{"RRN", "ACCEPTED (UTC)", "DATE", "MERCHANT", "TERMINAL", "KIND", "AMOUNT", "CARD", "STATE", "REASON"}, rows)
}

// became names a transaction's kind, and what was asked for where that was another.
func became(i *switching.Inspection) string {
	if i.Asked == i.Kind {
		return i.Kind.String()
	}
	return i.Asked.String() + "->" + i.Kind.String()
}
