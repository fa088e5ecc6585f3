package switching

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"meridian/internal/money"
	"meridian/ledger"
)

// Record is a transaction as it is stored: the request in short, its outcome,
// and what became of it since.
type Record struct {
	BusinessDate  ledger.Date
	ID            uuid.UUID
	AcceptedAt    time.Time
	RRN           int64
	CardID        int64 // 0 without an on-us card
	AmountMinor   int64
	CashbackMinor int64
	// CapturedMinor is what stands of a sale, completion or advice, before refunds.
	CapturedMinor int64
	RefundedMinor int64
	// ReviewedMinor is what refunds under review would pay back.
	ReviewedMinor int64
	// RefundCount of refunds that stand or wait for a review.
	RefundCount  int16
	MerchantID   int32
	TerminalID   int32
	BatchNo      int32
	STAN         int32
	CalendarID   int16
	Currency     money.Currency
	Asked        Kind
	Kind         Kind
	State        State
	Reason       Reason
	Rule         Rule
	Digest       digest
	AuthCode     string
	Token        [16]byte
	Masked       string
	Invoice      string
	Echo         []byte
	BalanceMinor int64
	HasBalance   bool
	OriginalDate ledger.Date
	OriginalID   uuid.UUID // zero without one
	Decision     json.RawMessage
	// PostedDate is the business date its transfers are in, where that is not
	// its own: a refund that was reviewed; 0 otherwise.
	PostedDate ledger.Date
	// PreviousMinor is what the original had come to before this adjustment.
	PreviousMinor int64
	// Remark is what the terminal told with it, for people.
	Remark string
	// OperatorNo that was signed on, where the policy asks for one.
	OperatorNo string
	// ToldBy are the requests that told the approval, or may have; nil is the one
	// that stored it (claim.go).
	ToldBy []uuid.UUID
	// WindowClosesAt is loaded with a record, not stored: when its business date ends.
	WindowClosesAt time.Time
	// BatchClosed is loaded with a record, not stored.
	BatchClosed bool
	// Presumed: its unit of work did not lock it, and stores it even if nothing of it
	// changes, because that is what tells whether it was so (presume.go).
	Presumed bool

	read recordState
}

// recordState is what of a record may change, but by a review.
type recordState struct {
	state                                       State
	capturedMinor, refundedMinor, reviewedMinor int64
	refundCount                                 int16
	toldBy                                      []uuid.UUID
}

func (r *Record) current() recordState {
	return recordState{r.State, r.CapturedMinor, r.RefundedMinor, r.ReviewedMinor, r.RefundCount, r.ToldBy}
}

// presume is a copy of a record as it was stored: what is stored of it is stored only
// where it still is so.
func (r *Record) presume() *Record {
	record := *r
	record.Presumed, record.read = true, r.current()
	return &record
}

// Key of the record, in its class.
func (r *Record) Key() Key {
	return Key{r.MerchantID, r.TerminalID, r.BatchNo, r.STAN, r.Asked.Class()}
}

// response is what the terminal is told, now and at every repeat.
func (r *Record) response() Response {
	out := Response{
		Reason: r.Reason, Became: r.Kind, Rule: r.Rule, RRN: r.RRN, AuthCode: r.AuthCode,
		BusinessDate: r.BusinessDate, HasBusinessDate: true, AcceptedAt: r.AcceptedAt,
		BalanceMinor: r.BalanceMinor, HasBalance: r.HasBalance, Currency: r.Currency, Echo: r.Echo,
		ScenarioAnswer: r.scenarioAnswer(),
	}
	if r.PostedDate != 0 {
		out.BusinessDate = r.PostedDate
	}
	if r.State == StateAbandoned || r.Reason == SystemMalfunction || r.Reason == StoreUnavailable {
		// The terminal was told of a failure and nothing more, and so it stays.
		if r.State == StateAbandoned {
			out.Reason = SystemMalfunction
		}
		out.AuthCode, out.HasBalance, out.Rule, out.ScenarioAnswer = "", false, 0, ""
		out.RRN, out.HasBusinessDate, out.AcceptedAt = 0, false, time.Time{}
	}
	return out
}

// remainingMinor is what may still be refunded, reviews under way included.
func (r *Record) remainingMinor() int64 { return r.CapturedMinor - r.RefundedMinor - r.ReviewedMinor }

// captures tells whether this kind of transaction moved money from a card to a merchant.
func (r *Record) captures() bool {
	return r.Kind == KindSale || r.Kind == KindCompletion || r.Kind == KindAdvice
}
