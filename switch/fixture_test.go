package switching_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
	"meridian/ledger"
	"meridian/migrations"
	"meridian/switch"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// world is a database with two merchants, their terminals and cards, a clock
// that tests move, and a switch over it.
type world struct {
	t        testing.TB
	url      string
	pool     *pgxpool.Pool
	sw       *switching.Switch
	clock    *clock
	stan     int32
	openedIn time.Duration

	opening sync.Mutex
	owned   *pgxpool.Pool // of owner
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

// opening is when a world begins: 20:00 in Shanghai.
var opening = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

const (
	shop   = "104110000000001"
	kiosk  = "104110000000002"
	till   = "10000001" // of shop
	till2  = "10000002" // of shop
	booth  = "20000001" // of kiosk
	opened = 100_000    // minor units on every card
)

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

// cards of the world: cardNumber(0) is for everyday use.
func cardNumber(i int) card.PAN {
	pan, err := card.WithCheckDigit(fmt.Sprintf("62171200000000%04d", i))
	if err != nil {
		panic(err)
	}
	return pan
}

func token(p card.PAN) (t [16]byte) {
	copy(t[:], "tok:"+p.Last4()+p.Reveal()[10:])
	return t
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t, switching.Options{})
}

func newWorldWith(t testing.TB, o switching.Options) *world {
	t.Helper()
	return newWorldThatWaits(t, patience/2, o)
}

// newWorldThatWaits so long for locks, where a test holds one.
func newWorldThatWaits(t testing.TB, forLocks time.Duration, o switching.Options) *world {
	t.Helper()
	ctx := t.Context()
	began := time.Now()
	w := &world{t: t, url: pgtest.Database(t, seeded), clock: &clock{now: opening}}
	w.open(ctx, forLocks, o)
	w.openedIn = time.Since(began)
	return w
}

func (w *world) open(ctx context.Context, forLocks time.Duration, o switching.Options) {
	w.t.Helper()
	var err error
	w.pool, err = postgres.Open(ctx, w.url, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience, LockTimeout: forLocks})
	w.must(err)
	o.Pool, o.Now = w.pool, w.clock.Now
	if o.StoreTimeout == 0 {
		o.StoreTimeout = patience
	}
	if o.AnswerTimeout == 0 {
		o.AnswerTimeout = 2 * o.StoreTimeout
	}
	if o.Refresh == 0 {
		o.Refresh = time.Hour // tests call housekeeping themselves
	}
	w.sw, err = switching.Start(ctx, o)
	w.must(err)
	w.t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), hung)
		defer cancel()
		if err := w.sw.Shutdown(stop); err != nil {
			w.t.Error(err)
		}
		w.pool.Close()
	})
}

// patience of hosts with their database. Nothing is refused only because the machine is busy with tests.
const patience = 20 * time.Second

// hung is what a test takes for one that does not go on: longer than a host lets anybody wait.
const hung = 5 * patience

// soon is when a host gives up what is to fail, on a machine that takes as long as this one for what is not.
func (w *world) soon() time.Duration { return min(max(2*time.Second, 12*w.openedIn), patience) }

// second switch over the world's database, as on another host. It waits for locks, and lets requests
// wait, as long as a test may hold it up.
func (w *world) second(change ...func(*switching.Options)) *switching.Switch {
	w.t.Helper()
	ctx := w.t.Context()
	pool, err := postgres.Open(ctx, w.url, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience})
	w.must(err)
	o := switching.Options{Pool: pool, Now: w.clock.Now, Refresh: time.Hour, StoreTimeout: time.Minute, AnswerTimeout: 2 * time.Minute}
	for _, c := range change {
		c(&o)
	}
	sw, err := switching.Start(ctx, o)
	w.must(err)
	w.t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), hung)
		defer cancel()
		if err := sw.Shutdown(stop); err != nil {
			w.t.Error(err)
		}
		pool.Close()
	})
	return sw
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// sql runs as the database's owner.
func (w *world) sql(query string, args ...any) {
	w.t.Helper()
	_, err := w.owner().Exec(context.Background(), query, args...)
	w.must(err)
}

// seeded is migrated and has the world's merchants, terminals and cards. Databases are copied from it.
func seeded(ctx context.Context, url string) error {
	if err := migrate(ctx, url); err != nil {
		return err
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(seed(ctx, c), c.Close(ctx))
}

func seed(ctx context.Context, c *pgx.Conn) error {
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (1, 'china', 'Asia/Shanghai', '23:00', '2026-01-01')`)
	b.Queue(`INSERT INTO policies (policy_id, name, max_amount_minor) VALUES (1, 'plain', 5000000)`)
	b.Queue(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id) VALUES
		(1, 0, $1, 'Shop', 156, 1, 1), (2, 0, $2, 'Kiosk', 156, 1, 1)`, shop, kiosk)
	b.Queue(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES
		(1, $1, 1, 'nac'), (2, $2, 1, 'nac'), (3, $3, 2, 'nac')`, till, till2, booth)
	b.Queue(`INSERT INTO bin_ranges (low, high, network, route) VALUES ('6217120000000000000', '6217129999999999999', 'onus', 'onus')`)
	if err := c.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	cal, err := ledger.Calendars(ctx, c)
	if err != nil {
		return err
	}
	if err := ledger.EnsureWindows(ctx, c, cal, opening); err != nil {
		return err
	}
	b = &pgx.Batch{}
	for i := range 10 {
		pan := cardNumber(i)
		tok := token(pan)
		b.Queue(`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency, balance_minor) VALUES ($1, $2, $3, '3012', 156, $4)`,
			i+1, tok[:], pan.Masked(), opened)
		j := ledger.Journal{ID: uuid.New(), Date: ledger.MakeDate(2026, 3, 10), Currency: money.CNY}
		j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, int64(i+1)), opened)
		ledger.QueueTransfers(b, 0, j.Transfers)
		b.Queue(`INSERT INTO card_loads VALUES ($1, 'opening', $2, 0, $3, $4, now())`, i+1, opened, j.Date.Time(), j.ID)
	}
	return c.SendBatch(ctx, b).Close()
}

// request of a kind at the till with card 0 and the next STAN.
func (w *world) request(kind switching.Kind, amountMinor int64, change ...func(*switching.Request)) *switching.Request {
	w.stan++
	r := &switching.Request{
		Kind: kind, MID: shop, TID: till, Dialect: "nac", STAN: w.stan,
		AmountMinor: amountMinor, HasAmount: amountMinor != 0, ApproveUnknownOriginal: true,
	}
	if !kind.Refers() {
		r.PAN, r.Expiry = cardNumber(0), "3012"
		r.Token = token(r.PAN)
	}
	for _, c := range change {
		c(r)
	}
	return r
}

// of refers to an earlier answer.
func of(r switching.Response) func(*switching.Request) {
	return func(q *switching.Request) { q.Original = switching.Reference{RRN: r.RRN, HasRRN: true} }
}

func at(mid, tid string) func(*switching.Request) {
	return func(q *switching.Request) { q.MID, q.TID = mid, tid }
}

func withCard(i int) func(*switching.Request) {
	return func(q *switching.Request) {
		q.PAN, q.Expiry = cardNumber(i), "3012"
		q.Token = token(q.PAN)
	}
}

func stan(n int32) func(*switching.Request) {
	return func(q *switching.Request) { q.STAN = n }
}

// ask submits and waits.
func (w *world) ask(r *switching.Request) switching.Response {
	w.t.Helper()
	answered := make(chan switching.Response, 1)
	w.sw.Submit(r, func(resp switching.Response) { answered <- resp })
	select {
	case resp := <-answered:
		if !explained(resp) {
			w.t.Errorf("%s answered %s by %s, whose reasons are %v", r.Kind, resp.Reason, resp.Rule, resp.Rule.Reasons())
		}
		return resp
	case <-time.After(hung):
		w.t.Fatal("no answer")
		return switching.Response{}
	}
}

// explained tells whether the rule that decided an answer is known for its reason; a host that fails or a store that is
// away decides nothing.
func explained(r switching.Response) bool {
	return r.Rule == 0 || r.Reason == switching.SystemMalfunction || slices.Contains(r.Rule.Reasons(), r.Reason)
}

// do asks and expects a reason; the ledger must verify after it.
func (w *world) do(want switching.Reason, r *switching.Request) switching.Response {
	w.t.Helper()
	got := w.ask(r)
	if got.Reason != want {
		w.t.Fatalf("%s answered %s (rule %q), want %s", r.Kind, got.Reason, got.Rule, want)
	}
	w.verify()
	return got
}

// findings of a verification.
func (w *world) findings() []ledger.Finding {
	v, err := switching.Verify(context.Background(), w.pool)
	w.must(err)
	return v.Findings
}

func (w *world) verify() {
	w.t.Helper()
	for _, f := range w.findings() {
		w.t.Errorf("ledger: %s: %s: %s", f.Check, f.Subject, f.Detail)
	}
	w.verifyOwed()
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// verifyOwed compares what units of work take merchants to be owed with the sum over all
// transfers since their last close.
func (w *world) verifyOwed() {
	w.t.Helper()
	rows, err := w.pool.Query(context.Background(), `
		WITH m AS (
			SELECT bucket, merchant_id, currency, ARRAY[(17::bigint << 48) + merchant_id, (18::bigint << 48) + merchant_id, (3::bigint << 48) + merchant_id] AS accounts
			FROM merchants),
		last AS (
			SELECT DISTINCT ON (bucket, merchant_id, currency) bucket, merchant_id, currency, business_date,
				closing_payable_minor - closing_receivable_minor AS owed
			FROM settlements ORDER BY bucket, merchant_id, currency, business_date DESC)
		SELECT m.bucket, m.merchant_id, m.currency, m.accounts, coalesce(l.owed, 0) + coalesce((
			SELECT sum(CASE WHEN t.credit_account = ANY(m.accounts) THEN t.amount_minor ELSE -t.amount_minor END)
			FROM transfers t
			WHERE t.bucket = m.bucket AND t.business_date > coalesce(l.business_date, '-infinity') AND t.currency = m.currency AND t.phase IN (1, 3)
				AND (t.credit_account = ANY(m.accounts)) <> (t.debit_account = ANY(m.accounts))), 0)::bigint
		FROM m LEFT JOIN last l USING (bucket, merchant_id, currency)`)
	w.must(err)
	type owed struct {
		Bucket     int16
		MerchantID int32
		Currency   int16
		Accounts   []int64
		Minor      int64
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[owed])
	w.must(err)
	for _, o := range list {
		var minor int64
		w.must(w.pool.QueryRow(context.Background(), switching.OwedSQL, o.Bucket, o.MerchantID, o.Currency, o.Accounts).Scan(&minor))
		if minor != o.Minor {
			w.t.Errorf("merchant %d: units of work take %d to be owed, and transfers are %d", o.MerchantID, minor, o.Minor)
		}
	}
}

// available of card i.
func (w *world) available(i int) int64 {
	w.t.Helper()
	var minor int64
	w.must(w.pool.QueryRow(context.Background(),
		`SELECT balance_minor - held_minor FROM card_accounts WHERE card_id = $1`, i+1).Scan(&minor))
	return minor
}

// wantAvailable of card 0, as a difference to what it opened with.
func (w *world) wantAvailable(spent int64) {
	w.t.Helper()
	if got := w.available(0); got != opened-spent {
		w.t.Fatalf("available %d, want %d", got, opened-spent)
	}
}
