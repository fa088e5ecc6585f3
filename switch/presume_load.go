package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// reversible tells whether a reversal may have named the batch before: its terminal
// may believe that to be the current one, and means this one's sale by it.
func (s *streak) reversible(r *Request, now time.Time) bool {
	return r.BatchNo == 0 && s.batch.previous != 0 && now.Before(s.batch.openedAt.Add(rolloverReversal))
}

// presumeNew returns the streak of the request's terminal where the request's key
// need not be looked for: its STAN goes on where the last one was. What says of itself
// that it is a repeat is no new request, and what can be one of a batch that has just
// ended is looked for; so is, by a unit that reads, a tombstone of the batch before.
func (l *loader) presumeNew(r *Request) *streak {
	if l.presumes == nil || r.Repeat || r.Kind != KindSale && r.Kind != KindAuthorization {
		return nil
	}
	s := l.presumes.streaks[r.terminal.ID]
	if s == nil || r.STAN <= s.stan || r.BatchNo != 0 && r.BatchNo != s.batch.number || r.BatchNo == 0 && l.facts.Now.Before(s.from) {
		return nil
	}
	if s.reversible(r, l.facts.Now) {
		if !l.facts.unread {
			return nil
		}
		l.facts.unreversed = append(l.facts.unreversed, probe{r.merchant.ID, r.terminal.ID, r.STAN, s.batch.previous, ClassFinancial})
	}
	l.facts.presumed[r] = s.batch.number
	return s
}

// presumeAll fills the facts with what is presumed, if that is all but cards, and
// reads these.
func (l *loader) presumeAll(ctx context.Context) (presumed bool, err error) {
	l.facts.unread = true
	if presumed, err = l.tryPresumeAll(ctx); presumed || err != nil {
		return presumed, err
	}
	l.facts.unread, l.facts.unreversed = false, nil
	clear(l.facts.presumed)
	return false, nil
}

func (l *loader) tryPresumeAll(ctx context.Context) (bool, error) {
	if l.presumes == nil || l.lockCards {
		return false, nil
	}
	f := l.facts
	windows, batches := map[int16]ledger.Window{}, map[int32]*batch{}
	for _, j := range l.jobs {
		r := j.request
		if r.Credentials.Counts {
			return false, nil
		}
		s := l.presumeNew(r)
		if s == nil {
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
		windows[calendar], batches[r.terminal.ID] = w, &b
	}
	b := &pgx.Batch{}
	if l.queueCards(b, nil); b.Len() > 0 {
		if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
			return false, fmt.Errorf("load cards: %w", err)
		}
	}
	f.windows, f.batches = windows, batches
	return true, nil
}
