package switching

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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

// RetireMonths takes months out, in one transaction: as a rule one, and several where
// transactions of one speak of later ones in the next. The plan has found nothing in their way, and
// that is looked at again. The login owns the schema. now is an instant of the business clock.
func RetireMonths(ctx context.Context, db ledger.TxBeginner, first []ledger.Date, now time.Time, c PolicyChange) ([]*RetiredMonth, error) {
	months := make([]month, 0, len(first))
	for _, d := range first {
		months = append(months, monthOf(d))
	}
	var retired []*RetiredMonth
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		retired, err = retireMonths(ctx, tx, months, now, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("retire %s: %w", months[len(months)-1], err)
	}
	return retired, nil
}

func retireMonths(ctx context.Context, tx pgx.Tx, months []month, now time.Time, c PolicyChange) ([]*RetiredMonth, error) {
	// One command at a time.
	if _, err := tx.Exec(ctx, `LOCK TABLE retired_months IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	// As verifications do: sales want the other processors.
	if _, err := tx.Exec(ctx, `SET LOCAL max_parallel_workers_per_gather = 0`); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	plan, err := planned(ctx, tx, months)
	if err != nil {
		return nil, err
	}
	// Batches that end after it are whole in the ledger; those that have ended, by a clock that
	// may be ahead of this one, are not.
	var at time.Time
	if err := tx.QueryRow(ctx, `SELECT greatest($1, (SELECT max(closed_at) FROM batches))`, now.Truncate(time.Microsecond)).Scan(&at); err != nil {
		return nil, fmt.Errorf("look for the last batch that ended: %w", err)
	}
	retired := make([]*RetiredMonth, 0, len(months))
	entries := make([]AuditEntry, 0, len(months))
	for _, m := range months {
		r := &RetiredMonth{RetiredMonth: ledger.RetiredMonth{Month: m.first, RetiredAt: at, QuietFrom: plan.QuietFrom}}
		if r.Tables, err = partitionsOf(ctx, tx, m, []string{"transactions", "transfers"}); err != nil {
			return nil, err
		}
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM transactions WHERE business_date BETWEEN $1 AND $2`,
			m.first.Time(), m.last.Time()).Scan(&r.Transactions); err != nil {
			return nil, fmt.Errorf("count: %w", err)
		}
		// All of its windows are closed, so its transfers are what they will be.
		if err := ledger.CarryForward(ctx, tx, &r.RetiredMonth); err != nil {
			return nil, err
		}
		retired = append(retired, r)
		entries = append(entries, AuditEntry{At: at, Kind: monthRetired, Subject: m.String(), Detail: retiredDetail(r) + byWhom(c.Who, c.Why)})
	}
	return retired, newLeaving(months, retired, entries).detach(ctx, tx)
}

// planned looks whether these are the oldest months, and nothing is in their way.
func planned(ctx context.Context, tx pgx.Tx, months []month) (*RetirementPlan, error) {
	plan, err := PlanRetirement(ctx, tx, months[len(months)-1].last.AddDays(1))
	switch {
	case err != nil:
		return nil, err
	case len(plan.Obstacles) > 0:
		return nil, errors.New(plan.Obstacles[0])
	case len(plan.Months) != len(months) || plan.Months[0] != months[0].first:
		return nil, errors.New("it is not the oldest month that is there")
	}
	return plan, nil
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
