package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/switch"
)

// listedCard is a card of a file that several are added from.
type listedCard struct {
	line int
	switching.NewCard
}

// cardDefaults are what a line may leave out, as texts.
type cardDefaults struct{ expiry, currency, opening string }

// check looks at what is given for all lines, so that no line is blamed for a flag. Its errors hold nothing of it: it may be
// a card number that went astray.
func (d cardDefaults) check() error {
	if d.expiry != "" {
		if _, err := card.ParseExpiry(d.expiry); err != nil {
			return usagef("--expiry, YYMM: %w", err)
		}
	}
	if d.currency == "" {
		return nil // an amount is read by its currency: each line's own
	}
	currency, err := parseCardCurrency(d.currency)
	if err != nil {
		return usagef("--currency: %w", err)
	}
	if _, err := parseCardAmount(d.opening, currency); err != nil {
		return usagef("--opening: %w", err)
	}
	return nil
}

// readCards reads cards from a file or from standard input. Its errors name the line and hold nothing of it: columns that are
// mixed up would tell a card number.
func (g *globals) readCards(file string, defaults cardDefaults) ([]listedCard, error) {
	const what = "card numbers"
	if err := defaults.check(); err != nil {
		return nil, err
	}
	if _, ok := g.keyboard(file); ok {
		line, err := g.hiddenLine(file, "card number")
		if err != nil {
			return nil, err
		}
		defer clear(line)
		return parseCards(bytes.NewReader(line), defaults)
	}
	from, err := g.input(file, what)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	return parseCards(from, defaults)
}

// byteOrderMark is what spreadsheets begin their files with.
const byteOrderMark = "\ufeff"

func parseCards(from io.Reader, defaults cardDefaults) ([]listedCard, error) {
	text := bufio.NewScanner(from) // bounded by the length of a line and the number of cards
	text.Buffer(make([]byte, 0, maxHiddenLine), maxHiddenLine)
	var list []listedCard
	lines := map[string]int{} // of numbers
	line := 0
	for text.Scan() {
		line++
		row := text.Text()
		if line == 1 {
			row = strings.TrimPrefix(row, byteOrderMark)
		}
		row = strings.TrimSpace(row)
		if row == "" {
			continue
		}
		if len(list) == switching.MaxCardsAdded {
			return nil, usagef("line %d: there are more than %d cards; add them in several files", line, switching.MaxCardsAdded)
		}
		c, err := parseCard(row, defaults)
		if err != nil {
			return nil, usagef("line %d: %w", line, err)
		}
		if first, ok := lines[c.PAN.Reveal()]; ok {
			return nil, usagef("line %d: %s is in line %d already", line, c.PAN, first)
		}
		lines[c.PAN.Reveal()] = line
		list = append(list, listedCard{line, c})
	}
	switch err := text.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, usagef("line %d: it is longer than %d characters", line+1, maxHiddenLine)
	case err != nil:
		return nil, fmt.Errorf("read the card numbers: %w", err)
	case len(list) == 0:
		return nil, usagef("there is no card: one a line, NUMBER[,EXPIRY[,CURRENCY[,OPENING]]]")
	}
	return list, nil
}

// parseCard reads NUMBER[,EXPIRY[,CURRENCY[,OPENING]]].
func parseCard(row string, defaults cardDefaults) (n switching.NewCard, err error) {
	fields := strings.Split(row, ",")
	values := []string{"", defaults.expiry, defaults.currency, defaults.opening}
	if len(fields) > len(values) {
		return n, fmt.Errorf("%d columns, and there are NUMBER, EXPIRY, CURRENCY and OPENING", len(fields))
	}
	for i, f := range fields {
		f = strings.TrimSpace(f)
		if strings.ContainsAny(f, ";\t") { // as spreadsheets write them in much of Europe, or paste them
			return n, errors.New("columns are separated by commas")
		}
		if f != "" {
			values[i] = f
		}
	}
	if n.PAN, err = card.ParsePAN(values[0]); err != nil {
		return n, fmt.Errorf("number: %w", err)
	}
	if !n.PAN.LuhnOK() {
		return n, fmt.Errorf("number: the last digit of %s is not its check digit", n.PAN)
	}
	if values[1] == "" {
		return n, errors.New("expiry: it is missing, in the line and as --expiry")
	}
	if n.Expiry, err = card.ParseExpiry(values[1]); err != nil {
		return n, fmt.Errorf("expiry, YYMM: %w", err)
	}
	if values[2] == "" {
		return n, errors.New("currency: it is missing, in the line and as --currency")
	}
	if n.Currency, err = parseCardCurrency(values[2]); err != nil {
		return n, fmt.Errorf("currency: %w", err)
	}
	if n.OpeningMinor, err = parseCardAmount(values[3], n.Currency); err != nil {
		return n, fmt.Errorf("opening balance: %w", err)
	}
	return n, nil
}

// parseCardCurrency reads what a card is kept in. Its error does not hold the text.
func parseCardCurrency(text string) (money.Currency, error) {
	currency, err := money.ParseCurrency(strings.ToUpper(text))
	if err != nil {
		return currency, errors.New("it is no code of ISO 4217, such as EUR or 978")
	}
	return currency, nil
}

// parseCardAmount reads what is put on a card; nothing is none of it. Its error does not hold the text.
func parseCardAmount(text string, currency money.Currency) (int64, error) {
	if text == "" {
		return 0, nil
	}
	amount, err := money.ParseMinor(text, currency)
	if err != nil || amount < 0 || amount > switching.MaxCardBalanceMinor {
		return 0, fmt.Errorf("it is no amount from 0 to %s", money.Amount{Minor: switching.MaxCardBalanceMinor, Currency: currency})
	}
	return amount, nil
}
