package switching

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// batchLooks bounds how often a unit looks for the batches that it locks while
// others close them. After that, opening a batch that exists ends the unit
// (23505), and it is run anew.
const batchLooks = 3

// start runs the first pipeline until it has the current batch of every
// terminal under lock, and under the right one.
func (l *loader) start(ctx context.Context, withCards bool) error {
	foreign := l.begun
	l.exclusive = len(l.settling()) > 0
	for look := 1; ; look++ {
		l.facts.batches, l.facts.ended = map[int32]*batch{}, map[batchKey]*batch{}
		l.wanted, l.stored, l.settled = map[uuid.UUID]located{}, map[Key]storedKey{}, map[batchKey]located{}
		if err := l.first(ctx, withCards); err != nil {
			return err
		}
		if err := l.otherWindows(ctx, l.calendars()); err != nil {
			return err
		}
		if look == batchLooks {
			return nil
		}
		closed, err := l.closedMeanwhile(ctx)
		if err != nil {
			return err
		}
		switch {
		case closed:
			l.begun = true // the same transaction, whose next statements see the next batch
		case !foreign && l.endWithTheirDate():
			// Begin anew instead of taking a stronger lock on top of a weaker
			// one: two hosts that both did would wait for each other.
			if _, err := l.conn.Exec(ctx, "ROLLBACK"); err != nil {
				return fmt.Errorf("begin anew: %w", err)
			}
			l.begun, l.exclusive = foreign, true
		default:
			return nil
		}
	}
}

// closedMeanwhile tells whether a terminal that seemed to have no batch has
// one: its batch was closed while this unit waited for its row.
func (l *loader) closedMeanwhile(ctx context.Context) (bool, error) {
	var missing []int32
	for _, id := range l.terminals() {
		if l.facts.batches[id] == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return false, nil
	}
	found := false
	b := &pgx.Batch{}
	queueBatches(b, l.facts.Bucket, missing, l.exclusive, l.facts.Now, func(int32, *batch) { found = true })
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		return false, fmt.Errorf("load batches: %w", err)
	}
	return found, nil
}

// endWithTheirDate finds terminals whose policy closes batches at the cutoff
// and whose batch is of an earlier business date; false when there are none, or
// they are known already.
func (l *loader) endWithTheirDate() bool {
	if len(l.due) > 0 {
		return false
	}
	seen := map[int32]bool{}
	for _, j := range l.jobs {
		m, t := j.request.merchant, j.request.terminal
		if !m.Policy.AutoCloseBatch || seen[t.ID] {
			continue
		}
		seen[t.ID] = true
		b := l.facts.batches[t.ID]
		if b != nil && b.state != BatchUploading && b.openedDate != 0 && b.openedDate < l.facts.windows[m.CalendarID].Date {
			l.due = append(l.due, dueTerminal{t.ID, m.CalendarID})
		}
	}
	return len(l.due) > 0
}

func (l *loader) terminals() []int32 {
	var terminals []int32
	seen := map[int32]bool{}
	for _, j := range l.jobs {
		if id := j.request.terminal.ID; !seen[id] {
			seen[id] = true
			terminals = append(terminals, id)
		}
	}
	return terminals
}

// settling lists the settlements and trailers among the requests.
func (l *loader) settling() []*Request {
	var list []*Request
	for _, j := range l.jobs {
		if j.request.Kind.Class() == ClassSettlement {
			list = append(list, j.request)
		}
	}
	return list
}

func (l *loader) queueBatches(b *pgx.Batch) {
	queueBatches(b, l.facts.Bucket, l.terminals(), l.exclusive, l.facts.Now, func(terminalID int32, one *batch) {
		l.facts.batches[terminalID] = one
	})
}

// queueSettlements loads what settlements are compared with.
func (l *loader) queueSettlements(b *pgx.Batch) {
	var terminals, named, numbers []int32
	for _, r := range l.settling() {
		terminals = append(terminals, r.terminal.ID)
		named, numbers = append(named, r.terminal.ID), append(numbers, r.BatchNo)
	}
	for _, due := range l.due {
		terminals = append(terminals, due.terminalID)
	}
	queueBatchTotals(b, l.facts.Bucket, terminals, l.facts.addSums)
	queueEndedBatches(b, l.facts.Bucket, named, numbers, func(key batchKey, one *batch, settlement located) {
		l.facts.ended[key] = one
		if settlement.id != uuid.Nil {
			l.settled[key] = settlement
			l.want(settlement)
		}
	})
}

// settlements gives the ended batches the requests that settled them.
func (l *loader) settlements() {
	for key, at := range l.settled {
		l.facts.ended[key].settlement = l.facts.records[at.id]
	}
}
