package model

import "time"

// BatchState is where a terminal's batch is in its life.
type BatchState string

// The states that are seen from outside.
const (
	BatchOpen      BatchState = "open"
	BatchUploading BatchState = "uploading"
	BatchClosed    BatchState = "closed"
)

// Closer is who closed a batch.
type Closer string

// Who may close one.
const (
	BySettlement Closer = "settlement"
	ByTrailer    Closer = "trailer"
	ByCutoff     Closer = "cutoff"
	ByPerson     Closer = "person"
)

// Batch gathers a terminal's transactions.
type Batch struct {
	Number   int
	Previous int // the one before it; 0 for none
	State    BatchState
	OpenedAt time.Time
	OpenedOn Date // the business date it takes transactions from
	// Begun: something was stored in it, or a batch was before it.
	Begun bool

	// Stated is what its terminal last said of it.
	Stated Stated

	// Of one that has ended:
	ClosedBy   Closer
	ClosedOn   Date
	Totals     Totals
	Filled     bool // it had transactions when it ended, or what a reversal left in the place of one
	Settlement int  // the transaction that its terminal settled it with; -1 for none
}

// FirstBatch of a terminal.
func FirstBatch() Batch { return Batch{Number: 1, State: BatchOpen, Settlement: -1} }

// lastBatchNumber is what six digits hold.
const lastBatchNumber = 999_999

const (
	// repeatPatience is how long what may be missing of a batch that has ended is
	// taken for repeated by what comes in the next.
	repeatPatience = 15 * time.Minute
	// reversalPatience is the same for what is reversed. No batch is looked at
	// after it.
	reversalPatience = 24 * time.Hour
)

// CloseByHand closes a terminal's batch because a person says so; next is the
// number of the one after it, 0 for the one that follows. It tells whether
// there is a batch and the number is free.
func (w *World) CloseByHand(terminal, next int) bool {
	at := &w.Terminals[terminal]
	if !at.Batch.Begun || next != 0 && (next == at.Batch.Number || at.ended(next) != nil) {
		return false
	}
	w.endBatch(terminal, ByPerson, Stated{}, -1)
	if next != 0 {
		at.Batch.Number = next
	}
	return true
}

// CloseDueBatches closes what the policy lets the host close, where the batch's
// business date is over.
func (w *World) CloseDueBatches() {
	for i := range w.Terminals {
		at := &w.Terminals[i]
		if at.Batch.Begun && !w.Now.Before(w.Calendars[w.Merchants[at.Merchant].Calendar].CutoffOf(at.Batch.OpenedOn)) {
			w.rollOver(i)
		}
	}
}

// rollOver closes a terminal's batch of an earlier business date, where the
// policy says so. One without totals, and one that waits for its upload, go on.
func (w *World) rollOver(terminal int) {
	at := &w.Terminals[terminal]
	today := w.today(at.Merchant)
	switch b := &at.Batch; {
	case !w.Merchants[at.Merchant].Policy.AutoCloseBatch, !b.Begun, b.State != BatchOpen, b.OpenedOn >= today:
	case w.Totals(terminal) == Totals{}:
		b.OpenedOn = today
	default:
		w.endBatch(terminal, ByCutoff, Stated{}, -1)
	}
}

// endBatch closes a terminal's current batch and opens the next one.
func (w *World) endBatch(terminal int, by Closer, stated Stated, settlement int) {
	at := &w.Terminals[terminal]
	today := w.today(at.Merchant)
	ended := at.Batch
	ended.State, ended.ClosedBy, ended.ClosedOn, ended.Totals, ended.Settlement = BatchClosed, by, today, w.Totals(terminal), settlement
	ended.Filled = w.filled(terminal, ended.Number)
	if stated.Given {
		ended.Stated = stated
	}
	at.Ended = append(at.Ended, ended)
	number := ended.Number%lastBatchNumber + 1
	for at.ended(number) != nil {
		number++
	}
	at.Batch = Batch{
		Number: number, Previous: ended.Number, State: BatchOpen, OpenedAt: kept(w.Now), OpenedOn: today, Begun: true, Settlement: -1,
	}
}

// ended is a terminal's ended batch of a number; nil for none.
func (t *Terminal) ended(number int) *Batch {
	for i := range t.Ended {
		if t.Ended[i].Number == number {
			return &t.Ended[i]
		}
	}
	return nil
}

// justEnded is the batch before a terminal's current one, for a day.
func (w *World) justEnded(terminal int) *Batch {
	at := &w.Terminals[terminal]
	if at.Batch.Previous == 0 || !at.Batch.OpenedAt.After(kept(w.Now.Add(-reversalPatience))) {
		return nil
	}
	return at.ended(at.Batch.Previous)
}

// batchRefuses tells why the terminal's batch does not take a request. What
// repairs, settles or shows is taken whatever the batch.
func (w *World) batchRefuses(r Request) Reason {
	b := &w.Terminals[r.Terminal].Batch
	switch {
	case r.Kind.class() != financial:
		return Approved
	case r.Batch != 0 && r.Batch != b.Number:
		return NotCurrentBatch
	case b.State == BatchUploading:
		return BatchInUpload
	default:
		return Approved
	}
}

// lately lists the batches that a request may still be of, the latest first: the one
// before the current one, and of the others those with transactions, back to the first
// of them that is followed by one of longer ago than a day.
func (w *World) lately(terminal int) []*Batch {
	at := &w.Terminals[terminal]
	var list []*Batch
	followedBy := &at.Batch
	for i := len(at.Ended) - 1; i >= 0 && followedBy.OpenedAt.After(kept(w.Now.Add(-reversalPatience))); i-- {
		switch ended := &at.Ended[i]; {
		case ended.Filled:
			list = append(list, ended)
			followedBy = ended
		case ended.Number == at.Batch.Previous:
			list = append(list, ended)
		}
	}
	return list
}

// filled tells whether a batch has transactions, or what a reversal left in the place of one, by now.
func (w *World) filled(terminal, number int) bool {
	for k := range w.keys {
		if k.terminal == terminal && k.batch == number && k.class == financial {
			return true
		}
	}
	return false
}

// acrossBatches finds in the batches that have ended lately what a request
// repeats whose terminal may not have had the answer: the host closed the batch
// by itself, the upload did not show it, the sender says that it repeats, or it
// is counted before it is answered. Of several it is the latest that is meant.
func (w *World) acrossBatches(r Request, c class, patience time.Duration, meant func(taken) bool) (taken, bool) {
	if r.Batch != 0 {
		return taken{}, false
	}
	for _, before := range w.lately(r.Terminal) {
		have, seen := w.keys[key{r.Merchant, r.Terminal, before.Number, r.STAN, c}]
		if !seen || w.Now.Sub(w.Transactions[have.transaction].AcceptedAt) >= patience || !meant(have) {
			continue
		}
		counted := r.Kind == Advice || c == settling || c == uploading
		if w.unconfirmed(r.Terminal, before, r.STAN) || r.Repeat || counted && !have.tombstone {
			return have, true
		}
	}
	return taken{}, false
}

// paidBack is what a void or refund is given once for, whatever its batch. It is not in
// the documents: its bytes may be a recording.
type paidBack struct {
	terminal, stan int
	content        Request
	original       int // -1 without one
}

// paysAgain: the request does not name its batch.
func (r Request) paysAgain() bool { return r.Kind.cancels() && r.Batch == 0 }

// paidBefore is the void or refund that a request asks for once more.
func (w *World) paidBefore(r Request) (id int, paid bool) {
	if !r.paysAgain() {
		return -1, false
	}
	about := []int{-1}
	if r.Original.By != ByNothing {
		about = w.find(r)
	}
	for _, original := range about {
		if id, paid = w.paid[paidBack{r.Terminal, r.STAN, r.content(), original}]; paid {
			return id, true
		}
	}
	return -1, false
}

// pays keeps what a void or refund was given for.
func (w *World) pays(r Request, id int) {
	t := &w.Transactions[id]
	if !r.paysAgain() || t.Kind != Void && t.Kind != Refund || t.State != StateApproved && t.State != StateUnderReview {
		return
	}
	if w.paid == nil {
		w.paid = map[paidBack]int{}
	}
	w.paid[paidBack{r.Terminal, r.STAN, r.content(), t.Original}] = id
}

// unconfirmed: the batch has ended without a word of its terminal's, or without
// this transaction in its upload.
func (w *World) unconfirmed(terminal int, b *Batch, stan int) bool {
	if (b.ClosedBy == ByCutoff || b.ClosedBy == ByPerson) && b.Settlement < 0 {
		return true
	}
	_, missing := w.Differences[DifferenceKey{terminal, b.Number, MissingFromTerminal, stan}]
	return missing
}
