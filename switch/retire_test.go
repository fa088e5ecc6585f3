package switching_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	list, err := switching.RetireMonths(context.Background(), w.owner(), []ledger.Date{month}, w.clock.Now(), switching.PolicyChange{Who: "Ann", Why: "old"})
	if err != nil {
		return nil, err
	}
	return list[0], nil
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
	late := w.do(switching.Approved, w.request(switching.KindRefund, 10_00, of(sale)))
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

	// What speaks of it by way of a refund that is still there moves nothing.
	w.do(switching.NoAction, w.request(switching.KindReversal, 10_00, of(late)))

	// Its keys are there until they are removed, and nobody trips over them.
	again := *first
	again.BatchNo = 1
	w.do(switching.RepeatDiffers, &again)
	w.do(switching.OriginalNotFound, w.request(switching.KindVoid, 0, of(sale)))
	w.do(switching.OriginalNotFound, w.request(switching.KindRefund, 1_00, of(sale)))
	w.do(switching.NoAction, w.request(switching.KindReversal, 100_00, func(r *switching.Request) {
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
	last := w.do(switching.Approved, w.request(switching.KindSale, 12_00))
	w.until(2026, 7, 4)
	w.verify()
	var entries int
	w.must(w.pool.QueryRow(ctx, `SELECT count(*) FROM audit_log WHERE kind = 'month_retired' AND detail LIKE '%by Ann: old'`).Scan(&entries))
	if entries != 2 {
		t.Errorf("%d audit rows", entries)
	}

	// Neither can what was carried forward be changed unseen, nor what is said of months that
	// left; and what they excuse is old.
	const refund = `INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
		SELECT bucket, '2026-07-04', review_id, 1, 10, 1, 156, (18::bigint << 48) + 1, (16::bigint << 48) + 1, 999900 FROM reviews`
	ofLast := "rrn = " + strconv.FormatInt(last.RRN, 10)
	const sealed, figures = "what was carried forward is as it was sealed", "months that left are in the audit log"
	for _, c := range []struct{ check, fault string }{
		{"card balances equal the replay", `UPDATE carried_positions SET debits_posted_minor = debits_posted_minor + 1 WHERE account = (16::bigint << 48) + 1`},
		{"what was carried forward equals the statements", `UPDATE carried_positions SET credits_posted_minor = credits_posted_minor + 1 WHERE account = (18::bigint << 48) + 1`},
		{"what was carried forward equals the statements", `DELETE FROM carried_positions WHERE account = (18::bigint << 48) + 1`},
		{"what was carried forward equals the statements", `UPDATE settlements SET opening_payable_minor = opening_payable_minor + 1,
			closing_payable_minor = closing_payable_minor + 1 WHERE merchant_id = 2 AND business_date < '2026-05-01'`},
		{"trial balance", `UPDATE carried_positions SET debits_posted_minor = debits_posted_minor + 1 WHERE account = 1::bigint << 48`},
		{"accounts are in the chart", `UPDATE carried_positions SET account = account + 100 WHERE account = (16::bigint << 48) + 1`},
		{sealed, `UPDATE carried_positions SET credits_posted_minor = credits_posted_minor + 5, debits_posted_minor = debits_posted_minor + 5 WHERE account = (16::bigint << 48) + 1`},
		{figures, `UPDATE retired_months SET digest = digest + 1`},
		{figures, `UPDATE retired_months SET carried_digest = carried_digest + 1 WHERE month = '2026-04-01'`},
		{figures, `UPDATE retired_months SET quiet_from = quiet_from + 100`},
		{figures, `UPDATE retired_months SET retired_at = retired_at + interval '1 day'`},
		{figures, `INSERT INTO retired_months SELECT '2026-05-01', retired_at, 0, 0, 0, 0, carried_digest, quiet_from FROM retired_months WHERE month = '2026-04-01'`},
		{"what has left is not in the ledger", `UPDATE retired_months SET month = '2026-07-01' WHERE month = '2026-04-01'`},
		{"transactions that have left are not in the ledger", `UPDATE retired_months SET month = '2026-07-01' WHERE month = '2026-04-01'`},
		{"every transfer has its cause", refund},
		{"what stands equals what was moved", `UPDATE transactions SET asked = 6, kind = 6, original_date = '2026-03-10', original_id = gen_random_uuid()
			WHERE ` + ofLast + `; UPDATE transfers SET kind = 10 WHERE journal_id = (SELECT transaction_id FROM transactions WHERE ` + ofLast + `)`},
	} {
		if !w.findsWith(c.fault, c.check) {
			t.Errorf("%s is not found by %q", c.fault, c.check)
		}
	}
}

// findsWith tells whether the check finds something after a change that is rolled back.
func (w *world) findsWith(change, check string) bool {
	w.t.Helper()
	checks := slices.DeleteFunc(switching.AllChecks(), func(one ledger.Check) bool { return one.Name != check })
	if len(checks) != 1 {
		w.t.Fatalf("there is no check %q", check)
	}
	return len(w.foundAfter(change, checks)) > 0
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
		if _, err := w.retire(before.AddDays(-1)); err == nil || !strings.Contains(err.Error(), texts[0]) {
			t.Errorf("retired: %v", err)
		}
	}
	const margin, refunds = "the last day of 2026-03 is not long enough ago: it can be retired from 2026-05-02 on", "it can be retired from 2026-05-12 on"
	const holds, reviews = "1 authorizations still reserve money, the oldest of 2026-03-10", "1 refunds wait for a person, the oldest of 2026-03-12"
	const batches = "1 batches have transactions of 2026-03 or before and are not settled, such as 000001 of terminal 10000001: meridian batch close 10000001"
	want(april, "business date 2026-03-12 of calendar china is not closed in bucket 0: hosts, or meridian cutover run, close it once its cutoff is past (2026-03-12 15:00 UTC)", margin, "policy plain lets refunds of 2026-03 come for 10 days",
		holds, reviews, batches)
	w.until(2026, 5, 1)
	want(april, margin, refunds, holds, reviews, batches)
	w.until(2026, 5, 11)
	want(april, refunds, holds, reviews, batches)
	w.until(2026, 5, 12)
	want(april, holds, reviews, batches)
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(hold)))
	const spoken = "1 transactions spoke of 2026-03 or before lately, the last on 2026-05-12: it can be retired from 2026-06-13 on"
	want(april, reviews, batches, spoken)
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: waits.RRN, Who: "Ann", Why: "no"}))
	want(april, batches, spoken)
	w.settleBatch(till)
	w.until(2026, 6, 12)
	want(april, spoken)
	w.until(2026, 6, 13)
	if found := w.plan(april); found != "" {
		t.Errorf("in the way: %s", found)
	}
	// Months that are not over, and those that come.
	want(may.AddDays(61), "business date 2026-06-13 of calendar china is not closed", "the last day of 2026-06 is not long enough ago", "it can be retired from 2026-08-11 on")
	if _, err := w.retire(march); err != nil {
		t.Error(err)
	}
	w.verify()
	w.sql(`UPDATE windows SET state = 3`)
	want(may, "spoke of 2026-04 or before lately", "no business date is open")
}

// A month stays while its last transaction, or the last refund of that, may be reversed.
func TestRetireWaitsForReversals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("refund_window_days = 10, reversal_window_days = 40")
	w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.settleBatch(till)
	w.until(2026, 5, 20)
	const waits = "policy plain lets reversals of 2026-03, and of its refunds, come for 40 days: it can be retired from 2026-05-21 on"
	if found := w.plan(april); found != waits {
		t.Errorf("in the way: %s", found)
	}
	if _, err := w.retire(march); err == nil || !strings.Contains(err.Error(), waits) {
		t.Errorf("retired: %v", err)
	}
	for _, free := range []string{"allow_refund = false", "allow_refund = true, reversal_window_days = 39"} {
		if w.policy(free); w.plan(april) != "" {
			t.Errorf("in the way with %s: %s", free, w.plan(april))
		}
	}
	w.policy("reversal_window_days = 40")
	w.until(2026, 5, 21)
	_, err := w.retire(march)
	w.must(err)
	w.verify()
}

// What spoke of a month a short while ago may be undone or settled yet: the month stays until
// that is over, and then nothing is lost.
func TestRetireWaitsForWhatSpeaksOfIt(t *testing.T) {
	t.Parallel()
	const lately = "spoke of 2026-03 or before lately, the last on 2026-06-05: it can be retired from 2026-07-07 on"
	for name, c := range map[string]struct {
		speaks func(w *world, sale switching.Response) func()
		want   string
	}{
		"a review that is decided late": {func(w *world, sale switching.Response) func() {
			w.until(2026, 3, 20)
			waits := w.do(switching.UnderReview, w.request(switching.KindRefund, 60_00, of(sale)))
			w.settleBatch(till)
			w.until(2026, 6, 5)
			w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: waits.RRN, Approve: true, Who: "Ann", Why: "seen"}))
			return nil
		}, lately},
		"a refund of a later month that waits": {func(w *world, sale switching.Response) func() {
			w.settleBatch(till)
			w.until(2026, 4, 8)
			waits := w.do(switching.UnderReview, w.request(switching.KindRefund, 60_00, of(sale)))
			w.settleBatch(till)
			w.until(2026, 6, 5)
			return func() {
				w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: waits.RRN, Approve: true, Who: "Ann", Why: "seen"}))
				if found := w.plan(april); !strings.Contains(found, lately) {
					t.Errorf("in the way: %s", found)
				}
			}
		}, "1 refunds wait for a person, the oldest of 2026-04-08"},
		"a late reversal": {func(w *world, sale switching.Response) func() {
			w.settleBatch(till)
			w.until(2026, 6, 5)
			w.do(switching.Approved, w.request(switching.KindReversal, 100_00, of(sale)))
			return nil
		}, lately},
		"the reversal of a refund": {func(w *world, sale switching.Response) func() {
			w.settleBatch(till)
			w.until(2026, 4, 8)
			refund := w.request(switching.KindRefund, 10_00, of(sale))
			told := w.do(switching.Approved, refund)
			w.settleBatch(till)
			w.until(2026, 6, 5)
			w.do(switching.Approved, w.request(switching.KindReversal, 10_00, of(told)))
			return nil
		}, lately},
		"a completion": {func(w *world, _ switching.Response) func() {
			hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 40_00))
			w.settleBatch(till)
			w.until(2026, 6, 5)
			w.do(switching.Approved, w.request(switching.KindCompletion, 35_00, of(hold)))
			return nil
		}, lately},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.policy("refund_window_days = 30, reversal_window_days = 100, review_threshold_minor = 5000, hold_days = 100")
			w.sql(`INSERT INTO discount_terms (merchant_id, valid_from, rate_millionths, fixed_minor, returns_fee) VALUES (0, '2000-01-01', 25000, 0, true)`)
			then := c.speaks(w, w.do(switching.Approved, w.request(switching.KindSale, 100_00)))
			if found := w.plan(april); !strings.Contains(found, c.want) {
				t.Errorf("in the way: %s", found)
			}
			if then != nil {
				then()
			}
			w.settleBatch(till)
			w.policy("reversal_window_days = 30") // nor does anybody come as late any more
			w.until(2026, 7, 7)
			_, err := w.retire(march)
			w.must(err)
			w.verify()
			_, err = switching.RemoveRetiredKeys(t.Context(), w.owner())
			w.must(err)
			w.verify()
			if list, err := switching.Reviews(t.Context(), w.pool, true); err != nil || strings.Contains(name, "waits") && len(list) != 1 {
				t.Errorf("%d reviews are listed, %v", len(list), err)
			}
		})
	}
}

// A late reversal that comes while a month waits to leave keeps it.
func TestRetireMeetsALateReversal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.policy("refund_window_days = 10, reversal_window_days = 100")
	sale := w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.settleBatch(till)
	w.until(2026, 6, 10)
	w.sql(`UPDATE policies SET reversal_window_days = 30`) // which the host has not heard of
	reader, err := w.owner().Begin(ctx)
	w.must(err)
	_, err = reader.Exec(ctx, `SELECT count(*) FROM transactions`)
	w.must(err)
	retired := make(chan error)
	go func() {
		_, err := w.retire(march)
		retired <- err
	}()
	for carried := 0; carried == 0; { // it is through with its own reading, and waits
		w.must(reader.QueryRow(ctx, `SELECT count(*) FROM pg_locks WHERE relation = 'carried_positions'::regclass AND mode = 'RowExclusiveLock'`).Scan(&carried))
	}
	time.Sleep(100 * time.Millisecond)
	if got := w.ask(w.request(switching.KindReversal, 1_00, of(sale))); got.Reason != switching.Approved {
		t.Errorf("a late reversal answered %s", got.Reason)
	}
	w.must(reader.Rollback(ctx))
	if err := <-retired; err == nil || !strings.Contains(err.Error(), "spoke of 2026-03 or before lately, the last on 2026-06-10") {
		t.Errorf("retired: %v", err)
	}
	w.verify()
	w.until(2026, 7, 12)
	_, err = w.retire(march)
	w.must(err)
	w.verify()
}

// Months of which one speaks of the next leave together: a host's clock was behind another's
// at the cutoff.
func TestRetireMonthsTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.policy("refund_window_days = 10, hold_days = 20")
	w.until(2026, 3, 31)
	cutoff := time.Date(2026, 3, 31, 15, 0, 0, 0, time.UTC)
	w.clock.set(cutoff.Add(time.Second))
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 100_00))
	w.clock.set(cutoff.Add(-time.Second))
	w.do(switching.Approved, w.request(switching.KindCompletion, 50_00, of(hold)))
	w.clock.set(cutoff.Add(time.Minute))
	w.settleBatch(till)
	w.until(2026, 7, 12)
	if n, err := switching.LeaveTogether(ctx, w.pool, []ledger.Date{march, april, may}); err != nil || n != 2 {
		t.Errorf("%d months leave together, %v", n, err)
	}
	if _, err := switching.LeaveTogether(ctx, w.pool, []ledger.Date{march}); err == nil || !strings.Contains(err.Error(), "retire that, too") {
		t.Error(err)
	}
	if found := w.plan(april); !strings.Contains(found, "they leave together, retire that, too") {
		t.Errorf("in the way: %s", found)
	}
	if _, err := w.retire(march); err == nil || !strings.Contains(err.Error(), "they leave together") {
		t.Errorf("March alone: %v", err)
	}
	before := w.positions()
	list, err := switching.RetireMonths(ctx, w.owner(), []ledger.Date{march, april}, w.clock.Now(), switching.PolicyChange{Who: "Ann", Why: "old"})
	w.must(err)
	if len(list) != 2 || list[0].Transactions != 1 || list[1].Transactions != 1 {
		t.Errorf("retired %+v", list)
	}
	w.verify()
	if after := w.positions(); !maps.Equal(before, after) {
		t.Errorf("positions %+v, they were %+v", after, before)
	}
}

// Without refunds a month has its margin, too.
func TestRetireWithoutRefunds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("allow_refund = false, auto_close_batch = true, hold_days = 3")
	// A batch that has moved nothing goes on under later dates, and its keys with it.
	w.do(switching.Approved, w.request(switching.KindAuthorization, 40_00))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, at(kiosk, booth)))
	w.until(2026, 4, 1)
	if found := w.plan(april); !strings.Contains(found, "the last day of 2026-03 is not long enough ago: it can be retired from 2026-05-02 on") ||
		!strings.Contains(found, "1 batches have transactions of 2026-03 or before and are not settled, such as 000001 of terminal 10000001") {
		t.Errorf("in the way: %s", found)
	}
	w.settleBatch(till)
	w.until(2026, 5, 2)
	// By a clock that is behind the one by which the batch ended.
	_, err := switching.RetireMonths(t.Context(), w.owner(), []ledger.Date{march}, w.clock.Now().AddDate(0, -3, 0), switching.PolicyChange{Who: "Ann", Why: "old"})
	w.must(err)
	w.verify()
}

// Partitions that somebody has taken away, or made again, keep no month.
func TestRetireWhatIsLeftOfAMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("refund_window_days = 10")
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.settleBatch(till)
	w.until(2026, 7, 12)
	_, err := w.retire(march)
	w.must(err)
	w.sql(`DROP TABLE transactions_202603, transfers_202603; SELECT meridian_ensure_partitions('2026-03-31', '2026-03-31')`)
	w.sql(`DROP TABLE transfers_202604, transactions_202605`)
	for _, m := range []ledger.Date{april, may} {
		month, err := w.retire(m)
		w.must(err)
		if len(month.Tables) != 1 {
			t.Errorf("%s has left %v", m, month.Tables)
		}
	}
	w.verify()
}

// A verification that waits while a month leaves looks at the moment after.
func TestVerifyWhileAMonthLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.policy("refund_window_days = 10")
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.settleBatch(till)
	w.until(2026, 6, 10)
	tx, err := w.owner().Begin(ctx)
	w.must(err)
	_, err = tx.Exec(ctx, `LOCK TABLE ONLY transactions IN ACCESS EXCLUSIVE MODE`)
	w.must(err)
	type outcome struct {
		v   *switching.Verification
		err error
	}
	verified := make(chan outcome)
	go func() {
		v, err := switching.VerifyOn(ctx, w.owner(), 2)
		verified <- outcome{v, err}
	}()
	for waiting := 0; waiting == 0; {
		w.must(tx.QueryRow(ctx, `SELECT count(*) FROM pg_locks WHERE relation = 'transactions'::regclass AND NOT granted`).Scan(&waiting))
	}
	_, err = switching.RetireMonths(ctx, tx, []ledger.Date{march}, w.clock.Now(), switching.PolicyChange{Who: "Ann", Why: "old"})
	w.must(err)
	w.must(tx.Commit(ctx))
	o := <-verified
	w.must(o.err)
	for _, f := range o.v.Findings {
		t.Errorf("%+v", f)
	}
}

// Hosts sell while a month leaves, and while it waits for somebody.
func TestRetireBesideSales(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"reads everything":          `SELECT count(*) FROM transactions`,
		"vacuums a partition":       `LOCK TABLE transfers_202603_0 IN SHARE UPDATE EXCLUSIVE MODE`,
		"appends to the audit log":  `SELECT sequence FROM audit_head FOR UPDATE`,
		"reads what it takes along": `SELECT count(*) FROM transfers_202603`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx := context.Background()
			w.policy("refund_window_days = 10")
			w.do(switching.Approved, w.request(switching.KindSale, 1_00))
			w.settleBatch(till)
			w.until(2026, 6, 10)
			other, err := w.owner().Begin(ctx)
			w.must(err)
			_, err = other.Exec(ctx, statement)
			w.must(err)

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
				t.Errorf("it did not wait: %v", err)
			case <-time.After(1500 * time.Millisecond): // it has looked, and would try
			}
			before := sold.Load()
			for deadline := time.Now().Add(5 * time.Second); sold.Load() < before+10; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Error("nothing is sold while it waits")
					break
				}
			}
			w.must(other.Rollback(ctx))
			w.must(<-retired)
			close(stop)
			selling.Wait()
			w.verify()
		})
	}
}

// A key of today that leads to nothing is no month that left, but a ledger that is off: nobody
// says that the terminal has asked for something else before.
func TestKeyOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sale := w.request(switching.KindSale, 1_00)
	told := w.do(switching.Approved, sale)
	w.sql(`DELETE FROM transactions WHERE rrn = $1`, told.RRN)
	again := *sale
	if got := w.ask(&again); got.Reason != switching.SystemMalfunction {
		t.Errorf("a repeat answered %s", got.Reason)
	}
	if got := w.ask(w.request(switching.KindSale, 1_00)); got.Reason != switching.Approved {
		t.Errorf("the next sale answered %s", got.Reason)
	}
}
