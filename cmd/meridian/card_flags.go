package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/card"
	"meridian/internal/vault"
	"meridian/switch"
)

// cardFlags name an on-us card.
type cardFlags struct{ account, file string }

// cardUse is how the flags stand in a command's usage line.
const cardUse = "(--account card:NUMBER | --pan-file FILE)"

func (f *cardFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.account, "account", "", "the card's account, such as card:7")
	flags.StringVar(&f.file, "pan-file", "", "file whose first line is the card number; - is standard input")
}

// cardDesk is what commands about one card need.
type cardDesk struct {
	pool *pgxpool.Pool
	card switching.CardRef
	now  time.Time
}

// open reads which card is meant and opens the database; the caller closes it. Only a card's number needs the keys.
func (f *cardFlags) open(ctx context.Context, g *globals, database *databaseFlags) (*cardDesk, error) {
	if (f.account == "") == (f.file == "") {
		return nil, usagef("give --account or --pan-file, one of them")
	}
	if f.file != "" {
		pan, err := g.readPAN(f.file)
		if err != nil {
			return nil, err
		}
		room, err := database.openKeys(ctx, g)
		if err != nil {
			return nil, err
		}
		return &cardDesk{room.pool, switching.CardRef{Tokens: tokensOf(room.data, pan)}, room.now}, nil
	}
	id, err := cardNumberOf(f.account)
	if err != nil {
		return nil, err
	}
	pool, err := database.open(ctx, g)
	if err != nil {
		return nil, err
	}
	at, err := database.clockOf(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &cardDesk{pool, switching.CardRef{ID: id}, at.now}, nil
}

// cardNumberOf is the number of a card's account. Its error does not hold what was given, which may be a card number.
func cardNumberOf(account string) (int64, error) {
	digits, found := strings.CutPrefix(account, "card:")
	id, err := strconv.ParseInt(digits, 10, 48)
	if !found || err != nil || id < 1 {
		return 0, usagef("--account is no card's: it is like card:7 (meridian ledger accounts lists them)")
	}
	return id, nil
}

// readPAN reads a card number. Its errors do not hold it.
func (g *globals) readPAN(file string) (card.PAN, error) {
	line, err := g.hiddenLine(file, "card number")
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

// tokensOf a card under every version of the token key, the newest last.
func tokensOf(keys *vault.DataKeys, pan card.PAN) (tokens [][16]byte) {
	for version := int16(1); version <= keys.TokenVersion(); version++ {
		if token, err := keys.TokenAt(version, pan); err == nil {
			tokens = append(tokens, token)
		}
	}
	return tokens
}
