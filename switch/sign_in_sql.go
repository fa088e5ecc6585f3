package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// keySlots is how many generations a terminal has rows for: the one in use, the
// one before it, and two that were handed out and not used yet.
const keySlots = 4

// slotRow is a terminal's row of working keys.
type slotRow struct {
	slot       int16
	generation int32
	used       bool
}

const lockGenerationsSQL = `
SELECT slot, generation, first_used_at IS NOT NULL FROM working_keys
WHERE bucket = $1 AND terminal_id = $2 ORDER BY slot FOR UPDATE`

const insertGenerationSQL = `
INSERT INTO working_keys (bucket, terminal_id, slot, generation, mak_wrapped, pik_wrapped, tdk_wrapped, issued_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())`

const replaceGenerationSQL = `
UPDATE working_keys SET generation = $4, mak_wrapped = $5, pik_wrapped = $6, tdk_wrapped = $7, issued_at = $8,
	first_used_at = NULL, ended_at = NULL, changed_at = clock_timestamp()
WHERE bucket = $1 AND terminal_id = $2 AND slot = $3`

// storeGeneration stores a terminal's next generation of keys and returns its
// number. Two at once meet on the rows that are there, or on the primary key of a
// new one (23505).
func storeGeneration(ctx context.Context, tx pgx.Tx, bucket int16, terminalID int32, k workingKeys, now time.Time) (int32, error) {
	rows, err := tx.Query(ctx, lockGenerationsSQL, bucket, terminalID)
	if err != nil {
		return 0, fmt.Errorf("lock keys: %w", err)
	}
	have, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r slotRow, err error) {
		err = row.Scan(&r.slot, &r.generation, &r.used)
		return r, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return 0, fmt.Errorf("lock keys: %w", err)
	}
	slot, number := nextSlot(have)
	statement := insertGenerationSQL
	if int(slot) < len(have) {
		statement = replaceGenerationSQL
	}
	if _, err := tx.Exec(ctx, statement, bucket, terminalID, slot, number, k.mak, k.pik, k.tdk, now); err != nil {
		return 0, fmt.Errorf("store keys: %w", err)
	}
	return number, nil
}

// nextSlot says where a new generation goes: into a row of its own while there
// are few, then over the oldest that nobody needs. The keys that the terminal
// was last seen to have stay whatever is handed out.
func nextSlot(have []slotRow) (slot int16, number int32) {
	var newestUsed int32
	for _, r := range have {
		number = max(number, r.generation)
		if r.used {
			newestUsed = max(newestUsed, r.generation)
		}
	}
	if len(have) < keySlots {
		return int16(len(have)), number + 1
	}
	oldest := number
	for _, r := range have {
		if r.generation != newestUsed && r.generation <= oldest {
			slot, oldest = r.slot, r.generation
		}
	}
	return slot, number + 1
}

const endGenerationsSQL = `
UPDATE working_keys SET ended_at = $3, mak_wrapped = NULL, pik_wrapped = NULL, tdk_wrapped = NULL, changed_at = clock_timestamp()
WHERE bucket = $1 AND terminal_id = $2 AND ended_at IS NULL`

const currentBatchSQL = `SELECT batch_no FROM batches WHERE bucket = $1 AND terminal_id = $2 AND state < 5`

// currentBatch reads the number of a terminal's batch, and leaves it alone where
// there is none.
func currentBatch(ctx context.Context, tx pgx.Tx, bucket int16, terminalID int32, number *int32) error {
	err := tx.QueryRow(ctx, currentBatchSQL, bucket, terminalID).Scan(number)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read batch: %w", err)
	}
	return nil
}

// isKeyTaken tells whether a row could not be inserted because it is there (23505).
func isKeyTaken(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}
