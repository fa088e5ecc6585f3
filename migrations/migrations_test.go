package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
	"meridian/migrations"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func up(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

func TestUpTwice(t *testing.T) {
	url := pgtest.Database(t, nil)
	newest, err := migrations.Newest()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		version, err := migrations.Up(t.Context(), url)
		if err != nil || version != newest {
			t.Fatalf("version %d, %v; want %d", version, err, newest)
		}
	}
	list, err := migrations.List(t.Context(), url)
	if err != nil || len(list) == 0 || list[len(list)-1].AppliedAt.IsZero() {
		t.Fatalf("list %v, %v", list, err)
	}
}

// Roles are the cluster's: databases that migrate at once meet on them.
func TestUpInManyDatabasesAtOnce(t *testing.T) {
	var waiting sync.WaitGroup
	for range 4 {
		url := pgtest.Database(t, nil)
		waiting.Go(func() {
			if err := up(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
}

// What is immutable is immutable by privilege, for every table there is and
// every partition that will be.
func TestServiceRoleCannotRewriteHistory(t *testing.T) {
	url := pgtest.Database(t, up)
	ctx := t.Context()
	owner, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if _, err := owner.Exec(ctx, `SELECT meridian_ensure_partitions('2026-01-01', '2026-03-31')`); err != nil {
		t.Fatal(err)
	}
	rows, err := owner.Query(ctx, `
		SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	pool, err := postgres.Open(ctx, url, postgres.Options{Role: migrations.ServiceRole})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	denied := func(statement string) {
		t.Helper()
		_, err := pool.Exec(ctx, statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want permission denied", statement, err)
		}
	}
	for _, table := range tables {
		denied("DELETE FROM " + table)
		denied("TRUNCATE " + table)
		denied("DROP TABLE " + table)
	}
	denied("UPDATE transfers SET amount_minor = 1")
	denied("UPDATE transfers_202601 SET amount_minor = 1")
	denied("UPDATE transfers_202601_0 SET amount_minor = 1")
	denied("UPDATE audit_log SET detail = ''")
	denied("UPDATE transactions SET amount_minor = 1")
	denied("UPDATE business_days SET closes_at = now()")
	denied("CREATE TABLE mine (i int)")
	if _, err := pool.Exec(ctx, `SELECT count(*) FROM transfers`); err != nil {
		t.Error(err)
	}
}

func TestPartitionsAreBounded(t *testing.T) {
	url := pgtest.Database(t, up)
	pool, err := postgres.Open(t.Context(), url, postgres.Options{Role: migrations.ServiceRole})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var made int
	if err := pool.QueryRow(t.Context(), `SELECT meridian_ensure_partitions('2026-01-15', '2026-03-01')`).Scan(&made); err != nil || made != 6 {
		t.Fatalf("made %d, %v; want three months of two tables", made, err)
	}
	if err := pool.QueryRow(t.Context(), `SELECT meridian_ensure_partitions('2026-01-15', '2026-03-01')`).Scan(&made); err != nil || made != 0 {
		t.Fatalf("made %d again, %v", made, err)
	}
	if err := pool.QueryRow(t.Context(), `SELECT meridian_ensure_partitions('2026-01-01', '2036-01-01')`).Scan(&made); err == nil {
		t.Fatal("made partitions for ten years")
	}
}

// Each bucket has a partition of its own in every month that is made from now on, one that
// is added later goes with its neighbour, and a month of many buckets is not split.
// A month that two make at once, such as hosts at its beginning, is made once, and whoever waited goes on.
func TestPartitionsMadeAtOnce(t *testing.T) {
	url := pgtest.Database(t, up)
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	const ensure = `SELECT meridian_ensure_partitions('2027-01-01', '2027-02-28')`
	made := func(db interface {
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	},
	) (n int, err error) {
		err = db.QueryRow(ctx, ensure).Scan(&n)
		return n, err
	}
	first, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Rollback(context.Background()) }()
	if n, err := made(first); n != 4 || err != nil {
		t.Fatalf("made %d, %v, want 4", n, err)
	}
	second := make(chan error, 1)
	go func() {
		n, err := made(pool)
		if err == nil && n != 0 {
			err = fmt.Errorf("made %d once more", n)
		}
		second <- err
	}()
	for waits := false; !waits; {
		if len(second) > 0 {
			t.Fatalf("did not wait: %v", <-second)
		}
		if err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestMonthsAreSplitByBucket(t *testing.T) {
	owner, err := postgres.Open(t.Context(), pgtest.Database(t, up), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	do := func(statement string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	do(`SELECT meridian_ensure_partitions('2026-01-01', '2026-01-31')`)
	do(`INSERT INTO buckets (bucket) VALUES (9)`)
	do(`SELECT meridian_ensure_partitions('2026-01-01', '2026-02-28')`)
	do(`INSERT INTO buckets (bucket) SELECT generate_series(10, 22)`)
	do(`SELECT meridian_ensure_partitions('2026-01-01', '2026-03-31')`)
	for _, row := range []struct {
		date   string
		bucket int
		want   string
	}{
		{"2026-01-31", 0, "transfers_202601_0"},
		{"2026-01-01", 2, "transfers_202601_2"},
		{"2026-01-01", 9, "transfers_202601_3"},
		{"2026-02-01", 3, "transfers_202602_3"},
		{"2026-02-01", 9, "transfers_202602_9"},
		{"2026-03-01", 0, "transfers_202603"},
		{"2026-03-01", 22, "transfers_202603"},
	} {
		var where string
		if err := owner.QueryRow(t.Context(), `
			INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
			VALUES ($1, $2::text::date, gen_random_uuid(), 1, 1, 1, 156, 1, 2, 1) RETURNING tableoid::regclass::text`,
			row.bucket, row.date).Scan(&where); err != nil || where != row.want {
			t.Errorf("a transfer of %s in bucket %d is in %q, %v; want %s", row.date, row.bucket, where, err, row.want)
		}
	}
	// A month is detached, and dropped, as one.
	do(`ALTER TABLE transfers DETACH PARTITION transfers_202601`)
	do(`DROP TABLE transfers_202601`)
}

// What no row may have, whoever writes it.
func TestRowsThatCannotBe(t *testing.T) {
	owner, err := postgres.Open(t.Context(), pgtest.Database(t, up), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	do := func(statement string) error {
		_, err := owner.Exec(t.Context(), statement)
		return err
	}
	const transaction = `INSERT INTO transactions (bucket, business_date, transaction_id, accepted_at, rrn, amount_minor, merchant_id, terminal_id,
		batch_no, stan, calendar_id, currency, asked, kind, state, reason, digest)
		VALUES (0, '2026-01-05', '018f0000-0000-7000-8000-000000000001', now(), 1, 100, 1, 1, 1, 1, 1, 156, 2, 2, 2, 0, '')`
	const transfer = `INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor, hold_id)
		VALUES (0, '2026-01-05', '018f0000-0000-7000-8000-000000000001', 1, 1, 1, 156, 1, 2, 100, NULL)`
	for _, statement := range []string{
		`SELECT meridian_ensure_partitions('2026-01-01', '2026-01-31')`,
		transaction,
		transfer,
		`INSERT INTO holds (bucket, hold_id, business_date, merchant_id, card_id, currency, amount_minor, expires_at)
		VALUES (0, '018f0000-0000-7000-8000-000000000001', '2026-01-05', 1, 1, 156, 100, now())`,
		`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency) VALUES (1, '\x000102030405060708090a0b0c0d0e0f', '621234******0001', '3912', 156)`,
	} {
		if err := do(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for table, changes := range map[string][]string{
		"transactions": {
			"amount_minor = -1", "cashback_minor = -1", "captured_minor = -1", "refunded_minor = -1", "reviewed_minor = -1", "previous_minor = -1",
			"refunded_minor = 1", "stan = -1", "stan = 1000000", "remark = repeat('x', 601)",
		},
		"transfers": {
			"amount_minor = 0", "leg = 0", "phase = 0", "phase = 5", "phase = 2", "hold_id = journal_id", "debit_account = credit_account",
		},
		"holds": {"amount_minor = 0", "captured_minor = -1", "captured_minor = 1", "state = 0", "state = 2", "state = 5"},
		"card_accounts": {
			"card_id = 0", "pan_token = '\\x00'", "expiry = '3913'", "expiry = '39'", "expiry = 'x912'", "status = 0", "status = 7", "held_minor = -1",
			"pin_failures = -1", "pin_reference = ''", "pin_reference = decode(repeat('00', 257), 'hex')",
		},
	} {
		for _, change := range changes {
			err := do(`UPDATE ` + table + ` SET ` + change)
			if refused, is := errors.AsType[*pgconn.PgError](err); !is || refused.Code != "23514" || refused.ConstraintName == "" {
				t.Errorf("%s with %s: %v", table, change, err)
			}
		}
	}
	for _, change := range []string{
		"transactions SET captured_minor = 5, refunded_minor = 5, previous_minor = 0, stan = 999999, remark = repeat('x', 600)",
		"card_accounts SET expiry = '0001', status = 6, held_minor = 0, pin_reference = '\\x00'",
		"holds SET state = 2, captured_minor = 100",
	} {
		if err := do(`UPDATE ` + change); err != nil {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// A table that has begun to fill gets statistics once, before autovacuum comes by.
func TestNewTablesAreAnalyzed(t *testing.T) {
	url := pgtest.Database(t, up)
	owner, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	service, err := postgres.Open(t.Context(), url, postgres.Options{Role: migrations.ServiceRole})
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	// Autovacuum would do the same, some time in the minute that follows.
	for _, statement := range []string{
		`ALTER TABLE buckets SET (autovacuum_enabled = off)`,
		`INSERT INTO buckets (bucket) SELECT generate_series(4, 4000)`,
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{1, 0} {
		var analyzed int
		if err := service.QueryRow(t.Context(), `SELECT meridian_analyze_new()`).Scan(&analyzed); err != nil || analyzed != want {
			t.Fatalf("analyzed %d, %v, want %d", analyzed, err, want)
		}
	}
	var rows float64
	if err := owner.QueryRow(t.Context(), `SELECT reltuples FROM pg_class WHERE relname = 'buckets'`).Scan(&rows); err != nil || rows != 4001 {
		t.Fatalf("%v rows known, %v", rows, err)
	}
}

// A load of before there were references is named after its journal; one that has a reference
// gets no second one.
func TestLoadsOfBeforeHaveReferences(t *testing.T) {
	url := pgtest.Database(t, up)
	ctx := t.Context()
	owner, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	for _, statement := range []string{
		`SELECT meridian_ensure_partitions('2026-01-01', '2026-01-31')`,
		`INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor) VALUES
			(0, '2026-01-05', '018f0000-0000-7000-8000-000000000001', 1, 1, 1, 156, 1::bigint << 48, (16::bigint << 48) + 7, 100),
			(0, '2026-01-05', '018f0000-0000-7000-8000-000000000002', 1, 1, 1, 156, 1::bigint << 48, (16::bigint << 48) + 7, 200),
			(0, '2026-01-05', '018f0000-0000-7000-8000-000000000003', 1, 2, 1, 156, (16::bigint << 48) + 7, (17::bigint << 48) + 1, 300)`,
		`INSERT INTO card_loads VALUES (7, 'opening', 200, 0, '2026-01-05', '018f0000-0000-7000-8000-000000000002', now())`,
		`DROP INDEX audit_log_terminal`, // of a version after it
		`DELETE FROM goose_db_version WHERE version_id >= 34`,
	} {
		if _, err := owner.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := up(ctx, url); err != nil {
		t.Fatal(err)
	}
	rows, err := owner.Query(ctx, `SELECT concat_ws(' ', card_id, reference, amount_minor, business_date) FROM card_loads ORDER BY amount_minor`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	want := []string{"7 before-018f0000-0000-7000-8000-000000000001 100 2026-01-05", "7 opening 200 2026-01-05"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
