package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/switch"
)

func newCardShowCommand(g *globals, database *databaseFlags) *cobra.Command {
	var which cardFlags
	command := &cobra.Command{
		Use:   "show " + cardUse,
		Short: "Show a card: its status, its expiry, what is on it and what of that is reserved",
		Example: `  meridian card show --account card:7
  meridian card show --pan-file - < number`,
		Args: noArguments,
	}
	which.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		desk, err := which.open(c.Context(), g, database)
		if err != nil {
			return err
		}
		defer desk.pool.Close()
		card, err := switching.FindCard(c.Context(), desk.pool, desk.card)
		if err != nil {
			return cardError(c, err, "")
		}
		return g.print(card, func(w io.Writer) { writeCard(w, card) })
	}
	return command
}

func writeCard(w io.Writer, c *switching.CardState) {
	line := func(name, value string) { _, _ = fmt.Fprintf(w, "  %-10s %s\n", name, value) }
	amount := func(minor int64) string { return money.Amount{Minor: minor, Currency: c.Currency}.String() }
	_, _ = fmt.Fprintln(w, c)
	line("status", c.Status.String())
	line("expires", c.Expiry)
	line("balance", amount(c.BalanceMinor))
	line("reserved", amount(c.HeldMinor))
	line("available", amount(c.AvailableMinor))
	switch {
	case !c.HasPIN:
		line("PIN", "none: one that is entered is declined")
	case c.PINLocked:
		line("PIN", fmt.Sprintf("locked after %d wrong ones (meridian card reset-pin-tries)", c.WrongPINs))
	default:
		line("PIN", fmt.Sprintf("%d wrong in a row", c.WrongPINs))
	}
}
