package switching_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// What a sale reads does not grow with what its terminal, its bucket and its
// calendar have been through, whatever Postgres knew of the tables when it made
// its plans.
func TestSalesReadNoHistory(t *testing.T) {
	const (
		past  = 2000 // batches of the terminal, each with the same trace numbers; and business dates
		sales = 20
		// most is far below what sales would read that look at all of the past each, and
		// above what a switch looks at beside them.
		most = sales * past / 2
	)
	w := newWorld(t)
	for _, table := range []string{"idempotency_keys", "batches", "windows", "business_days"} {
		w.sql("ANALYZE " + table) // while there is next to nothing in it
	}
	told := w.lanesOfItsOwn()
	if r := w.ask(w.request(switching.KindSale, 100)); r.Reason != switching.Approved { // plans are made
		t.Fatal(r.Reason)
	}
	w.sql(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at)
		SELECT 0, 1, 1000 + n, 5, '2026-01-01'::timestamptz + n * interval '1 second' FROM generate_series(1, $1::int) AS n`, past)
	w.sql(`INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, business_date, transaction_id)
		SELECT 0, 1, 1, 1000 + n, s, 1, '2026-01-01', gen_random_uuid() FROM generate_series(1, $1::int) AS n, generate_series(1, $2::int) AS s`, past, sales+1)
	w.sql(`INSERT INTO business_days (calendar_id, business_date, opens_at, closes_at, value_date)
		SELECT 1, d, d - interval '9 hours', d + interval '15 hours', d + 1
		FROM (SELECT '2026-01-01'::date - n AS d FROM generate_series(1, $1::int) AS n) AS days`, past)
	w.sql(`INSERT INTO windows (bucket, calendar_id, business_date, state)
		SELECT 0, 1, '2026-01-01'::date - n, 3 FROM generate_series(1, $1::int) AS n`, past)
	w.sql(`SELECT pg_stat_reset()`)
	for range sales {
		if r := w.ask(w.request(switching.KindSale, 100)); r.Reason != switching.Approved {
			t.Fatal(r.Reason)
		}
	}
	told()
	for table, read := range w.rowsRead() {
		if read > most {
			t.Errorf("%d sales have read %d rows and entries of %s", sales, read, table)
		}
	}
}

// What a settlement reads is its batch, not what its terminal has been through.
func TestSettlementReadsItsBatch(t *testing.T) {
	const past, sales = 1000, 5
	w := newWorld(t)
	w.sql("ANALYZE idempotency_keys") // while there is next to nothing in it
	told := w.lanesOfItsOwn()
	ask := func(want switching.Reason, r *switching.Request) {
		t.Helper()
		if got := w.ask(r); got.Reason != want {
			t.Fatalf("%s answered %s, want %s", r.Kind, got.Reason, want)
		}
	}
	settle := func() {
		t.Helper()
		for range sales {
			ask(switching.Approved, w.request(switching.KindSale, 100))
		}
		ask(switching.BatchOutOfBalance, w.settlement(0, net(sales, 100)))
		ask(switching.Approved, w.settlement(0, net(sales, 100), trailer)) // what was not shown is looked for
	}
	settle() // plans are made
	w.sql(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at, opened_date, closed_at, closed_date, closed_by,
			sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor)
		SELECT 0, 1, 1000 + n, 5, '2026-01-01'::timestamptz + n * interval '1 second', '2026-01-01', '2026-01-02', '2026-01-01', 1, 0, 0, 0, 0, 0, 0
		FROM generate_series(1, $1::int) AS n`, past)
	w.sql(`INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, business_date, transaction_id)
		SELECT 0, 1, 1, 1000 + n, s, 1, '2026-03-10', gen_random_uuid() FROM generate_series(1, $1::int) AS n, generate_series(1, 3) AS s`, past)
	w.sql("ANALYZE batches") // with so few its plans read all of a terminal's
	w.sql(`SELECT pg_stat_reset()`)
	settle()
	told()
	for table, read := range w.rowsRead() {
		if read > past/2 {
			t.Errorf("%d sales and their settlement have read %d rows and entries of %s", sales, read, table)
		}
	}
}

// lanesOfItsOwn gives the world a switch whose lanes have connections of their own, and so plans of
// their own. What they have read is known once told has returned.
func (w *world) lanesOfItsOwn() (told func()) {
	w.t.Helper()
	ctx := context.Background()
	lanes, err := postgres.Open(ctx, w.url, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience, PointLookups: true, MaxConnections: 2})
	w.must(err)
	w.t.Cleanup(lanes.Close)
	first := w.sw
	w.sw, err = switching.Start(ctx, switching.Options{
		Pool: w.pool, LanePool: lanes, Now: w.clock.Now, Refresh: time.Hour, StoreTimeout: patience, AnswerTimeout: 2 * patience,
	})
	w.must(err)
	stop := sync.OnceFunc(func() {
		w.must(w.sw.Shutdown(ctx))
		w.sw = first
	})
	w.t.Cleanup(stop)
	return func() {
		w.t.Helper()
		stop()
		var pids []int32
		for _, c := range lanes.AcquireAllIdle(ctx) {
			pids = append(pids, int32(c.Conn().PgConn().PID()))
			c.Release()
		}
		lanes.Close()
		for ended := false; !ended; { // a server process tells its counts before it is gone
			w.must(w.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY($1))`, pids).Scan(&ended))
		}
	}
}

// rowsRead are the rows and index entries that were read of each table.
func (w *world) rowsRead() map[string]int64 {
	w.t.Helper()
	ctx := context.Background()
	rows, err := w.pool.Query(ctx, `
		SELECT t.relname, t.seq_tup_read + coalesce(sum(i.idx_tup_read), 0)::bigint
		FROM pg_stat_user_tables t LEFT JOIN pg_stat_user_indexes i USING (relid)
		GROUP BY t.relname, t.seq_tup_read`)
	w.must(err)
	defer rows.Close()
	read := map[string]int64{}
	for rows.Next() {
		var table string
		var n int64
		w.must(rows.Scan(&table, &n))
		read[table] = n
	}
	w.must(rows.Err())
	return read
}

// What a merchant is owed is added up of what is its own since its last close, not of what its
// bucket has that day or what its terminals have been through.
func TestOwedReadsItsMerchant(t *testing.T) {
	const others, sales = 5000, 5
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 100))
	w.clock.advance(24 * time.Hour)
	w.cutover()
	w.sql("ANALYZE transfers, idempotency_keys, transactions, batches") // while there is next to nothing in it
	w.policy("min_balance_minor = 0")
	told := w.lanesOfItsOwn()
	refund := func() { // without a look at the whole ledger after each step: what that reads may be told after the reset
		t.Helper()
		sale := w.ask(w.request(switching.KindSale, 100))
		if r := w.ask(w.request(switching.KindCancel, 100, of(sale))); r.Reason != switching.Approved {
			t.Fatal(r.Reason)
		}
	}
	for range sales {
		refund() // plans are made
	}
	w.sql(`INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
		SELECT 0, '2026-03-11', gen_random_uuid(), 1, 2, 1, 156, (6::bigint << 48) + 5, (17::bigint << 48) + 2, 100 FROM generate_series(1, $1)`, others)
	w.sql(`INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, business_date, transaction_id)
		SELECT 0, 2, 3, 1000 + n, 1, 1, '2026-03-11', gen_random_uuid() FROM generate_series(1, $1::int) AS n`, others)
	w.sql(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at, opened_date, closed_at, closed_date, closed_by,
			sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor)
		SELECT 0, 1, 1000 + n, 5, '2026-01-01'::timestamptz, '2025-01-01', '2025-01-02', '2025-01-01', 1, 0, 0, 0, 0, 0, 0
		FROM generate_series(1, $1::int) AS n`, others)
	w.sql("ANALYZE batches") // with so few its plans read all of a terminal's
	w.sql(`SELECT pg_stat_reset()`)
	refund()
	told()
	for table, read := range w.rowsRead() {
		if read > others/2 {
			t.Errorf("a cancel has read %d rows and entries of %s", read, table)
		}
	}
}
