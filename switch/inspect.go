package switching

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// Inspection is a transaction as people see it: what was asked, what became of
// it, on what grounds, and what it moved. It holds no card number.
type Inspection struct {
	RRN          string      `json:"rrn"`
	ID           uuid.UUID   `json:"transaction_id"`
	Bucket       int16       `json:"bucket"`
	BusinessDate ledger.Date `json:"business_date"`
	// PostedDate of its transfers, where it is not the business date that took
	// the request: a refund that was reviewed.
	PostedDate    ledger.Date    `json:"posted_date,omitzero"`
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
	RuleSentence  string         `json:"rule_sentence,omitempty"`
	AuthCode      string         `json:"auth_code,omitempty"`
	Card          string         `json:"card,omitempty"` // first 6 and last 4
	Currency      money.Currency `json:"currency"`
	AmountMinor   int64          `json:"amount_minor"`
	CashbackMinor int64          `json:"cashback_minor,omitempty"`
	CapturedMinor int64          `json:"captured_minor"`
	RefundedMinor int64          `json:"refunded_minor"`
	// PreviousMinor is what the original had come to before an adjustment.
	PreviousMinor int64 `json:"previous_minor,omitempty"`
	// OperatorNo that was signed on, where the policy asks for one.
	OperatorNo string `json:"operator_no,omitempty"`
	// Remark is what the terminal told with it: a reversal's cause, a script's result.
	Remark           string             `json:"remark,omitempty"`
	OriginalID       uuid.UUID          `json:"original_id,omitzero"`
	OriginalRRN      string             `json:"original_rrn,omitempty"`
	Decision         json.RawMessage    `json:"decision,omitempty"` // Evidence
	Review           *InspectedReview   `json:"review,omitempty"`   // of a refund that waits for a person, or waited
	Transfers        []InspectedPosting `json:"transfers"`
	ReferredToByRRNs []string           `json:"referred_to_by_rrns,omitempty"`
}

// InspectedReview is what became of a refund that was left to a person.
type InspectedReview struct {
	State     string     `json:"state"` // open, approved, rejected
	RaisedAt  time.Time  `json:"raised_at"`
	Cause     string     `json:"cause"`
	DecidedAt *time.Time `json:"decided_at,omitempty"`
	DecidedBy string     `json:"decided_by,omitempty"`
	Why       string     `json:"why,omitempty"`
}

// InspectedPosting is a transfer with its accounts by name.
type InspectedPosting struct {
	Leg         int16     `json:"leg"`
	Kind        string    `json:"kind"`
	Phase       string    `json:"phase"`
	Debit       string    `json:"debit"`
	Credit      string    `json:"credit"`
	AmountMinor int64     `json:"amount_minor"`
	HoldID      uuid.UUID `json:"hold_id,omitzero"`
}

// rrnOfAnyBucket names every bucket: their index leads to an RRN, and without
// them there is none that does.
const rrnOfAnyBucket = `t.bucket IN (SELECT bucket FROM buckets) AND t.rrn = $1`

// FindByRRN returns the transactions with an RRN, newest first: one, unless a
// decade has passed or the sandbox's clock was turned back.
func FindByRRN(ctx context.Context, db ledger.TxBeginner, rrn int64) ([]*Inspection, error) {
	return inspect(ctx, db, rrnOfAnyBucket, 100, rrn)
}

// TransactionFilter narrows a listing; zero values do not.
type TransactionFilter struct {
	MID, TID string
	Limit    int // at most 1000; 0 takes 20
}

// ListTransactions returns transactions, newest first, without their transfers'
// neighbours: those are for looking at one.
func ListTransactions(ctx context.Context, db ledger.TxBeginner, f TransactionFilter) ([]*Inspection, error) {
	limit := min(f.Limit, 1000)
	if limit <= 0 {
		limit = 20
	}
	return inspect(ctx, db, `($1 = '' OR m.mid = $1) AND ($2 = '' OR te.tid = $2)`, limit, f.MID, f.TID)
}

func inspect(ctx context.Context, db ledger.TxBeginner, where string, limit int, args ...any) ([]*Inspection, error) {
	var list []*Inspection
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.bucket, m.mid, m.name, te.tid, coalesce(o.rrn, 0), `+recordColumns+`
			FROM transactions t
			JOIN merchants m ON m.merchant_id = t.merchant_id
			JOIN terminals te ON te.terminal_id = t.terminal_id
			LEFT JOIN transactions o ON o.bucket = t.bucket AND o.business_date = t.original_date AND o.transaction_id = t.original_id
			WHERE `+where+fmt.Sprintf(` ORDER BY t.accepted_at DESC, t.transaction_id DESC LIMIT %d`, limit), args...)
		if err != nil {
			return fmt.Errorf("find: %w", err)
		}
		if list, err = pgx.CollectRows(rows, scanInspection); err != nil {
			return fmt.Errorf("find: %w", err)
		}
		for _, i := range list {
			if err := i.complete(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("inspect transactions: %w", err)
	}
	return list, nil
}

func scanInspection(row pgx.CollectableRow) (*Inspection, error) {
	var i Inspection
	var originalRRN int64
	record, err := scanRecordAfter(row, &i.Bucket, &i.MID, &i.Merchant, &i.TID, &originalRRN)
	if err != nil {
		return nil, err
	}
	i.RRN, i.ID, i.BusinessDate, i.AcceptedAt = rrnText(record.RRN), record.ID, record.BusinessDate, record.AcceptedAt.UTC()
	i.PostedDate, i.OperatorNo = record.PostedDate, record.OperatorNo
	i.PreviousMinor, i.Remark = record.PreviousMinor, record.Remark
	i.BatchNo, i.STAN, i.Asked, i.Kind = record.BatchNo, record.STAN, record.Asked, record.Kind
	i.State, i.Reason, i.Rule, i.RuleSentence = record.State, record.Reason, record.Rule, record.Rule.Sentence()
	i.AuthCode, i.Card, i.Currency = record.AuthCode, record.Masked, record.Currency
	i.AmountMinor, i.CashbackMinor = record.AmountMinor, record.CashbackMinor
	i.CapturedMinor, i.RefundedMinor = record.CapturedMinor, record.RefundedMinor
	i.OriginalID, i.Decision = record.OriginalID, record.Decision
	if originalRRN != 0 {
		i.OriginalRRN = rrnText(originalRRN)
	}
	return &i, nil
}

func rrnText(rrn int64) string { return fmt.Sprintf("%012d", rrn) }

func (i *Inspection) complete(ctx context.Context, tx pgx.Tx) error {
	transfers, err := ledger.TransfersOf(ctx, tx, i.Bucket, cmp.Or(i.PostedDate, i.BusinessDate), i.ID)
	if err != nil {
		return err
	}
	i.Transfers = []InspectedPosting{}
	for _, t := range transfers {
		i.Transfers = append(i.Transfers, InspectedPosting{
			Leg: t.Leg, Kind: t.Kind.String(), Phase: t.Phase.String(),
			Debit: t.Debit.String(), Credit: t.Credit.String(), AmountMinor: t.AmountMinor, HoldID: t.HoldID,
		})
	}
	if i.Review, err = reviewOf(ctx, tx, i); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT rrn FROM transactions WHERE bucket = $1 AND business_date >= $2 AND original_id = $3 ORDER BY accepted_at`,
		i.Bucket, i.BusinessDate.Time(), [16]byte(i.ID))
	if err != nil {
		return fmt.Errorf("find references: %w", err)
	}
	rrns, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("find references: %w", err)
	}
	for _, rrn := range rrns {
		i.ReferredToByRRNs = append(i.ReferredToByRRNs, rrnText(rrn))
	}
	return nil
}

// reviewOf finds the review of a refund; nil for what had none.
func reviewOf(ctx context.Context, tx pgx.Tx, i *Inspection) (*InspectedReview, error) {
	if i.Kind != KindRefund {
		return nil, nil //nolint:nilnil // none is no error
	}
	rows, err := tx.Query(ctx, `
		SELECT `+reviewStateSQL+`, v.raised_at, v.cause, v.decided_at, coalesce(v.decided_by, ''), coalesce(v.decided_why, '')
		FROM reviews v WHERE v.bucket = $1 AND v.review_id = $2`, i.Bucket, [16]byte(i.ID))
	if err != nil {
		return nil, fmt.Errorf("find review: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[InspectedReview])
	if err != nil {
		return nil, fmt.Errorf("find review: %w", err)
	}
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // none is no error
	}
	v := list[0]
	v.RaisedAt = v.RaisedAt.UTC()
	if v.DecidedAt != nil {
		*v.DecidedAt = v.DecidedAt.UTC()
	}
	return v, nil
}
