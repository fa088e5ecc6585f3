package switching

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

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
//   - What the lane itself stored or changed a moment ago, its holds, and what is stored
//     under a key of that: originals, and repeats. They are stored only where they still
//     are so, changed or not. One that an RRN names and that the lane does not know is read
//     without a lock, and presumed from then on.
//   - The window of now, and the terminals' batches. Where a unit presumes them, too,
//     it reads nothing but the originals and cards that are not on a shelf, or whose PINs it
//     has to verify: it is one round trip, or a few. What it stores begins with the locks
//     that every unit has, on the gate and the windows, and goes on only where these take
//     work; and behind the gate, where no batch ends any more, with a look at the batches.
//
// A unit reads everything as soon as one of its requests rests on more than that: on sums, on
// who is signed on, on an original that only a STAN without a batch, an invoice or an
// authorization code names.
//
// A unit that presumed wrongly has written nothing. It is run again and reads what it
// had presumed. A unit in doubt reads everything. What is presumed for a unit is in
// presume_load.go and presume_original.go, and how it is proved in presume_proof.go.
type presumption struct {
	cards *ledger.CardShelf
	// windows and streaks are a lane's own, as its buckets are; streaks by terminal.
	windows map[windowKey]ledger.Window
	streaks map[int32]*streak
	records recordShelf
	// caution and cardCaution after presuming wrongly, as other hosts serving the same
	// terminals, or the same cards, would cause.
	caution, cardCaution caution
}

func newPresumption(cards *ledger.CardShelf, lanes int) presumption {
	return presumption{cards: cards, windows: map[windowKey]ledger.Window{}, streaks: map[int32]*streak{}, records: newRecordShelf(lanes)}
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

// forget all that a unit presumed, of cards or of other things, where something of that
// turned out wrong: what it was is not known.
func (p *presumption) forget(f *Facts, err error) {
	if ledger.CardsMoved(err) {
		p.cards.Drop(f.cards)
	}
	if !presumedWrongly(err) {
		return
	}
	for terminal := range f.batches {
		delete(p.streaks, terminal)
	}
	p.records.forget(f)
	for calendar := range f.windows {
		delete(p.windows, windowKey{f.Bucket, calendar})
	}
}

// learn from a unit that was committed.
func (p *presumption) learn(f *Facts) {
	p.cards.Put(f.changes.dirtyCards)
	p.records.learn(f)
	if !f.unread {
		p.forgetEnded(f.batches)
	}
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
		if until := b.openedAt.Add(rolloverRepeat); len(b.recent) > 0 && until.After(f.Now) {
			s.from = until
		}
	}
}

// forgetEnded batches, and those that wait for an upload by now, as a unit has read them.
func (p *presumption) forgetEnded(current map[int32]*batch) {
	for terminal, b := range current {
		if s := p.streaks[terminal]; s != nil && (s.batch.number != b.number || s.batch.state != b.state) {
			delete(p.streaks, terminal)
		}
	}
}
