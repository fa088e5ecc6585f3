package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/switch"
)

// loadedCard is a load, and the card after it.
type loadedCard struct {
	changed

	Load *switching.LoadedCard `json:"load"`
}

func newCardLoadCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var which cardFlags
	var load switching.CardLoad
	command := &cobra.Command{
		Use:   "load " + cardUse + " --amount AMOUNT --reference TEXT [--calendar NAME] --by NAME --reason TEXT",
		Short: "Put money on a card, once for each reference",
		Long: `Puts money on a card, from bank:settlement, in the open business date of a calendar. The reference is yours: a payment's number, an
order's. A load whose reference the card has had already posts nothing and says so, so that one in doubt can be run again; with another
amount it is refused. Nothing takes a load back.`,
		Example: `  meridian card load --account card:7 --amount 50.00 --reference transfer-20261124-17 --by "Ann Lee" --reason "paid in by its holder"`,
		Args:    noArguments,
	}
	which.register(command)
	flags := command.Flags()
	amount := flags.String("amount", "", "how much, in the card's currency, such as 50.00")
	flags.StringVar(&load.Reference, "reference", "", "what this load is known by among those of the card, up to 64 letters")
	calendar := registerLoadingCalendar(command)
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		for _, name := range []string{"amount", "reference"} {
			if !c.Flags().Changed(name) {
				return usagef("--%s is missing: %s", name, c.Flags().Lookup(name).Usage)
			}
		}
		if err := why.check(); err != nil {
			return err
		}
		desk, err := which.open(c.Context(), g, database)
		if err != nil {
			return err
		}
		defer desk.pool.Close()
		card, err := switching.FindCard(c.Context(), desk.pool, desk.card)
		if err != nil {
			return cardError(c, err, "")
		}
		load.Card, load.Calendar = switching.CardRef{ID: card.ID}, *calendar
		if load.Amount, err = money.ParseAmount(*amount, card.Currency); err != nil {
			return usagef("--amount: it is no amount in %s, which the card is kept in, such as %s", card.Currency, money.FormatMinor(5000, card.Currency))
		}
		loaded, err := switching.LoadCard(c.Context(), desk.pool, load, desk.now, why.by, why.reason)
		if err != nil {
			return cardError(c, err, "")
		}
		return g.doneLoading(loaded, why)
	}
	return command
}

func (g *globals) doneLoading(l *switching.LoadedCard, why change) error {
	what := fmt.Sprintf("%s is loaded with %s by reference %s, on business date %s", l, l.Amount, l.Reference, l.BusinessDate)
	if l.Repeated {
		what = fmt.Sprintf("%s was loaded with %s by reference %s before, on business date %s: nothing is posted", l, l.Amount, l.Reference, l.BusinessDate)
	}
	return g.print(&loadedCard{changed{Changed: what, By: why.by, Reason: why.reason}, l}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s; it has %s available\n", printable(what), money.Amount{Minor: l.AvailableMinor, Currency: l.Currency})
	})
}
