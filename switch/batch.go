package switching

import (
	"fmt"
	"time"

	"meridian/ledger"
)

// A terminal's transactions are gathered in numbered batches. Its terminal
// settles the current one by stating totals:
//
//	         settlement, totals agree (or an empty batch)
//	OPEN ─────────────────────────────────────────────────▶ CLOSED ─▶ the next one is OPEN
//	  │ settlement, totals differ: 95                          ▲
//	  └──▶ UPLOADING ── uploads, reversals ── trailer ─────────┤
//	  └── the cutoff (by policy), or a person ─────────────────┘
//
// There, comparing the totals, closing the batch and opening the next one are one
// database transaction. Terminals that settle in two steps (UnionPay's) state
// totals and tell the end by another request:
//
//	       settlement      ┌▶ BALANCED (the totals agree) ─┐ trailer
//	OPEN ──────────────────┤                               ├─────────▶ CLOSED ─▶ the next one is OPEN
//	                       └▶ SETTLING (they differ) ──────┘
//
// Comparing changes nothing but the state. A terminal that lost the answer may go
// on selling, so the batch takes transactions and settlements until its trailer,
// which compares the host's totals of that moment with what was stated last.
//
// What makes it safe between hosts is the bucket's gate. Every unit of work holds
// it with others, one that ends a batch holds it alone: a transaction is in the
// totals of its batch or in the next batch.

// BatchState is where a batch is in its life.
type BatchState uint8

const (
	// BatchOpen takes transactions.
	BatchOpen BatchState = 1
	// BatchSettling has stated totals that differ, and takes everything.
	BatchSettling BatchState = 2
	// BatchBalanced has stated totals that agreed, and takes everything.
	BatchBalanced BatchState = 3
	// BatchUploading takes uploads and reversals, and nothing else until the trailer.
	BatchUploading BatchState = 4
	// BatchClosed is done.
	BatchClosed BatchState = 5
)

// String names the state.
func (s BatchState) String() string {
	switch s {
	case BatchOpen:
		return "open"
	case BatchSettling:
		return "settling"
	case BatchBalanced:
		return "balanced"
	case BatchUploading:
		return "uploading"
	case BatchClosed:
		return "closed"
	default:
		return "unknown"
	}
}

// MarshalText is the state's name.
func (s BatchState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// BatchCloser is who closed a batch.
type BatchCloser uint8

const (
	// ClosedBySettlement: the terminal's totals agreed.
	ClosedBySettlement BatchCloser = 1
	// ClosedByTrailer: the terminal ended its upload.
	ClosedByTrailer BatchCloser = 2
	// ClosedByCutoff: the host, at the end of a business date.
	ClosedByCutoff BatchCloser = 3
	// ClosedByPerson: somebody with a reason.
	ClosedByPerson BatchCloser = 4
)

// String names the closer; empty for none.
func (c BatchCloser) String() string {
	switch c {
	case ClosedBySettlement:
		return "settlement"
	case ClosedByTrailer:
		return "trailer"
	case ClosedByCutoff:
		return "cutoff"
	case ClosedByPerson:
		return "person"
	default:
		return ""
	}
}

// MarshalText is the closer's name.
func (c BatchCloser) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// byHost tells whether the terminal may not know that the batch is closed.
func (c BatchCloser) byHost() bool { return c == ClosedByCutoff || c == ClosedByPerson }

// maxBatchNo is what six digits hold; the number after it is 1.
const maxBatchNo = 999_999

// batchAfter is the number that follows n.
func batchAfter(n int32) int32 { return n%maxBatchNo + 1 }

// batch is a terminal's batch as a unit of work sees it.
type batch struct {
	number int32
	state  BatchState
	// recent are those before it that a request may still be of, the latest first: the
	// one before, and of the others those with transactions. None where that one ended
	// longer ago than [rolloverReversal].
	recent []int32
	// filled tells that it has transactions, and filledBefore is the last one before it
	// that has; 0 for none. filled is loaded where the unit settles, and kept current.
	filled       bool
	filledBefore int32
	// openedAt is known of current ones.
	openedAt time.Time
	// openedDate is the business date it takes transactions from; 0 in rows of
	// a version that did not keep it.
	openedDate ledger.Date
	// totals of its transactions so far, and the number that follows: loaded
	// where the unit settles, kept current by every verdict.
	totals Totals
	next   int32
	// stated totals of the terminal: the last, nil for none. Loaded where the unit
	// settles.
	stated *StatedTotals
	// Of one that has ended:
	closedBy   BatchCloser
	settlement *Record // the terminal's request that settled it
}

// endsWith tells whether a policy that closes batches at the cutoff closes this one
// before it takes anything of the business date.
func (b *batch) endsWith(date ledger.Date) bool {
	return b.state != BatchUploading && b.openedDate != 0 && b.openedDate < date
}

// newBatch is a terminal's first.
type newBatch struct {
	number int32
	date   ledger.Date
}

// batchKey names a terminal's batch.
type batchKey struct{ terminalID, batchNo int32 }

// batchChange is what a verdict makes of the terminal's current batch.
type batchChange struct {
	to     BatchState
	by     BatchCloser
	number int32 // of the batch; one that is closed already only gets its settlement
	stated *StatedTotals
	// upload tells that the terminal was asked for its transactions: what it has
	// not shown is missing from it.
	upload bool
}

// BatchDifference is where a terminal's upload and the host's records differ.
type BatchDifference struct {
	Kind          string
	STAN          int32
	TerminalMinor *int64
	HostMinor     *int64
	Record        *Record // the host's; nil where it has none
}

// batchDifference is a difference with the upload that showed it.
type batchDifference struct {
	BatchDifference

	upload *Record
}

// batchWrite is a change of a batch as it is stored.
type batchWrite struct {
	terminalID, batchNo int32
	change              batchChange
	totals              Totals
	closedDate          ledger.Date
	settlement          *Record // nil where the host closed it
	next                *batch  // opened by this change; nil for none
}

// batch of a terminal now, as the facts have it; its first is 1.
func (f *Facts) batch(terminalID int32) *batch {
	if b := f.batches[terminalID]; b != nil {
		return b
	}
	return &batch{number: 1, state: BatchOpen, next: batchAfter(1)}
}

// batchClosed tells whether a record's batch has ended. Of a terminal in this
// unit the current batch is locked; of another one it is what was loaded with
// the record.
func (f *Facts) batchClosed(o *Record) bool {
	if b := f.batches[o.TerminalID]; b != nil {
		return b.number != o.BatchNo
	}
	return o.BatchClosed
}

// changeBatch makes a verdict's change of the batch part of the facts.
func (f *Facts) changeBatch(change batchChange, rec *Record, date ledger.Date) {
	if b := f.batches[rec.TerminalID]; b != nil && b.number == change.number {
		f.change(b, rec.TerminalID, change, rec, date)
		return
	}
	// The batch has ended before: now its terminal has settled it.
	if b := f.ended[batchKey{rec.TerminalID, change.number}]; b != nil {
		b.stated, b.settlement = change.stated, rec
		f.changes.batches = append(f.changes.batches, batchWrite{
			terminalID: rec.TerminalID, batchNo: change.number, change: change, settlement: rec,
		})
	}
}

func (f *Facts) change(b *batch, terminalID int32, change batchChange, settlement *Record, date ledger.Date) {
	write := batchWrite{
		terminalID: terminalID, batchNo: b.number, change: change, totals: b.totals, closedDate: date, settlement: settlement,
	}
	if change.to != BatchClosed {
		b.state, b.stated = change.to, change.stated
		f.changes.batches = append(f.changes.batches, write)
		return
	}
	ended := *b
	ended.state, ended.closedBy, ended.stated, ended.settlement = BatchClosed, change.by, change.stated, settlement
	f.ended[batchKey{terminalID, b.number}] = &ended
	write.next = b.successor(f.Now, date)
	opened := *write.next
	f.batches[terminalID] = &opened
	f.changes.batches = append(f.changes.batches, write)
	if !change.by.byHost() {
		return
	}
	for key, entry := range f.keys {
		if key.TerminalID == terminalID && key.BatchNo == ended.number {
			entry.unconfirmed = true
		}
	}
}

// successor is the batch that follows when this one ends now.
func (b *batch) successor(now time.Time, date ledger.Date) *batch {
	next := &batch{number: b.next, state: BatchOpen, openedAt: now, openedDate: date, next: batchAfter(b.next), filledBefore: b.filledBefore}
	if b.filled {
		next.filledBefore = b.number
	}
	before := b.recent
	if len(before) > 0 && before[0] != b.filledBefore {
		before = before[1:] // empty, and not the one before any more
	}
	next.recent = append([]int32{b.number}, before...)
	return next
}

// previous is the one before it while that is recent, 0 otherwise.
func (b *batch) previous() int32 {
	if len(b.recent) == 0 {
		return 0
	}
	return b.recent[0]
}

// rollOver closes, with the host's totals, the batches of terminals whose
// policy says so and that still hold transactions of an earlier business date.
// An empty one goes on.
func (f *Facts) rollOver(terminals []dueTerminal) {
	for _, due := range terminals {
		b := f.batches[due.terminalID]
		date := f.windows[due.calendarID].Date
		if b == nil || !b.endsWith(date) {
			continue
		}
		if b.totals.empty() {
			b.openedDate = date
			f.changes.batches = append(f.changes.batches, batchWrite{
				terminalID: due.terminalID, batchNo: b.number, change: batchChange{to: BatchOpen}, closedDate: date,
			})
			continue
		}
		f.change(b, due.terminalID, batchChange{to: BatchClosed, by: ClosedByCutoff, number: b.number}, nil, date)
	}
}

// dueTerminal may have a batch that its policy closes at the cutoff.
type dueTerminal struct {
	terminalID int32
	calendarID int16
}

const (
	// rolloverRepeat is how long after it was accepted a transaction of a batch
	// that has ended is still taken for what a repeat repeats: terminals try for
	// some minutes. Longer, and a STAN that began anew could meet an old one.
	rolloverRepeat = 15 * time.Minute
	// rolloverReversal is the same for its reversal. A terminal that lost power
	// reverses when it is switched on again, and a reversal must match the
	// original's amount and card besides.
	rolloverReversal = 24 * time.Hour
)

// acrossRollover finds the stored key that a request without a stated batch
// repeats although its batch has ended meanwhile: the latest of those that are meant.
// It looks past the batch before, because nothing proves who ends one
// (docs/explanation/security.md).
//
// A terminal that settled with totals which agreed, or that uploaded a
// transaction, has had its answer: the same STAN is a new transaction then,
// because terminals begin their STANs anew. What a terminal may not have had an
// answer for is in a batch that the host closed by itself, was missing from the
// upload, is marked by its sender as a repeat, or is an advice, which terminals
// count before they are answered. Settlements and uploads are what ends a batch.
func (f *Facts) acrossRollover(r *Request, class Class, within time.Duration, meant func(*keyEntry) bool) *keyEntry {
	b := f.batches[r.terminal.ID]
	if r.BatchNo != 0 || b == nil {
		return nil
	}
	for _, number := range b.recent {
		entry := f.keys[Key{r.merchant.ID, r.terminal.ID, number, r.STAN, class}]
		if entry != nil && f.Now.Sub(entry.record.AcceptedAt) < within && entry.open(r, class) && meant(entry) {
			return entry
		}
	}
	return nil
}

// open tells whether the terminal may not have had its answer, in a batch that has ended.
func (e *keyEntry) open(r *Request, class Class) bool {
	return e.unconfirmed || r.repeats(e.record) || !e.tombstone && (r.Kind == KindAdvice || class == ClassSettlement || class == ClassUpload)
}

// Difference names of an upload.
const (
	amountDiffers = "amount_differs"
	cardDiffers   = "card_differs"
	kindDiffers   = "kind_differs"
	rrnDiffers    = "rrn_differs"
	notStanding   = "not_standing"
	unknownToHost = "unknown_to_host"
)

func (k batchKey) String() string { return fmt.Sprintf("%06d of terminal %d", k.batchNo, k.terminalID) }
