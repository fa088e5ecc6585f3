package switching

import (
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// This file keeps two hosts from contradicting each other about one approval:
// one that was committed unheard of by the host that stored it, which then told
// its terminal of a failure and will reverse it, and which another host finds
// stored when the terminal repeats.
//
//	told_by: NULL ──repeat──▶ {it, claim} ──told of a failure──▶ {claim}   stands
//	         NULL ──told of a failure──▶ {}                                abandoned
//
// A record's tellers are the requests that told its approval or may have. A
// repeat enters itself, as a claim, in the transaction that it is answered
// after. A request that was answered with a failure takes itself out as soon as
// it knows that it was in, and who takes the last one out reverses the record.
// Both hold the record's row lock: an approval that was told is never taken
// back, and one that was taken back is never told.
//
// A first answer pays nothing for this: the request that stored a record is its
// teller without being written down. What the terminal went on with stands, too,
// whoever is left.

// maxTellers of one record: terminals repeat a few times. Beyond it nobody is
// written down any more and the record stands for good, which is wrong only if
// every one of them was answered with a failure.
const maxTellers = 8

// forGood is the teller that never takes itself out.
var forGood = uuid.Nil

// mark is where a job is one of the tellers, if the try that wrote it was committed.
type mark struct {
	record  located
	batchNo int32
	teller  uuid.UUID
}

func markOf(r *Record, teller uuid.UUID) mark {
	return mark{located{r.BusinessDate, r.ID}, r.BatchNo, teller}
}

// tellers of the record.
func (r *Record) tellers() []uuid.UUID {
	if r.ToldBy == nil {
		return []uuid.UUID{r.ID}
	}
	return r.ToldBy
}

// canBeTakenBack tells whether a host may yet reverse what it answered with a
// failure.
func (r *Record) canBeTakenBack() bool {
	return r.Asked.Class() == ClassFinancial && (r.State == StateApproved || r.State == StateUnderReview)
}

// claim enters a job among the tellers of the stored record whose answer it is
// about to get. What this unit stores itself is committed with it or not at all,
// and needs no claim; neither does what the job stored in an earlier try.
func (f *Facts) claim(j *job, stored *Record, id uuid.UUID) {
	if _, fresh := f.changes.isNew[stored]; fresh || !stored.canBeTakenBack() {
		return
	}
	tellers := stored.tellers()
	if slices.Contains(tellers, forGood) || slices.ContainsFunc(j.marks, func(m mark) bool { return slices.Contains(tellers, m.teller) }) {
		return
	}
	if len(tellers) == maxTellers {
		f.tell(stored, []uuid.UUID{forGood})
		return
	}
	f.tell(stored, append(slices.Clone(tellers), id))
	j.marks = append(j.marks, markOf(stored, id))
}

// release takes a teller out and says whether it was the last.
func (f *Facts) release(stored *Record, teller uuid.UUID) (last bool) {
	left := slices.DeleteFunc(slices.Clone(stored.tellers()), func(id uuid.UUID) bool { return id == teller })
	f.tell(stored, left)
	return len(left) == 0
}

func (f *Facts) tell(r *Record, by []uuid.UUID) {
	r.ToldBy = by
	f.changes.dirty[r] = struct{}{}
}

// A record that an approved request refers to is known to its terminal: it was
// reversed in part, voided and reinstated, adjusted, or uploaded. What the host
// took back of that (state 7) does not count. A refund that a person has approved is
// known to more than its terminal. An adjustment stands for what was told behind it of
// the same original: another total, or what a reversal leaves.
const actedOnSQL = `
SELECT u.id FROM unnest($2::int[], $3::int[], $4::uuid[], $5::uuid[]) AS u(terminal_id, batch_no, id, original_id)
CROSS JOIN LATERAL (
	(SELECT FROM transactions t WHERE t.bucket = $1 AND t.original_id = u.id AND t.reason = 1 AND t.state <> 7 LIMIT 1)
	UNION ALL
	(SELECT FROM upload_items i WHERE i.bucket = $1 AND i.terminal_id = u.terminal_id AND i.batch_no = u.batch_no AND i.transaction_id = u.id LIMIT 1)
	UNION ALL
	(SELECT FROM reviews v WHERE v.bucket = $1 AND v.review_id = u.id AND v.state = 2)
	UNION ALL
	(SELECT FROM transactions t WHERE t.bucket = $1 AND t.original_id = u.original_id AND t.transaction_id > u.id -- and so later
		AND t.asked IN (8, 17) AND t.reason = 1 AND t.state <> 7 LIMIT 1)) a`

// queueActedOn looks for what refers to the records that jobs may have to
// reverse. They are locked, so that nothing more comes.
func (l *loader) queueActedOn(b *pgx.Batch) {
	var terminals, batches []int32
	var ids [][16]byte
	var adjusted []*uuid.UUID // the originals of adjustments
	for _, j := range l.jobs {
		for _, m := range j.toTakeBack() {
			terminals, batches, ids = append(terminals, j.request.terminal.ID), append(batches, m.batchNo), append(ids, m.record.id)
			var of *uuid.UUID
			if stored := l.facts.records[m.record.id]; stored != nil && stored.Asked == KindAdjustment {
				of = &stored.OriginalID
			}
			adjusted = append(adjusted, of)
		}
	}
	if len(ids) == 0 {
		return
	}
	b.Queue(actedOnSQL, l.facts.Bucket, terminals, batches, ids, adjusted).Query(func(rows pgx.Rows) error {
		var id [16]byte
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			l.facts.actedOn[id] = true
			return nil
		})
		return err //nolint:wrapcheck // wrapped by holdsAndCards
	})
}

// toTakeBack lists where a job that was answered with a failure may be a teller.
func (j *job) toTakeBack() []mark {
	if !j.answered {
		return nil
	}
	return j.marks
}
