package terminal

import "meridian/internal/money"

// Known are the terminals and cards that a sandbox.json lists, without their keys,
// numbers and PINs.
type Known struct {
	Terminals []KnownTerminal
	Cards     []KnownCard
}

// KnownTerminal is a terminal with its merchant.
type KnownTerminal struct {
	TID, MID, Merchant, Dialect string
	MAC                         string
	Currency                    money.Currency
}

// KnownCard is a card. Position is what [Request.Card] takes.
type KnownCard struct {
	Position  int
	Masked    string
	Behaviour string
	Currency  money.Currency
}

// ReadKnown reads the sandbox.json of a data directory.
func ReadKnown(dataDir string) (*Known, error) {
	s, err := readSandbox(dataDir)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, errorf(KindUnreachable, "no sandbox is ready: there is no %s yet", sandboxName)
	}
	known := &Known{}
	for _, m := range s.Merchants {
		for _, t := range m.Terminals {
			known.Terminals = append(known.Terminals, KnownTerminal{
				TID: t.TID, MID: m.MID, Merchant: m.Name, Dialect: t.Dialect, MAC: firstOf(t.MAC, macNone), Currency: m.Currency,
			})
		}
	}
	for i := range s.Cards {
		c := &s.Cards[i]
		known.Cards = append(known.Cards, KnownCard{Position: c.position, Masked: c.pan.Masked(), Behaviour: c.behaviour, Currency: c.currency})
	}
	return known, nil
}
