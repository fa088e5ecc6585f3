package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
	"meridian/migrations"
)

// books is a database with two calendars and a merchant of each in two buckets.
// Its pool is the service's, with no more rights than a host has.
type books struct {
	t     testing.TB
	url   string
	pool  *pgxpool.Pool
	owner *pgxpool.Pool
	cals  []*Calendar
}

func migrateBooks(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

const (
	berlin   int16 = 1
	shanghai int16 = 2
)

// merchants of the books: id, bucket, calendar.
var booksMerchants = [][3]int{{1, 0, int(berlin)}, {2, 1, int(berlin)}, {3, 0, int(shanghai)}, {4, 1, int(shanghai)}}

// newBooks with windows around the instant now.
func newBooks(t testing.TB, now time.Time) *books {
	t.Helper()
	ctx := t.Context()
	b := &books{t: t, url: pgtest.Database(t, migrateBooks)}
	var err error
	b.pool, err = postgres.Open(ctx, b.url, postgres.Options{Role: migrations.ServiceRole, MaxConnections: 20})
	b.must(err)
	b.owner, err = postgres.Open(ctx, b.url, postgres.Options{})
	b.must(err)
	t.Cleanup(func() { b.pool.Close(); b.owner.Close() })
	b.sql(`DELETE FROM buckets WHERE bucket > 1`)
	b.sql(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date, holiday_region) VALUES
		(1, 'berlin', 'Europe/Berlin', '02:30', '2020-01-01', 'de'), (2, 'shanghai', 'Asia/Shanghai', '23:00', '2020-01-01', '')`)
	b.sql(`INSERT INTO policies (policy_id, name) VALUES (1, 'plain')`)
	for _, m := range booksMerchants {
		b.sql(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id)
			VALUES ($1, $2, $4, 'Merchant', 978, $3, 1)`, m[0], m[1], m[2], fmt.Sprintf("%015d", 104110000000000+m[0]))
	}
	b.cals, err = Calendars(ctx, b.pool)
	b.must(err)
	b.ensure(now)
	return b
}

func (b *books) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *books) ensure(now time.Time) {
	b.t.Helper()
	b.must(EnsureWindows(b.t.Context(), b.pool, b.cals, now))
}

// sql runs as the database's owner.
func (b *books) sql(query string, args ...any) {
	b.t.Helper()
	_, err := b.owner.Exec(context.Background(), query, args...)
	b.must(err)
}

func (b *books) int(query string, args ...any) (n int64) {
	b.t.Helper()
	b.must(b.owner.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}

// sell posts sales for every merchant into a business date.
func (b *books) sell(d Date, amounts ...int64) {
	b.t.Helper()
	batch := &pgx.Batch{}
	for _, m := range booksMerchants {
		for _, minor := range amounts {
			j := Journal{ID: uuid.Must(uuid.NewV7()), Date: d, Currency: money.EUR}
			j.Post(KindSale, Account(RoleSchemeReceivable, 1), Account(RoleMerchantPending, int64(m[0])), minor)
			QueueTransfers(batch, int16(m[1]), j.Transfers)
		}
	}
	b.must(b.pool.SendBatch(b.t.Context(), batch).Close())
}

func (b *books) findings() []Finding {
	b.t.Helper()
	list, err := RunChecks(context.Background(), b.owner, Checks())
	b.must(err)
	return list
}

func (b *books) verify() {
	b.t.Helper()
	for _, f := range b.findings() {
		b.t.Errorf("%s: %s: %s", f.Check, f.Subject, f.Detail)
	}
	if b.t.Failed() {
		b.t.FailNow()
	}
}

func (b *books) run(now time.Time) CutoverRun {
	b.t.Helper()
	run, err := RunCutover(b.t.Context(), b.pool, now)
	b.must(err)
	return run
}

// tally counts from several goroutines.
type tally struct {
	mu     sync.Mutex
	closed map[ClosedWindow]int // without its durations
}

func (c *tally) add(run CutoverRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil {
		c.closed = map[ClosedWindow]int{}
	}
	for _, w := range run.Closed {
		w.Cut, w.Close = 0, 0
		c.closed[w]++
	}
}
