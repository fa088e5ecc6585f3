package switching_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// What people look through grows for years. A list reads what it shows and passes
// over little else, whatever lies behind it.
func TestListsReadWhatTheyShow(t *testing.T) {
	w := newWorld(t)
	const shown, behind = 20, 6000
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) SELECT 100 + n, (30000000 + n)::text, 1, 'nac' FROM generate_series(0, 59) n`)
	w.sql(`INSERT INTO audit_log (recorded_at, kind, subject, detail)
		SELECT now(), CASE WHEN n < 100 THEN 'clock_moved' ELSE 'denied_unknown_terminal' END, 'terminal ' || CASE WHEN n < 50 THEN 1 ELSE 2 + n % 7 END, 'x'
		FROM generate_series(1, $1) n`, behind)
	w.sql(`UPDATE audit_log SET subject = 'terminal few: MAC x919' WHERE audit_id IN (SELECT audit_id FROM audit_log ORDER BY audit_id LIMIT 3)`)
	w.sql(`INSERT INTO exceptions SELECT 0, gen_random_uuid(), timestamptz '2026-01-01' + n * interval '1 s', 'late_reversal', '2026-01-01', gen_random_uuid(), 'x'
		FROM generate_series(1, $1) n`, behind)
	w.sql(`INSERT INTO reviews (bucket, review_id, business_date, merchant_id, raised_at, cause, state, decided_at, decided_by, decided_why)
		SELECT 0, gen_random_uuid(), '2026-01-01', 1, timestamptz '2026-01-01' + n * interval '1 s', 'x', 2, now(), 'ann', 'seen' FROM generate_series(1, $1) n`, behind)
	w.sql(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at, opened_date, closed_at, closed_date, closed_by,
			sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor)
		SELECT m.bucket, 100 + n % 60, 1 + n / 60, 5, timestamptz '2026-01-01' + n * interval '1 s', '2026-01-01', timestamptz '2026-01-02' + n * interval '1 s',
			'2026-01-01', 1, 0, 0, 0, 0, 0, 0 FROM generate_series(0, $1) n, merchants m WHERE m.merchant_id = 1`, behind-1)
	w.sql(`ANALYZE`)
	conn, err := pgx.Connect(t.Context(), w.url)
	w.must(err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), `SET plan_cache_mode = force_generic_plan; SET jit = off`) // as hosts have it
	w.must(err)
	read := func() (rows int) {
		t.Helper()
		_, err := conn.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
		w.must(err)
		w.must(conn.QueryRow(t.Context(), `SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables
			WHERE relname IN ('audit_log', 'exceptions', 'reviews', 'batches', 'batch_differences')`).Scan(&rows))
		return rows
	}
	audit := func(f switching.AuditFilter) func() (int, error) {
		return func() (int, error) {
			f.Limit = shown
			list, err := switching.AuditRows(t.Context(), conn, f)
			return len(list), err
		}
	}
	batches := func(f switching.BatchFilter) func() (int, error) {
		return func() (int, error) {
			f.Limit = shown
			list, err := switching.ListBatches(t.Context(), conn, f)
			return len(list), err
		}
	}
	for name, list := range map[string]struct {
		do          func() (int, error)
		shows, most int
	}{
		"audit log":               {audit(switching.AuditFilter{}), shown, 5 * shown},
		"audit log of a kind":     {audit(switching.AuditFilter{Kind: "clock_moved"}), shown, 5 * shown},
		"audit log of a subject":  {audit(switching.AuditFilter{Subject: "terminal 1"}), shown, 5 * shown},
		"audit log of nobody":     {audit(switching.AuditFilter{Subject: "terminal 0", Before: 5000}), 0, 5 * shown},
		"audit log of a terminal": {audit(switching.AuditFilter{TID: "1"}), shown, 5 * shown},
		"audit log of a few":      {audit(switching.AuditFilter{TID: "few"}), 3, 5 * shown},
		"audit log of a text":     {audit(switching.AuditFilter{Text: "terminal"}), shown, 5 * shown},
		"exceptions": {func() (int, error) {
			list, err := switching.ExceptionsFrom(t.Context(), conn, shown, shown)
			return len(list), err
		}, shown, 5 * shown},
		"reviews": {func() (int, error) {
			_, err := switching.ListReviews(t.Context(), conn, switching.ReviewFilter{All: true, Limit: shown})
			return shown, err // those made here have no transactions
		}, shown, 5 * shown},
		"batches":                       {batches(switching.BatchFilter{}), shown, 5 * shown},
		"batches, further back":         {batches(switching.BatchFilter{Offset: 100}), shown, 5*shown + 100},
		"batches of a terminal":         {batches(switching.BatchFilter{TID: "30000007"}), shown, 5*shown + behind/60},
		"batches of nobody":             {batches(switching.BatchFilter{TID: "99999999"}), 0, 5 * shown},
		"one batch":                     {batches(switching.BatchFilter{TID: "30000007", BatchNo: 3}), 1, 5 * shown},
		"current batches":               {batches(switching.BatchFilter{Current: true}), 0, 5 * shown},
		"current batches of a merchant": {batches(switching.BatchFilter{Current: true, MID: shop}), 0, 5 * shown},
		"batches that differ":           {batches(switching.BatchFilter{Differing: true}), 0, 5 * shown},
	} {
		before := read()
		n, err := list.do()
		w.must(err)
		if rows := read() - before; n != list.shows || rows > list.most {
			t.Errorf("%s: shows %d rows (want %d) and reads %d (at most %d)", name, n, list.shows, rows, list.most)
		}
	}
}
