package switching

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// start runs the first pipeline: through the gate, and alone if a batch ends in
// this unit.
func (l *loader) start(ctx context.Context, withCards bool) error {
	foreign := l.begun
	l.exclusive = len(l.settling())+len(l.due) > 0
	for {
		l.wanted, l.stored, l.settled = map[uuid.UUID]located{}, map[Key]storedKey{}, map[batchKey]located{}
		if err := l.first(ctx, withCards); err != nil {
			return err
		}
		if err := l.otherWindows(ctx, l.calendars()); err != nil {
			return err
		}
		if foreign || !l.endWithTheirDate() {
			return nil
		}
		// Begin anew instead of taking a stronger lock on top of a weaker one: two
		// hosts that both did would wait for each other.
		if _, err := l.conn.Exec(ctx, "ROLLBACK"); err != nil {
			return fmt.Errorf("begin anew: %w", err)
		}
		l.facts.forgetAll()
		l.exclusive = true
	}
}

// endWithTheirDate finds terminals whose policy closes batches at the cutoff
// and whose batch is of an earlier business date; false when all of them are known
// already. While the unit waited to be alone, the date may have been cut, too.
func (l *loader) endWithTheirDate() bool {
	known, seen := len(l.due), map[int32]bool{}
	for _, due := range l.due {
		seen[due.terminalID] = true
	}
	for _, j := range l.jobs {
		m, t := j.request.merchant, j.request.terminal
		if !m.Policy.AutoCloseBatch || seen[t.ID] {
			continue
		}
		seen[t.ID] = true
		if b := l.facts.batches[t.ID]; b != nil && b.endsWith(l.facts.windows[m.CalendarID].Date) {
			l.due = append(l.due, dueTerminal{t.ID, m.CalendarID})
		}
	}
	return len(l.due) > known
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
	queueBatches(b, l.facts.Bucket, l.terminals(), l.facts.Now, func(terminalID int32, one *batch) {
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
