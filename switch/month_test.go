package switching_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
	"meridian/switch"
)

// What units of work look up by date is planned for the partitions of one month, however many
// there are: a generic plan locks every partition that it might touch.
func TestUnitsArePlannedForOneMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.sql(`SELECT meridian_ensure_partitions('2024-01-01', '2026-03-31')`)
	conn, err := pgx.Connect(ctx, w.url)
	w.must(err)
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `SET plan_cache_mode = force_generic_plan`)
	w.must(err)
	var buckets, leaves int
	w.must(conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM buckets), (SELECT count(*) FROM pg_partition_tree('transactions') WHERE isleaf)`).Scan(&buckets, &leaves))
	if leaves < 27*buckets {
		t.Fatalf("%d partitions for %d buckets", leaves, buckets)
	}
	for name, sql := range switching.StatementsOfAMonth(ledger.MakeDate(2025, 2, 28)) {
		tx, err := conn.Begin(ctx)
		w.must(err)
		_, err = tx.Exec(ctx, "PREPARE one AS "+sql)
		w.must(err)
		var parameters int
		w.must(tx.QueryRow(ctx, `SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'one'`).Scan(&parameters))
		_, err = tx.Exec(ctx, "EXPLAIN EXECUTE one ("+strings.TrimSuffix(strings.Repeat("NULL,", parameters), ",")+")")
		w.must(err)
		rows, err := tx.Query(ctx, `
			SELECT DISTINCT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE l.pid = pg_backend_pid() AND c.relname ~ '^transactions_[0-9]{6}' AND c.relkind = 'r'`)
		w.must(err)
		locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
		w.must(err)
		if len(locked) != buckets {
			t.Errorf("%s is planned for %d partitions, want the %d of its month", name, len(locked), buckets)
		}
		for _, leaf := range locked {
			if !strings.HasPrefix(leaf, "transactions_202502") {
				t.Errorf("%s is planned for %s", name, leaf)
			}
		}
		w.must(tx.Rollback(ctx))
		_, err = conn.Exec(ctx, "DEALLOCATE one")
		w.must(err)
	}
}

// One unit speaks of originals of several months, which it knows, reads or locks.
func TestOriginalsOfSeveralMonths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.set(time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC))
	w.cutover()
	sale := func() switching.Response { return w.do(switching.Approved, w.request(switching.KindSale, 10_00)) }
	march, held := sale(), w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00))
	w.clock.set(time.Date(2026, 3, 31, 15, 30, 0, 0, time.UTC)) // 23:30 in Shanghai: the business date is the first of April
	w.cutover()
	april := sale()
	w.clock.set(time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC))
	w.cutover()
	completed := w.do(switching.Approved, w.request(switching.KindCompletion, 10_00, of(held)))
	today := sale()
	w.clock.set(time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC))
	w.cutover()
	last := sale()
	spent := int64(4 * 10_00)
	refunds := func(of ...func(*switching.Request)) (list []*switching.Request) {
		for _, original := range of {
			list = append(list, w.request(switching.KindRefund, 1_00, original))
		}
		return list
	}
	strange := func(r *switching.Request) { r.Original = switching.Reference{HasRRN: true, RRN: 608999999999} }
	nobody := func(r *switching.Request) { r.Original = switching.Reference{HasRRN: true, RRN: 999999999999} }
	for _, c := range []struct {
		name string
		host *shaky
		knows,
		unknown bool
	}{
		{"reads without locks", w.patient(), true, false},
		{"locks", w.patient(), false, false},
		{"looks elsewhere", w.patient(), true, true},
	} {
		list := refunds(of(march), of(april), of(completed), of(today))
		want := []switching.Reason{switching.Approved, switching.Approved, switching.Approved, switching.Approved}
		spent -= 4 * 1_00
		if c.knows {
			spent += c.host.knows()
		} else { // a void of the day, by STAN and no batch, is looked up
			list = append(list, w.request(switching.KindVoid, 0, func(r *switching.Request) {
				r.Original = switching.Reference{HasSTAN: true, STAN: 999_999}
			}))
			want = append(want, switching.OriginalNotFound)
		}
		if c.unknown {
			list = append(list, refunds(strange, nobody)...)
			want = append(want, switching.OriginalNotFound, switching.OriginalNotFound)
		}
		answers, _ := c.host.together(list...)
		for i, got := range answers {
			if got.Reason != want[i] {
				t.Errorf("%s: refund %d was answered %s, want %s", c.name, i, got.Reason, want[i])
			}
		}
		w.verify()
	}
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(last)))
	w.wantSpent(0, spent, "sales that were refunded in part three times")
}

// RRNs come again after ten years: the latest is meant. One that is not where its digits
// say, as after a sandbox's clock went back, is found all the same.
func TestRRNsComeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.advance(24 * time.Hour)
	before := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	// Ten years ago there was one of this number, and another.
	w.sql(`SELECT meridian_ensure_partitions('2016-03-01', '2016-03-31')`)
	w.sql(`UPDATE transactions SET rrn = $1, business_date = '2016-03-10', accepted_at = '2016-03-10', batch_no = 7 WHERE rrn = $2`, sale.RRN, before.RRN)
	w.sql(`UPDATE idempotency_keys k SET business_date = t.business_date FROM transactions t WHERE t.transaction_id = k.transaction_id`)
	knowing, reading := w.patient(), w.patient()
	void := func(want switching.Reason, host *shaky, minor, rrn int64) {
		t.Helper()
		r := w.request(switching.KindVoid, minor, of(switching.Response{RRN: rrn}))
		if got := host.told(r); got.Reason != want {
			t.Errorf("answered %s, want %s", got.Reason, want)
		}
	}
	knowing.knows()
	void(switching.AmountMismatch, knowing, 9_00, sale.RRN)
	void(switching.AmountMismatch, reading, 9_00, sale.RRN)
	void(switching.Approved, reading, 10_00, sale.RRN)
	older := sale.RRN + 50_000 // which the day has not handed out
	w.sql(`UPDATE transactions SET rrn = $1 WHERE business_date = '2016-03-10'`, older)
	knowing.knows()
	void(switching.NotAllowedNow, knowing, 0, older)
	void(switching.NotAllowedNow, reading, 0, older)
}

func TestDateOfRRN(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rrn       int64
		now, want string
	}{
		{6069_00000001, "2026-03-10T12:00:00Z", "2026-03-10"},
		{6068_99999999, "2026-03-10T12:00:00Z", "2026-03-09"},
		{6070_00000001, "2026-03-10T23:59:59Z", "2026-03-11"}, // another host's clock is ahead
		{6071_00000001, "2026-03-10T12:00:00Z", "2016-03-11"},
		{5365_00000001, "2026-03-10T12:00:00Z", "2025-12-31"},
		{9365_00000001, "2030-01-01T00:00:00Z", "2029-12-31"},
		{1_00000001, "2030-01-01T00:00:00Z", "2030-01-01"},
		{1_00000001, "2029-12-31T23:59:59Z", "2030-01-01"},
		{1_00000001, "2029-12-30T23:59:59Z", "2020-01-01"},
		{8366_00000001, "2030-01-01T00:00:00Z", "2028-12-31"}, // a leap year
		{6000_00000001, "2026-03-10T12:00:00Z", ""},
		{6367_00000001, "2026-03-10T12:00:00Z", ""},
		{999999999999, "2026-03-10T12:00:00Z", ""},
		{0, "2026-03-10T12:00:00Z", ""},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if date, ok := switching.DateOfRRN(c.rrn, now); ok {
			got = fmt.Sprint(date)
		}
		if got != c.want {
			t.Errorf("RRN %012d on %s is of %q, want %q", c.rrn, c.now, got, c.want)
		}
	}
}
