package ledger

import (
	"github.com/google/uuid"

	"meridian/internal/money"
)

// Phase tells what a transfer does to the accounts it names.
type Phase uint8

const (
	// Posted moves the amount.
	Posted Phase = 1
	// Pending reserves the amount under a hold.
	Pending Phase = 2
	// PostPending moves an amount that its hold reserved.
	PostPending Phase = 3
	// VoidPending gives back what its hold reserved.
	VoidPending Phase = 4
)

// Kind is why a transfer was made.
type Kind uint8

// Kinds are stored: a number keeps its meaning for ever.
const (
	KindLoad       Kind = 1  // money put on a card
	KindSale       Kind = 2  // goods and services
	KindCashback   Kind = 3  // cash handed out with a sale
	KindHold       Kind = 4  // an authorization reserves
	KindCompletion Kind = 5  // a hold is captured
	KindRelease    Kind = 6  // what a hold did not need goes back
	KindExpiry     Kind = 7  // a hold ran out
	KindAdvice     Kind = 8  // an offline sale
	KindVoid       Kind = 9  // contra in the original's own open window
	KindRefund     Kind = 10 // money back in today's window
	KindReversal   Kind = 11 // contra because the answer did not arrive
	KindAdjustment Kind = 12 // a reversal whose original's window is closed: a correction in today's
	KindReinstate  Kind = 13 // a void was itself reversed

	KindSettlement     Kind = 14 // pending becomes payable; this and the next are posted by the close of a business date
	KindDiscount       Kind = 15 // the merchant discount
	KindReserve        Kind = 16 // held back for some days
	KindReserveRelease Kind = 17 // given back after them
	KindReceivable     Kind = 18 // a negative payable becomes the merchant's debt
	KindRecovery       Kind = 19 // and is taken from a later payable
	KindDiscountReturn Kind = 20 // the discount's rate on what was refunded

	KindAmountChange Kind = 21 // what a sale comes to was changed before its settlement, up or down
)

var kindNames = [...]string{
	KindLoad: "load", KindSale: "sale", KindCashback: "cashback", KindHold: "hold", KindCompletion: "completion",
	KindRelease: "release", KindExpiry: "expiry", KindAdvice: "advice", KindVoid: "void", KindRefund: "refund",
	KindReversal: "reversal", KindAdjustment: "adjustment", KindReinstate: "reinstate",
	KindSettlement: "settlement", KindDiscount: "discount", KindReserve: "reserve", KindReserveRelease: "reserve_release",
	KindReceivable: "receivable", KindRecovery: "recovery", KindDiscountReturn: "discount_return",
	KindAmountChange: "amount_change",
}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// String names the phase.
func (p Phase) String() string {
	switch p {
	case Posted:
		return "posted"
	case Pending:
		return "pending"
	case PostPending:
		return "post_pending"
	case VoidPending:
		return "void_pending"
	default:
		return "unknown"
	}
}

// Transfer moves AmountMinor > 0 from the debit to the credit account. Its
// identity is the journal that caused it and the leg within that journal.
type Transfer struct {
	BusinessDate Date
	JournalID    uuid.UUID
	Leg          int16
	Kind         Kind
	Phase        Phase
	Currency     money.Currency
	Debit        AccountID
	Credit       AccountID
	AmountMinor  int64
	// HoldID is the hold that phases other than Posted speak of.
	HoldID uuid.UUID
}

// Journal collects the transfers of one cause and numbers their legs.
type Journal struct {
	ID        uuid.UUID
	Date      Date
	Currency  money.Currency
	Transfers []Transfer
}

// Post moves amountMinor now. Zero moves nothing.
func (j *Journal) Post(kind Kind, debit, credit AccountID, amountMinor int64) {
	j.add(kind, Posted, debit, credit, amountMinor, uuid.Nil)
}

// Hold adds a transfer that speaks of a hold. Zero moves nothing.
func (j *Journal) Hold(kind Kind, phase Phase, debit, credit AccountID, amountMinor int64, hold uuid.UUID) {
	j.add(kind, phase, debit, credit, amountMinor, hold)
}

func (j *Journal) add(kind Kind, phase Phase, debit, credit AccountID, amountMinor int64, hold uuid.UUID) {
	if amountMinor == 0 {
		return
	}
	j.Transfers = append(j.Transfers, Transfer{
		BusinessDate: j.Date, JournalID: j.ID, Leg: int16(len(j.Transfers) + 1), Kind: kind, Phase: phase,
		Currency: j.Currency, Debit: debit, Credit: credit, AmountMinor: amountMinor, HoldID: hold,
	})
}
