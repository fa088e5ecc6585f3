package ledger

import (
	"fmt"
	"slices"

	"meridian/internal/money"
)

// CardStatus is what an on-us card may be used for.
type CardStatus uint8

const (
	// CardActive may be used.
	CardActive CardStatus = 1
	// CardBlocked was stopped by its issuer.
	CardBlocked CardStatus = 2
	// CardLost was reported lost.
	CardLost CardStatus = 3
	// CardStolen was reported stolen.
	CardStolen CardStatus = 4
	// CardFrozen is stopped for a while.
	CardFrozen CardStatus = 5
	// CardClosed has ended.
	CardClosed CardStatus = 6
)

var cardStatusNames = [...]string{
	CardActive: "active", CardBlocked: "blocked", CardLost: "lost", CardStolen: "stolen", CardFrozen: "frozen", CardClosed: "closed",
}

// String names the status.
func (s CardStatus) String() string {
	if int(s) < len(cardStatusNames) && cardStatusNames[s] != "" {
		return cardStatusNames[s]
	}
	return "unknown"
}

// MarshalText names the status.
func (s CardStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *CardStatus) UnmarshalText(text []byte) error {
	i := slices.Index(cardStatusNames[:], string(text))
	if i < int(CardActive) {
		return fmt.Errorf("%q is no status of a card", text)
	}
	*s = CardStatus(i)
	return nil
}

// Expiry is the last month in which a card may be used: YYMM, ISO 8583 field 14.
type Expiry [4]byte

// String is YYMM.
func (e Expiry) String() string { return string(e[:]) }

// Month is YYMM as a number.
func (e Expiry) Month() int {
	return int(e[0]-'0')*1000 + int(e[1]-'0')*100 + int(e[2]-'0')*10 + int(e[3]-'0')
}

// CardAccount is an on-us card: the one account whose balance is kept.
type CardAccount struct {
	ID           int64
	Token        [16]byte
	Expiry       Expiry
	Currency     money.Currency
	Status       CardStatus
	BalanceMinor int64
	HeldMinor    int64
	// PINReference is what is kept of the card's PIN, for the security module; nil
	// for a card without one.
	PINReference []byte
	// PINFailures are wrong PINs in a row.
	PINFailures int16
	// Presumed: it comes from a [CardShelf], and is to be stored even if nothing of
	// it changes, because that is what tells whether it was so.
	Presumed bool

	read cardState
}

// cardState is what of a card may change while a decision rests on it, but for its
// number (Token), which no unit of work changes, and the PIN's reference.
type cardState struct {
	balanceMinor, heldMinor int64
	pinFailures             int16
	status                  CardStatus
	expiry                  Expiry
	currency                money.Currency
}

func (c *CardAccount) state() cardState {
	return cardState{c.BalanceMinor, c.HeldMinor, c.PINFailures, c.Status, c.Expiry, c.Currency}
}

// AvailableMinor is what may still be spent.
func (c *CardAccount) AvailableMinor() int64 { return c.BalanceMinor - c.HeldMinor }

// Account of the card in the chart.
func (c *CardAccount) Account() AccountID { return Account(RoleCard, c.ID) }
