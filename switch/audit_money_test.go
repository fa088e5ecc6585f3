package switching_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

func (w *world) findings() []ledger.Finding {
	v, err := switching.Verify(context.Background(), w.pool)
	w.must(err)
	return v.Findings
}

// Two refunds on two hosts against the minimum balance.
func TestMinBalanceRace(t *testing.T) {
	w := newWorld(t)
	a := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	b := w.do(switching.Approved, w.request(switching.KindSale, 100_00, withCard(1)))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.policy("min_balance_minor = 10000") // 200.00 owed, 100.00 must stay
	other := w.second()
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	ca, cb := make(chan switching.Response, 1), make(chan switching.Response, 1)
	other.Submit(w.request(switching.KindRefund, 100_00, of(a)), func(r switching.Response) { ca <- r })
	w.waiting(1, func() bool { return false })
	other2 := w.second()
	other2.Submit(w.request(switching.KindRefund, 100_00, of(b), at(shop, till2)), func(r switching.Response) { cb <- r })
	w.waiting(2, func() bool { return len(cb) > 0 })
	w.must(card.Rollback(t.Context()))
	ra, rb := <-ca, <-cb
	t.Logf("A %s %s; B %s %s", ra.Reason, ra.Rule, rb.Reason, rb.Rule)
	if ra.Reason == switching.Approved && rb.Reason == switching.Approved {
		t.Errorf("both refunds approved: 200.00 owed, min 100.00, paid back 200.00")
	}
}

// Void limit on two hosts.
func TestVoidLimitRace(t *testing.T) {
	w := newWorld(t)
	w.policy("max_voids_per_day = 1")
	a := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	b := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	h1, h2 := w.second(), w.second()
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	ca, cb := make(chan switching.Response, 1), make(chan switching.Response, 1)
	h1.Submit(w.request(switching.KindVoid, 0, of(a)), func(r switching.Response) { ca <- r })
	w.waiting(1, func() bool { return false })
	h2.Submit(w.request(switching.KindVoid, 0, of(b)), func(r switching.Response) { cb <- r })
	w.waiting(2, func() bool { return len(cb) > 0 })
	w.must(card.Rollback(t.Context()))
	ra, rb := <-ca, <-cb
	t.Logf("A %s; B %s", ra.Reason, rb.Reason)
	if ra.Reason == switching.Approved && rb.Reason == switching.Approved {
		t.Errorf("both voids approved with max_voids_per_day 1")
	}
}

// A late original on two hosts, after its tombstone.
func TestTombstoneRace(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.do(switching.Approved, w.request(switching.KindReversal, 5_00, stan(500)))
	h1, h2 := w.second(), w.second()
	batch := w.hold(`SELECT FROM transactions WHERE kind = 8 FOR UPDATE`)
	ca, cb := make(chan switching.Response, 1), make(chan switching.Response, 1)
	h1.Submit(w.request(switching.KindSale, 5_00, stan(500)), func(r switching.Response) { ca <- r })
	w.waiting(1, func() bool { return false })
	h2.Submit(w.request(switching.KindSale, 5_00, stan(500)), func(r switching.Response) { cb <- r })
	w.waiting(2, func() bool { return len(cb) > 0 })
	w.must(batch.Rollback(t.Context()))
	ra, rb := <-ca, <-cb
	t.Logf("A %s %d; B %s %d", ra.Reason, ra.RRN, rb.Reason, rb.RRN)
	for _, f := range w.findings() {
		t.Errorf("%s: %s: %s", f.Check, f.Subject, f.Detail)
	}
}

// Calendar changed; a review and a hold of before.
func auditTwoCalendars(w *world) {
	w.sql(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (2, 'noon', 'Asia/Shanghai', '22:00', '2026-01-01')`)
	c := w.owner()
	cal, err := ledger.Calendars(w.t.Context(), c)
	w.must(err)
	w.must(ledger.EnsureWindows(w.t.Context(), c, cal, w.clock.Now()))
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(w.t.Context()))
}

func TestCalendarChangeReview(t *testing.T) {
	w := newWorld(t)
	auditTwoCalendars(w)
	a := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour) // 11th, 12:00 UTC
	w.must(w.sw.CatchUp(t.Context()))
	w.policy("review_threshold_minor = 5000")
	pending := w.do(switching.UnderReview, w.request(switching.KindRefund, 60_00, of(a)))
	// both calendars have the 11th open: allowed to move
	w.sql(`UPDATE merchants SET calendar_id = 2 WHERE merchant_id = 1`)
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.clock.set(time.Date(2026, 3, 11, 14, 30, 0, 0, time.UTC)) // 22:30: the 11th closed for calendar 2, open for 1
	w.must(w.sw.CatchUp(t.Context()))
	w.verify()
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: pending.RRN, Approve: true, Who: "ann", Why: "ok"}))
	for _, f := range w.findings() {
		t.Errorf("%s: %s: %s", f.Check, f.Subject, f.Detail)
	}
	w.clock.set(time.Date(2026, 3, 13, 16, 30, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	w.do2(switching.Approved, w.request(switching.KindSale, 1_00))
	w.clock.set(time.Date(2026, 3, 14, 16, 30, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	list, _, err := ledger.Statements(t.Context(), w.pool, ledger.StatementFilter{MID: shop})
	w.must(err)
	for _, s := range list {
		t.Logf("%s refunds %d payable %d -> %d", s.BusinessDate, s.Refunds.Minor, s.Opening.PayableMinor, s.Closing.PayableMinor)
	}
}

func (w *world) do2(want switching.Reason, r *switching.Request) switching.Response {
	got := w.ask(r)
	if got.Reason != want {
		w.t.Errorf("answered %s", got.Reason)
	}
	return got
}

func TestCalendarChangeExpiry(t *testing.T) {
	w := newWorld(t)
	auditTwoCalendars(w)
	w.policy("hold_days = 1")
	w.clock.set(time.Date(2026, 3, 10, 14, 15, 0, 0, time.UTC))
	w.do(switching.Approved, w.request(switching.KindAuthorization, 100_00))
	w.clock.set(time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	w.sql(`UPDATE merchants SET calendar_id = 2 WHERE merchant_id = 1`)
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.clock.set(time.Date(2026, 3, 11, 14, 5, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	w.verify()
	w.clock.set(time.Date(2026, 3, 11, 14, 20, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	for _, f := range w.findings() {
		t.Errorf("%s: %s: %s", f.Check, f.Subject, f.Detail)
	}
}

// Sale answered as reversed, then stands again.
func TestReversalThenVoidReversal(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	s := w.do(switching.Approved, sale)
	void := w.request(switching.KindVoid, 0, of(s))
	w.do(switching.Approved, void)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN))) // 00: nothing stands
	r := w.ask(w.request(switching.KindReversal, 0, stan(void.STAN)))
	t.Logf("void's reversal %s, card spent %d", r.Reason, opened-w.available(0))
	if w.available(0) != opened {
		t.Errorf("DEFECT?: the sale whose reversal was answered 00 stands")
	}
	fmt.Println()
}

// What leads a repeat to another transaction, or a refund to nobody, is found.
func TestVerifyFindsSwappedKeysAndLostReviews(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.clock.advance(24 * time.Hour)
	w.policy("review_threshold_minor = 100")
	w.do(switching.UnderReview, w.request(switching.KindRefund, 5_00, of(sale)))
	for _, fault := range []string{
		`UPDATE idempotency_keys k SET transaction_id = o.transaction_id FROM idempotency_keys o WHERE k.stan = 1 AND o.stan = 2`,
		`DELETE FROM reviews`,
	} {
		before := len(w.findings())
		w.sql(fault)
		if len(w.findings()) <= before {
			t.Errorf("not found: %s", fault)
		}
	}
}
