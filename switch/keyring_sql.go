package switching

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// This file is the keyring's SQL. What is read or changed is of one bucket; only
// the look for changes goes over all.

const readGenerationsSQL = `
SELECT terminal_id, generation, mak_wrapped, pik_wrapped, tdk_wrapped, first_used_at
FROM working_keys WHERE bucket = $1 AND terminal_id = ANY($2::int[]) AND ended_at IS NULL
ORDER BY terminal_id, generation DESC`

// readGenerations reads the working keys of terminals, the newest first.
func readGenerations(ctx context.Context, pool *pgxpool.Pool, bucket int16, of map[int32]*ringEntry) (map[int32][]*generation, error) {
	rows, err := pool.Query(ctx, readGenerationsSQL, bucket, slices.Collect(maps.Keys(of)))
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	found := map[int32][]*generation{}
	var terminalID, number int32
	var mak, pik, tdk []byte
	var used *time.Time
	_, err = pgx.ForEachRow(rows, []any{&terminalID, &number, &mak, &pik, &tdk, &used}, func() error {
		g := &generation{number: number, mak: mak, pik: pik, tdk: tdk}
		if used != nil {
			g.firstUsed.Store(used.UnixNano())
		}
		found[terminalID] = append(found[terminalID], g)
		mak, pik, tdk, used = nil, nil, nil, nil // the next row must not write into this one's
		return nil
	})
	return found, err //nolint:wrapcheck // wrapped by the caller
}

const storeUsesSQL = `
UPDATE working_keys w SET first_used_at = u.used_at, changed_at = clock_timestamp()
FROM unnest($2::int[], $3::int[], $4::timestamptz[]) AS u(terminal_id, generation, used_at)
WHERE w.bucket = $1 AND w.terminal_id = u.terminal_id AND w.generation = u.generation AND w.first_used_at IS NULL`

// storeUses stores what was used for the first time. What fails stays to be
// stored.
func (k *Keyring) storeUses(ctx context.Context) error {
	k.mu.Lock()
	uses := maps.Clone(k.uses)
	k.mu.Unlock()
	byBucket := map[int16][]generationKey{}
	for key, use := range uses {
		byBucket[use.bucket] = append(byBucket[use.bucket], key)
	}
	var errs []error
	for bucket, keys := range byBucket {
		var terminals, numbers []int32
		var at []time.Time
		for _, key := range keys {
			terminals, numbers = append(terminals, key.terminalID), append(numbers, key.number)
			at = append(at, uses[key].at)
		}
		storing, cancel := context.WithTimeout(ctx, k.timeout)
		_, err := k.pool.Exec(storing, storeUsesSQL, bucket, terminals, numbers, at)
		cancel()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		k.mu.Lock()
		for _, key := range keys {
			delete(k.uses, key)
		}
		k.mu.Unlock()
	}
	return errors.Join(errs...)
}

// changesOverlap is how far a look goes back behind the one before: a change has
// its instant before it is committed, and no transaction of keys takes as long.
const changesOverlap = 10 * time.Second

const changedKeysSQL = `
SELECT terminal_id, slot, changed_at, clock_timestamp() FROM working_keys WHERE changed_at > $1`

// seenKey is a row whose change was looked at.
type seenKey struct {
	terminalID int32
	slot       int16
}

// follow looks for what other hosts changed, and has it read anew for the next
// message of its terminal.
func (k *Keyring) follow(ctx context.Context) error {
	k.following.Lock()
	defer k.following.Unlock()
	if k.lookedAt.IsZero() {
		// What is known was read after this.
		if err := k.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&k.lookedAt); err != nil {
			return fmt.Errorf("look for changed keys: %w", err)
		}
		return nil
	}
	rows, err := k.pool.Query(ctx, changedKeysSQL, k.lookedAt.Add(-changesOverlap))
	if err != nil {
		return fmt.Errorf("look for changed keys: %w", err)
	}
	seen, looked := map[seenKey]time.Time{}, k.lookedAt
	var key seenKey
	var changed, at time.Time
	_, err = pgx.ForEachRow(rows, []any{&key.terminalID, &key.slot, &changed, &at}, func() error {
		seen[key], looked = changed, at
		if !k.seen[key].Equal(changed) {
			k.forget(key.terminalID)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for changed keys: %w", err)
	}
	k.seen, k.lookedAt = seen, looked
	return nil
}
