package switching

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// This file takes months out of the ledger that nobody speaks of any more, so that
// what goes over everything (verifications, settlements, searches) has less to go over:
//
//	carry forward what accounts moved ─▶ detach both partitions ─▶ audit row ─▶ commit
//	─▶ remove the month's keys, bit by bit
//
// Nothing is deleted but keys: the partitions are tables of their own, until somebody
// drops them.

// RetiredMonth is a month that was taken out, and where it is now.
type RetiredMonth struct {
	ledger.RetiredMonth

	Tables []string `json:"tables"`
}

func tablesOf(m month) (transactions, transfers string) {
	name := m.first.Time().Format("200601")
	return "transactions_" + name, "transfers_" + name
}

const (
	// detachTry is how long a try to detach waits for what others do with the tables, and
	// everybody else behind it: less than Postgres waits before it looks for deadlocks.
	detachTry = 100 * time.Millisecond
	// detachPause lets units of work through between two tries.
	detachPause = 2 * time.Second
	// detachPatience is longer than hosts' own verifications take, which read everything.
	detachPatience = 20 * time.Minute
)

// RetireMonth takes a month out, in one transaction. The plan has found nothing in its way, and
// that is looked at again. The login owns the schema. now is an instant of the business clock.
func RetireMonth(ctx context.Context, db ledger.TxBeginner, first ledger.Date, now time.Time, c PolicyChange) (*RetiredMonth, error) {
	m := monthOf(first)
	var retired *RetiredMonth
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		retired, err = retireMonth(ctx, tx, m, now, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("retire %s: %w", m, err)
	}
	return retired, nil
}

func retireMonth(ctx context.Context, tx pgx.Tx, m month, now time.Time, c PolicyChange) (*RetiredMonth, error) {
	// One at a time, and no new partition meanwhile.
	if _, err := tx.Exec(ctx, `LOCK TABLE retired_months IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	plan, err := PlanRetirement(ctx, tx, m.last.AddDays(1))
	switch {
	case err != nil:
		return nil, err
	case len(plan.Obstacles) > 0:
		return nil, errors.New(plan.Obstacles[0])
	case len(plan.Months) != 1 || plan.Months[0] != m.first:
		return nil, errors.New("it is not the oldest month that is there")
	}
	r := &RetiredMonth{RetiredMonth: ledger.RetiredMonth{Month: m.first, RetiredAt: now.Truncate(time.Microsecond)}}
	transactions, transfers := tablesOf(m)
	r.Tables = []string{transactions, transfers}
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM transactions WHERE business_date BETWEEN $1 AND $2`,
		m.first.Time(), m.last.Time()).Scan(&r.Transactions); err != nil {
		return nil, fmt.Errorf("count: %w", err)
	}
	if err := ledger.CarryForward(ctx, tx, &r.RetiredMonth); err != nil {
		return nil, err
	}
	entry := AuditEntry{
		At: now, Kind: "month_retired", Subject: m.String(),
		Detail: fmt.Sprintf("%d transactions and %d transfers over %s, digest %s, in %s and %s; %s",
			r.Transactions, r.Transfers, r.TransferMinor, r.Digest, transactions, transfers, byWhom(c.Who, c.Why)),
	}
	if err := detach(ctx, tx, transactions, transfers); err != nil {
		return nil, err
	}
	// Last: whoever appends to the audit log waits for it.
	if _, err := appendAudit(ctx, tx, []AuditEntry{entry}); err != nil {
		return nil, err
	}
	return r, nil
}

// detach both partitions, when nobody who reads or writes for long is in the way.
func detach(ctx context.Context, tx pgx.Tx, transactions, transfers string) error {
	until := time.Now().Add(detachPatience)
	for {
		reader, err := longReader(ctx, tx, transactions, transfers)
		if err != nil {
			return err
		}
		if reader == "" {
			err = pgx.BeginFunc(ctx, tx, func(try pgx.Tx) error {
				// Transactions before transfers, as units of work come to them.
				_, err := try.Exec(ctx, fmt.Sprintf(`
					SET LOCAL lock_timeout = %d;
					ALTER TABLE transactions DETACH PARTITION %s;
					ALTER TABLE transfers DETACH PARTITION %s;
					SET LOCAL lock_timeout TO DEFAULT`, detachTry.Milliseconds(), transactions, transfers))
				return err //nolint:wrapcheck // wrapped below
			})
			if err == nil {
				return nil
			}
			if !postgres.LockNotWon(err) {
				return fmt.Errorf("detach: %w", err)
			}
			reader = "units of work"
		}
		if time.Now().After(until) {
			return fmt.Errorf("its tables were in use for %s: %s", detachPatience, reader)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(detachPause):
		}
	}
}

// longReader says who has had the tables in use for more than a moment, such as a
// verification or a dump; empty: nobody. Waiting for them in the lock's queue would have every
// unit of work wait behind.
func longReader(ctx context.Context, tx pgx.Tx, tables ...string) (string, error) {
	var who string
	err := tx.QueryRow(ctx, `
		SELECT coalesce((
			SELECT format('process %s (%s), since %s', a.pid, a.application_name, to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'))
			FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE l.granted AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND l.relation = ANY(ARRAY['transactions', 'transfers', $1, $2]::text[]::regclass[])
				AND a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - interval '1 second'
			ORDER BY a.xact_start LIMIT 1), '')`, tables[0], tables[1]).Scan(&who)
	if err != nil {
		return "", fmt.Errorf("look for who uses the tables: %w", err)
	}
	return who, nil
}

// keyPages of the table of keys are looked through for each commit: some megabytes.
const keyPages = 2000

// RemoveRetiredKeys deletes the keys of transactions in retired months, and returns how many
// there were. A batch that they were in has ended, so a request that comes once more is
// not in it. It may be interrupted, and run again.
func RemoveRetiredKeys(ctx context.Context, db ledger.TxBeginner) (removed int64, err error) {
	pages := int64(0)
	for first := int64(0); ; first += keyPages {
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			if first == 0 {
				if err := tx.QueryRow(ctx, `SELECT pg_relation_size('idempotency_keys') / current_setting('block_size')::bigint`).Scan(&pages); err != nil {
					return err //nolint:wrapcheck // wrapped below
				}
			}
			deleted, err := tx.Exec(ctx, `
				DELETE FROM idempotency_keys WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND business_date < `+ledger.KeptFromSQL,
				fmt.Sprintf("(%d,0)", first), fmt.Sprintf("(%d,0)", first+keyPages))
			removed += deleted.RowsAffected()
			return err //nolint:wrapcheck // wrapped below
		})
		if err != nil {
			return removed, fmt.Errorf("remove keys of retired months: %w", err)
		}
		if first+keyPages >= pages {
			return removed, nil
		}
	}
}

// OwnerOnly tells whether an error is that the login does not own the schema.
func OwnerOnly(err error) bool {
	refused, is := errors.AsType[*pgconn.PgError](err)
	return is && refused.Code == "42501"
}
