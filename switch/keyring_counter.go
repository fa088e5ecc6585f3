package switching

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Where keys are derived, a transaction counter counts up and never comes again:
// a message whose counter is not above the last one is a replay, unless it
// repeats what is stored. The counter is kept in the unit of work that takes the
// message, so that of two hosts which are shown the same message one refuses.

// serial is a terminal's counter, and the part of the key serial number that it
// belongs to: new keys count from the beginning.
type serial struct {
	terminalID int32
	initial    string
}

// counted is how far a counter has come; stored tells that it has a row.
type counted struct {
	counter int64
	stored  bool
}

// serialOf a request; false where keys are not derived, or the number does not count.
func serialOf(r *Request) (serial, int64, bool) {
	if !r.Credentials.Counts {
		return serial{}, 0, false
	}
	initial, counter, ok := splitKSN(r.terminal.Scheme, r.Credentials.KSN)
	return serial{r.terminal.ID, string(initial)}, counter, ok
}

const lockCountersSQL = `
SELECT terminal_id, initial_ksn, counter FROM dukpt_counters WHERE bucket = $1 AND terminal_id = ANY($2::int[])
ORDER BY terminal_id, initial_ksn FOR UPDATE`

// queueCounters locks the counters of the unit's terminals.
func (l *loader) queueCounters(b *pgx.Batch) {
	terminals := map[int32]struct{}{}
	for _, j := range l.jobs {
		if s, _, ok := serialOf(j.request); ok {
			terminals[s.terminalID] = struct{}{}
		}
	}
	if len(terminals) == 0 {
		return
	}
	b.Queue(lockCountersSQL, l.facts.Bucket, slices.Sorted(maps.Keys(terminals))).Query(func(rows pgx.Rows) error {
		var terminalID int32
		var initial []byte
		var counter int64
		_, err := pgx.ForEachRow(rows, []any{&terminalID, &initial, &counter}, func() error {
			l.facts.counters[serial{terminalID, string(initial)}] = counted{counter, true}
			return nil
		})
		return err //nolint:wrapcheck // wrapped by first
	})
}

// replayed tells whether the request's counter has been used before.
func (f *Facts) replayed(r *Request) bool {
	s, counter, ok := serialOf(r)
	return ok && counter <= f.counters[s].counter
}

// countSerial takes the request's counter as used, whatever became of the request.
func (f *Facts) countSerial(r *Request) {
	s, counter, ok := serialOf(r)
	if have := f.counters[s]; ok && counter > have.counter {
		f.counters[s] = counted{counter, have.stored}
		f.changes.counters[s] = struct{}{}
	}
}

// A plain insert: where another host was first, the unit ends (23505) and is run
// again over that counter.
const insertCountersSQL = `
INSERT INTO dukpt_counters (bucket, terminal_id, initial_ksn, counter)
SELECT b.bucket, u.terminal_id, u.initial_ksn, u.counter
FROM buckets b, unnest($2::int[], $3::bytea[], $4::bigint[]) AS u(terminal_id, initial_ksn, counter)
WHERE b.bucket = $1`

const updateCountersSQL = `
UPDATE dukpt_counters c SET counter = u.counter
FROM unnest($2::int[], $3::bytea[], $4::bigint[]) AS u(terminal_id, initial_ksn, counter)
WHERE c.bucket = $1 AND c.terminal_id = u.terminal_id AND c.initial_ksn = u.initial_ksn`

// queueCounterChanges stores the counters that have moved.
func queueCounterChanges(b *pgx.Batch, bucket int16, f *Facts) {
	for _, statement := range []struct {
		sql    string
		stored bool
	}{{insertCountersSQL, false}, {updateCountersSQL, true}} {
		var terminals []int32
		var initials [][]byte
		var counters []int64
		for s := range f.changes.counters {
			if have := f.counters[s]; have.stored == statement.stored {
				terminals, initials = append(terminals, s.terminalID), append(initials, []byte(s.initial))
				counters = append(counters, have.counter)
			}
		}
		if len(terminals) > 0 {
			b.Queue(statement.sql, bucket, terminals, initials, counters)
		}
	}
}
