package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
)

// ClassTotal counts and sums one class of what a merchant did. The sum is
// positive in its class's own direction: a void's reduces the net.
type ClassTotal struct {
	Count int64 `json:"count"`
	Minor int64 `json:"minor"`
}

// Balances of a merchant at one end of a business date. Payable and reserve are
// owed to the merchant, receivable by it.
type Balances struct {
	PayableMinor    int64 `json:"payable_minor"`
	ReceivableMinor int64 `json:"receivable_minor"`
	ReserveMinor    int64 `json:"reserve_minor"`
}

// Statement is what a business date came to for one merchant, to the last unit
// as its transfers have it:
//
//	gross           = sales + cashback + completions + advices + reinstatements + amount changes − voids − reversals
//	closing payable = opening payable + gross − refunds + refund reversals − adjustments + other
//	                  − discount + discount returned − reserve + reserve released
//	                  + moved to receivable − recovered from receivable
type Statement struct {
	MID          string         `json:"mid"`
	MerchantName string         `json:"merchant"`
	MerchantID   int32          `json:"-"`
	Bucket       int16          `json:"-"`
	CalendarID   int16          `json:"calendar_id"`
	BusinessDate Date           `json:"business_date"`
	ValueDate    Date           `json:"value_date"`
	Currency     money.Currency `json:"currency"`
	SettledAt    time.Time      `json:"settled_at"`
	// JournalID of the transfers that the close posted.
	JournalID uuid.UUID `json:"journal_id"`

	Sales          ClassTotal `json:"sales"`
	Cashback       ClassTotal `json:"cashback"`
	Completions    ClassTotal `json:"completions"`
	Advices        ClassTotal `json:"advices"`
	Reinstatements ClassTotal `json:"reinstatements"`
	// AmountChanges of the day's sales before their settlement, such as tips;
	// their sum is negative when more was taken off than added.
	AmountChanges   ClassTotal `json:"amount_changes"`
	Voids           ClassTotal `json:"voids"`
	Reversals       ClassTotal `json:"reversals"`
	GrossMinor      int64      `json:"gross_minor"`
	Refunds         ClassTotal `json:"refunds"`
	RefundReversals ClassTotal `json:"refund_reversals"`
	// Adjustments are reversals that came after their sale's cutoff.
	Adjustments ClassTotal `json:"adjustments"`
	OtherMinor  int64      `json:"other_minor"`

	DiscountMinor         int64 `json:"discount_minor"`
	DiscountReturnedMinor int64 `json:"discount_returned_minor"`
	ReserveMinor          int64 `json:"reserve_minor"`
	ReserveReleasedMinor  int64 `json:"reserve_released_minor"`
	// ToReceivableMinor is the shortfall that became the merchant's debt.
	ToReceivableMinor int64 `json:"to_receivable_minor"`
	// RecoveredMinor was taken from the payable for earlier debt.
	RecoveredMinor int64 `json:"recovered_minor"`

	Opening Balances `json:"opening"`
	Closing Balances `json:"closing"`

	// ReserveReleaseOn is the business date that gives today's reserve back.
	ReserveReleaseOn *Date `json:"reserve_release_on,omitempty"`
	// TransferCount and TransferMinor are over every transfer of the date that
	// names the merchant, Digest is their seal.
	TransferCount int64  `json:"transfer_count"`
	TransferMinor int64  `json:"transfer_minor"`
	Digest        string `json:"digest"`

	// What moved on these accounts before the close.
	otherReceivableMinor, otherReserveMinor int64
}

// Figure is one number of a statement under its column's name: a count, or
// minor units of the statement's currency.
type Figure struct {
	Column string
	Value  int64
}

type figure struct {
	column string
	value  *int64
}

// moved are the figures that transfers give, in the order of movements.
func (s *Statement) moved() []figure {
	return []figure{
		{"sale_count", &s.Sales.Count},
		{"sale_minor", &s.Sales.Minor},
		{"cashback_count", &s.Cashback.Count},
		{"cashback_minor", &s.Cashback.Minor},
		{"completion_count", &s.Completions.Count},
		{"completion_minor", &s.Completions.Minor},
		{"advice_count", &s.Advices.Count},
		{"advice_minor", &s.Advices.Minor},
		{"reinstatement_count", &s.Reinstatements.Count},
		{"reinstatement_minor", &s.Reinstatements.Minor},
		{"amount_change_count", &s.AmountChanges.Count},
		{"amount_change_minor", &s.AmountChanges.Minor},
		{"void_count", &s.Voids.Count},
		{"void_minor", &s.Voids.Minor},
		{"reversal_count", &s.Reversals.Count},
		{"reversal_minor", &s.Reversals.Minor},
		{"gross_minor", &s.GrossMinor},
		{"refund_count", &s.Refunds.Count},
		{"refund_minor", &s.Refunds.Minor},
		{"refund_reversal_count", &s.RefundReversals.Count},
		{"refund_reversal_minor", &s.RefundReversals.Minor},
		{"adjustment_count", &s.Adjustments.Count},
		{"adjustment_minor", &s.Adjustments.Minor},
		{"other_minor", &s.OtherMinor},
		{"discount_minor", &s.DiscountMinor},
		{"discount_returned_minor", &s.DiscountReturnedMinor},
		{"reserve_minor", &s.ReserveMinor},
		{"reserve_released_minor", &s.ReserveReleasedMinor},
		{"to_receivable_minor", &s.ToReceivableMinor},
		{"recovered_minor", &s.RecoveredMinor},
	}
}

// figures are all numbers that a close stores.
func (s *Statement) figures() []figure {
	return append(s.moved(),
		figure{"opening_payable_minor", &s.Opening.PayableMinor}, figure{"closing_payable_minor", &s.Closing.PayableMinor},
		figure{"opening_receivable_minor", &s.Opening.ReceivableMinor}, figure{"closing_receivable_minor", &s.Closing.ReceivableMinor},
		figure{"opening_reserve_minor", &s.Opening.ReserveMinor}, figure{"closing_reserve_minor", &s.Closing.ReserveMinor},
	)
}

// Figures lists the statement's numbers in the order of a statement.
func (s *Statement) Figures() []Figure {
	var list []Figure
	for _, f := range s.figures() {
		list = append(list, Figure{Column: f.column, Value: *f.value})
	}
	return list
}

// NetMinor is what the date adds to what the merchant is owed; negative when it
// takes away. The console's page shows it.
func (s *Statement) NetMinor() int64 { return s.Closing.PayableMinor - s.Opening.PayableMinor }

// StatementFilter says which statements are wanted; zero values want all.
type StatementFilter struct {
	MID string
	// From and To are business dates, both included.
	From, To Date
	// Newest wants the newest dates first.
	Newest bool
	// Offset passes over so many; Limit is at most [StatementsMax], 0 is that.
	Offset, Limit int
}

// StatementsMax bounds one answer: a year's statements of a hundred merchants,
// or a day's of tens of thousands.
const StatementsMax = 50_000

// Statements returns settled statements by business date and MID, and whether
// there are more than the bound.
func Statements(ctx context.Context, db Querier, f StatementFilter) (list []Statement, more bool, err error) {
	var columns strings.Builder
	for _, c := range (&Statement{}).figures() {
		columns.WriteString(", s." + c.column)
	}
	order, limit := "", f.Limit
	if f.Newest {
		order = " DESC"
	}
	if limit <= 0 || limit > StatementsMax {
		limit = StatementsMax
	}
	// Compared as days since 1970, so that zero dates need no second statement.
	rows, err := db.Query(ctx, `
		SELECT m.mid, m.name, s.merchant_id, s.bucket, s.calendar_id, s.business_date, s.value_date, s.currency, s.settled_at, s.journal_id,
			s.reserve_release_on, s.transfer_count, s.transfer_minor, s.digest::text`+columns.String()+`
		FROM settlements s JOIN merchants m USING (merchant_id)
		WHERE ($1 = '' OR m.mid = $1) AND s.business_date BETWEEN $2 AND $3
		ORDER BY s.business_date`+order+`, m.mid, s.currency LIMIT $4 OFFSET $5`,
		f.MID, f.From.Time(), f.last().Time(), limit+1, max(f.Offset, 0))
	if err != nil {
		return nil, false, fmt.Errorf("read statements: %w", err)
	}
	list, err = pgx.CollectRows(rows, scanStatement)
	if err != nil {
		return nil, false, fmt.Errorf("read statements: %w", err)
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// endOfTime is later than any business date.
const endOfTime Date = 2_932_896 // 9999-12-31

func (f StatementFilter) last() Date {
	if f.To == 0 {
		return endOfTime
	}
	return f.To
}

func scanStatement(row pgx.CollectableRow) (Statement, error) {
	var s Statement
	var date, value time.Time
	var release *time.Time
	var journal [16]byte
	into := []any{
		&s.MID, &s.MerchantName, &s.MerchantID, &s.Bucket, &s.CalendarID, &date, &value, &s.Currency, &s.SettledAt, &journal,
		&release, &s.TransferCount, &s.TransferMinor, &s.Digest,
	}
	for _, f := range s.figures() {
		into = append(into, f.value)
	}
	if err := row.Scan(into...); err != nil {
		return s, fmt.Errorf("scan statement: %w", err)
	}
	s.BusinessDate, s.ValueDate, s.JournalID = DateOf(date), DateOf(value), uuid.UUID(journal)
	s.SettledAt = s.SettledAt.UTC()
	if release != nil {
		d := DateOf(*release)
		s.ReserveReleaseOn = &d
	}
	return s, nil
}

// DateState tells why a merchant may have no statement on a business date.
type DateState struct {
	MerchantKnown bool
	DateMade      bool
	State         WindowState
	ClosesAt      time.Time
}

// DateStateOf looks at a merchant's business date in its own bucket.
func DateStateOf(ctx context.Context, db Querier, mid string, d Date) (DateState, error) {
	var s DateState
	var state *WindowState
	var closesAt *time.Time
	err := db.QueryRow(ctx, `
		SELECT w.state, d.closes_at
		FROM merchants m
		LEFT JOIN windows w ON w.bucket = m.bucket AND w.calendar_id = m.calendar_id AND w.business_date = $2
		LEFT JOIN business_days d ON d.calendar_id = w.calendar_id AND d.business_date = w.business_date
		WHERE m.mid = $1`, mid, d.Time()).Scan(&state, &closesAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s, nil
	case err != nil:
		return s, fmt.Errorf("look at %s of merchant %s: %w", d, mid, err)
	}
	s.MerchantKnown = true
	if state != nil && closesAt != nil {
		s.DateMade, s.State, s.ClosesAt = true, *state, *closesAt
	}
	return s, nil
}

// UnsettledCalendar is a calendar some of whose merchants are not settled on a business date.
type UnsettledCalendar struct {
	Calendar string
	DateMade bool
	ClosesAt time.Time
}

// UnsettledCalendars returns the calendars with merchants that have yet to settle a
// business date, by name, and whether any calendar has settled it. One that began
// after the date, or has no day yet, has nothing to settle on it.
func UnsettledCalendars(ctx context.Context, db Querier, d Date) (list []UnsettledCalendar, settled bool, err error) {
	rows, err := db.Query(ctx, `
		SELECT c.name, d.closes_at, bool_and(coalesce(w.state, 1) = 3)
		FROM calendars c JOIN (SELECT DISTINCT bucket, calendar_id FROM merchants) m USING (calendar_id)
		LEFT JOIN business_days d ON d.calendar_id = c.calendar_id AND d.business_date = $1
		LEFT JOIN windows w ON w.bucket = m.bucket AND w.calendar_id = c.calendar_id AND w.business_date = $1
		WHERE EXISTS (SELECT FROM business_days b WHERE b.calendar_id = c.calendar_id AND b.business_date <= $1)
		GROUP BY c.name, d.closes_at ORDER BY c.name`, d.Time())
	if err != nil {
		return nil, false, fmt.Errorf("look at %s: %w", d, err)
	}
	var name string
	var closesAt *time.Time
	var closed bool
	if _, err := pgx.ForEachRow(rows, []any{&name, &closesAt, &closed}, func() error {
		if closed {
			settled = true
			return nil
		}
		one := UnsettledCalendar{Calendar: name}
		if closesAt != nil {
			one.DateMade, one.ClosesAt = true, *closesAt
		}
		list = append(list, one)
		return nil
	}); err != nil {
		return nil, false, fmt.Errorf("look at %s: %w", d, err)
	}
	return list, settled, nil
}
