package model

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// World is everything that the host knows. Merchants, terminals, cards and
// transactions are named by their index.
type World struct {
	Now          time.Time
	Calendars    []Calendar
	Merchants    []Merchant
	Terminals    []Terminal
	Cards        []Card
	Operators    map[OperatorKey]Operator
	Discounts    []DiscountTerm
	Reserves     []ReserveTerm
	Transactions []Transaction
	Exceptions   []Exception
	// Books are what transfers add up to.
	Books map[Account]Sums
	// Unsealed is each calendar's first business date that is not closed for
	// good: dates close in their order.
	Unsealed   []Date
	Statements map[MerchantDate]Statement
	// Differences between terminals' uploads and the host's records.
	Differences map[DifferenceKey]Difference

	keys     map[key]taken
	paid     map[paidBack]int
	lockouts map[OperatorKey]lockout
	days     map[dayLine]tallied
	paybacks []payback
	closed   map[int]balances      // of merchants, as their last statements have them
	freed    map[MerchantDate]bool // statements whose reserves were given back
}

// Merchant with what its terminals may do.
type Merchant struct {
	Calendar int
	// Bucket is the part of the store a merchant lives in: references do not
	// reach from one into another.
	Bucket   int
	Currency int
	Policy   Policy
	Active   bool
	// AllowVoid and AllowRefund are suspended by people.
	AllowVoid, AllowRefund bool
	// ReviewRefunds: the merchant is flagged.
	ReviewRefunds bool
}

// Terminal of a merchant.
type Terminal struct {
	Merchant int
	Active   bool
	// AllowVoid and AllowRefund are suspended by people.
	AllowVoid, AllowRefund bool
	Batch                  Batch // the current one
	Ended                  []Batch
	Session                Session
}

// Card is an on-us card.
type Card struct {
	BalanceMinor int64
	HeldMinor    int64
	Currency     int
	Status       CardStatus
	Expiry       string // YYMM
	Network      string
}

// AvailableMinor is what may still be spent.
func (c Card) AvailableMinor() int64 { return c.BalanceMinor - c.HeldMinor }

// Transaction is a request that was taken, and what became of it.
type Transaction struct {
	Request        Request
	Asked, Kind    Kind
	State          State
	Reason         Reason
	Rule           int
	Merchant       int
	Terminal       int
	Card           int // NoCard without one of ours
	Currency       int
	Date           Date
	STAN           int
	Batch          int
	Invoice        string
	AmountMinor    int64
	CapturedMinor  int64
	UndoneMinor    int64 // by a reversal, of what was captured and not settled
	RefundedMinor  int64
	RefundCount    int
	ReviewedMinor  int64 // of refunds that wait for a person
	Original       int   // none: -1
	Hold           Hold
	Operator       string // who was signed on
	Review         Review
	Posted         Date // of a review's decision, with HasPosted
	HasPosted      bool
	AcceptedAt     time.Time
	Answer         Answer
	reinstateMinor int64 // of a void: what it took away
	clearedMinor   int64 // of a capture: what of it is in its own date's pending
}

// Hold is what an authorization reserves.
type Hold struct {
	State       HoldState // empty: no hold
	AmountMinor int64
	ExpiresAt   time.Time
}

// Exception is what a person must look at.
type Exception struct {
	Transaction int
	Kind        string
}

// Account is a line of the books on one business date.
type Account struct {
	Code string // as in the chart, such as merchant:1:pending
	Date Date
}

// Sums of an account: what was posted and what is pending on either side.
type Sums struct{ DebitsPosted, CreditsPosted, DebitsPending, CreditsPending int64 }

// balances that a merchant's statement closes with.
type balances struct{ payableMinor, receivableMinor, reserveMinor int64 }

// Clone is a world of its own that is equal to this one.
func (w *World) Clone() *World {
	c := *w
	c.Merchants, c.Cards = slices.Clone(w.Merchants), slices.Clone(w.Cards)
	c.Terminals = slices.Clone(w.Terminals)
	for i := range c.Terminals {
		c.Terminals[i].Ended = slices.Clone(w.Terminals[i].Ended)
	}
	c.Transactions, c.Exceptions = slices.Clone(w.Transactions), slices.Clone(w.Exceptions)
	c.Unsealed, c.paybacks = slices.Clone(w.Unsealed), slices.Clone(w.paybacks)
	c.Operators, c.lockouts = maps.Clone(w.Operators), maps.Clone(w.lockouts)
	c.Books, c.keys, c.days = maps.Clone(w.Books), maps.Clone(w.keys), maps.Clone(w.days)
	c.paid = maps.Clone(w.paid)
	c.closed, c.freed = maps.Clone(w.closed), maps.Clone(w.freed)
	c.Statements, c.Differences = maps.Clone(w.Statements), maps.Clone(w.Differences)
	return &c
}

// ExpireHolds gives back what holds reserve whose time is over.
func (w *World) ExpireHolds() {
	for i := range w.Transactions {
		t := &w.Transactions[i]
		if t.Hold.State != HoldOpen || w.Now.Before(t.Hold.ExpiresAt) {
			continue
		}
		w.release(w.today(t.Merchant), t, t.Hold.AmountMinor)
		t.Hold.State, t.State = HoldExpired, StateExpired
	}
}

// today is the business date that takes new work: the one of now, or the first
// after it that is not closed.
func (w *World) today(merchant int) Date {
	calendar := w.Merchants[merchant].Calendar
	return max(w.Calendars[calendar].DateAt(w.Now), w.Unsealed[calendar])
}

// settled tells whether the transaction's window has ended: at its instant,
// whether or not it is closed yet, or by its close, whatever the clock says; or,
// where the policy says so, its batch.
func (w *World) settled(t *Transaction) bool {
	calendar := w.Merchants[t.Merchant].Calendar
	return t.Date < w.Unsealed[calendar] || !w.Now.Before(w.Calendars[calendar].CutoffOf(t.Date)) ||
		w.Merchants[t.Merchant].Policy.SettledByBatch && w.Terminals[t.Terminal].ended(t.Batch) != nil
}

// The accounts, by the chart's codes. Ids count from 1.
func cardAccount(card int) string        { return fmt.Sprintf("card:%d", card+1) }
func pendingAccount(merchant int) string { return fmt.Sprintf("merchant:%d:pending", merchant+1) }
func payableAccount(merchant int) string { return fmt.Sprintf("merchant:%d:payable", merchant+1) }
func reserveAccount(merchant int) string { return fmt.Sprintf("merchant:%d:reserve", merchant+1) }
func receivableAccount(merchant int) string {
	return fmt.Sprintf("merchant:%d:receivable", merchant+1)
}

const revenueAccount = "revenue:mdr"

// post moves money from the debit to the credit account.
func (w *World) post(date Date, debit, credit string, minor int64) {
	w.book(date, debit, Sums{DebitsPosted: minor})
	w.book(date, credit, Sums{CreditsPosted: minor})
}

func (w *World) book(date Date, code string, s Sums) {
	if s == (Sums{}) {
		return // nothing moved, and there is no trace of it
	}
	if w.Books == nil {
		w.Books = map[Account]Sums{}
	}
	a := Account{code, date}
	have := w.Books[a]
	have.DebitsPosted += s.DebitsPosted
	have.CreditsPosted += s.CreditsPosted
	have.DebitsPending += s.DebitsPending
	have.CreditsPending += s.CreditsPending
	w.Books[a] = have
}

// spend moves money from a card to an account of the merchant; a negative
// amount gives it back by a transfer the other way round.
func (w *World) spend(date Date, card int, account string, minor int64) {
	w.postEither(date, cardAccount(card), account, minor)
	w.Cards[card].BalanceMinor -= minor
}

// reserve holds money of the transaction's card; release gives back.
func (w *World) reserve(date Date, t *Transaction, minor int64) {
	w.book(date, cardAccount(t.Card), Sums{DebitsPending: minor})
	w.book(date, pendingAccount(t.Merchant), Sums{CreditsPending: minor})
	w.Cards[t.Card].HeldMinor += minor
}

func (w *World) release(date Date, t *Transaction, minor int64) { w.reserve(date, t, -minor) }

// dateFor is where what undoes a transaction is posted: in its own window while
// that is open, then in today's.
func (w *World) dateFor(t *Transaction) Date {
	if w.settled(t) {
		return w.today(t.Merchant)
	}
	return t.Date
}
