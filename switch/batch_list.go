package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// BatchSummary is a batch with its totals: what they were at its close, or what
// they are now.
type BatchSummary struct {
	MID        string         `json:"mid"`
	TID        string         `json:"tid"`
	BatchNo    int32          `json:"batch"`
	State      BatchState     `json:"state"`
	OpenedAt   time.Time      `json:"opened_at"`
	ClosedAt   *time.Time     `json:"closed_at,omitempty"`
	ClosedDate *ledger.Date   `json:"closed_business_date,omitempty"`
	ClosedBy   BatchCloser    `json:"closed_by,omitempty"`
	Currency   money.Currency `json:"currency"`
	Totals     Totals         `json:"totals"`
	// Stated totals of the terminal, as it last stated them.
	Stated *StatedTotals `json:"stated,omitempty"`
	// Differences that its upload has shown.
	Differences int `json:"differences"`

	bucket     int16
	terminalID int32
}

// BatchFilter chooses batches; empty fields choose every one.
type BatchFilter struct {
	MID, TID string
	BatchNo  int32
	// Current chooses the batches that are not closed.
	Current bool
	// Differing chooses the batches with differences.
	Differing bool
	Limit     int // at most 1000
	Offset    int // so many are passed over
}

// batchOrder has an index to be walked back.
const batchOrder = `coalesce(b.closed_at, 'infinity') DESC, b.opened_at DESC, b.terminal_id DESC`

// listBatchesSQL takes the conditions on the batches themselves and what is of a
// page alone: whose they are and how they differ is looked up for what is shown.
const listBatchesSQL = `
SELECT b.bucket, b.terminal_id, m.mid, t.tid, b.batch_no, b.state, b.opened_at, b.closed_at, b.closed_date, coalesce(b.closed_by, 0), m.currency,
	coalesce(b.sale_count, 0), coalesce(b.sale_minor, 0), coalesce(b.void_count, 0), coalesce(b.void_minor, 0),
	coalesce(b.refund_count, 0), coalesce(b.refund_minor, 0),
	b.stated_form, coalesce(b.stated_sale_count, 0), coalesce(b.stated_sale_minor, 0),
	coalesce(b.stated_refund_count, 0), coalesce(b.stated_refund_minor, 0), d.n
FROM (SELECT bucket, terminal_id, batch_no, state, opened_at, closed_at, closed_date, closed_by, sale_count, sale_minor, void_count, void_minor,
		refund_count, refund_minor, stated_form, stated_sale_count, stated_sale_minor, stated_refund_count, stated_refund_minor
	FROM batches b WHERE %s ORDER BY ` + batchOrder + ` LIMIT %d OFFSET $1) b
JOIN terminals t ON t.terminal_id = b.terminal_id
JOIN merchants m ON m.merchant_id = t.merchant_id
CROSS JOIN LATERAL (SELECT count(*) AS n FROM batch_differences d
	WHERE d.bucket = b.bucket AND d.terminal_id = b.terminal_id AND d.batch_no = b.batch_no) d
ORDER BY ` + batchOrder

// query of the batches that fit.
func (f *BatchFilter) query() (sql string, args []any) {
	q := searchQuery{args: []any{max(f.Offset, 0)}}
	if f.MID != "" {
		mid := q.arg(f.MID)
		q.where("b.bucket = (SELECT bucket FROM merchants WHERE mid = " + mid + ")")
		q.where("b.terminal_id IN (SELECT t.terminal_id FROM terminals t JOIN merchants USING (merchant_id) WHERE mid = " + mid + ")")
	}
	if f.TID != "" {
		tid := q.arg(f.TID)
		q.where("b.bucket = (SELECT m.bucket FROM merchants m JOIN terminals USING (merchant_id) WHERE tid = " + tid + ")")
		q.where("b.terminal_id = (SELECT terminal_id FROM terminals WHERE tid = " + tid + ")")
	}
	if f.BatchNo != 0 {
		q.where("b.batch_no = " + q.arg(f.BatchNo))
	}
	if f.Current {
		q.where("b.state < 5")
	}
	if f.Differing {
		q.where("EXISTS (SELECT FROM batch_differences d WHERE d.bucket = b.bucket AND d.terminal_id = b.terminal_id AND d.batch_no = b.batch_no)")
	}
	return fmt.Sprintf(listBatchesSQL, allOf(q.rows), f.Limit), q.args
}

// maxListed bounds a listing.
const maxListed = 1000

// ListBatches lists batches: the current ones, then the closed ones, newest first.
func ListBatches(ctx context.Context, db ledger.TxBeginner, filter BatchFilter) (list []*BatchSummary, err error) {
	if filter.Limit <= 0 || filter.Limit > maxListed {
		filter.Limit = maxListed
	}
	err = inSnapshot(ctx, db, func(tx pgx.Tx) error {
		list, err = listBatches(ctx, tx, filter)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	return list, nil
}

func listBatches(ctx context.Context, tx pgx.Tx, filter BatchFilter) ([]*BatchSummary, error) {
	sql, args := filter.query()
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by ListBatches
	}
	list, err := pgx.CollectRows(rows, scanBatchSummary)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by ListBatches
	}
	b := &pgx.Batch{}
	for _, one := range list {
		if one.State == BatchClosed {
			continue
		}
		queueBatchTotals(b, one.bucket, []int32{one.terminalID}, func(s *batchSums) { one.Totals = s.totals })
	}
	if b.Len() == 0 {
		return list, nil
	}
	return list, tx.SendBatch(ctx, b).Close()
}

func scanBatchSummary(row pgx.CollectableRow) (*BatchSummary, error) {
	var b BatchSummary
	var date *time.Time
	var form *TotalsForm
	var stated StatedTotals
	t := &b.Totals
	if err := row.Scan(&b.bucket, &b.terminalID, &b.MID, &b.TID, &b.BatchNo, &b.State, &b.OpenedAt, &b.ClosedAt, &date, &b.ClosedBy, &b.Currency,
		&t.SaleCount, &t.SaleMinor, &t.VoidCount, &t.VoidMinor, &t.RefundCount, &t.RefundMinor,
		&form, &stated.SaleCount, &stated.SaleMinor, &stated.RefundCount, &stated.RefundMinor, &b.Differences); err != nil {
		return nil, fmt.Errorf("scan batch: %w", err)
	}
	if date != nil {
		on := ledger.DateOf(*date)
		b.ClosedDate = &on
	}
	if form != nil {
		stated.Form = *form
		b.Stated = &stated
	}
	return &b, nil
}

// BatchReport is a batch with what it is made of.
type BatchReport struct {
	*BatchSummary

	Transactions []BatchTransaction `json:"transactions"`
	// Differing is what the terminal and the host disagree about. The host's
	// records stand.
	Differing []ReportedDifference `json:"differing"`
}

// BatchTransaction is a transaction in short.
type BatchTransaction struct {
	STAN        int32  `json:"stan"`
	RRN         string `json:"rrn"`
	Kind        Kind   `json:"kind"`
	State       State  `json:"state"`
	Reason      Reason `json:"reason"`
	AmountMinor int64  `json:"amount_minor"`
	Card        string `json:"card,omitempty"`
}

// ReportedDifference is a difference between a terminal's upload and the host.
type ReportedDifference struct {
	Kind          string    `json:"kind"`
	STAN          int32     `json:"stan"`
	TerminalMinor *int64    `json:"terminal_minor"` // null where the terminal has none
	HostMinor     *int64    `json:"host_minor"`     // null where the host has none
	RRN           string    `json:"rrn,omitempty"`  // of the host's transaction
	RaisedAt      time.Time `json:"raised_at"`
}

// ShowBatch returns a terminal's batch with its transactions and differences;
// number 0 is the current one.
func ShowBatch(ctx context.Context, db ledger.TxBeginner, tid string, number int32) (*BatchReport, error) {
	return showBatch(ctx, db, tid, number, (*BatchReport).readTransactions, (*BatchReport).readDifferences)
}

// FindBatch is [ShowBatch] without the transactions, which may be many:
// [SearchTransactions] reads them page by page.
func FindBatch(ctx context.Context, db ledger.TxBeginner, tid string, number int32) (*BatchReport, error) {
	return showBatch(ctx, db, tid, number, (*BatchReport).readDifferences)
}

func showBatch(
	ctx context.Context, db ledger.TxBeginner, tid string, number int32, parts ...func(*BatchReport, context.Context, pgx.Tx) error,
) (report *BatchReport, err error) {
	err = inSnapshot(ctx, db, func(tx pgx.Tx) error {
		list, err := listBatches(ctx, tx, BatchFilter{TID: tid, BatchNo: number, Current: number == 0, Limit: 1})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return ErrNoBatch
		}
		report = &BatchReport{BatchSummary: list[0]}
		for _, read := range parts {
			if err := read(report, ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("show batch of terminal %s: %w", tid, err)
	}
	return report, nil
}

// terminalPlaces is a statement for the dates and ids of a terminal's transactions, found by
// their keys k. One under two keys, of a reversal that came first, is there once.
func terminalPlaces(bucket, terminalID string) string {
	return `
	SELECT DISTINCT k.business_date, k.transaction_id FROM idempotency_keys k
	WHERE k.bucket = ` + bucket + ` AND k.merchant_id = (SELECT e.merchant_id FROM terminals e WHERE e.terminal_id = ` + terminalID + `)
		AND k.terminal_id = ` + terminalID
}

// batchPlaces is a statement for the dates and ids of a batch's transactions. They are under
// its keys, but for reversals, which are under those of their originals, whatever batch they
// are in themselves.
func batchPlaces(bucket, terminalID, batchNo string) string {
	return terminalPlaces(bucket, terminalID) + ` AND k.batch_no = ` + batchNo + `
	UNION
	SELECT r.business_date, r.transaction_id FROM transactions r
	WHERE r.bucket = ` + bucket + ` AND r.terminal_id = ` + terminalID + ` AND r.batch_no = ` + batchNo + ` AND r.asked = 8`
}

func (r *BatchReport) readTransactions(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT t.stan, lpad(t.rrn::text, 12, '0'), t.kind, t.state, t.reason, t.amount_minor, coalesce(t.pan_masked, '')
		FROM (`+batchPlaces("$1", "$2", "$3")+`) AS k
		CROSS JOIN LATERAL (
			SELECT t.stan, t.rrn, t.kind, t.state, t.reason, t.amount_minor, t.pan_masked, t.accepted_at, t.transaction_id FROM transactions t
			WHERE t.bucket = $1 AND t.business_date = k.business_date AND t.transaction_id = k.transaction_id AND t.batch_no = $3
			OFFSET 0) t
		ORDER BY t.accepted_at, t.transaction_id`,
		r.bucket, r.terminalID, r.BatchNo)
	if err != nil {
		return fmt.Errorf("transactions: %w", err)
	}
	if r.Transactions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t BatchTransaction, err error) {
		err = row.Scan(&t.STAN, &t.RRN, &t.Kind, &t.State, &t.Reason, &t.AmountMinor, &t.Card)
		return t, err //nolint:wrapcheck // wrapped below
	}); err != nil {
		return fmt.Errorf("transactions: %w", err)
	}
	return nil
}

func (r *BatchReport) readDifferences(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT d.kind, d.stan, d.terminal_minor, d.host_minor, coalesce(lpad(t.rrn::text, 12, '0'), ''), d.raised_at
		FROM batch_differences d
		LEFT JOIN transactions t ON t.bucket = d.bucket AND t.business_date = d.business_date AND t.transaction_id = d.transaction_id
		WHERE d.bucket = $1 AND d.terminal_id = $2 AND d.batch_no = $3 ORDER BY d.stan, d.kind`,
		r.bucket, r.terminalID, r.BatchNo)
	if err != nil {
		return fmt.Errorf("differences: %w", err)
	}
	if r.Differing, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d ReportedDifference, err error) {
		err = row.Scan(&d.Kind, &d.STAN, &d.TerminalMinor, &d.HostMinor, &d.RRN, &d.RaisedAt)
		return d, err //nolint:wrapcheck // wrapped below
	}); err != nil {
		return fmt.Errorf("differences: %w", err)
	}
	return nil
}
