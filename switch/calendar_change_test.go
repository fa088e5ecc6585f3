package switching_test

import (
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// twoCalendars has a second one, which ends its dates an hour earlier.
func twoCalendars(w *world) {
	w.sql(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (2, 'noon', 'Asia/Shanghai', '22:00', '2026-01-01')`)
	c := w.owner()
	cal, err := ledger.Calendars(w.t.Context(), c)
	w.must(err)
	w.must(ledger.EnsureWindows(w.t.Context(), c, cal, w.clock.Now()))
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(w.t.Context()))
}

// A refund of before a merchant moved to another calendar is decided when its date is closed there: nothing goes into a
// closed date.
func TestCalendarChangeReview(t *testing.T) {
	w := newWorld(t)
	twoCalendars(w)
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
	w.verify()
	w.clock.set(time.Date(2026, 3, 13, 16, 30, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.clock.set(time.Date(2026, 3, 14, 16, 30, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	list, _, err := ledger.Statements(t.Context(), w.pool, ledger.StatementFilter{MID: shop})
	w.must(err)
	refunded := int64(0)
	for _, s := range list {
		refunded += s.Refunds.Minor
	}
	if refunded != 60_00 {
		t.Errorf("statements have refunds of %d, want the one of 6000", refunded)
	}
}

// Nor when a hold of before runs out then.
func TestCalendarChangeExpiry(t *testing.T) {
	w := newWorld(t)
	twoCalendars(w)
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
	w.verify()
}

// Voids of yesterday counted because a unit holds another calendar's merchant.
func TestVoidsAcrossCalendars(t *testing.T) {
	w := newWorld(t)
	twoCalendars(w)
	w.sql(`UPDATE merchants SET calendar_id = 2 WHERE merchant_id = 1`)
	w.policy("max_voids_per_day = 1")
	a := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(a)))
	w.clock.set(time.Date(2026, 3, 10, 14, 30, 0, 0, time.UTC)) // shop: the 11th; kiosk: still the 10th
	b := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	c0, c1, c2 := make(chan switching.Response, 1), make(chan switching.Response, 1), make(chan switching.Response, 1)
	w.sw.Submit(w.request(switching.KindSale, 1_00), func(r switching.Response) { c0 <- r })
	w.waiting(1, func() bool { return false })
	w.sw.Submit(w.request(switching.KindSale, 1_00, withCard(3), at(kiosk, booth)), func(r switching.Response) { c1 <- r })
	w.sw.Submit(w.request(switching.KindVoid, 0, of(b)), func(r switching.Response) { c2 <- r })
	w.must(card.Rollback(t.Context()))
	<-c0
	<-c1
	if r := <-c2; r.Reason != switching.Approved {
		t.Errorf("the first void of the 11th is refused by %s for one of the 10th", r.Rule)
	}
}
