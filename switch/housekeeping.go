package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// keepHouse catches up with time, turn after turn. What fails is tried at the
// next one.
func (s *Switch) keepHouse(ctx context.Context) {
	tick := time.NewTicker(s.opts.Refresh)
	defer tick.Stop()
	lines := behindLines{log: s.log}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		turn, cancel := context.WithTimeout(ctx, turnTimeout)
		switch err := s.CatchUp(turn); {
		case err == nil:
			s.metrics.kept.Set(float64(time.Now().UnixMilli()) / 1000)
			lines.done(time.Now())
		case ctx.Err() == nil:
			lines.failed(time.Now(), err)
		}
		cancel()
	}
}

// turnTimeout bounds one turn of housekeeping: a day of cutover fits, and a
// database that hangs does not hold it up for ever.
const turnTimeout = 5 * time.Minute

const stepCloseDates = "close business dates"

// CatchUp does what is due at the instant now: it follows the reference data
// and terminals' keys, makes windows ahead, closes batches and business dates and lets holds expire. Every step
// can be done by several hosts at once without doing anything twice, and none
// waits for another to succeed.
func (s *Switch) CatchUp(ctx context.Context) error {
	now := s.now()
	var errs []error
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"read reference data", s.Refresh},
		{"follow keys", s.ring.follow},
		{"make business days", func(ctx context.Context) error {
			if ledger.DateOf(now.UTC()) == ledger.Date(s.daysMade.Load()) {
				return nil
			}
			if err := ledger.EnsureWindows(ctx, s.pool, s.directory.Load().Calendars(), now); err != nil {
				return err
			}
			s.daysMade.Store(int32(ledger.DateOf(now.UTC())))
			return nil
		}},
		{"look at new tables", s.analyzeNew},
		{"close batches", s.CloseDueBatches},
		{stepCloseDates, s.closeDates},
		{"expire holds", s.ExpireHolds},
	} {
		failures := s.metrics.failures.WithLabelValues(step.name)
		if err := step.do(ctx); err != nil {
			failures.Inc()
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(errs...)
}

// Refresh reads the reference data if its version has moved.
func (s *Switch) Refresh(ctx context.Context) error {
	version, err := DirectoryVersion(ctx, s.pool)
	if err != nil {
		return err
	}
	if version == s.directory.Load().Version {
		return nil
	}
	dir, err := LoadDirectory(ctx, s.pool)
	if err != nil {
		return err
	}
	s.setDirectory(dir)
	s.log.Info("reference data changed", "version", dir.Version)
	return nil
}

// analyzeNew has tables analyzed that have begun to fill since they were made.
func (s *Switch) analyzeNew(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, `SELECT meridian_analyze_new()`); err != nil {
		return fmt.Errorf("analyze new tables: %w", err)
	}
	return nil
}

// expireBatch is how many holds one transaction gives back: short enough not
// to be in a lane's way.
const expireBatch = 200

// ExpireHolds gives back what holds reserve whose time is over.
func (s *Switch) ExpireHolds(ctx context.Context) error {
	for _, bucket := range s.directory.Load().Buckets() {
		for {
			n, err := s.expireSome(ctx, bucket)
			if err != nil {
				return fmt.Errorf("bucket %d: %w", bucket, err)
			}
			s.metrics.expired.Add(float64(n))
			if n < expireBatch {
				break
			}
		}
	}
	return nil
}

// expireSome locks what a unit of work locks, in its order: windows, then
// authorizations, holds and cards.
func (s *Switch) expireSome(ctx context.Context, bucket int16) (n int, err error) {
	now := s.now()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		due, err := dueHolds(ctx, tx, bucket, now)
		if err != nil || len(due) == 0 {
			return err
		}
		facts := newFacts(bucket, now, s.directory.Load(), 1)
		l := loader{conn: tx.Conn(), facts: facts, wanted: map[uuid.UUID]located{}, lockCards: true}
		for _, at := range due {
			l.want(at)
		}
		if err := l.lockWindows(ctx, calendarIDs(facts.references)); err != nil {
			return err
		}
		if err := l.records(ctx); err != nil {
			return err
		}
		if err := l.holdsAndCards(ctx); err != nil {
			return err
		}
		for _, at := range due {
			n += facts.expire(at.id)
		}
		b := &pgx.Batch{}
		queueStore(b, bucket, facts)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return fmt.Errorf("store expired holds: %w", err)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("expire holds: %w", err)
	}
	return n, nil
}

// dueHolds lists open holds that have run out. They are looked at again under
// lock.
func dueHolds(ctx context.Context, tx pgx.Tx, bucket int16, now time.Time) ([]located, error) {
	rows, err := tx.Query(ctx, `
		SELECT business_date, hold_id FROM holds
		WHERE bucket = $1 AND state = 1 AND expires_at <= $2
		ORDER BY expires_at LIMIT $3`, bucket, now, expireBatch)
	if err != nil {
		return nil, fmt.Errorf("find due holds: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (located, error) {
		var date time.Time
		var id [16]byte
		err := row.Scan(&date, &id)
		return located{ledger.DateOf(date), uuid.UUID(id)}, err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("find due holds: %w", err)
	}
	return list, nil
}

func calendarIDs(d *Directory) []int16 {
	var ids []int16
	for _, c := range d.Calendars() {
		ids = append(ids, c.ID)
	}
	return ids
}

// expire ends one hold, if it is still open: its pending transfer is voided in
// a journal of its own and in today's window, because the authorization's may
// be sealed.
func (f *Facts) expire(id uuid.UUID) int {
	hold, authorization := f.holds[id], f.records[id]
	if hold == nil || authorization == nil || hold.State != ledger.HoldOpen {
		return 0
	}
	journal := ledger.Journal{
		ID: uuid.Must(uuid.NewV7()), Date: f.windowOf(authorization).Date, Currency: hold.Currency,
	}
	journal.Hold(ledger.KindExpiry, ledger.VoidPending, cardAccount(hold.CardID),
		ledger.Account(ledger.RoleMerchantPending, int64(hold.MerchantID)), hold.AmountMinor, id)
	f.changes.transfers = append(f.changes.transfers, journal.Transfers...)
	hold.State = ledger.HoldExpired
	f.changes.dirtyHolds[hold] = struct{}{}
	authorization.State = StateExpired
	f.changes.dirty[authorization] = struct{}{}
	if account := f.cardsByID[hold.CardID]; account != nil {
		account.HeldMinor -= hold.AmountMinor
		f.changes.dirtyCards[account] = struct{}{}
	}
	return 1
}
