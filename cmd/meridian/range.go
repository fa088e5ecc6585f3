package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newRangeCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "range",
		Short: "Say which cards are approved: ranges of card numbers, their network and their route",
		Long: `A card is approved only where a range leads somewhere; every other one is answered 15. A range has the card network, by whose
name discounts are looked up, and a route: onus is the ledger itself, for cards whose accounts are here.

Changes need the login that owns the schema. Each is in the audit log, and running hosts take it up within a second or two.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newRangeListCommand(g, database),
		newRangeAddCommand(g, database),
		newRangeRemoveCommand(g, database),
	)
	return command
}

func newRangeListCommand(g *globals, database *databaseFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the card ranges by number",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := database.open(c.Context(), g)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := switching.CardRanges(c.Context(), pool)
			if err != nil {
				return databaseError(err)
			}
			if list == nil {
				list = []switching.CardRange{} // an empty list, not null
			}
			return g.print(list, func(w io.Writer) {
				rows := make([][]string, 0, len(list))
				for _, r := range list {
					rows = append(rows, []string{r.Low, r.High, printable(r.Network), r.Route})
				}
				table(w, []string{"FROM", "TO", "NETWORK", "ROUTE"}, rows)
			})
		},
	}
}

// oneOrTwo wants the ends of a range, which may be one.
func oneOrTwo(c *cobra.Command, arguments []string) error {
	if len(arguments) < 1 || len(arguments) > 2 {
		return usagef("%s wants LOW, or LOW HIGH, and got %d arguments", c.CommandPath(), len(arguments))
	}
	return nil
}

// rangeOf the arguments LOW and HIGH.
func rangeOf(c *cobra.Command, arguments []string, network, route string) (switching.CardRange, error) {
	r, err := switching.NewCardRange(arguments[0], append(arguments, "")[1], network, route)
	if err != nil {
		return r, enrolError(c, err, "")
	}
	return r, nil
}

func newRangeAddCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "add LOW [HIGH] --network NAME --by NAME --reason TEXT",
		Short: "Add a card range",
		Long: `Adds the range of all card numbers that begin with LOW or, with HIGH, with LOW up to HIGH: each is the first 1 to 11 digits, which are
filled up with 0 and with 9. No number may be in two ranges.`,
		Example: `  meridian range add 999999 --network giftcard --by "Ann Lee" --reason "gift cards"
  meridian range add 222100 272099 --network mastercard --by "Ann Lee" --reason "scheme bulletin"`,
		Args: oneOrTwo,
	}
	network := command.Flags().String("network", "", "the card network in small letters, such as visa, mastercard, unionpay or jcb")
	route := command.Flags().String("route", "onus", "where its cards are decided: onus is the ledger itself")
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		r, err := rangeOf(c, arguments, *network, *route)
		if err != nil {
			return err
		}
		pool, _, err := database.enrolling(c, g, &why, "network")
		if err != nil {
			return err
		}
		defer pool.Close()
		other, err := switching.AddCardRange(c.Context(), pool, r, why.by, why.reason)
		if err != nil {
			return enrolError(c, err, "")
		}
		stored := enrolled{Range: &r}
		if other != "" {
			stored.Note = fmt.Sprintf("discounts go by the first six digits, which it shares with %s: those of %s count for its cards", other, other)
		}
		return g.doneEnrolling(fmt.Sprintf("cards from %s are added: %s by %s", &r, r.Network, r.Route), why, stored)
	}
	return command
}

func newRangeRemoveCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "remove LOW [HIGH] --by NAME --reason TEXT",
		Short: "Remove a card range: its cards are answered 15 from then on",
		Long: `Removes the range that was added with LOW and HIGH. The transactions of its cards stay, and are settled and refunded. A range whose
network has discounts of its own cannot be removed: what they took is given back by them.`,
		Example: `  meridian range remove 999999 --by "Ann Lee" --reason "no gift cards any more"`,
		Args:    oneOrTwo,
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		r, err := rangeOf(c, arguments, "", "")
		if err != nil {
			return err
		}
		pool, _, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.RemoveCardRange(c.Context(), pool, r, why.by, why.reason); err != nil {
			return enrolError(c, err, "")
		}
		return g.done(fmt.Sprintf("cards from %s are removed", &r), why)
	}
	return command
}
