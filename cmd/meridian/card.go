package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"meridian/internal/card"
	"meridian/internal/vault"
	"meridian/switch"
)

func newCardCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "card",
		Short: "Help the holders of on-us cards",
	}
	database := newDatabaseFlags(command)
	command.AddCommand(newCardResetPINCommand(g, database))
	return command
}

func newCardResetPINCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "reset-pin-tries (--account card:NUMBER | --pan-file FILE) --by NAME --reason TEXT",
		Short: "Let a card that wrong PINs have locked try again",
		Long: `Forgets a card's wrong PINs. The card is named by its account, as ledger accounts and transaction show have it, or by its number in
a file or on standard input (--pan-file -); never by its number on the command line, which others see and histories keep.`,
		Example: `  meridian card reset-pin-tries --account card:7 --by "Ann Lee" --reason "the holder came in with a passport"`,
		Args:    noArguments,
	}
	account := command.Flags().String("account", "", "the card's account, such as card:7")
	file := command.Flags().String("pan-file", "", "file whose first line is the card number; - is standard input")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if (*account == "") == (*file == "") {
			return usagef("give --account or --pan-file, one of them")
		}
		if err := why.check(); err != nil {
			return err
		}
		var id int64
		var pan card.PAN
		var err error
		if *account != "" {
			id, err = cardNumberOf(*account)
		} else {
			pan, err = g.readPAN(*file)
		}
		if err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		name, err := switching.ResetPINTries(c.Context(), room.pool, id, tokensOf(room.data, pan), room.now, why.by, why.reason)
		if errors.Is(err, switching.ErrNoPINTries) {
			return errors.New("there is no such card, or it has no wrong PINs")
		}
		if err != nil {
			return changeError(err, "")
		}
		what := "wrong PINs of " + name + " are forgotten"
		return g.print(&changed{Changed: what, By: why.by, Reason: why.reason}, func(w io.Writer) { _, _ = fmt.Fprintln(w, what) })
	}
	return command
}

// cardNumberOf is the number of a card's account.
func cardNumberOf(account string) (int64, error) {
	digits, found := strings.CutPrefix(account, "card:")
	id, err := strconv.ParseInt(digits, 10, 48)
	if !found || err != nil || id < 1 {
		return 0, usagef("--account %q is no card's: it is like card:7 (meridian ledger accounts lists them)", account)
	}
	return id, nil
}

// readPAN reads a card number. Its errors do not hold it.
func (g *globals) readPAN(file string) (card.PAN, error) {
	line, err := g.componentLine(file)
	if err != nil {
		return card.PAN{}, err
	}
	defer clear(line)
	pan, err := card.ParsePAN(strings.TrimSpace(string(line)))
	if err != nil {
		return card.PAN{}, usagef("--pan-file: its first line is no card number")
	}
	return pan, nil
}

// tokensOf a card under every version of the token key.
func tokensOf(keys *vault.DataKeys, pan card.PAN) (tokens [][16]byte) {
	if pan.IsZero() {
		return nil
	}
	for version := int16(1); version <= keys.TokenVersion(); version++ {
		if token, err := keys.TokenAt(version, pan); err == nil {
			tokens = append(tokens, token)
		}
	}
	return tokens
}
