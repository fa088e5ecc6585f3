package switching

import (
	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// queueStore writes what the unit's verdicts changed, each row once, in the order in
// which units lock: originals, holds, keys, cards. What ends a unit that presumed wrongly
// so comes before most of its rows.
func queueStore(b *pgx.Batch, bucket int16, f *Facts) {
	c := &f.changes
	queueRecordChanges(b, bucket, keysOf(c.dirty))
	ledger.QueueHoldChanges(b, bucket, keysOf(c.dirtyHolds))
	queueKeyChanges(b, bucket, c.keys)
	queuePaidBack(b, bucket, c.paidBack)
	queueNewBatches(b, bucket, c.newBatches, f.Now)
	queueRecords(b, bucket, c.records)
	ledger.QueueTransfers(b, bucket, c.transfers)
	ledger.QueueNewHolds(b, bucket, c.newHolds)
	ledger.QueueCardChanges(b, keysOf(c.dirtyCards))
	queueCounterChanges(b, bucket, f)
	queueShown(b, bucket, c.shown)
	// After the records, whose uploads tell what is missing.
	queueDifferences(b, bucket, c.differs, f.Now)
	queueBatchWrites(b, bucket, c.batches, f.Now)
	queueReviews(b, bucket, c.reviews, f.Now)
	queueWithdrawn(b, bucket, c.withdrawn, f.Now)
	queueExceptions(b, bucket, c.exceptions, f.Now)
}

func keysOf[T comparable](set map[T]struct{}) []T {
	list := make([]T, 0, len(set))
	for v := range set {
		list = append(list, v)
	}
	return list
}
