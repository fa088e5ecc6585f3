package switching

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/ledger"
)

// Review is a refund that a person has to decide, or has decided.
type Review struct {
	ID        uuid.UUID      `json:"review_id"`
	Bucket    int16          `json:"bucket"`
	RRN       string         `json:"rrn"`
	MID       string         `json:"mid"`
	TID       string         `json:"tid"`
	RaisedAt  time.Time      `json:"raised_at"`
	Cause     string         `json:"cause"`
	State     string         `json:"state"` // open, approved, rejected
	DecidedAt *time.Time     `json:"decided_at,omitempty"`
	DecidedBy string         `json:"decided_by,omitempty"`
	Why       string         `json:"why,omitempty"`
	Currency  money.Currency `json:"currency"`
	Amount    int64          `json:"amount_minor"`
	Card      string         `json:"card,omitempty"`
	// OriginalRRN is the transaction's that would be refunded; empty without one.
	OriginalRRN string `json:"original_rrn,omitempty"`
}

// reviewStateSQL names the state of a review v.
const reviewStateSQL = `CASE v.state WHEN 1 THEN 'open' WHEN 2 THEN 'approved' ELSE 'rejected' END`

// ErrNoReview: there is no open review of that RRN.
var ErrNoReview = errors.New("no open review of that RRN")

// ReviewFilter chooses reviews: the open ones, the oldest first, or all, the newest
// first.
type ReviewFilter struct {
	All    bool
	Limit  int // 1 to [MaxListed]
	Offset int // so many are passed over
}

// Reviews lists reviews, oldest first: the open ones, or all; at most [MaxListed].
func Reviews(ctx context.Context, db ledger.Querier, all bool) ([]*Review, error) {
	list, err := ListReviews(ctx, db, ReviewFilter{All: all, Limit: MaxListed})
	if all {
		slices.Reverse(list)
	}
	return list, err
}

// ListReviews returns a page of reviews. What they are of is looked up for the page
// alone, however many there are. Of one whose month was retired there is no more than
// the review: no RRN, terminal, card or amount.
func ListReviews(ctx context.Context, db ledger.Querier, f ReviewFilter) ([]*Review, error) {
	chosen, order := "WHERE state = 1", "raised_at, review_id"
	if f.All {
		chosen, order = "", "raised_at DESC, review_id DESC"
	}
	// The limit stands in the statement: over one that it does not know, a generic plan reads every transaction.
	rows, err := db.Query(ctx, fmt.Sprintf(`
		SELECT v.review_id, v.bucket, coalesce(lpad(t.rrn::text, 12, '0'), ''), m.mid, coalesce(te.tid, ''), v.raised_at, v.cause,
			`+reviewStateSQL+`,
			v.decided_at, coalesce(v.decided_by, ''), coalesce(v.decided_why, ''), coalesce(t.currency, m.currency), coalesce(t.amount_minor, 0),
			coalesce(t.pan_masked, ''), coalesce(lpad(o.rrn::text, 12, '0'), '')
		FROM (SELECT bucket, business_date, review_id, merchant_id, raised_at, cause, state, decided_at, decided_by, decided_why
			FROM reviews `+chosen+` ORDER BY `+order+` LIMIT %d OFFSET $1) v
		LEFT JOIN transactions t ON t.bucket = v.bucket AND t.business_date = v.business_date AND t.transaction_id = v.review_id
		JOIN merchants m ON m.merchant_id = v.merchant_id
		LEFT JOIN terminals te ON te.terminal_id = t.terminal_id
		LEFT JOIN transactions o ON o.bucket = t.bucket AND o.business_date = t.original_date AND o.transaction_id = t.original_id
		ORDER BY `+order, max(1, min(f.Limit, MaxListed))), max(f.Offset, 0))
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Review, error) {
		var v Review
		var id [16]byte
		err := row.Scan(&id, &v.Bucket, &v.RRN, &v.MID, &v.TID, &v.RaisedAt, &v.Cause, &v.State,
			&v.DecidedAt, &v.DecidedBy, &v.Why, &v.Currency, &v.Amount, &v.Card, &v.OriginalRRN)
		v.ID, v.RaisedAt = uuid.UUID(id), v.RaisedAt.UTC()
		return &v, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	return list, nil
}

// ReviewDecision is a person's word on a refund under review.
type ReviewDecision struct {
	RRN     int64
	Approve bool
	// Who decided and why, for the audit log. Both are needed.
	Who, Why string
}

// DecideReview approves or rejects a refund under review. An approved one is
// posted in the window that takes work now; the terminal's repeat then gets
// the final answer. It is done once: a second decision finds no open review.
func DecideReview(ctx context.Context, db ledger.TxBeginner, now time.Time, decision ReviewDecision) error {
	if decision.Who == "" || decision.Why == "" {
		return errors.New("decide review: who decides and why must be said")
	}
	decision.Why = card.HideTyped(decision.Why, nil)
	dir, err := LoadDirectory(ctx, db)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return decideReview(ctx, tx, dir, now, decision) })
	if err != nil {
		return fmt.Errorf("decide review of RRN %s: %w", rrnText(decision.RRN), err)
	}
	return nil
}

// decideReview locks what a unit of work locks, in its order: windows, then
// records, the review, and cards.
func decideReview(ctx context.Context, tx pgx.Tx, dir *Directory, now time.Time, decision ReviewDecision) error {
	var bucket int16
	var date time.Time
	var id [16]byte
	err := tx.QueryRow(ctx, `
		SELECT v.bucket, v.business_date, v.review_id FROM reviews v
		JOIN transactions t ON t.bucket = v.bucket AND t.business_date = v.business_date AND t.transaction_id = v.review_id
		WHERE t.rrn = $1 AND v.state = 1`, decision.RRN).Scan(&bucket, &date, &id)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoReview
	}
	if err != nil {
		return fmt.Errorf("find review: %w", err)
	}
	facts := newFacts(bucket, now, dir, 1)
	l := loader{conn: tx.Conn(), facts: facts, wanted: map[uuid.UUID]located{}, lockCards: true}
	if err := l.lockWindows(ctx, calendarIDs(dir)); err != nil {
		return err
	}
	l.want(located{ledger.DateOf(date), uuid.UUID(id)})
	for range originalDepth {
		if len(l.wanted) > 0 {
			if err := l.records(ctx); err != nil {
				return err
			}
		}
	}
	state := 3
	if decision.Approve {
		state = 2
	}
	// Whoever has the refund's row first has decided: a person, or its terminal that
	// reverses it.
	tag, err := tx.Exec(ctx, `
		UPDATE reviews SET state = $3, decided_at = $4, decided_by = $5, decided_why = $6
		WHERE bucket = $1 AND review_id = $2 AND state = 1`, bucket, id, state, now, decision.Who, decision.Why)
	if err != nil {
		return fmt.Errorf("close review: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNoReview
	}
	if err := l.holdsAndCards(ctx); err != nil {
		return err
	}
	return storeReview(ctx, tx, facts, facts.records[uuid.UUID(id)], decision)
}

func storeReview(ctx context.Context, tx pgx.Tx, f *Facts, refund *Record, decision ReviewDecision) error {
	original := f.records[refund.OriginalID]
	if original != nil {
		original.ReviewedMinor -= refund.AmountMinor
		original.RefundCount-- // payBack counts it again
		f.changes.dirty[original] = struct{}{}
	}
	var given *string
	refund.State, refund.Reason = StateDeclined, ReviewRejected
	posted := f.windowOf(refund).Date
	if decision.Approve {
		refund.State, refund.Reason = StateApproved, Approved
		code := authCode(refund.ID)
		given = &code
		f.payBack(refund, original, posted)
	}
	b := &pgx.Batch{}
	b.Queue(`
		UPDATE transactions SET state = $4, reason = $5, auth_code = $6, posted_date = $7
		WHERE bucket = $1 AND business_date = $2 AND transaction_id = $3`,
		f.Bucket, refund.BusinessDate.Time(), [16]byte(refund.ID), int16(refund.State), int16(refund.Reason), given, posted.Time())
	queueStore(b, f.Bucket, f)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store review: %w", err)
	}
	return AppendAudit(ctx, tx, AuditEntry{
		At: f.Now, Kind: "review_decided", Subject: "RRN " + rrnText(refund.RRN),
		Detail: fmt.Sprintf("%s %s", refund.State, byWhom(decision.Who, decision.Why)),
	})
}

// payBack posts an approved refund in the window of now.
func (f *Facts) payBack(refund, original *Record, posted ledger.Date) {
	journal := ledger.Journal{ID: refund.ID, Date: posted, Currency: refund.Currency}
	journal.Post(ledger.KindRefund,
		ledger.Account(ledger.RoleMerchantPayable, int64(refund.MerchantID)), cardAccount(refund.CardID), refund.AmountMinor)
	f.changes.transfers = append(f.changes.transfers, journal.Transfers...)
	if account := f.cardsByID[refund.CardID]; account != nil {
		account.BalanceMinor += refund.AmountMinor
		f.changes.dirtyCards[account] = struct{}{}
	}
	if original != nil {
		original.RefundedMinor += refund.AmountMinor
		original.RefundCount++
	}
}
