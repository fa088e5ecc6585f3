package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/switch"
)

// loadHistory puts many days of transactions behind the pages: copies of one sale
// with its transfer, batches, and every so many a decline, a review, an exception, a
// difference, a row of the audit log. They are for looking at: no ledger adds them up.
func loadHistory(t testing.TB, w *world, transactions int) {
	t.Helper()
	const days, tills = 60, 40
	w.sql(`SELECT meridian_ensure_partitions('2026-01-01', '2026-03-31')`)
	w.sql(fmt.Sprintf(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect)
		SELECT 100 + n, (30000000 + n)::text, 1 + n %% 2, 'nac' FROM generate_series(1, %d) n`, tills))
	sale := w.ask(switching.KindSale, 12_34)
	conn := w.connect()
	exec := func(sql string, args ...any) {
		t.Helper()
		begun := time.Now()
		if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
		t.Logf("%s %.40q", time.Since(begun).Round(time.Millisecond), sql)
	}
	exec(`CREATE TEMP TABLE made AS
		SELECT n, (n % 2)::smallint AS bucket, 1 + n % 2 AS merchant_id, (100 + (n / 7 % ($2::bigint / 2)) * 2 + CASE n % 2 WHEN 0 THEN 2 ELSE 1 END)::int AS terminal_id,
			'2026-03-09'::date - (($1::bigint - n) * $3::bigint / $1)::int AS business_date,
			'2026-03-09 15:00Z'::timestamptz - make_interval(secs => ($1::bigint - n) * ($3::bigint * 86400.0) / $1) AS at,
			1 + n % 900000 AS stan, 1 + n / 20000 AS batch_no, (500 + n * 37 % 90000)::bigint AS amount
		FROM generate_series(1, $1::bigint) n`, transactions, tills, days)
	exec(`CREATE TEMP TABLE one AS SELECT transactions.* FROM transactions WHERE bucket = 0 AND rrn = $1`, sale.RRN)                                                         //nolint:unqueryvet // every column is copied
	exec(`CREATE TEMP TABLE leg AS SELECT f.* FROM transfers f JOIN one o ON f.bucket = o.bucket AND f.business_date = o.business_date AND f.journal_id = o.transaction_id`) //nolint:unqueryvet // as above
	exec(`ALTER TABLE made ADD COLUMN id uuid`)
	exec(`UPDATE made SET merchant_id = 1 + bucket, id = (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid`)
	exec(`ANALYZE made, one, leg`)
	columns, err := conn.Query(context.Background(), `SELECT attname::text FROM pg_attribute WHERE attrelid = 'transactions'::regclass AND attnum > 0 AND NOT attisdropped`)
	w.must(err)
	names, err := pgx.CollectRows(columns, pgx.RowTo[string])
	w.must(err)
	own := map[string]string{
		"bucket": "m.bucket", "business_date": "m.business_date", "transaction_id": "m.id", "accepted_at": "m.at", "rrn": "600000000000 + m.n",
		"merchant_id": "m.merchant_id", "terminal_id": "m.terminal_id", "stan": "m.stan", "batch_no": "m.batch_no", "calendar_id": "1 + m.bucket",
		"amount_minor": "m.amount", "captured_minor": "CASE WHEN m.n % 17 = 0 THEN 0 ELSE m.amount END", "currency": "CASE m.bucket WHEN 0 THEN 156 ELSE 978 END",
		"state": "CASE WHEN m.n % 17 = 0 THEN 1 ELSE 2 END", "reason": "CASE WHEN m.n % 17 = 0 THEN 5 ELSE o.reason END",
		"pan_masked": "CASE WHEN m.n % 3 = 0 THEN o.pan_masked ELSE '476173******' || lpad((m.n % 9000)::text, 4, '0') END",
	}
	values := slices.Clone(names)
	for i, name := range names {
		if values[i] = own[name]; values[i] == "" {
			values[i] = "o." + name
		}
	}
	exec(`INSERT INTO transactions (` + strings.Join(names, ", ") + `) SELECT ` + strings.Join(values, ", ") + ` FROM made m, one o`)
	exec(`INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, business_date, transaction_id)
		SELECT bucket, merchant_id, terminal_id, batch_no, stan, 1, business_date, id FROM made`)
	exec(`INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
		SELECT m.bucket, m.business_date, m.id, f.leg, f.kind, f.phase, CASE m.bucket WHEN 0 THEN 156 ELSE 978 END, f.debit_account,
			CASE m.bucket WHEN 0 THEN f.credit_account ELSE f.credit_account + 1 END, m.amount
		FROM made m, leg f WHERE m.n % 17 <> 0`)
	exec(`INSERT INTO batches (bucket, terminal_id, batch_no, state, opened_at, opened_date, closed_at, closed_date, closed_by,
			sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor)
		SELECT bucket, terminal_id, batch_no, 5, min(at), min(business_date), max(at), max(business_date), 1, count(*), sum(amount), 0, 0, 0, 0
		FROM made GROUP BY bucket, terminal_id, batch_no`)
	exec(`ANALYZE`)
	exec(`UPDATE batches b SET state = 1, closed_at = NULL, closed_date = NULL, closed_by = NULL, sale_count = NULL, sale_minor = NULL,
		void_count = NULL, void_minor = NULL, refund_count = NULL, refund_minor = NULL
		WHERE terminal_id > 99 AND batch_no = (SELECT max(batch_no) FROM batches c WHERE c.terminal_id = b.terminal_id)`)
	exec(`INSERT INTO exceptions SELECT bucket, id, at, 'late_reversal', business_date, id, 'made for looking at' FROM made WHERE n % 20 = 0`)
	exec(`INSERT INTO reviews (bucket, review_id, business_date, merchant_id, raised_at, cause, state, decided_at, decided_by, decided_why)
		SELECT bucket, id, business_date, merchant_id, at, 'over the threshold', CASE WHEN n % 400 = 0 THEN 1 ELSE 2 END,
			CASE WHEN n % 400 = 0 THEN NULL ELSE at END, 'ann', 'seen' FROM made WHERE n % 40 = 0`)
	exec(`INSERT INTO batch_differences (bucket, terminal_id, batch_no, kind, stan, raised_at, terminal_minor, host_minor, business_date, transaction_id)
		SELECT bucket, terminal_id, batch_no, 'amount_differs', stan, at, amount, amount + 1, business_date, id FROM made WHERE n % 997 = 0 ON CONFLICT DO NOTHING`)
	exec(`INSERT INTO audit_log (recorded_at, kind, subject, detail)
		SELECT at, CASE WHEN n % 10 = 0 THEN 'mac_failure' ELSE 'denied_unknown_terminal' END, 'terminal ' || 30000000 + n % 40, 'made for looking at' FROM made WHERE n % 2 = 0 ORDER BY n`)
	exec(`ANALYZE`)
}

// slowPages are the pages with much behind them, and every search that finds nothing.
func slowPages(w *world, sale string) []string {
	pages := []string{"/"}
	for _, item := range navigation {
		for _, one := range item.Items {
			pages = append(pages, one.Path)
		}
	}
	search := func(pairs ...string) {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		pages = append(pages, "/transactions?"+q.Encode())
	}
	for _, more := range [][]string{nil, {"merchant", shop}, {"terminal", "30000001"}} {
		for _, one := range [][]string{
			{"card", "999999…9999"},
			{"card", "476173…0007"},
			{"amount", "9999.99"},
			{"amount", "12.71"},
			{"state", "under_review"},
			{"state", "declined"},
			{"kind", "void"},
			{"stan", "899999"},
			{"stan", "77"},
			{"from", "2026-02-01", "to", "2026-02-02"},
			{"batch", "3"},
		} {
			search(append(slices.Clone(one), more...)...)
		}
	}
	search("rrn", "600000000077")
	search("merchant", shop)
	search("terminal", "30000001")
	return append(pages,
		"/transactions/"+sale, "/transactions/600000000077", "/batches?differing=1", "/batches?current=1", "/batches?merchant="+shop, "/batches?terminal=30000001",
		"/batches?skip=500", "/batches/30000001/2", "/settlement?merchant="+shop, "/settlement/"+shop+"/2026-03-09", "/cutover?rrn="+sale,
		"/ledger/accounts/merchant:1:pending", "/ledger/accounts/card:1", "/ledger/accounts/bank:settlement", "/reviews?all=1", "/reviews?all=1&skip=200", "/exceptions?skip=200",
		"/audit?kind=mac_failure", "/audit?kind=clock_moved", "/audit?text=nobody", "/audit?text=terminal+30000001", "/merchants/"+shop,
		"/terminals/30000001", "/terminals/"+till, "/terminals?merchant="+shop)
}

// TestPagesUnderHistory prints how long every page takes with
// MERIDIAN_TEST_CONSOLE_PAGES transactions behind it, and the plan of what took the
// slowest so long. `make console-pages` runs it.
func TestPagesUnderHistory(t *testing.T) {
	text := os.Getenv("MERIDIAN_TEST_CONSOLE_PAGES")
	if text == "" {
		t.Skip("MERIDIAN_TEST_CONSOLE_PAGES is not set: make console-pages loads 100,000 transactions and measures every page")
	}
	transactions, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	begun := time.Now()
	loadHistory(t, w, transactions)
	t.Logf("loaded %d transactions in %s", transactions, time.Since(begun).Round(time.Second))
	sale := w.ask(switching.KindSale, 9_99)
	w.console.trial.wait = trialWait
	type timing struct {
		path string
		took time.Duration
	}
	var timings []timing
	const rounds = 3
	for _, path := range slowPages(w, rrnOf(sale)) {
		best := time.Hour
		for range rounds {
			begun := time.Now()
			a := w.get(path)
			best = min(best, time.Since(begun))
			if a.status >= 400 && !strings.Contains(path, "settlement/") {
				t.Errorf("%s: %d\n%s", path, a.status, a.text())
			}
		}
		timings = append(timings, timing{path, best})
	}
	slices.SortFunc(timings, func(a, b timing) int { return int(b.took - a.took) })
	slow := 0
	for _, one := range timings {
		mark := ""
		if one.took > 200*time.Millisecond {
			mark = "  over 200 ms"
			slow++
		}
		t.Logf("%7.1f ms  %s%s", float64(one.took.Microseconds())/1000, one.path, mark)
	}
	t.Logf("%d of %d pages take over 200 ms, best of %d", slow, len(timings), rounds)
	for _, plan := range plansOf(t, w, timings[0].path) {
		t.Log(plan)
	}
}

// plansOf tells how a page's statements were run, those of at least 10 ms.
func plansOf(t testing.TB, w *world, path string) []string {
	t.Helper()
	config, err := pgxpool.ParseConfig(w.url) // of the owner, who may load auto_explain
	w.must(err)
	plans := make(chan string, 100)
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		select {
		case plans <- n.Message:
		default:
		}
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `LOAD 'auto_explain'; SET auto_explain.log_min_duration = '10ms'; SET auto_explain.log_analyze = on;
			SET auto_explain.log_level = 'notice'; SET client_min_messages = 'notice'`)
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	w.must(err)
	defer pool.Close()
	o := w.console.o
	o.Pool = pool
	explained, err := New(o)
	w.must(err)
	defer explained.Close()
	explained.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
	var list []string
	for len(plans) > 0 {
		list = append(list, <-plans)
	}
	return list
}
