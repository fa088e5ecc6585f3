package switching

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// TransactionSearch chooses transactions; zero values choose every one.
//
// An RRN is looked up. Everything else is read back from the newest business
// date, page by page: name dates where there is much.
type TransactionSearch struct {
	RRN      int64
	MID, TID string
	// STAN where HasSTAN.
	STAN    int32
	HasSTAN bool
	BatchNo int32
	// Amounts are the amounts in question, in any of their currencies.
	Amounts []money.Amount
	// CardFirst and CardLast are digits of a card number that are kept in clear: of
	// its first six and its last four.
	CardFirst, CardLast string
	// Kind that it became, and its state.
	Kind  Kind
	State State
	// From and To are business dates, both included; zero is no bound.
	From, To ledger.Date
	// After is the last row of the page before.
	After *TransactionPlace
	Limit int // 1 to 1000; 0 takes 50
}

// TransactionPlace is a transaction's place in the order of a search: newest
// business date first, and within it the last one begun.
type TransactionPlace struct {
	Date ledger.Date
	ID   uuid.UUID
}

// String is what [ParseTransactionPlace] reads.
func (p TransactionPlace) String() string { return p.Date.String() + "." + p.ID.String() }

// ParseTransactionPlace reads a place.
func ParseTransactionPlace(text string) (*TransactionPlace, error) {
	date, id, _ := strings.Cut(text, ".")
	d, err := ledger.ParseDate(date)
	if err != nil {
		return nil, fmt.Errorf("place %q: %w", text, err)
	}
	u, err := uuid.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("place %q: %w", text, err)
	}
	return &TransactionPlace{d, u}, nil
}

// FoundTransaction is a transaction in a list. It holds no card number.
type FoundTransaction struct {
	ID            uuid.UUID      `json:"transaction_id"`
	RRN           string         `json:"rrn"`
	BusinessDate  ledger.Date    `json:"business_date"`
	AcceptedAt    time.Time      `json:"accepted_at"`
	MID           string         `json:"mid"`
	Merchant      string         `json:"merchant"`
	TID           string         `json:"tid"`
	BatchNo       int32          `json:"batch"`
	STAN          int32          `json:"stan"`
	Asked         Kind           `json:"asked"`
	Kind          Kind           `json:"kind"`
	State         State          `json:"state"`
	Reason        Reason         `json:"reason"`
	Rule          Rule           `json:"rule,omitempty"`
	Card          string         `json:"card,omitempty"` // first 6 and last 4
	Currency      money.Currency `json:"currency"`
	AmountMinor   int64          `json:"amount_minor"`
	CapturedMinor int64          `json:"captured_minor"`
	RefundedMinor int64          `json:"refunded_minor"`
}

// TransactionPage is one page of a search.
type TransactionPage struct {
	Found []*FoundTransaction `json:"found"`
	// Next is where the next page begins; nil on the last one.
	Next *TransactionPlace `json:"-"`
}

const defaultFound = 50

// SearchTransactions returns one page, the newest first. A merchant or terminal
// that is not known has no transactions.
func SearchTransactions(ctx context.Context, db ledger.Querier, s TransactionSearch) (*TransactionPage, error) {
	limit := min(s.Limit, maxListed)
	if limit <= 0 {
		limit = defaultFound
	}
	q := searchQuery{args: []any{limit + 1}}
	quiet, err := isQuiet(ctx, db, s.TID)
	if err != nil {
		return nil, err
	}
	q.build(&s, quiet)
	rows, err := db.Query(ctx, q.sql(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("search transactions: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanFound)
	if err != nil {
		return nil, fmt.Errorf("search transactions: %w", err)
	}
	page := &TransactionPage{Found: found}
	if len(found) > limit {
		page.Found = found[:limit]
		last := page.Found[limit-1]
		page.Next = &TransactionPlace{last.BusinessDate, last.ID}
	}
	return page, nil
}

// searchQuery puts a statement together: of what is not asked for, nothing stands
// in it, so that a generic plan is the plan for what is asked.
type searchQuery struct {
	buckets, rows []string // conditions
	places        string   // statement for the dates and ids of all that may be found; empty: whatever there is
	args          []any
}

// arg adds a parameter and returns its place, such as $3.
func (q *searchQuery) arg(value any) string {
	q.args = append(q.args, value)
	return "$" + strconv.Itoa(len(q.args))
}

// allOf are conditions together; none is true of every row.
func allOf(conditions []string) string {
	return strings.Join(append([]string{"true"}, conditions...), " AND ")
}

func (q *searchQuery) where(condition string) { q.rows = append(q.rows, condition) }

// build the statement; quiet is the terminal that is asked for, if one is.
func (q *searchQuery) build(s *TransactionSearch, quiet bool) {
	if s.RRN != 0 {
		q.where("t.rrn = " + q.arg(s.RRN))
	}
	if s.MID != "" {
		mid := q.arg(s.MID)
		q.buckets = append(q.buckets, "b.bucket = (SELECT bucket FROM merchants WHERE mid = "+mid+")")
		q.where("t.merchant_id = (SELECT merchant_id FROM merchants WHERE mid = " + mid + ")")
	}
	if s.TID != "" {
		tid := q.arg(s.TID)
		q.buckets = append(q.buckets, "b.bucket = (SELECT m.bucket FROM merchants m JOIN terminals USING (merchant_id) WHERE tid = "+tid+")")
		q.where("t.terminal_id = (SELECT terminal_id FROM terminals WHERE tid = " + tid + ")")
		terminal := "(SELECT terminal_id FROM terminals WHERE tid = " + tid + ")"
		switch {
		case s.BatchNo != 0:
			q.places = batchPlaces("b.bucket", terminal, q.arg(s.BatchNo))
		case s.HasSTAN:
			q.places = terminalPlaces("b.bucket", terminal) + " AND k.stan = " + q.arg(s.STAN)
		case quiet:
			q.places = terminalPlaces("b.bucket", terminal)
		}
	}
	if s.HasSTAN {
		q.where("t.stan = " + q.arg(s.STAN))
	}
	if s.BatchNo != 0 {
		q.where("t.batch_no = " + q.arg(s.BatchNo))
	}
	if s.Amounts != nil {
		var currencies, minors []int64
		for _, a := range s.Amounts {
			currencies, minors = append(currencies, int64(a.Currency)), append(minors, a.Minor)
		}
		// The minor units alone leave few rows to look at more closely.
		q.where("t.amount_minor = ANY(" + q.arg(minors) + ")")
		q.where("EXISTS (SELECT FROM unnest(" + q.arg(currencies) + "::bigint[], " + q.arg(minors) +
			"::bigint[]) AS a(currency, minor) WHERE a.currency = t.currency AND a.minor = t.amount_minor)")
	}
	if s.CardFirst != "" || s.CardLast != "" {
		// One pattern of bytes: taking a number's ends apart as letters took five times as long.
		q.where("t.pan_masked LIKE " + q.arg(likeDigits(s.CardFirst)+"%"+likeDigits(s.CardLast)))
	}
	if s.Kind != 0 {
		q.where("t.kind = " + q.arg(int16(s.Kind)))
	}
	if s.State != 0 {
		q.where("t.state = " + q.arg(int16(s.State)))
	}
	if s.From != 0 {
		q.where("t.business_date >= " + q.arg(s.From.Time()))
	}
	if s.To != 0 {
		q.where("t.business_date <= " + q.arg(s.To.Time()))
	}
	if s.After != nil {
		q.where("(t.business_date, t.transaction_id) < (" + q.arg(s.After.Date.Time()) + "::date, " + q.arg([16]byte(s.After.ID)) + "::uuid)")
	}
}

// quietKeys are so few that a terminal's transactions are rather looked up than come
// across on the way back.
const quietKeys = 2000

// isQuiet tells whether a terminal has stored little. No terminal is not quiet.
func isQuiet(ctx context.Context, db ledger.Querier, tid string) (quiet bool, err error) {
	if tid == "" {
		return false, nil
	}
	err = db.QueryRow(ctx, `
		SELECT count(*) < $2 FROM terminals e JOIN merchants m USING (merchant_id) CROSS JOIN LATERAL (
			SELECT FROM idempotency_keys k WHERE k.bucket = m.bucket AND k.merchant_id = e.merchant_id AND k.terminal_id = e.terminal_id LIMIT $2) k
		WHERE e.tid = $1`, tid, quietKeys).Scan(&quiet)
	if err != nil {
		return false, fmt.Errorf("search transactions: %w", err)
	}
	return quiet, nil
}

// likeDigits keeps what is no digit from being a pattern.
func likeDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

// sql walks each bucket's key back from its end and merges them: as much is read
// as is shown, whatever there is. What can only be in some places is looked up there.
func (q *searchQuery) sql() string {
	columns := func(alias string) string {
		return alias + "." + strings.Join(foundColumns[:], ", "+alias+".")
	}
	from := `transactions t WHERE t.bucket = b.bucket AND ` + allOf(q.rows)
	if q.places != "" {
		from = `(` + q.places + `) AS k CROSS JOIN LATERAL (
			SELECT ` + columns("t") + ` FROM transactions t
			WHERE t.bucket = b.bucket AND t.business_date = k.business_date AND t.transaction_id = k.transaction_id AND ` + allOf(q.rows) + `
			OFFSET 0) t`
	}
	return `
SELECT m.mid, m.name, te.tid, ` + columns("t") + `
FROM (
	SELECT ` + columns("f") + ` FROM buckets b CROSS JOIN LATERAL (
		SELECT ` + columns("t") + `
		FROM ` + from + `
		ORDER BY t.business_date DESC, t.transaction_id DESC LIMIT $1) f
	WHERE ` + allOf(q.buckets) + `
	ORDER BY f.business_date DESC, f.transaction_id DESC LIMIT $1) t
JOIN merchants m ON m.merchant_id = t.merchant_id
JOIN terminals te ON te.terminal_id = t.terminal_id
ORDER BY t.business_date DESC, t.transaction_id DESC`
}

// foundColumns are those of transactions that a list shows, and that lead to the others.
var foundColumns = [...]string{
	"transaction_id", "rrn", "business_date", "accepted_at", "merchant_id", "terminal_id", "batch_no", "stan", "asked", "kind", "state",
	"reason", "rule", "pan_masked", "currency", "amount_minor", "captured_minor", "refunded_minor",
}

func scanFound(row pgx.CollectableRow) (*FoundTransaction, error) {
	var f FoundTransaction
	var id [16]byte
	var date time.Time
	var rrn int64
	var merchant, terminal int32
	var card *string
	err := row.Scan(&f.MID, &f.Merchant, &f.TID, &id, &rrn, &date, &f.AcceptedAt, &merchant, &terminal, &f.BatchNo, &f.STAN, &f.Asked, &f.Kind,
		&f.State, &f.Reason, &f.Rule, &card, &f.Currency, &f.AmountMinor, &f.CapturedMinor, &f.RefundedMinor)
	f.ID, f.RRN, f.BusinessDate, f.AcceptedAt = uuid.UUID(id), rrnText(rrn), ledger.DateOf(date), f.AcceptedAt.UTC()
	if card != nil {
		f.Card = *card
	}
	return &f, err //nolint:wrapcheck // wrapped by SearchTransactions
}
