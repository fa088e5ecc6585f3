package soak_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/host"
	"meridian/host/node"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/migrations"
	"meridian/switch"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	calendarCount = 3
	buckets       = 4 // as migrations make them
	// Of a merchant: two for tellers and one for live sales.
	terminalsPerMerchant = 3
	openingMinor         = 1_000_000_000_000
	stepTimeout          = 10 * time.Minute // bounds everything that is awaited
)

// calendars of the month: a big one and two others, whose cutoffs and clock
// changes fall on other instants.
var calendars = [calendarCount]struct {
	name, zone, cutoff string
	currency           money.Currency
}{
	{"china", "Asia/Shanghai", "23:00", money.CNY},
	{"berlin", "Europe/Berlin", "02:30", money.EUR},
	{"new york", "America/New_York", "17:00", money.USD},
}

// firstDay has both spring's clock changes and the end of a month behind it.
var firstDay = ledger.MakeDate(2026, time.March, 6)

// Terms of the month's merchants.
const (
	everyRate, everyFixed   = 15_000, 10 // of those without terms of their own
	ownRate, ownFixed       = 9_900, 0   // every third has these and gets the rate's part back with a refund
	reserveRate, reserveFor = 50_000, 7  // every fifth
)

func hasOwnTerms(merchantID int32) bool { return merchantID%3 == 0 }

// feeTerms of a merchant, as they are in the database.
func feeTerms(merchantID int32) (rateMillionths, fixedMinor int64, returned bool) {
	if hasOwnTerms(merchantID) {
		return ownRate, ownFixed, true
	}
	return everyRate, everyFixed, false
}

// shop is a merchant with its terminals.
type shop struct {
	id       int32
	calendar int
	mid      string
	tids     [terminalsPerMerchant]string
	dialect  string
}

// world is a month's database, its node and the clock over both.
type world struct {
	t     *testing.T
	plan  plan
	url   string
	pool  *pgxpool.Pool // as the owner
	vault *vault.Vault
	shops []shop
	cards [calendarCount][]card.PAN
	node  *node.Node
	book  *book
	// offset of the business clock, in nanoseconds.
	offset atomic.Int64
}

func newWorld(t *testing.T, p plan) *world {
	t.Helper()
	v, err := vault.Open(vault.SandboxMasterKey())
	w := &world{t: t, plan: p, vault: v, book: newBook()}
	w.must(err)
	w.set(noon(0))
	ctx := t.Context()
	if p.large {
		w.url = pgtest.Server(t, pgtest.Durable()).URL()
		w.must(migrate(ctx, w.url))
	} else {
		w.url = pgtest.Database(t, migrate)
	}
	w.pool, err = postgres.Open(ctx, w.url, postgres.Options{}) // as the command line's
	w.must(err)
	t.Cleanup(w.pool.Close)
	w.seed(ctx)
	w.start(ctx)
	return w
}

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// noon of a day of the month: 12:00 in Shanghai. Between two of them lies one
// cutoff of each calendar.
func noon(day int) time.Time { return firstDay.AddDays(day).Time().Add(4 * time.Hour) }

// cutoff of the first calendar on a day of the month.
func cutoff(day int) time.Time { return firstDay.AddDays(day).Time().Add(15 * time.Hour) }

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *world) set(now time.Time) { w.offset.Store(int64(time.Until(now))) }

// instant on the machine's clock at which the business clock shows t.
func (w *world) instant(t time.Time) time.Time { return t.Add(-time.Duration(w.offset.Load())) }

func (w *world) seed(ctx context.Context) {
	w.t.Helper()
	b := &pgx.Batch{}
	for i, c := range calendars {
		b.Queue(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES ($1, $2, $3, $4::text::time, '2026-01-01')`,
			i+1, c.name, c.zone, c.cutoff)
	}
	b.Queue(`INSERT INTO policies (policy_id, name, hold_days, auto_close_batch) VALUES (1, 'plain', 5, false), (2, 'batches end with their date', 5, true)`)
	b.Queue(`INSERT INTO bin_ranges (low, high, network, route) VALUES ('6217120000000000000', '6217129999999999999', 'onus', 'onus')`)
	b.Queue(`INSERT INTO discount_terms (rate_millionths, fixed_minor) VALUES ($1, $2)`, everyRate, everyFixed)
	for calendar, count := range w.plan.merchants {
		for range count {
			w.seedShop(b, calendar)
		}
	}
	w.must(w.pool.SendBatch(ctx, b).Close())
	w.seedCards(ctx)
}

func (w *world) seedShop(b *pgx.Batch, calendar int) {
	s := shop{id: int32(len(w.shops) + 1), calendar: calendar}
	s.mid = fmt.Sprintf("1041100000%05d", s.id)
	s.dialect = []string{"nac", "ascii"}[s.id%2]
	b.Queue(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		s.id, s.id%buckets, s.mid, fmt.Sprintf("Shop %d", s.id), int16(calendars[calendar].currency), calendar+1, 1+s.id/buckets%2)
	if hasOwnTerms(s.id) {
		b.Queue(`INSERT INTO discount_terms (merchant_id, rate_millionths, fixed_minor, returns_fee) VALUES ($1, $2, $3, true)`, s.id, ownRate, ownFixed)
	}
	if s.id%5 == 0 {
		b.Queue(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES ($1, $2, $3)`, s.id, reserveRate, reserveFor)
	}
	for i := range s.tids {
		number := len(w.shops)*terminalsPerMerchant + i + 1
		s.tids[i] = fmt.Sprintf("%08d", 10_000_000+number)
		b.Queue(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES ($1, $2, $3, $4)`, number, s.tids[i], s.id, s.dialect)
	}
	w.shops = append(w.shops, s)
}

func (w *world) seedCards(ctx context.Context) {
	cals, err := ledger.Calendars(ctx, w.pool)
	w.must(err)
	w.must(ledger.EnsureWindows(ctx, w.pool, cals, w.now()))
	b := &pgx.Batch{}
	for calendar := range calendars {
		currency := calendars[calendar].currency
		for i := range w.plan.cards {
			id := int64(calendar*w.plan.cards + i + 1)
			pan, err := card.WithCheckDigit(fmt.Sprintf("621712000000%06d", id))
			w.must(err)
			w.cards[calendar] = append(w.cards[calendar], pan)
			token := w.vault.Token(pan)
			b.Queue(`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency, balance_minor) VALUES ($1, $2, $3, '3012', $4, $5)`,
				id, token[:], pan.Masked(), int16(currency), int64(openingMinor))
			j := ledger.Journal{ID: uuid.Must(uuid.NewV7()), Date: firstDay, Currency: currency}
			j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, id), openingMinor)
			ledger.QueueTransfers(b, int16(id%buckets), j.Transfers)
			b.Queue(`INSERT INTO card_loads VALUES ($1, 'opening', $2, $3, $4, $5, now())`, id, int64(openingMinor), int16(id%buckets), j.Date.Time(), j.ID)
		}
	}
	w.must(w.pool.SendBatch(ctx, b).Close())
}

// start starts the node, as production does, but for its patience: what is slow
// is measured, not refused.
func (w *world) start(ctx context.Context) {
	w.t.Helper()
	var err error
	w.node, err = node.Start(ctx, node.Config{
		DatabaseURL: w.url, Vault: w.vault, Now: w.now,
		Logger: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Switch: switching.Options{StoreTimeout: time.Minute, AnswerTimeout: 2 * time.Minute, Refresh: w.plan.refresh},
		Listeners: []node.Listener{
			{Dialect: "nac", ListenerConfig: host.ListenerConfig{Name: "nac", Address: "127.0.0.1:0", Framing: wire.Framing{TPDU: true}}},
			{Dialect: "ascii", ListenerConfig: host.ListenerConfig{Name: "ascii", Address: "127.0.0.1:0"}},
		},
	})
	w.must(err)
	serving, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.node.Run(serving) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Errorf("the node ended with: %v", err)
		}
	})
}
