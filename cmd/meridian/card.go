package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newCardCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "card",
		Short: "Add on-us cards, load them, look at them, block and unblock them",
		Long: `Makes the accounts of on-us cards (those whose range leads to onus, meridian range) and changes them. A card is named by its
account, as ledger accounts and transaction show have it, or by its number in a file or on standard input; never by its number on the
command line, which others see and histories keep. It is shown by its first six and last four digits, and the number itself is kept
nowhere. docs/how-to/issue-cards.md goes through all of it.

Changes need the login that owns the schema, and are in the audit log with who, when, what and why. They count from the next message on.
A card's number needs the configuration of a host besides, for its master key; over a sandbox's database the sandbox's is taken.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newCardAddCommand(g, database),
		newCardShowCommand(g, database),
		newCardLoadCommand(g, database),
		newCardBlockCommand(g, database),
		newCardUnblockCommand(g, database),
		newCardResetPINCommand(g, database),
	)
	return command
}

// changedCard is a change of a card, and the card as it is now.
type changedCard struct {
	changed

	Card *switching.CardState `json:"card"`
}

// doneWithCard tells about a change of a card.
func (g *globals) doneWithCard(what string, why change, c *switching.CardState) error {
	return g.print(&changedCard{changed{Changed: what, By: why.by, Reason: why.reason}, c}, func(w io.Writer) { _, _ = fmt.Fprintln(w, what) })
}

// cardError gives an error about a card its exit code.
func cardError(c *cobra.Command, err error, unchanged string) error {
	if errors.Is(err, switching.ErrNoCard) {
		return errors.New("there is no such card")
	}
	if field, ok := errors.AsType[*switching.FieldError](err); ok && field.Field == "status" {
		return errors.New(field.Problem)
	}
	return enrolError(c, err, unchanged)
}

func newCardResetPINCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var which cardFlags
	command := &cobra.Command{
		Use:     "reset-pin-tries " + cardUse + " --by NAME --reason TEXT",
		Short:   "Let a card that wrong PINs have locked try again",
		Long:    `Forgets a card's wrong PINs.`,
		Example: `  meridian card reset-pin-tries --account card:7 --by "Ann Lee" --reason "the holder came in with a passport"`,
		Args:    noArguments,
	}
	which.register(command)
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := why.check(); err != nil {
			return err
		}
		desk, err := which.open(c.Context(), g, database)
		if err != nil {
			return err
		}
		defer desk.pool.Close()
		name, err := switching.ResetPINTries(c.Context(), desk.pool, desk.card, desk.now, why.by, why.reason)
		if errors.Is(err, switching.ErrNoPINTries) {
			return errors.New("the card has no wrong PINs")
		}
		if err != nil {
			return cardError(c, err, "")
		}
		what := "wrong PINs of " + name + " are forgotten"
		return g.print(&changed{Changed: what, By: why.by, Reason: why.reason}, func(w io.Writer) { _, _ = fmt.Fprintln(w, what) })
	}
	return command
}
