package switching_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/postgres"
	"meridian/ledger"
	"meridian/migrations"
	"meridian/switch"
)

// host is another switch over the world's database, with a clock of its own.
func (w *world) host(clock *clock) (*switching.Switch, *pgxpool.Pool) {
	w.t.Helper()
	ctx := context.Background()
	pool, err := postgres.Open(ctx, w.url, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience})
	w.must(err)
	sw, err := switching.Start(ctx, switching.Options{
		Pool: pool, Now: clock.Now, Refresh: time.Hour, StoreTimeout: patience, AnswerTimeout: 2 * patience,
	})
	w.must(err)
	w.t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), hung)
		defer cancel()
		if err := sw.Shutdown(stop); err != nil {
			w.t.Error(err)
		}
		pool.Close()
	})
	return sw, pool
}

// askOf asks a host and waits.
func askOf(ctx context.Context, sw *switching.Switch, r *switching.Request) (switching.Response, error) {
	answered := make(chan switching.Response, 1)
	sw.Submit(r, func(resp switching.Response) { answered <- resp })
	select {
	case resp := <-answered:
		return resp, nil
	case <-ctx.Done():
		return switching.Response{}, fmt.Errorf("no answer: %w", ctx.Err())
	}
}

// A void against the close of its window, 300 times or 1,000 with MERIDIAN_TEST_SOAK
// set, between two hosts: one whose clock still shows the date, and one that closes
// it. Each sale is voided or settled, never both, never neither.
func TestVoidAgainstCutover(t *testing.T) {
	const perWindow = 20
	windows := 15
	switch {
	case os.Getenv("MERIDIAN_TEST_SOAK") != "":
		windows = 50
	case testing.Short():
		windows = 5
	}
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (rate_millionths) VALUES (10000)`)
	w.sql(`UPDATE card_accounts SET balance_minor = 100000000 WHERE card_id = 2`)
	w.sql(`WITH loaded AS (
			INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
			VALUES (0, '2026-03-10', gen_random_uuid(), 1, 1, 1, 156, $1, $2, 99900000) RETURNING *)
		INSERT INTO card_loads SELECT 2, 'more', amount_minor, bucket, business_date, journal_id, now() FROM loaded`,
		ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, 2))
	// The slow host takes voids at the last instant of the date; the world's is past it.
	slow := &clock{now: w.clock.Now()}
	slowHost, _ := w.host(slow)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var voids, refunds int
	for day := range windows {
		cutoff := cutoff10.AddDate(0, 0, day)
		w.clock.set(cutoff.Add(-time.Hour))
		slow.set(cutoff.Add(-time.Microsecond))
		run, err := ledger.RunCutover(ctx, w.pool, w.clock.Now())
		w.must(err)
		if run.Waiting != 0 {
			t.Fatalf("%+v", run)
		}
		if day%5 == 0 {
			w.must(ledger.EnsureWindows(ctx, w.pool, w.sw.Directory().Calendars(), w.clock.Now()))
		}
		date := ledger.MakeDate(2026, 3, 10+day)
		sales := make([]switching.Response, perWindow)
		var selling sync.WaitGroup
		for i := range sales {
			r := w.request(switching.KindSale, 10_00, withCard(1))
			selling.Go(func() {
				var err error
				if sales[i], err = askOf(ctx, w.sw, r); err != nil || sales[i].Reason != switching.Approved {
					t.Errorf("sale: %s %v", sales[i].Reason, err)
				}
			})
		}
		selling.Wait()
		if t.Failed() {
			return
		}

		w.clock.set(cutoff)
		outcomes := make([]switching.Response, perWindow)
		var racing sync.WaitGroup
		// Four voids at a time, and the close begins after so many answers.
		closeAfter, beginClose := int32(random.IntN(perWindow)), make(chan struct{})
		slots := make(chan struct{}, 4)
		var answers atomic.Int32
		if closeAfter == 0 {
			close(beginClose)
		}
		hosts := [2]*switching.Switch{slowHost, w.sw}
		for i := range outcomes {
			kind := switching.KindCancel
			if i%3 == 0 {
				kind = switching.KindVoid
			}
			r := w.request(kind, 10_00, of(sales[i]))
			host := hosts[0]
			if i%10 == 9 {
				host = hosts[1]
			}
			racing.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				var err error
				if outcomes[i], err = askOf(ctx, host, r); err != nil {
					t.Error(err)
				}
				if answers.Add(1) == closeAfter {
					close(beginClose)
				}
			})
		}
		racing.Go(func() {
			<-beginClose
			for {
				run, err := ledger.RunCutover(ctx, w.pool, cutoff)
				if err != nil && !postgres.LockNotWon(err) { // what is in flight is waited for by the next run
					t.Error(err)
					return
				}
				if run.Waiting == 0 {
					return
				}
			}
		})
		racing.Wait()
		if t.Failed() {
			return
		}

		voided, refunded := int64(0), int64(0)
		for i, o := range outcomes {
			switch {
			case o.Reason == switching.Approved && o.Became == switching.KindVoid && o.BusinessDate == date:
				voided++
			case o.Reason == switching.Approved && o.Became == switching.KindRefund && o.BusinessDate == date+1:
				refunded++
			default:
				t.Fatalf("%s: cancel %d of a sale became %s by %s on %s: %s", date, i, o.Became, o.Rule, o.BusinessDate, o.Reason)
			}
		}
		s := w.statement(shop, date.String())
		if s.Voids.Count != voided || s.GrossMinor != (perWindow-voided)*10_00 || s.DiscountMinor != (perWindow-voided)*10 {
			t.Fatalf("%s: %d voided and %d refunded, the statement has %d voids, gross %d, discount %d",
				date, voided, refunded, s.Voids.Count, s.GrossMinor, s.DiscountMinor)
		}
		voids, refunds = voids+int(voided), refunds+int(refunded)
	}
	w.verify()
	t.Logf("%d races: %d voids, %d refunds", voids+refunds, voids, refunds)
	if voids+refunds != windows*perWindow || voids == 0 || refunds == 0 {
		t.Fatalf("%d races: %d voids, %d refunds", voids+refunds, voids, refunds)
	}
}

// Sales flow on while a big day closes.
func TestSalesFlowWhileADayCloses(t *testing.T) {
	purchases, sellers := 2000, 4
	if os.Getenv("MERIDIAN_TEST_SOAK") != "" {
		purchases = 100_000
	}
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (rate_millionths, fixed_minor) VALUES (17500, 5)`)
	w.sql(`INSERT INTO reserve_terms (rate_millionths, release_days) VALUES (50000, 30)`)
	w.fillDay(purchases)
	w.clock.set(cutoff10)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	closing, closed := make(chan struct{}), make(chan struct{})
	var selling sync.WaitGroup
	var sold [8]int
	for i := range sellers {
		requests := make([]*switching.Request, 0, 64)
		selling.Go(func() {
			<-closing
			for n := 0; ; n++ {
				if n == len(requests) {
					r := &switching.Request{
						Kind: switching.KindSale, MID: shop, TID: till, Dialect: "nac", STAN: int32(100_000*(i+1) + n),
						AmountMinor: 1, HasAmount: true, PAN: cardNumber(i + 2), Expiry: "3012", Token: token(cardNumber(i + 2)),
					}
					requests = append(requests, r)
				}
				resp, err := askOf(ctx, w.sw, requests[n])
				if err != nil || resp.Reason != switching.Approved || resp.BusinessDate.String() != "2026-03-11" {
					t.Errorf("sale beside the close: %s on %s, %v", resp.Reason, resp.BusinessDate, err)
					return
				}
				sold[i]++
				select {
				case <-closed:
					return
				default:
				}
			}
		})
	}
	close(closing)
	started := time.Now()
	run, err := ledger.RunCutover(ctx, w.pool, cutoff10)
	close(closed)
	w.must(err)
	selling.Wait()
	for i := range sellers {
		if sold[i] == 0 {
			t.Errorf("seller %d sold nothing while the day was closed", i)
		}
	}
	t.Logf("%d purchases closed in %s beside %v sales: %+v", purchases, time.Since(started), sold[:sellers], run.Closed)
	w.sql(`ANALYZE`) // the close had no statistics; a verification comes when there are some
	w.verify()
	s := w.statement(shop, "2026-03-10")
	n := int64(purchases)
	if s.Sales.Count != n || s.DiscountMinor != n*(18+5) || s.GrossMinor != n*10_00 { // 17.5 to the even 18
		t.Errorf("%+v", s)
	}
}

// fillDay stores sales of 10.00 of the shop on 2026-03-10, as a day's work would have left them.
func (w *world) fillDay(n int) {
	w.t.Helper()
	w.sql(fmt.Sprintf(`
		WITH made AS (SELECT g AS n, gen_random_uuid() AS id FROM generate_series(1, %d) g),
		stored AS (
			INSERT INTO transactions (bucket, business_date, transaction_id, accepted_at, rrn, card_id, amount_minor, captured_minor, merchant_id,
				terminal_id, batch_no, stan, calendar_id, currency, asked, kind, state, reason, digest, pan_masked)
			SELECT 0, '2026-03-10', id, '2026-03-10 12:00+00', 606999000000 + n, 1, 1000, 1000, 1, 2, 1, n %% 1000000, 1, 156, 2, 2, 2, 1, '\x00', '621712******0000'
			FROM made),
		keys AS (
			INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, business_date, transaction_id)
			SELECT 0, 1, 2, 1, n %% 1000000, 1, '2026-03-10', id FROM made),
		batch AS (
			INSERT INTO batches (bucket, terminal_id, batch_no, opened_at) VALUES (0, 2, 1, '2026-03-10 00:00+00')),
		loaded AS (
			INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
			VALUES (0, '2026-03-10', gen_random_uuid(), 1, 1, 1, 156, %d, %d, %d) RETURNING *),
		referred AS (
			INSERT INTO card_loads SELECT 1, 'more', amount_minor, bucket, business_date, journal_id, now() FROM loaded)
		INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
		SELECT 0, '2026-03-10', id, 1, 2, 1, 156, %d, %d, 1000 FROM made`, n,
		ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, 1), n*1000,
		ledger.Account(ledger.RoleCard, 1), ledger.Account(ledger.RoleMerchantPending, 1)))
}
