package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"meridian/ledger"
	"meridian/switch"
)

func newCardBlockCommand(g *globals, database *databaseFlags) *cobra.Command {
	status := ledger.CardBlocked
	command := &cobra.Command{
		Use:   "block " + cardUse + " [--as STATUS] --by NAME --reason TEXT",
		Short: "Let a card buy nothing more: blocked, frozen, lost, stolen or closed",
		Long: `Declines a card's purchases, authorizations and balance inquiries from now on, and advices of offline sales. What it bought is completed,
refunded, voided and reversed as ever, and what it has stays on it.

  blocked  stopped by its issuer (62)
  frozen   stopped for a while (62)
  lost     reported lost (41)
  stolen   reported stolen (43)
  closed   ended (62): no unblock, and no load any more`,
		Example: `  meridian card block --account card:7 --as lost --by "Ann Lee" --reason "the holder called"`,
		Args:    noArguments,
	}
	as := command.Flags().String("as", status.String(), "what it is from now on")
	run := setsCardStatus(g, database, command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := status.UnmarshalText([]byte(*as)); err != nil || status == ledger.CardActive {
			return usagef("--as: it is blocked, frozen, lost, stolen or closed")
		}
		return run(c, status)
	}
	return command
}

func newCardUnblockCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:     "unblock " + cardUse + " --by NAME --reason TEXT",
		Short:   "Let a card buy again that block has stopped",
		Example: `  meridian card unblock --account card:7 --by "Ann Lee" --reason "it was found"`,
		Args:    noArguments,
	}
	run := setsCardStatus(g, database, command)
	command.RunE = func(c *cobra.Command, _ []string) error { return run(c, ledger.CardActive) }
	return command
}

// setsCardStatus gives a command the flags of a change of a card, and returns what makes the change.
func setsCardStatus(g *globals, database *databaseFlags, command *cobra.Command) func(*cobra.Command, ledger.CardStatus) error {
	var why change
	var which cardFlags
	which.register(command)
	why.register(command)
	return func(c *cobra.Command, status ledger.CardStatus) error {
		if err := why.check(); err != nil {
			return err
		}
		desk, err := which.open(c.Context(), g, database)
		if err != nil {
			return err
		}
		defer desk.pool.Close()
		card, err := switching.SetCardStatus(c.Context(), desk.pool, desk.card, status, desk.now, why.by, why.reason)
		if err != nil {
			return cardError(c, err, fmt.Sprintf("%s is %s already", card, status))
		}
		return g.doneWithCard(fmt.Sprintf("%s is %s", card, status), why, card)
	}
}
