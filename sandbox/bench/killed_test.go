//go:build unix

package bench

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"meridian/internal/pglocal/pgtest"
	"meridian/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

// What looks for approvals sees one that is gone, one that was stored for somebody else, and
// one too many.
func TestKept(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, pgtest.Database(t, migrate))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`SELECT meridian_ensure_partitions('2026-03-10', '2026-03-10')`)
	stored := func(bucket, terminal, stan int, rrn int64) {
		t.Helper()
		exec(`INSERT INTO transactions (bucket, business_date, transaction_id, accepted_at, rrn, amount_minor, captured_minor, merchant_id, terminal_id,
			batch_no, stan, calendar_id, currency, asked, kind, state, reason, digest)
			VALUES ($1, '2026-03-10', gen_random_uuid(), '2026-03-10 12:00+00', $4, 100, 100, 1, $2, 1, $3, 1, 156, 2, 2, 2, 1, '')`, bucket, terminal, stan, rrn)
	}
	want := func(what string, wantLost, wantTwice int, told ...tellings) {
		t.Helper()
		const before = 1
		lost, twice, err := kept(ctx, pool, before, told)
		if err != nil || lost != wantLost || twice != wantTwice {
			t.Errorf("%s: %d lost, %d twice, %v; want %d and %d", what, lost, twice, err, wantLost, wantTwice)
		}
	}
	stored(0, 9, 1, 606912000001) // of before
	stored(0, 1, 7, 606912000002)
	stored(3, 2, 7, 606912000003)
	one := tellings{terminalID: 1, approvals: []approval{{7, 606912000002}}}
	other := tellings{terminalID: 2, approvals: []approval{{7, 606912000003}}}
	want("all is there", 0, 0, one, other)
	want("one more is stored than was approved", 0, 1, one)
	want("another terminal has its RRN", 1, 1, one, tellings{terminalID: 3, approvals: other.approvals})
	want("another request has its RRN", 1, 1, one, tellings{terminalID: 2, approvals: []approval{{8, 606912000003}}})
	exec(`UPDATE transactions SET state = 5 WHERE terminal_id = 2`)
	want("it does not stand", 1, 0, one, other)
	exec(`DELETE FROM transactions WHERE terminal_id = 2`)
	want("it is gone", 1, 0, one, other)
}
