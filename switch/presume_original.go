package switching

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// presumeRecord is the unit's copy of what is on the shelf.
func (f *Facts) presumeRecord(one *shelvedRecord) *Record {
	r := f.records[one.record.ID]
	if r == nil {
		r = one.record.presume()
		f.know(r)
	}
	return r
}

// presumeOriginals fills the facts with what requests speak of, from the shelf, or, where an
// RRN names it, read without a lock. It returns the cards of that.
func (l *loader) presumeOriginals(ctx context.Context) (cards []int64, presumed bool, err error) {
	f := l.facts
	var strange []int64
	for _, j := range l.jobs {
		r := j.request
		if !r.Kind.Refers() || f.keys[f.keyOf(r)] != nil {
			continue
		}
		f.unreferred = false
		if !restsOnOriginal(r) {
			return nil, false, nil
		}
		one := l.shelved(r)
		switch {
		case one != nil:
			if cards, presumed = l.take(one, cards); !presumed {
				return nil, false, nil
			}
		case r.Kind != KindReversal && r.Original.HasRRN && r.Original.RRN >= 0:
			strange = append(strange, r.Original.RRN)
		default:
			return nil, false, nil
		}
	}
	if len(strange) > 0 {
		return l.readStrange(ctx, strange, cards)
	}
	return cards, true, nil
}

// restsOnOriginal tells whether a decision rests on nothing of the database but the original
// and what every decision rests on: not on sums, on who is signed on, or on whether another
// batch has ended.
func restsOnOriginal(r *Request) bool {
	p := r.merchant.Policy
	switch {
	case p.SettledByBatch:
		return false
	case r.Kind.Cancels():
		return !limitsVoids(p) && p.MinBalanceMinor == nil && !p.RequireOperator && !p.SupervisorForVoid && !p.SupervisorForRefund
	default:
		return r.Kind == KindCompletion || r.Kind == KindReversal
	}
}

// shelved is what a request speaks of, if that is on the shelf and can be nothing else.
func (l *loader) shelved(r *Request) *shelvedRecord {
	f, ref, shelf := l.facts, &r.Original, &l.presumes.records
	switch {
	case ref.HasRRN:
		one := shelf.ofRRN(f.Bucket, ref.RRN)
		if r.Kind == KindReversal && one != nil && !repairs(r, &one.record) {
			return nil
		}
		return one
	case r.Kind == KindReversal:
		key := reversedKey(f, r)
		one := shelf.ofKey(f.Bucket, key)
		if one != nil {
			f.keys[key] = &keyEntry{record: f.presumeRecord(one)}
		}
		return one
	case ref.HasSTAN && ref.BatchNo != 0 && !ref.HasAuthCode:
		return shelf.ofKey(f.Bucket, Key{r.merchant.ID, r.terminal.ID, ref.BatchNo, ref.STAN, ClassFinancial})
	default:
		return nil
	}
}

// take an original from the shelf, with its hold and what it speaks of itself, and its card's
// number in the list. It fails where not all of that is known.
func (l *loader) take(one *shelvedRecord, cards []int64) ([]int64, bool) {
	f := l.facts
	for depth := 1; ; depth++ {
		r := f.presumeRecord(one)
		if one.hold != nil && f.holds[r.ID] == nil {
			f.holds[r.ID] = one.hold.Presume()
		}
		cards = withCard(cards, r)
		if r.OriginalID == uuid.Nil || depth == originalDepth {
			return cards, true
		}
		if one = l.presumes.records.ofID(f.Bucket, r.OriginalID); one == nil {
			return nil, false
		}
	}
}

// Both read what lockRecordsSQL locks.
const (
	strangeSQL = `
SELECT ` + recordColumns + `
FROM transactions t WHERE t.bucket = $1 AND t.rrn = ANY($2::bigint[]) AND t.business_date BETWEEN {month}`
	strangeOriginalsSQL = `
SELECT ` + recordColumns + `
FROM unnest($2::date[], $3::uuid[]) AS u(on_date, id)
JOIN transactions t ON t.bucket = $1 AND t.business_date = u.on_date AND t.transaction_id = u.id
WHERE t.business_date BETWEEN {month}`
)

// readStrange reads originals that are not on the shelf without a lock, and in a further
// round trip what belongs to them: holds, and what they speak of themselves. All of that is
// presumed from then on. It fails where one is not there.
func (l *loader) readStrange(ctx context.Context, rrns, cards []int64) ([]int64, bool, error) {
	f := l.facts
	var list []*Record
	collect := func(rows pgx.Rows) (err error) {
		list, err = pgx.AppendRows(list, rows, scanRecord)
		return err //nolint:wrapcheck // wrapped below
	}
	b := &pgx.Batch{}
	l.queueByRRN(b, strangeSQL, rrns, collect)
	for depth := 1; b.Len() > 0; depth++ {
		if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
			return nil, false, fmt.Errorf("load originals: %w", err)
		}
		var holds [][16]byte
		var originals []located
		for _, r := range list {
			r.Presumed = true
			f.know(r)
			cards = withCard(cards, r)
			switch {
			case r.Kind == KindAuthorization && f.holds[r.ID] == nil:
				holds = append(holds, r.ID)
			case r.Kind == KindCompletion:
				holds = append(holds, r.OriginalID) // its authorization's
			}
			if r.OriginalID != uuid.Nil && f.records[r.OriginalID] == nil && depth < originalDepth {
				originals = append(originals, located{r.OriginalDate, r.OriginalID})
			}
		}
		b, list = &pgx.Batch{}, nil
		ledger.QueueReadHolds(b, f.Bucket, holds, func(h *ledger.Hold) { f.holds[h.ID] = h.Presume() })
		l.queueLocated(b, strangeOriginalsSQL, originals, collect)
	}
	for _, rrn := range rrns {
		if len(f.byRRN[rrn]) == 0 {
			return nil, false, nil
		}
	}
	return cards, true, nil
}

// withCard adds a record's card to a short list, once.
func withCard(cards []int64, r *Record) []int64 {
	if r.CardID == 0 || slices.Contains(cards, r.CardID) {
		return cards
	}
	return append(cards, r.CardID)
}
