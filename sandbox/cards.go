//go:build unix

package sandbox

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"meridian/internal/card"
	"meridian/ledger"
	"meridian/sandbox/scenario"
)

// Behaviours of test cards, as sandbox.json names them.
const (
	behaviourApprove      = "approve"
	behaviourHigh         = "high"
	behaviourLow          = "low"
	behaviourZero         = "zero"
	behaviourBlocked      = "blocked"
	behaviourLost         = "lost"
	behaviourStolen       = "stolen"
	behaviourFrozen       = "frozen"
	behaviourClosed       = "closed"
	behaviourExpired      = "expired"
	behaviourWrongExpiry  = "wrong-expiry"   // listed with another expiry than the account has
	behaviourLuhn         = "luhn"           // the check digit is wrong; no account
	behaviourUnknown      = "unknown"        // of our range, with no account
	behaviourNoSuchIssuer = "no-such-issuer" // of nobody's range
)

const (
	validExpiry = "3012"
	pastExpiry  = "2312"
	wrongExpiry = "2911"
	cardPIN     = "123456"

	balanceMinor = 100_000_000
	// highMinor is the most an amount field of twelve digits can say.
	highMinor = 999_999_999_999
	lowMinor  = 1_000

	// serviceCode 201: international, with chip, no restrictions.
	serviceCode = "201"
	// foreignBIN is national use: no network issues it.
	foreignBIN = "999999"
)

// testCard is a card as the sandbox seeds and lists it.
type testCard struct {
	id        int64 // 0 without an account
	merchant  *merchant
	pan       card.PAN
	expiry    string // the account's, YYMM
	listed    string // the one on the card, YYMM
	status    ledger.CardStatus
	balance   int64 // minor units
	behaviour string
}

// approving is how many ordinary cards a currency has: enough to work side by
// side without waiting for one card's row.
const approving = 6

// cards of a merchant's currency.
func (m *merchant) cards() ([]testCard, error) {
	type kind struct {
		behaviour string
		status    ledger.CardStatus
		balance   int64
	}
	kinds := make([]kind, 0, approving+10)
	for range approving {
		kinds = append(kinds, kind{behaviourApprove, ledger.CardActive, balanceMinor})
	}
	kinds = append(kinds,
		kind{behaviourHigh, ledger.CardActive, highMinor},
		kind{behaviourLow, ledger.CardActive, lowMinor},
		kind{behaviourZero, ledger.CardActive, 0},
		kind{behaviourBlocked, ledger.CardBlocked, balanceMinor},
		kind{behaviourLost, ledger.CardLost, balanceMinor},
		kind{behaviourStolen, ledger.CardStolen, balanceMinor},
		kind{behaviourFrozen, ledger.CardFrozen, balanceMinor},
		kind{behaviourClosed, ledger.CardClosed, 0},
		kind{behaviourExpired, ledger.CardActive, balanceMinor},
		kind{behaviourWrongExpiry, ledger.CardActive, balanceMinor},
	)
	list := make([]testCard, 0, len(kinds)+3)
	for i, k := range kinds {
		pan, err := m.pan(m.bin, i+1)
		if err != nil {
			return nil, err
		}
		c := testCard{
			id: int64(m.id)*1000 + int64(i) + 1, merchant: m, pan: pan, expiry: validExpiry, listed: validExpiry,
			status: k.status, balance: k.balance, behaviour: k.behaviour,
		}
		switch k.behaviour {
		case behaviourExpired:
			c.expiry, c.listed = pastExpiry, pastExpiry
		case behaviourWrongExpiry:
			c.listed = wrongExpiry
		}
		list = append(list, c)
	}
	without, err := m.cardsWithoutAccount()
	if err != nil {
		return nil, err
	}
	played, err := m.scenarioCards()
	if err != nil {
		return nil, err
	}
	return slices.Concat(list, without, played), nil
}

// firstScenarioCard begins the published range of scenarios' cards, 800 to 899 of
// every test merchant's: nothing is played with any other card.
const firstScenarioCard = 800

// scenarioCards are the card whose amounts decide, and one for each misbehaviour.
func (m *merchant) scenarioCards() ([]testCard, error) {
	behaviours := []string{scenario.CardBehaviour}
	for _, b := range scenario.Behaviours() {
		behaviours = append(behaviours, string(b))
	}
	list := make([]testCard, len(behaviours))
	for i, behaviour := range behaviours {
		number := firstScenarioCard + i
		pan, err := m.pan(m.bin, number)
		if err != nil {
			return nil, err
		}
		list[i] = testCard{
			id: int64(m.id)*1000 + int64(number), merchant: m, pan: pan, expiry: validExpiry, listed: validExpiry,
			status: ledger.CardActive, balance: balanceMinor, behaviour: behaviour,
		}
	}
	return list, nil
}

// scenarioCardNumbers of every merchant, with what each does.
func scenarioCardNumbers() (map[string]string, error) {
	cards := map[string]string{}
	all := merchants()
	for i := range all {
		list, err := all[i].scenarioCards()
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			cards[c.pan.Reveal()] = c.behaviour
		}
	}
	return cards, nil
}

// cardsWithoutAccount are numbers that nobody has an account for.
func (m *merchant) cardsWithoutAccount() ([]testCard, error) {
	unknown, err := m.pan(m.bin, 901)
	if err != nil {
		return nil, err
	}
	good, err := m.pan(m.bin, 902)
	if err != nil {
		return nil, err
	}
	digits := []byte(good.Reveal())
	last := &digits[len(digits)-1]
	*last = '0' + (*last-'0'+1)%10
	bad, err := card.ParsePAN(string(digits))
	if err != nil {
		return nil, fmt.Errorf("test card %s: %w", behaviourLuhn, err)
	}
	foreign, err := m.pan(foreignBIN, int(m.currency))
	if err != nil {
		return nil, err
	}
	return []testCard{
		{merchant: m, pan: bad, listed: validExpiry, behaviour: behaviourLuhn},
		{merchant: m, pan: unknown, listed: validExpiry, behaviour: behaviourUnknown},
		{merchant: m, pan: foreign, listed: validExpiry, behaviour: behaviourNoSuchIssuer},
	}, nil
}

// pan numbers a card: range, number in it, check digit.
func (m *merchant) pan(bin string, number int) (card.PAN, error) {
	pan, err := card.WithCheckDigit(fmt.Sprintf("%s%0*d", bin, m.panDigits-len(bin)-1, number))
	if err != nil {
		return card.PAN{}, fmt.Errorf("test card %d of %s: %w", number, m.currency, err)
	}
	return pan, nil
}

// track2 of the card: the discretionary data is made up from the number.
func (c *testCard) track2() string {
	sum := sha256.Sum256([]byte("Meridian sandbox track: " + c.pan.Reveal()))
	discretionary := make([]byte, 10) // as much as fits beside a number of 19 digits
	for i := range discretionary {
		discretionary[i] = '0' + sum[i]%10
	}
	return c.pan.Reveal() + "=" + c.listed + serviceCode + string(discretionary)
}

// binRange is the merchant's range of card numbers, its ends filled to 19 digits.
func (m *merchant) binRange() (low, high string) {
	fill := 19 - len(m.bin)
	return m.bin + strings.Repeat("0", fill), m.bin + strings.Repeat("9", fill)
}
