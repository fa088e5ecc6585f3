package switching_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
	"meridian/switch"
)

var (
	march = ledger.MakeDate(2026, 3, 1)
	april = ledger.MakeDate(2026, 4, 1)
	may   = ledger.MakeDate(2026, 5, 1)
)

func (w *world) until(year int, month time.Month, day int) {
	w.t.Helper()
	w.clock.set(time.Date(year, month, day, 12, 0, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(context.Background()))
}

func (w *world) settleBatch(tid string) {
	w.t.Helper()
	_, err := switching.CloseBatch(context.Background(), w.owner(), w.clock.Now(), switching.BatchClosing{TID: tid, Who: "Ann", Why: "month's end"})
	w.must(err)
}

func (w *world) retire(month ledger.Date) (*switching.RetiredMonth, error) {
	return switching.RetireMonth(context.Background(), w.owner(), month, w.clock.Now(), switching.PolicyChange{Who: "Ann", Why: "old"})
}

func (w *world) positions() map[string]ledger.Position {
	w.t.Helper()
	list, err := ledger.Positions(context.Background(), w.pool)
	w.must(err)
	all := map[string]ledger.Position{}
	for _, p := range list {
		all[p.Code+" "+p.Currency.Alpha()] = p
	}
	return all
}

// plan returns what is in the way of having nothing before a date, in one text.
func (w *world) plan(before ledger.Date) string {
	w.t.Helper()
	plan, err := switching.PlanRetirement(context.Background(), w.pool, before)
	w.must(err)
	return strings.Join(plan.Obstacles, "\n")
}

// A month leaves: every position stays, the ledger verifies, and what was in it is not known
// any more. What reaches from it into the months that stay is held against it no more.
func TestRetireMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.policy("refund_window_days = 30, hold_days = 60, review_threshold_minor = 5000")
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (1, 50000, 40)`)
	first := w.request(switching.KindSale, 100_00)
	sale := w.do(switching.Approved, first)
	w.do(switching.Approved, w.request(switching.KindSale, 70_00, at(kiosk, booth), withCard(1)))
	voided := w.do(switching.Approved, w.request(switching.KindSale, 30_00))
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(voided)))
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 40_00, withCard(2)))
	w.until(2026, 3, 31)
	waits := w.do(switching.UnderReview, w.request(switching.KindRefund, 60_00, of(sale)))
	w.until(2026, 4, 2)
	w.must(switching.DecideReview(ctx, w.pool, w.clock.Now(), switching.ReviewDecision{RRN: waits.RRN, Approve: true, Who: "Ann", Why: "seen"}))
	w.do(switching.Approved, w.request(switching.KindRefund, 10_00, of(sale)))
	back := w.request(switching.KindRefund, 5_00, of(sale))
	w.do(switching.Approved, back)
	w.do(switching.Approved, w.request(switching.KindReversal, 5_00, stan(back.STAN)))
	w.do(switching.Approved, w.request(switching.KindCompletion, 35_00, of(hold), withCard(2)))
	newer := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.settleBatch(till)
	w.settleBatch(booth)
	w.until(2026, 7, 2)
	w.do(switching.Approved, w.request(switching.KindSale, 11_00))
	w.verify()
	if found := w.plan(april); found != "" {
		t.Fatalf("in the way: %s", found)
	}
	before, available := w.positions(), w.available(0)

	if _, err := w.retire(april); err == nil || !strings.Contains(err.Error(), "not the oldest") {
		t.Errorf("April before March: %v", err)
	}
	month, err := w.retire(march)
	w.must(err)
	if month.Transactions != 6 || month.Transfers < 15 || month.Tables[0] != "transactions_202603" {
		t.Errorf("retired %+v", month)
	}
	w.verify()
	for account, p := range w.positions() {
		if before[account] != p {
			t.Errorf("%s: %+v, it was %+v", account, p, before[account])
		}
		delete(before, account)
	}
	if len(before) > 0 || w.available(0) != available {
		t.Errorf("positions are gone: %v", before)
	}
	imbalances, err := ledger.Imbalances(ctx, w.pool)
	w.must(err)
	for _, i := range imbalances {
		if i.Minor != 0 {
			t.Errorf("imbalance %+v", i)
		}
	}
	if _, err := w.retire(march); err == nil {
		t.Error("March is retired twice")
	}

	// Its keys are there until they are removed, and nobody trips over them.
	again := *first
	again.BatchNo = 1
	w.do(switching.RepeatDiffers, &again)
	w.do(switching.OriginalNotFound, w.request(switching.KindVoid, 0, of(sale)))
	w.do(switching.OriginalNotFound, w.request(switching.KindRefund, 1_00, of(sale)))
	w.do(switching.Approved, w.request(switching.KindReversal, 100_00, func(r *switching.Request) {
		r.Original = switching.Reference{STAN: first.STAN, HasSTAN: true, BatchNo: 1}
	}))
	removed, err := switching.RemoveRetiredKeys(ctx, w.owner())
	w.must(err)
	if removed != 6 {
		t.Errorf("%d keys removed", removed)
	}
	w.verify()
	w.do(switching.NotCurrentBatch, &again)
	if removed, err := switching.RemoveRetiredKeys(ctx, w.owner()); err != nil || removed != 0 {
		t.Errorf("%d keys removed again, %v", removed, err)
	}

	// The next month, over what is carried already.
	w.do(switching.OriginalNotFound, w.request(switching.KindRefund, 10_00, of(waits)))
	w.do(switching.NotAllowedNow, w.request(switching.KindRefund, 1_00, of(newer)))
	_, err = w.retire(april)
	w.must(err)
	_, err = switching.RemoveRetiredKeys(ctx, w.owner())
	w.must(err)
	w.verify()
	w.do(switching.Approved, w.request(switching.KindSale, 12_00))
	w.until(2026, 7, 4)
	w.verify()
	var entries int
	w.must(w.pool.QueryRow(ctx, `SELECT count(*) FROM audit_log WHERE kind = 'month_retired' AND detail LIKE '%by Ann: old'`).Scan(&entries))
	if entries != 2 {
		t.Errorf("%d audit rows", entries)
	}

	// What was carried forward cannot be changed unseen, not even where debits stay credits.
	for _, c := range []struct{ check, fault string }{
		{"card balances equal the replay", `UPDATE carried_positions SET debits_posted_minor = debits_posted_minor + 1 WHERE account = (16::bigint << 48) + 1`},
		{"what was carried forward equals the statements", `UPDATE carried_positions SET credits_posted_minor = credits_posted_minor + 1 WHERE account = (18::bigint << 48) + 1`},
		{"what was carried forward equals the statements", `DELETE FROM carried_positions WHERE account = (18::bigint << 48) + 1`},
		{"what was carried forward equals the statements", `UPDATE settlements SET opening_payable_minor = opening_payable_minor + 1, closing_payable_minor = closing_payable_minor + 1 WHERE merchant_id = 2 AND business_date < '2026-05-01'`},
		{"trial balance", `UPDATE carried_positions SET debits_posted_minor = debits_posted_minor + 1 WHERE account = 1::bigint << 48`},
		{"accounts are in the chart", `UPDATE carried_positions SET account = account + 100 WHERE account = (16::bigint << 48) + 1`},
		{"every transfer has its cause", `DELETE FROM retired_months WHERE month = '2026-04-01'; DELETE FROM transactions WHERE business_date >= '2026-05-01'`},
	} {
		if !w.findsWith(c.fault, c.check) {
			t.Errorf("%s is not found by %q", c.fault, c.check)
		}
	}
}

// findsWith tells whether the check finds something after a change that is rolled back.
func (w *world) findsWith(change, check string) (found bool) {
	w.t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, w.url)
	w.must(err)
	defer func() { w.must(c.Close(ctx)) }()
	tx, err := c.Begin(ctx)
	w.must(err)
	defer func() { _ = tx.Rollback(ctx) }()
	_, err = tx.Exec(ctx, change)
	w.must(err)
	for _, one := range switching.AllChecks() {
		if one.Name == check {
			findings, err := ledger.RunChecks(ctx, tx, []ledger.Check{one})
			w.must(err)
			return len(findings) > 0
		}
	}
	w.t.Fatalf("there is no check %q", check)
	return false
}

// Nothing leaves that is under way, or that somebody may still speak of.
func TestRetireObstacles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("refund_window_days = 10, hold_days = 400, review_threshold_minor = 5000")
	sale := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 40_00))
	w.until(2026, 3, 12)
	waits := w.do(switching.UnderReview, w.request(switching.KindRefund, 60_00, of(sale)))
	want := func(before ledger.Date, texts ...string) {
		t.Helper()
		found := w.plan(before)
		for _, text := range texts {
			if !strings.Contains(found, text) {
				t.Errorf("not in the way: %s; but\n%s", text, found)
			}
		}
		if got := len(strings.Split(found, "\n")); found != "" && got != len(texts) || found == "" && len(texts) > 0 {
			t.Errorf("%d are in the way, want %d:\n%s", got, len(texts), found)
		}
		if _, err := w.retire(before.AddDays(-1)); err == nil {
			t.Error("retired")
		}
	}
	want(april,
		"business date 2026-03-12 of calendar china is not closed in bucket 0", "policy plain lets refunds of it come for 10 days",
		"1 authorizations still reserve money, the oldest of 2026-03-10", "1 refunds wait for a person, the oldest of 2026-03-12",
		"batch 000001 of terminal 10000001 has transactions of it and is not settled")
	w.until(2026, 5, 11)
	const refunds = "it can be retired from 2026-05-12 on"
	const holds, reviews, batches = "1 authorizations", "1 refunds", "batch 000001 of terminal 10000001"
	want(april, refunds, holds, reviews, batches)
	w.until(2026, 5, 12)
	want(april, holds, reviews, batches)
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(hold)))
	want(april, reviews, batches)
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: waits.RRN, Who: "Ann", Why: "no"}))
	want(april, batches)
	w.settleBatch(till)
	if found := w.plan(april); found != "" {
		t.Errorf("in the way: %s", found)
	}
	// Months that are not over, and those that come.
	want(may.AddDays(31), "business date 2026-05-12 of calendar china is not closed", "it can be retired from 2026-07-12 on")
	if _, err := w.retire(april.AddDays(-1)); err != nil {
		t.Error(err)
	}
	w.verify()
}

// Hosts sell and somebody reads everything while a month leaves.
func TestRetireBesideSales(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.policy("refund_window_days = 10")
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.settleBatch(till)
	w.until(2026, 6, 10)

	reader, err := w.owner().Begin(ctx)
	w.must(err)
	_, err = reader.Exec(ctx, `SELECT count(*) FROM transactions`)
	w.must(err)
	time.Sleep(1100 * time.Millisecond) // from then on it is one who reads for long
	stop := make(chan struct{})
	var selling sync.WaitGroup
	var sold atomic.Int64
	selling.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if r := w.ask(w.request(switching.KindSale, 1)); r.Reason != switching.Approved {
				t.Errorf("a sale beside it answered %s", r.Reason)
			}
			sold.Add(1)
		}
	})
	retired := make(chan error)
	go func() {
		_, err := w.retire(march)
		retired <- err
	}()
	select {
	case err := <-retired:
		t.Errorf("it did not wait for the reader: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	before := sold.Load()
	for deadline := time.Now().Add(5 * time.Second); sold.Load() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is sold while it waits for the reader")
		}
	}
	w.must(reader.Rollback(ctx))
	w.must(<-retired)
	close(stop)
	selling.Wait()
	w.verify()
}
