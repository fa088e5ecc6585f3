package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// reversible tells whether a reversal may have named a batch before: its terminal
// may believe that to be the current one, and means this one's sale by it.
func (s *streak) reversible(r *Request, now time.Time) bool {
	return r.BatchNo == 0 && len(s.batch.recent) > 0 && now.Before(s.batch.openedAt.Add(rolloverReversal))
}

// streak of the request's terminal, nil where there is none to presume.
func (l *loader) streak(r *Request) *streak {
	if l.presumes == nil {
		return nil
	}
	return l.presumes.streaks[r.terminal.ID]
}

// presumeNew tells whether the request's key need not be looked for: its STAN goes on
// where the last one of its terminal was. What says of itself
// that it is a repeat is no new request, and what can be one of a batch that has just
// ended is looked for; so is, by a unit that reads, a tombstone of a batch before.
func (l *loader) presumeNew(r *Request, s *streak) bool {
	if s == nil || !presumable(r) || r.STAN <= s.stan || !s.takes(r, l.facts.Now) {
		return false
	}
	if s.reversible(r, l.facts.Now) {
		if !l.facts.unread || len(s.batch.recent) > unreversedMax {
			return false
		}
		for _, number := range s.batch.recent {
			l.facts.unreversed = append(l.facts.unreversed, probe{r.merchant.ID, r.terminal.ID, r.STAN, number, ClassFinancial})
		}
	}
	l.facts.presumed[r] = s.batch.number
	return true
}

// unreversedMax is in how many batches tombstones are looked for behind a presumption:
// a day's, of a terminal that settles more often than most. Past it a unit reads.
const unreversedMax = 16

// presumable tells whether a request of its own STAN may be presumed to be new.
func presumable(r *Request) bool {
	switch r.Kind {
	case KindSale, KindAuthorization, KindCompletion, KindVoid, KindRefund, KindCancel:
		return !r.Repeat
	default:
		return false
	}
}

// takes tells whether a request's key is in this batch and in no other.
func (s *streak) takes(r *Request, now time.Time) bool {
	if r.BatchNo != 0 {
		return r.BatchNo == s.batch.number
	}
	return !now.Before(s.from)
}

// presumeKey tells whether a request's key need not be looked for: it is new, or it is
// known to be stored, and the request is answered as it was.
func (l *loader) presumeKey(r *Request, s *streak) bool {
	f := l.facts
	if l.presumeNew(r, s) {
		return true
	}
	if !s.takes(r, f.Now) {
		return false
	}
	key := f.keyOf(r)
	if one := l.presumes.records.ofKey(f.Bucket, key); one != nil {
		f.unreferred = false
		f.keys[key] = &keyEntry{record: f.presumeRecord(one)}
		return true
	}
	// A reversal's key is its original's but for its class: its STAN tells nothing. That
	// most are sent once is a presumption like any other.
	if r.Kind != KindReversal || r.Repeat {
		return false
	}
	f.presumed[r] = s.batch.number
	return true
}

// presumeAll fills the facts with what is presumed, if that is all but cards and
// originals, and reads these.
func (l *loader) presumeAll(ctx context.Context) (presumed bool, err error) {
	f := l.facts
	f.unread, f.unreferred = true, true
	if presumed, err = l.tryPresumeAll(ctx); presumed || err != nil {
		return presumed, err
	}
	f.unread, f.unreferred, f.unreversed = false, false, nil
	f.forgetAll()
	return false, nil
}

func (l *loader) tryPresumeAll(ctx context.Context) (bool, error) {
	if l.presumes == nil || l.lockCards {
		return false, nil
	}
	f := l.facts
	for _, j := range l.jobs {
		r := j.request
		s := l.streak(r)
		if s == nil || r.Credentials.Counts {
			return false, nil
		}
		calendar := r.merchant.CalendarID
		w, known := l.presumes.windows[windowKey{f.Bucket, calendar}]
		if !known || !w.Accepts(f.Now) || f.Now.Before(w.OpensAt) {
			return false, nil
		}
		b := s.batch
		if b.state == BatchUploading || r.merchant.Policy.AutoCloseBatch && b.endsWith(w.Date) {
			return false, nil
		}
		f.windows[calendar], f.batches[r.terminal.ID] = w, &b
		if !l.presumeKey(r, s) {
			return false, nil
		}
	}
	cards, presumed, err := l.presumeOriginals(ctx)
	if !presumed || err != nil {
		return false, err
	}
	b := &pgx.Batch{}
	if l.queueCards(b, cards); b.Len() > 0 {
		if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
			return false, fmt.Errorf("load cards: %w", err)
		}
	}
	return true, nil
}
