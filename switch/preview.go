package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// ErrNoTransaction: there is no transaction with that RRN.
var ErrNoTransaction = errors.New("no transaction with that RRN")

// CancelPreview is what a cancel of a transaction would become now.
type CancelPreview struct {
	RRN string `json:"rrn"`
	MID string `json:"mid"`
	TID string `json:"tid"` // the original's, where the cancel would come from
	// TimeZone (IANA) of the merchant.
	TimeZone string    `json:"time_zone"`
	At       time.Time `json:"at"`
	Verdict  string    `json:"verdict"` // VOID, REFUND, REVIEW or DECLINE
	Rule     Rule      `json:"rule"`
	Why      string    `json:"why"`
	Reason   Reason    `json:"reason"`
	// AmountMinor that would be cancelled.
	AmountMinor int64          `json:"amount_minor"`
	Currency    money.Currency `json:"currency"`
	// VoidableUntil is when it is a void for the last time: the original's
	// cutoff, the end of its hold, or the policy's void window, whichever comes
	// first; absent when it is none now.
	VoidableUntil  *time.Time `json:"voidable_until,omitempty"`
	Counterfactual string     `json:"counterfactual,omitempty"`
	Rules          []Rule     `json:"rules"`
}

// PreviewCancel decides a full cancel of a transaction, from its own terminal
// and at the instant now, without doing it: by the decision that a live request
// would meet.
func PreviewCancel(ctx context.Context, db ledger.TxBeginner, now time.Time, rrn int64) (*CancelPreview, error) {
	dir, err := LoadDirectory(ctx, db)
	if err != nil {
		return nil, err
	}
	list, err := PreviewCancels(ctx, db, dir, rrn, now)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// ErrNoWindowYet: business days have not been made as far as that.
var ErrNoWindowYet = errors.New("no business day is made as far as that")

// PreviewCancels is [PreviewCancel] at several instants, by reference data that is
// at hand. An instant that no business day is made for yet ends the list there.
// Errors: [ErrNoTransaction], and [ErrNoWindowYet] when there is none at all.
func PreviewCancels(ctx context.Context, db ledger.TxBeginner, dir *Directory, rrn int64, at ...time.Time) ([]*CancelPreview, error) {
	var list []*CancelPreview
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for _, now := range at {
			preview, err := previewCancel(ctx, tx, dir, now, rrn)
			if errors.Is(err, errNoWindow) {
				if len(list) == 0 {
					return ErrNoWindowYet
				}
				return nil
			}
			if err != nil {
				return err
			}
			list = append(list, preview)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("preview cancel of RRN %s: %w", rrnText(rrn), err)
	}
	return list, nil
}

func previewCancel(ctx context.Context, tx pgx.Tx, dir *Directory, now time.Time, rrn int64) (*CancelPreview, error) {
	var bucket int16
	var mid, tid string
	err := tx.QueryRow(ctx, `
		SELECT t.bucket, m.mid, te.tid FROM transactions t
		JOIN merchants m ON m.merchant_id = t.merchant_id JOIN terminals te ON te.terminal_id = t.terminal_id
		WHERE `+rrnOfAnyBucket+` ORDER BY t.accepted_at DESC LIMIT 1`, rrn).Scan(&bucket, &mid, &tid)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoTransaction
	}
	if err != nil {
		return nil, fmt.Errorf("find: %w", err)
	}
	r := &Request{Kind: KindCancel, MID: mid, TID: tid, Original: Reference{RRN: rrn, HasRRN: true}, STAN: -1}
	if r.terminal, r.merchant = dir.Terminal(tid), dir.Merchant(mid); r.terminal == nil || r.merchant == nil {
		return nil, ErrNoTransaction
	}
	facts := newFacts(bucket, now, dir, 1)
	l := loader{
		conn: tx.Conn(), facts: facts, jobs: []*job{{request: r}},
		wanted: map[uuid.UUID]located{}, stored: map[Key]storedKey{}, begun: true,
	}
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	// With the facts locked, what is said here is what a request would get.
	verdict := Decide(facts, r, Identity{})
	return explain(facts, r, &verdict), nil
}

func explain(f *Facts, r *Request, v *Verdict) *CancelPreview {
	p := &CancelPreview{
		RRN: rrnText(r.Original.RRN), MID: r.MID, TID: r.TID, TimeZone: r.merchant.zone.String(), Currency: r.merchant.Currency,
		At: f.Now, Rule: v.Response.Rule, Why: v.Response.Rule.Sentence(),
		Reason: v.Response.Reason, AmountMinor: v.Record.AmountMinor, Verdict: "DECLINE",
	}
	switch {
	case v.Response.Reason == UnderReview:
		p.Verdict = "REVIEW"
	case v.Response.Approved() && v.Response.Became == KindVoid:
		p.Verdict = "VOID"
	case v.Response.Approved():
		p.Verdict = "REFUND"
	}
	if o := f.records[v.Record.OriginalID]; o != nil && p.Verdict == "VOID" {
		until := f.voidableUntil(o, r.merchant.Policy)
		p.VoidableUntil = &until
	}
	var e Evidence
	if decodeEvidence(v.Record.Decision, &e) == nil {
		p.Rules, p.Counterfactual = e.Rules, e.Counterfactual
	}
	return p
}

// voidableUntil is when an original that can be voided now no longer can.
func (f *Facts) voidableUntil(o *Record, policy *Policy) time.Time {
	until := f.cutoffOf(o)
	if hold := f.holds[o.ID]; o.Kind == KindAuthorization && hold != nil {
		until = hold.ExpiresAt // a hold outlives cutoffs
	}
	if policy.VoidWindow > 0 {
		if end := o.AcceptedAt.Add(policy.VoidWindow); end.Before(until) {
			until = end
		}
	}
	return until.UTC()
}
