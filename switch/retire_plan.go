package switching

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// String is the month as people write it, such as 2026-01.
func (m month) String() string { return m.first.Time().Format("2006-01") }

// MonthBegin is the first day of the month that a text such as 2026-01 names.
func MonthBegin(text string) (ledger.Date, error) {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return 0, fmt.Errorf("%q is no month such as 2026-01", text)
	}
	return ledger.DateOf(t), nil
}

// RetirementPlan is which months can leave the ledger.
type RetirementPlan struct {
	// Months that are there before the date asked for, by their first day, the oldest first.
	Months []ledger.Date `json:"months"`
	// Obstacles are why they cannot all leave: what is still under way in them, or may be
	// spoken of.
	Obstacles []string `json:"obstacles"`
}

// retireMargin days after the last refund that a policy allows, reversals of refunds have come.
const retireMargin = "31"

// PlanRetirement looks at the months before a date, the first of a month.
func PlanRetirement(ctx context.Context, db ledger.Querier, before ledger.Date) (*RetirementPlan, error) {
	plan := &RetirementPlan{Months: []ledger.Date{}, Obstacles: []string{}}
	rows, err := db.Query(ctx, `
		SELECT to_date(right(c.relname, 6), 'YYYYMM') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'transactions'::regclass AND c.relname ~ '^transactions_[0-9]{6}$' AND to_date(right(c.relname, 6), 'YYYYMM') < $1
		ORDER BY 1`, before.Time())
	if err != nil {
		return nil, fmt.Errorf("look for months: %w", err)
	}
	months, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return nil, fmt.Errorf("look for months: %w", err)
	}
	if len(months) == 0 {
		return plan, nil
	}
	for _, m := range months {
		plan.Months = append(plan.Months, ledger.DateOf(m))
	}
	for _, o := range obstacles {
		rows, err := db.Query(ctx, o, before.Time())
		if err != nil {
			return nil, fmt.Errorf("look for what is under way: %w", err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("look for what is under way: %w", err)
		}
		plan.Obstacles = append(plan.Obstacles, found...)
	}
	return plan, nil
}

// obstacles to having nothing before $1 in the ledger, each told in a text.
var obstacles = []string{
	`SELECT format('business date %s of calendar %s is not closed in bucket %s: meridian cutover run', w.business_date, c.name, w.bucket)
	FROM windows w JOIN calendars c USING (calendar_id)
	WHERE w.business_date < $1 AND w.state <> 3 ORDER BY w.business_date, c.name, w.bucket LIMIT 1`,

	`SELECT format('policy %s lets refunds of it come for %s days, and their reversals after that: it can be retired from %s on',
		p.name, p.refund_window_days, $1::date + p.refund_window_days + ` + retireMargin + `)
	FROM policies p
	WHERE p.allow_refund AND EXISTS (SELECT FROM merchants m WHERE m.policy_id = p.policy_id)
		AND $1::date + p.refund_window_days + ` + retireMargin + ` > (SELECT min(business_date) FROM windows WHERE state = 1)
	ORDER BY p.refund_window_days DESC LIMIT 1`,

	`SELECT format('%s authorizations still reserve money, the oldest of %s: they run out, or are completed or voided', count(*), min(business_date))
	FROM holds WHERE business_date < $1 AND state = 1 HAVING count(*) > 0`,

	`SELECT format('%s refunds wait for a person, the oldest of %s: meridian review list', count(*), min(business_date))
	FROM reviews WHERE business_date < $1 AND state = 1 HAVING count(*) > 0`,

	`SELECT format('batch %s of terminal %s has transactions of it and is not settled: meridian batch close %s', to_char(b.batch_no, 'FM000000'), t.tid, t.tid)
	FROM batches b JOIN terminals t USING (terminal_id)
	WHERE b.state < 5 AND coalesce(b.opened_date, '-infinity') < $1 AND EXISTS (
		SELECT FROM idempotency_keys k
		WHERE k.bucket = b.bucket AND k.merchant_id = t.merchant_id AND k.terminal_id = b.terminal_id AND k.batch_no = b.batch_no AND k.business_date < $1)
	ORDER BY t.tid LIMIT 10`,
}
