package ledger

import (
	"time"

	"github.com/google/uuid"

	"meridian/internal/money"
)

// HoldState is how a hold ended, if it did.
type HoldState uint8

const (
	// HoldOpen reserves.
	HoldOpen HoldState = 1
	// HoldPosted was captured by a completion.
	HoldPosted HoldState = 2
	// HoldVoided was given back by a void or a reversal.
	HoldVoided HoldState = 3
	// HoldExpired ran out.
	HoldExpired HoldState = 4
)

// String names the state.
func (s HoldState) String() string {
	switch s {
	case HoldOpen:
		return "open"
	case HoldPosted:
		return "posted"
	case HoldVoided:
		return "voided"
	case HoldExpired:
		return "expired"
	default:
		return "unknown"
	}
}

// Hold is money reserved by an authorization, whose transaction id it carries.
type Hold struct {
	ID            uuid.UUID
	BusinessDate  Date
	MerchantID    int32
	CardID        int64
	Currency      money.Currency
	AmountMinor   int64
	CapturedMinor int64
	State         HoldState
	ExpiresAt     time.Time
	// Presumed: it was not read by the unit of work that has it, and is to be stored even
	// if nothing of it changes, because that is what tells whether it was so.
	Presumed bool

	read holdState
}

// holdState is what of a hold may change while a decision rests on it.
type holdState struct {
	amountMinor, capturedMinor int64
	state                      HoldState
}

func (h *Hold) current() holdState { return holdState{h.AmountMinor, h.CapturedMinor, h.State} }

// Presume is a copy of a hold as it was stored, for a unit of work that does not read
// it: what that stores of it is stored only where it still is so.
func (h *Hold) Presume() *Hold {
	hold := *h
	hold.Presumed, hold.read = true, h.current()
	return &hold
}

// Usable tells whether a completion at the instant now may still capture the
// hold, whether or not the expiry job has seen it yet.
func (h *Hold) Usable(now time.Time) bool {
	return h.State == HoldOpen && now.Before(h.ExpiresAt)
}
