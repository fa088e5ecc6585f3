package switching

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// proves tells whether what was decided for a request is stored in a way that
// proves its key to be new, where that was presumed.
func (f *Facts) proves(r *Request, key Key) bool {
	batchNo, presumed := f.presumed[r]
	return !presumed || key.BatchNo == batchNo && f.keys[key] != nil
}

// proveCards has the presumed cards stored, changed or not: each number, because an account may
// have been given another one since.
func (f *Facts) proveCards() {
	for _, card := range f.cards {
		if card.Presumed {
			f.changes.dirtyCards[card] = struct{}{}
		}
	}
}

// proveRecords has the presumed records and holds stored, changed or not.
func (f *Facts) proveRecords() {
	if f.unreferred {
		return
	}
	for id, r := range f.records {
		if r.Presumed {
			f.changes.dirty[r] = struct{}{}
		}
		if hold := f.holds[id]; hold != nil && hold.Presumed {
			f.changes.dirtyHolds[hold] = struct{}{}
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
	queueUnpaid(b, bucket, f.unpaid)
}
