package switching

import (
	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// queueStore writes what the unit's verdicts changed, each row once. Keys are
// queued before it.
func queueStore(b *pgx.Batch, bucket int16, f *Facts) {
	c := &f.changes
	queueNewBatches(b, bucket, c.newBatches, f.Now)
	queueRecords(b, bucket, c.records)
	queueRecordChanges(b, bucket, c.dirty)
	queueTold(b, bucket, c.told)
	ledger.QueueTransfers(b, bucket, c.transfers)
	ledger.QueueNewHolds(b, bucket, c.newHolds)
	ledger.QueueHoldChanges(b, bucket, keysOf(c.dirtyHolds))
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
