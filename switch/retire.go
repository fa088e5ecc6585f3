package switching

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// This file takes months out of the ledger that nobody speaks of any more, so that
// what goes over everything (verifications, settlements, searches) has less to go over:
//
//	carry forward what accounts moved ─▶ audit row ─▶ detach both partitions ─▶ commit
//	─▶ remove the month's keys, bit by bit
//
// Nothing is deleted but keys: the partitions are tables of their own, until somebody
// drops them.

// RetiredMonth is a month that was taken out, and where it is now.
type RetiredMonth struct {
	ledger.RetiredMonth

	Tables []string `json:"tables"`
}

const (
	// detachTry is how long a try to detach waits for what others do with the tables, and
	// everybody else behind it: less than Postgres waits before it looks for deadlocks.
	detachTry = 100 * time.Millisecond
	// detachLook tells who reads for long from who does not.
	detachLook = time.Second
	// detachPatience is longer than hosts' own verifications take, which read everything.
	detachPatience = 20 * time.Minute
	// detachIdle is how long Postgres keeps the locks of a command that does not come
	// back to commit.
	detachIdle = 2 * time.Second
)

// monthRetired is what happened, in the audit log.
const monthRetired = "month_retired"

// retiredDetailSQL is how the detail of the audit row of a retired month m begins, as
// [retiredDetail] has it.
const retiredDetailSQL = `m.transactions || ' transactions and ' || m.transfers || ' transfers over ' || m.transfer_minor || ', digest ' || m.digest ||
	', carried ' || m.carried_digest || ', quiet from ' || to_char(m.quiet_from, 'YYYY-MM-DD') || ', '`

func retiredDetail(r *RetiredMonth) string {
	return fmt.Sprintf("%d transactions and %d transfers over %s, digest %s, carried %s, quiet from %s, in %s; ",
		r.Transactions, r.Transfers, r.TransferMinor, r.Digest, r.CarriedDigest, r.QuietFrom, strings.Join(r.Tables, " and "))
}

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
	// One at a time.
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
	r := &RetiredMonth{RetiredMonth: ledger.RetiredMonth{Month: m.first, QuietFrom: plan.QuietFrom}}
	parents := []string{"transactions", "transfers"}
	if r.Tables, err = partitionsOf(ctx, tx, m, parents); err != nil {
		return nil, err
	}
	// Batches that end after it are whole in the ledger; those that have ended, by a clock that
	// may be ahead of this one, are not.
	if err := tx.QueryRow(ctx, `SELECT greatest($1, (SELECT max(closed_at) FROM batches))`, now.Truncate(time.Microsecond)).
		Scan(&r.RetiredAt); err != nil {
		return nil, fmt.Errorf("look for the last batch that ended: %w", err)
	}
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM transactions WHERE business_date BETWEEN $1 AND $2`,
		m.first.Time(), m.last.Time()).Scan(&r.Transactions); err != nil {
		return nil, fmt.Errorf("count: %w", err)
	}
	if err := ledger.CarryForward(ctx, tx, &r.RetiredMonth); err != nil {
		return nil, err
	}
	entry := AuditEntry{At: r.RetiredAt, Kind: monthRetired, Subject: m.String(), Detail: retiredDetail(r) + byWhom(c.Who, c.Why)}
	if err := detach(ctx, tx, r.Tables, entry); err != nil {
		return nil, err
	}
	return r, nil
}

// partitionsOf the parents for a month: both, unless somebody has taken one away.
func partitionsOf(ctx context.Context, tx pgx.Tx, m month, parents []string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
		WHERE i.inhparent = ANY($1::text[]::regclass[]) AND c.relname = p.relname || '_' || $2 ORDER BY 1`,
		parents, m.first.Time().Format("200601"))
	if err != nil {
		return nil, fmt.Errorf("look for partitions: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for partitions: %w", err)
	}
	return list, nil
}

// detach the partitions, when nobody who reads or writes for long is in the way, and append
// to the audit log, for which somebody may have to be waited for, too.
func detach(ctx context.Context, tx pgx.Tx, tables []string, entry AuditEntry) error {
	var statements strings.Builder
	fmt.Fprintf(&statements, "SET LOCAL idle_in_transaction_session_timeout = %d;", detachIdle.Milliseconds())
	for _, table := range tables { // transactions before transfers, as units of work come to them
		parent, _, _ := strings.Cut(table, "_")
		fmt.Fprintf(&statements, "ALTER TABLE %s DETACH PARTITION %s;", parent, table)
	}
	until := time.Now().Add(detachPatience)
	for {
		inTheWay, err := longUser(ctx, tx, tables)
		if err != nil {
			return err
		}
		if inTheWay == "" {
			err = pgx.BeginFunc(ctx, tx, func(try pgx.Tx) error {
				if _, err := try.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", detachTry.Milliseconds())); err != nil {
					return err //nolint:wrapcheck // wrapped below
				}
				if _, err := appendAudit(ctx, try, []AuditEntry{entry}); err != nil {
					return err
				}
				// Last, and in one message: from here on to the commit everybody waits.
				_, err := try.Exec(ctx, statements.String())
				return err //nolint:wrapcheck // wrapped below
			})
			if err == nil {
				return nil
			}
			if !postgres.LockNotWon(err) {
				return fmt.Errorf("detach: %w", err)
			}
			inTheWay = "many who use them for a moment each"
		}
		if time.Now().After(until) {
			return fmt.Errorf("its tables were in use for %s: %s", detachPatience, inTheWay)
		}
	}
}

// longUser says who keeps locks on the tables for longer than a moment, such as a
// verification or a dump; empty: nobody. Waiting for them in the locks' queues would have every
// unit of work wait behind.
func longUser(ctx context.Context, tx pgx.Tx, tables []string) (string, error) {
	before, err := usersOf(ctx, tx, tables)
	if err != nil {
		return "", err
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(detachLook):
	}
	after, err := usersOf(ctx, tx, tables)
	if err != nil {
		return "", err
	}
	for transaction, who := range after {
		if _, still := before[transaction]; still {
			return who, nil
		}
	}
	return "", nil
}

// usersOf the tables, their partitions and their parents, by transaction. Every login may
// see that of all others, where it may not see since when they are at it.
func usersOf(ctx context.Context, tx pgx.Tx, tables []string) (map[string]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT l.virtualtransaction, format('process %s (%s)', l.pid, coalesce(nullif(a.application_name, ''), a.backend_type, 'unknown'))
		FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
		WHERE l.granted AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.pid <> pg_backend_pid() AND l.relation IN (
				SELECT p.relid::oid FROM unnest($1::text[]) AS t(name), pg_partition_tree(t.name::regclass) AS p
				UNION ALL SELECT 'transactions'::regclass::oid UNION ALL SELECT 'transfers'::regclass::oid)`, tables)
	if err != nil {
		return nil, fmt.Errorf("look for who uses the tables: %w", err)
	}
	users := map[string]string{}
	var transaction, who string
	_, err = pgx.ForEachRow(rows, []any{&transaction, &who}, func() error {
		users[transaction] = who
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for who uses the tables: %w", err)
	}
	return users, nil
}

// keyPages of the table of keys are looked through for each commit: some megabytes.
const keyPages = 2000

// RemoveRetiredKeys deletes the keys of transactions in retired months, and returns how many
// there were. The batches that they were in have ended, so a request that comes once more is
// in none of them. It may be interrupted, and run again.
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
