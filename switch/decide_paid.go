package switching

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// Voids and refunds pay, and under keys that stay their bytes are good for ever: whoever
// recorded them can send them again when their batch is over, and anybody can end
// batches in a terminal's name. So what paid back is kept by what would be sent again,
// for all batches (table paid_back); a second one does not get into it.
//
// What waits for a person is kept, too, and stays so when that person rejects it, or its host takes
// it back: a recording is not to pay later what was not to be paid.
//
// A terminal that begins its STANs anew may ask for the very same refund of the same
// original again: it is told that there was one, and the next STAN pays.

// paidKey is what a void or refund is given once for.
type paidKey struct {
	terminalID, stan int32
	digest           digest
	originalID       uuid.UUID // nil for a refund without an original
}

// paysAgain tells whether the request would pay each time that its bytes are sent: it does
// not name its batch, and has no counter that is used up.
func (r *Request) paysAgain() bool {
	return r.Kind.Cancels() && r.BatchNo == 0 && !r.Credentials.Counts
}

// paysBack makes what a verdict pays back known by what would ask for it again.
func (v *Verdict) paysBack(r *Request) {
	rec := v.Record
	if rec == nil || !r.paysAgain() || rec.Kind != KindVoid && rec.Kind != KindRefund ||
		rec.State != StateApproved && rec.State != StateUnderReview {
		return
	}
	v.PaidBack = &paidKey{rec.TerminalID, rec.STAN, rec.Digest, rec.OriginalID}
}

// paidBefore is where the void or refund is that the request asks for once more, in whatever
// batch; false for none.
func (f *Facts) paidBefore(r *Request) (at located, paid bool) {
	if len(f.paid) == 0 || !r.paysAgain() {
		return located{}, false
	}
	key := paidKey{terminalID: r.terminal.ID, stan: r.STAN, digest: r.digest()}
	if !r.Original.Given() {
		at, paid = f.paid[key]
		return at, paid
	}
	for _, o := range f.originals(r) {
		key.originalID = o.ID
		if at, paid = f.paid[key]; paid {
			return at, true
		}
	}
	return located{}, false
}

// unpaid is what is presumed never to have been given, and was not given now either: where it
// pays, the key of its row proves that (queuePaidBack).
type unpaid struct {
	terminalID, stan int32
	digest           digest
}

// restsOnUnpaid has it proved that what was presumed to be new and came to nothing was not
// given before, in another batch: it would be told so.
func (f *Facts) restsOnUnpaid(r *Request, v *Verdict) {
	if _, presumed := f.presumed[r]; presumed && f.unread && r.paysAgain() && v.PaidBack == nil {
		f.unpaid = append(f.unpaid, unpaid{r.terminal.ID, r.STAN, r.digest()})
	}
}

const unpaidSQL = `
SELECT meridian_presumed(count(*), 0)
FROM unnest($2::int[], $3::int[], $4::bytea[]) AS u(terminal_id, stan, digest)
CROSS JOIN LATERAL (
	SELECT FROM paid_back b
	WHERE b.bucket = $1 AND b.terminal_id = u.terminal_id AND b.stan = u.stan AND b.digest = u.digest
	OFFSET 0) p`

// queueUnpaid has the unit end where one of these was given before.
func queueUnpaid(b *pgx.Batch, bucket int16, list []unpaid) {
	if len(list) == 0 {
		return
	}
	terminals, stans, digests := make([]int32, len(list)), make([]int32, len(list)), make([][]byte, len(list))
	for i := range list {
		one := &list[i]
		terminals[i], stans[i], digests[i] = one.terminalID, one.stan, one.digest[:]
	}
	b.Queue(unpaidSQL, bucket, terminals, stans, digests)
}

const paidSQL = `
SELECT u.terminal_id, u.stan, u.digest, p.original_id, p.business_date, p.transaction_id
FROM unnest($2::int[], $3::int[], $4::bytea[]) AS u(terminal_id, stan, digest)
CROSS JOIN LATERAL (
	SELECT b.original_id, b.business_date, b.transaction_id FROM paid_back b
	WHERE b.bucket = $1 AND b.terminal_id = u.terminal_id AND b.stan = u.stan AND b.digest = u.digest
	OFFSET 0) p`

// queuePaid looks for what the requests may ask for once more. Where a marked repeat does,
// it is answered from the record.
func (l *loader) queuePaid(b *pgx.Batch) {
	var terminals, stans []int32
	var digests [][]byte
	repeats := false
	for _, j := range l.jobs {
		if r := j.request; r.paysAgain() {
			d := r.digest()
			terminals, stans, digests = append(terminals, r.terminal.ID), append(stans, r.STAN), append(digests, d[:])
			repeats = repeats || r.Repeat || len(r.tried) > 0
		}
	}
	if len(terminals) == 0 {
		return
	}
	b.Queue(paidSQL, l.facts.Bucket, terminals, stans, digests).Query(func(rows pgx.Rows) error {
		var key paidKey
		var content []byte
		var original, id [16]byte
		var date time.Time
		_, err := pgx.ForEachRow(rows, []any{&key.terminalID, &key.stan, &content, &original, &date, &id}, func() error {
			copy(key.digest[:], content)
			key.originalID = original
			at := located{ledger.DateOf(date), id}
			l.facts.paid[key] = at
			if repeats {
				l.want(at)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("look for what paid back: %w", err)
		}
		return nil
	})
}

const insertPaidSQL = `
INSERT INTO paid_back (bucket, terminal_id, stan, digest, original_id, business_date, transaction_id)
SELECT b.bucket, u.terminal_id, u.stan, u.digest, u.original_id, u.business_date, u.transaction_id
FROM buckets b, unnest($2::int[], $3::int[], $4::bytea[], $5::uuid[], $6::date[], $7::uuid[])
	AS u(terminal_id, stan, digest, original_id, business_date, transaction_id)
WHERE b.bucket = $1`

// queuePaidBack stores what pays back. A plain insert: what is there already ends the unit
// (23505), which is run again and reads it.
func queuePaidBack(b *pgx.Batch, bucket int16, paid []paidBack) {
	if len(paid) == 0 {
		return
	}
	// In the order of the keys: the same ones may come to two hosts at once.
	slices.SortFunc(paid, func(a, b paidBack) int {
		return cmp.Or(cmp.Compare(a.key.terminalID, b.key.terminalID), cmp.Compare(a.key.stan, b.key.stan))
	})
	var terminals, stans []int32
	var digests [][]byte
	var originals, ids [][16]byte
	var dates []time.Time
	for i := range paid {
		p := &paid[i]
		terminals, stans, digests = append(terminals, p.key.terminalID), append(stans, p.key.stan), append(digests, p.key.digest[:])
		originals, ids = append(originals, p.key.originalID), append(ids, p.at.id)
		dates = append(dates, p.at.date.Time())
	}
	b.Queue(insertPaidSQL, bucket, terminals, stans, digests, originals, dates, ids)
}

// paidBack is a row of what paid back.
type paidBack struct {
	key paidKey
	at  located
}
