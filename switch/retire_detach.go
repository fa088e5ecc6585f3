package switching

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/postgres"
	"meridian/ledger"
)

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

// leaving is months on their way out.
type leaving struct {
	months  []month
	retired []*RetiredMonth
	entries []AuditEntry
	tables  []string
	// still keeps writers from the months' transactions, and away detaches.
	still, away string
}

func newLeaving(months []month, retired []*RetiredMonth, entries []AuditEntry) *leaving {
	l := &leaving{months: months, retired: retired, entries: entries}
	var still, away strings.Builder
	fmt.Fprintf(&still, "SET LOCAL lock_timeout = %d;", detachTry.Milliseconds())
	fmt.Fprintf(&away, "SET LOCAL idle_in_transaction_session_timeout = %d;", detachIdle.Milliseconds())
	for _, r := range retired {
		for _, table := range r.Tables { // transactions before transfers, as units of work come to them
			parent, _, _ := strings.Cut(table, "_")
			// What moves money of a transaction changes it: whoever comes with a late reversal waits
			// until it is decided whether the month leaves. Everybody may read it.
			if parent == "transactions" {
				fmt.Fprintf(&still, "LOCK TABLE %s IN SHARE MODE;", table)
			}
			fmt.Fprintf(&away, "ALTER TABLE %s DETACH PARTITION %s;", parent, table)
			l.tables = append(l.tables, table)
		}
	}
	l.still, l.away = still.String(), away.String()
	return l
}

// detach the partitions, when nobody who reads or writes for long is in the way.
func (l *leaving) detach(ctx context.Context, tx pgx.Tx) error {
	until := time.Now().Add(detachPatience)
	for {
		inTheWay, err := longUser(ctx, tx, l.tables)
		if err != nil {
			return err
		}
		if inTheWay == "" {
			err := pgx.BeginFunc(ctx, tx, func(try pgx.Tx) error { return l.try(ctx, try) })
			if err == nil || !postgres.LockNotWon(err) {
				return err //nolint:wrapcheck // says what is in the way
			}
			inTheWay = "many who use them for a moment each"
		}
		if time.Now().After(until) {
			return fmt.Errorf("its tables were in use for %s: %s", detachPatience, inTheWay)
		}
	}
}

// try once. It fails if anything has spoken of the months meanwhile, and where a lock is not won
// at once: of the tables, or of the end of the audit log, which comes before.
func (l *leaving) try(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, l.still); err != nil {
		return fmt.Errorf("keep writers away: %w", err)
	}
	if _, err := planned(ctx, tx, l.months); err != nil {
		return err
	}
	for _, r := range l.retired {
		if err := ledger.RetireMonth(ctx, tx, &r.RetiredMonth); err != nil {
			return err
		}
	}
	if _, err := appendAudit(ctx, tx, l.entries); err != nil {
		return err
	}
	// Last, and in one message: from here on to the commit everybody waits.
	if _, err := tx.Exec(ctx, l.away); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return nil
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
