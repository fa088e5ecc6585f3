package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meridian/internal/money"
	"meridian/switch"
)

// addedCards are what a command has added, and what was there.
type addedCards struct {
	changed

	Cards []addedCard `json:"cards"`
	// Note is what somebody should know besides.
	Note string `json:"note,omitempty"`
}

type addedCard struct {
	Line int `json:"line"`
	switching.AddedCard
}

func newCardAddCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var defaults cardDefaults
	command := &cobra.Command{
		Use:   "add [--file FILE] [--expiry YYMM] [--currency CODE] [--opening AMOUNT] [--calendar NAME] --by NAME --reason TEXT",
		Short: "Add cards, one or up to 10,000 at once, with what they are opened with",
		Long: `Adds cards, one a line of a file or of standard input:

  NUMBER[,EXPIRY[,CURRENCY[,OPENING]]]

What a line leaves out is taken from the flags. EXPIRY is YYMM, the last month of the card; OPENING, such as 25.00, is put on it from
bank:settlement. At a terminal it asks for one number and does not show it.

All of them are added or, when one cannot be, none, and the line is named. A card that is there already is told and stays as it is:
the same file can be added again, and loads nothing twice; one that was opened with another amount is refused. The cards have no PIN:
one that is entered is declined (55).`,
		Example: `  meridian card add --expiry 3012 --currency EUR --opening 25.00 --by "Ann Lee" --reason "gift card of order 88" < number
  meridian card add --file cards.csv --currency EUR --by "Ann Lee" --reason "first delivery"`,
		Args: noArguments,
	}
	flags := command.Flags()
	file := flags.String("file", "", "file with the cards; - is standard input, and the default")
	flags.StringVar(&defaults.expiry, "expiry", "", "last month of the cards, YYMM")
	flags.StringVar(&defaults.currency, "currency", "", "what they are kept in: code of ISO 4217, such as EUR or 978")
	flags.StringVar(&defaults.opening, "opening", "", "what is put on each, such as 25.00 (default nothing)")
	calendar := registerLoadingCalendar(command)
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := why.check(); err != nil {
			return err
		}
		list, err := g.readCards(*file, defaults)
		if err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		cards := make([]switching.NewCard, len(list))
		for i := range list {
			cards[i] = list[i].NewCard
			cards[i].Tokens = tokensOf(room.data, cards[i].PAN)
		}
		added, err := switching.AddCards(c.Context(), room.pool, cards, *calendar, room.now, why.by, why.reason)
		if err != nil {
			return addingError(c, err, list)
		}
		return g.doneAdding(list, added, why)
	}
	return command
}

// registerLoadingCalendar adds the flag that says on which business date money is put on a card.
func registerLoadingCalendar(command *cobra.Command) *string {
	return command.Flags().String("calendar", "", "calendar in whose open business date the money is booked (default the only one there is)")
}

// addingError names the line that an error is about.
func addingError(c *cobra.Command, err error, list []listedCard) error {
	one, ok := errors.AsType[*switching.CardError](err)
	if !ok {
		return cardError(c, err, "")
	}
	text := fmt.Errorf("line %d: %w; nothing is added", list[one.Index].line, one)
	if errors.Is(err, switching.ErrTaken) {
		return text
	}
	return withExit(exitUsage, text)
}

func cardsAdded(made, there int) string {
	added, were := "cards are", "were"
	if made == 1 {
		added = "card is"
	}
	if there == 1 {
		were = "was"
	}
	return fmt.Sprintf("%d %s added, %d %s there already", made, added, there, were)
}

// doneAdding tells what was added, and what was there.
func (g *globals) doneAdding(list []listedCard, added []switching.AddedCard, why change) error {
	told := addedCards{Cards: make([]addedCard, len(added))}
	made, unrouted := 0, 0
	for i := range added {
		told.Cards[i] = addedCard{list[i].line, added[i]}
		if added[i].Added {
			made++
		}
		if !added[i].Routed {
			unrouted++
		}
	}
	told.changed = changed{Changed: cardsAdded(made, len(added)-made), By: why.by, Reason: why.reason}
	if unrouted > 0 {
		told.Note = fmt.Sprintf("no range leads to %d of them: they are answered 15 until one does (meridian range add)", unrouted)
	}
	return g.print(&told, func(w io.Writer) {
		rows := make([][]string, len(told.Cards))
		for i := range told.Cards {
			c := &told.Cards[i]
			rows[i] = []string{
				c.Account, c.Masked, c.Expiry, c.Currency.String(), money.FormatMinor(c.BalanceMinor, c.Currency), c.Status.String(),
				map[bool]string{true: "added", false: "was there"}[c.Added],
			}
		}
		table(w, []string{"ACCOUNT", "CARD", "EXPIRES", "CURRENCY", "BALANCE", "STATUS", ""}, rows)
		_, _ = fmt.Fprintln(w, told.Changed)
		if told.Note != "" {
			_, _ = fmt.Fprintf(w, "note: %s\n", told.Note)
		}
	})
}
