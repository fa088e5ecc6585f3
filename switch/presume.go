package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// This file is what a lane takes for granted, so that a unit of work does not ask
// the database for what it most likely knows. Nothing is decided on a presumption
// that the commit does not prove:
//
//   - A card as it was last seen. It is stored only where it still is so, and it is
//     stored even if nothing of it changed (package ledger, [ledger.CardShelf]).
//   - A STAN above the last one that its terminal used in the batch is new. Its key
//     is inserted, and the insert of one that is stored fails. Nothing of the batch
//     before is repeated any more some time after that ended; only a reversal may
//     still name it, and where that is recent, its tombstone is looked for.
//   - The window of now, and the terminals' batches. Where a unit presumes them, too,
//     it reads nothing but the cards that are not on the shelf, or whose PINs it has to
//     verify: it is one round trip or two. What it stores begins with the locks that
//     every unit has, on the gate and the windows, and goes on only where these take
//     work; and behind the gate, where no batch ends any more, with a look at the batches.
//
// A unit that presumed wrongly has written nothing. It is run again and reads what it
// had presumed. A unit in doubt reads everything.
type presumption struct {
	cards *ledger.CardShelf
	// windows and streaks are a lane's own, as its buckets are; streaks by terminal.
	windows map[windowKey]ledger.Window
	streaks map[int32]*streak
	// caution and cardCaution after presuming wrongly, as other hosts serving the same
	// terminals, or the same cards, would cause.
	caution, cardCaution caution
}

func newPresumption(cards *ledger.CardShelf) presumption {
	return presumption{cards: cards, windows: map[windowKey]ledger.Window{}, streaks: map[int32]*streak{}}
}

// offer what the next unit may presume, unless caution has it read.
func (p *presumption) offer() (others *presumption, shelf *ledger.CardShelf) {
	if !p.caution.next() {
		others = p
	}
	if !p.cardCaution.next() {
		shelf = p.cards
	}
	return others, shelf
}

// windowKey names a bucket's windows of a calendar.
type windowKey struct{ bucket, calendarID int16 }

// streak is how far a terminal's STANs have come in its batch.
type streak struct {
	batch batch
	stan  int32
	// from is when a key without a stated batch may be presumed to be new: a repeat of
	// something in the batch before is not looked for any more. It is no earlier than the
	// unit that the batch is known from: to a sandbox's clock that went back, it may be
	// another batch.
	from time.Time
}

// streaksMax terminals are what a lane remembers, in some 50 MB; past it, it begins anew.
const streaksMax = 1 << 18

// errPresumed: a unit took something for granted that turned out otherwise, before
// it wrote anything.
var errPresumed = errors.New("presumed wrongly")

// presumedWrongly tells whether a unit that presumed, of other things than cards, ended
// because of that, or may have: read in full, it is no worse off.
func presumedWrongly(err error) bool {
	if errors.Is(err, errPresumed) {
		return true
	}
	refused, is := errors.AsType[*pgconn.PgError](err)
	return is && (refused.ConstraintName == "meridian_presumed" || refused.Code == "23505") // unique_violation: a key
}

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

// proves tells whether what was decided for a request is stored in a way that
// proves its key to be new, where that was presumed.
func (f *Facts) proves(r *Request, key Key) bool {
	batchNo, presumed := f.presumed[r]
	return !presumed || key.BatchNo == batchNo && f.keys[key] != nil
}

// proveCards has the presumed cards stored, changed or not.
func (f *Facts) proveCards() {
	for _, card := range f.cardsByID {
		if card.Presumed {
			f.changes.dirtyCards[card] = struct{}{}
		}
	}
}

// presumedBatchesSQL follows the gate, so that it sees what ended before.
const presumedBatchesSQL = `
SELECT meridian_presumed(count(*), $3)
FROM unnest($2::presumed_batch[]) AS u
CROSS JOIN LATERAL (
	SELECT FROM batches c WHERE c.bucket = $1 AND c.terminal_id = u.terminal_id AND c.batch_no = u.batch_no AND c.state < 4
	OFFSET 0) b`

// unreversedSQL looks for tombstones in the batches before.
const unreversedSQL = `
SELECT meridian_presumed(count(*), 0)
FROM unnest($2::key_probe[]) AS u
CROSS JOIN LATERAL (
	SELECT FROM idempotency_keys i
	WHERE i.bucket = $1 AND i.merchant_id = u.merchant_id AND i.terminal_id = u.terminal_id AND i.stan = u.stan AND i.batch_no = u.batch_no
		AND i.class = u.class AND i.tombstone
	OFFSET 0) k`

// queueProofs takes the locks of a unit that read nothing, and has it end where
// windows, batches or what came before them are not as presumed. It comes before
// everything else.
func queueProofs(b *pgx.Batch, bucket int16, f *Facts) {
	ledger.QueueHoldWindows(b, bucket, f.windows)
	rows := postgres.NewRows(&postgres.RowType{Name: "presumed_batch", Columns: []uint32{pgtype.Int4OID, pgtype.Int4OID}}, len(f.batches), 24)
	for terminalID, one := range f.batches {
		rows.Begin()
		rows.Int32(terminalID)
		rows.Int32(one.number)
		rows.End()
	}
	b.Queue(presumedBatchesSQL, rows.Known(), bucket, rows, len(f.batches))
	if len(f.unreversed) > 0 {
		probes := probeRows(f.unreversed)
		b.Queue(unreversedSQL, probes.Known(), bucket, probes)
	}
}

// forget all that a unit presumed, of cards or of other things, where something of that
// turned out wrong: what it was is not known.
func (p *presumption) forget(f *Facts, err error) {
	if ledger.CardsMoved(err) {
		p.cards.Drop(f.cardsByID)
	}
	if !presumedWrongly(err) {
		return
	}
	for r := range f.presumed {
		delete(p.streaks, r.terminal.ID)
	}
	for calendar := range f.windows {
		delete(p.windows, windowKey{f.Bucket, calendar})
	}
}

// learn from a unit that was committed.
func (p *presumption) learn(f *Facts) {
	p.cards.Put(f.changes.dirtyCards)
	for calendar, w := range f.windows {
		p.windows[windowKey{f.Bucket, calendar}] = w
	}
	if len(p.streaks) > streaksMax {
		p.streaks = map[int32]*streak{}
	}
	for i := range f.changes.keys {
		key := f.changes.keys[i].key
		b := f.batches[key.TerminalID]
		if key.Class != ClassFinancial || b == nil || key.BatchNo != b.number {
			continue
		}
		s := p.streaks[key.TerminalID]
		if s == nil {
			s = &streak{}
			p.streaks[key.TerminalID] = s
		}
		*s = streak{batch: *b, stan: key.STAN, from: f.Now}
		if until := b.openedAt.Add(rolloverRepeat); b.previous != 0 && until.After(f.Now) {
			s.from = until
		}
	}
}
