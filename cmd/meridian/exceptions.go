package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/switch"
)

func newExceptionsCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "exceptions",
		Short: "Look at what was recorded for a person to look at",
	}
	database := newDatabaseFlags(command)
	command.AddCommand(newExceptionsListCommand(g, database))
	return command
}

// defaultListed fills a screen.
const defaultListed = 50

// checkLimit refuses what a listing does not allow.
func checkLimit(limit int) error {
	if limit < 1 || limit > switching.MaxListed {
		return usagef("--limit %d: it is 1 to %d", limit, switching.MaxListed)
	}
	return nil
}

func newExceptionsListCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "List exceptions, the newest first",
		Long: `Lists exceptions, the newest first: what a host answered or recorded although something about it does not fit, such as the
reversal of what was settled already. Each names the transaction it is about: meridian transaction show RRN.`,
		Args: noArguments,
	}
	limit := command.Flags().Int("limit", defaultListed, fmt.Sprintf("at most so many, up to %d", switching.MaxListed))
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkLimit(*limit); err != nil {
			return err
		}
		pool, err := database.open(c.Context(), g)
		if err != nil {
			return err
		}
		defer pool.Close()
		list, err := switching.Exceptions(c.Context(), pool, *limit)
		if err != nil {
			return databaseError(err)
		}
		if list == nil {
			list = []*switching.RaisedException{} // an empty list, not null
		}
		return g.print(list, func(w io.Writer) { writeExceptions(w, list) })
	}
	return command
}

func writeExceptions(w io.Writer, list []*switching.RaisedException) {
	rows := make([][]string, 0, len(list))
	for _, e := range list {
		amount := ""
		if e.RRN != "" {
			amount = money.Amount{Minor: e.AmountMinor, Currency: e.Currency}.String()
		}
		rows = append(rows, []string{
			listTime(e.RaisedAt), printable(e.Kind), orDash(e.RRN), e.BusinessDate.String(), orDash(e.MID), orDash(e.TID),
			orDash(amount), printable(e.Detail),
		})
	}
	table(w, []string{"RAISED (UTC)", "KIND", "RRN", "DATE", "MERCHANT", "TERMINAL", "AMOUNT", "DETAIL"}, rows)
}
