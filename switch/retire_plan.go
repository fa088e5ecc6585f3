package switching

import (
	"context"
	"fmt"
	"strconv"
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
	// QuietFrom is the business date from which on nothing speaks of them, without obstacles.
	QuietFrom ledger.Date `json:"-"`
}

// retireMargin is for how many days before the open business date nothing may have spoken of a
// month that leaves. What came before can be settled, repeated and reversed as ever until then,
// and the dates on which it moved money are sealed.
const retireMargin = 31

var marginText = strconv.Itoa(retireMargin)

// quietSQL is the date from which on nothing may have spoken of a month.
var quietSQL = `(SELECT min(business_date) - ` + marginText + ` FROM windows WHERE state = 1)`

// PlanRetirement looks at the months before a date, the first of a month.
func PlanRetirement(ctx context.Context, db ledger.Querier, before ledger.Date) (*RetirementPlan, error) {
	plan := &RetirementPlan{Months: []ledger.Date{}, Obstacles: []string{}}
	// One that was retired may be there again, empty: somebody has dropped its tables and had
	// partitions made for old dates.
	rows, err := db.Query(ctx, `
		SELECT month FROM (
			SELECT to_date(right(c.relname, 6), 'YYYYMM') AS month FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
			WHERE i.inhparent IN ('transactions'::regclass, 'transfers'::regclass) AND c.relname ~ '^(transactions|transfers)_[0-9]{6}$') m
		WHERE month < $1 AND month >= `+ledger.KeptFromSQL+` GROUP BY month ORDER BY month`, before.Time())
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
	var split bool
	if err := db.QueryRow(ctx, splitSQL, before.Time()).Scan(&split); err != nil {
		return nil, fmt.Errorf("look for what speaks of later months: %w", err)
	}
	if split {
		last := monthOf(before.AddDays(-1))
		plan.Obstacles = append(plan.Obstacles, fmt.Sprintf("transactions of %s or before speak of later ones in %s: they leave together, retire that, too",
			last, monthOf(before)))
	}
	var quiet *time.Time
	if err := db.QueryRow(ctx, `SELECT `+quietSQL).Scan(&quiet); err != nil {
		return nil, fmt.Errorf("look for the open business date: %w", err)
	}
	if quiet == nil {
		plan.Obstacles = append(plan.Obstacles, "no business date is open")
		return plan, nil
	}
	plan.QuietFrom = ledger.DateOf(*quiet)
	return plan, nil
}

// LeaveTogether is how many of these months, the oldest of a plan, have to leave in one
// transaction, because transactions of one speak of later ones in the next.
func LeaveTogether(ctx context.Context, db ledger.Querier, months []ledger.Date) (int, error) {
	for i, m := range months {
		split := false
		if err := db.QueryRow(ctx, splitSQL, monthOf(m).last.AddDays(1).Time()).Scan(&split); err != nil {
			return 0, fmt.Errorf("look for what speaks of later months: %w", err)
		}
		if !split {
			return i + 1, nil
		}
	}
	return 0, fmt.Errorf("transactions of %s speak of later ones in the next month: retire that, too", monthOf(months[len(months)-1]))
}

// splitSQL finds what speaks of transactions behind a date from before it, because clocks of hosts
// differed at a cutoff.
const splitSQL = `SELECT EXISTS (SELECT FROM transactions WHERE business_date < $1 AND original_date >= $1 AND state <> 1)`

// lastMonthSQL is the month before $1: the last one that is to leave, and the one that an
// obstacle is told of. Where several are to leave, those before it may be free to.
const lastMonthSQL = `to_char($1::date - 1, 'YYYY-MM')`

// obstacles to having nothing before $1 in the ledger, each told in a text.
var obstacles = []string{
	`SELECT format('business date %s of calendar %s is not closed in bucket %s: hosts, or meridian cutover run, close it once its cutoff is past (%s)',
		w.business_date, c.name, w.bucket, to_char(d.closes_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
	FROM windows w JOIN calendars c USING (calendar_id) JOIN business_days d USING (calendar_id, business_date)
	WHERE w.business_date < $1 AND w.state <> 3 ORDER BY w.business_date, c.name, w.bucket LIMIT 1`,

	`SELECT format('the last day of %s is not long enough ago: it can be retired from %s on', ` + lastMonthSQL + `, $1::date + ` + marginText + `)
	WHERE $1::date > ` + quietSQL,

	`SELECT format('policy %s lets refunds of %s come for %s days, and their reversals after that: it can be retired from %s on',
		p.name, ` + lastMonthSQL + `, p.refund_window_days, $1::date + p.refund_window_days + ` + marginText + `)
	FROM policies p
	WHERE p.allow_refund AND EXISTS (SELECT FROM merchants m WHERE m.policy_id = p.policy_id) AND $1::date + p.refund_window_days > ` + quietSQL + `
	ORDER BY p.refund_window_days DESC LIMIT 1`,

	// Those that come for no longer than the margin are over when it is.
	`SELECT format('policy %s lets reversals of %s, and of its refunds, come for %s days: it can be retired from %s on',
		name, ` + lastMonthSQL + `, reversal_window_days, until)
	FROM (
		SELECT p.name, p.reversal_window_days, $1::date + CASE WHEN p.allow_refund THEN p.refund_window_days ELSE 0 END + p.reversal_window_days AS until
		FROM policies p
		WHERE EXISTS (SELECT FROM merchants m WHERE m.policy_id = p.policy_id)) p
	WHERE reversal_window_days > ` + marginText + ` AND until - ` + marginText + ` > ` + quietSQL + `
	ORDER BY until DESC LIMIT 1`,

	`SELECT format('%s authorizations still reserve money, the oldest of %s: they run out, or are completed or voided', count(*), min(business_date))
	FROM holds WHERE business_date < $1 AND state = 1 HAVING count(*) > 0`,

	// Of it, or of a refund in a later month whose purchase is of it.
	`SELECT format('%s refunds wait for a person, the oldest of %s: meridian review list', count(*), min(v.business_date))
	FROM reviews v JOIN transactions t ON t.bucket = v.bucket AND t.business_date = v.business_date AND t.transaction_id = v.review_id
	WHERE v.state = 1 AND (t.business_date < $1 OR t.original_date < $1) HAVING count(*) > 0`,

	// Whatever the batch's dates say: one that stayed empty goes on under later ones.
	`SELECT format('%s batches have transactions of %s or before and are not settled, such as %s of terminal %s: meridian batch close %s,'
		' or all that nobody has used since: meridian batch close-idle --before %s',
		count(*), ` + lastMonthSQL + `, (array_agg(to_char(b.batch_no, 'FM000000') ORDER BY t.tid))[1], min(t.tid), min(t.tid), $1::date)
	FROM batches b JOIN terminals t USING (terminal_id)
	WHERE b.state < 5 AND EXISTS (
		SELECT FROM idempotency_keys k
		WHERE k.bucket = b.bucket AND k.merchant_id = t.merchant_id AND k.terminal_id = b.terminal_id AND k.batch_no = b.batch_no AND k.business_date < $1)
	HAVING count(*) > 0`,

	// What speaks of it may be undone for as long as its own business date is open, and what was
	// paid back of it is settled at the close. An original is followed as deep as a decision does.
	`SELECT format('%s transactions spoke of %s or before lately, the last on %s: it can be retired from %s on',
		count(*), ` + lastMonthSQL + `, max(moved_on), max(moved_on) + ` + marginText + ` + 1)
	FROM (
		SELECT t.business_date AS moved_on FROM transactions t
		LEFT JOIN transactions o ON t.kind IN (5, 8) AND o.bucket = t.bucket AND o.business_date = t.original_date AND o.transaction_id = t.original_id
		LEFT JOIN transactions p ON o.kind IN (5, 8) AND p.bucket = o.bucket AND p.business_date = o.original_date AND p.transaction_id = o.original_id
		WHERE t.business_date >= greatest($1, ` + quietSQL + `) AND t.state <> 1 AND t.original_id IS NOT NULL
			AND (t.original_date < $1 OR o.original_date < $1 OR p.original_date < $1)
		UNION ALL
		SELECT t.posted_date FROM reviews v
		JOIN transactions t ON t.bucket = v.bucket AND t.business_date = v.business_date AND t.transaction_id = v.review_id
		WHERE v.state = 2 AND t.posted_date >= ` + quietSQL + ` AND (t.business_date < $1 OR t.original_date < $1)) spoken
	HAVING count(*) > 0`,
}
