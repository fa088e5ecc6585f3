package switching_test

import (
	"context"
	"testing"
	"time"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

func (w *world) doubt(setup func(w *world, sw *switching.Switch) *switching.Request) (switching.Response, *switching.Request, *switching.Switch) {
	p, through := lossy(w.t.(*testing.T), w.url)
	pool, err := postgres.Open(context.Background(), through, postgres.Options{Role: migrations.ServiceRole})
	w.must(err)
	sw, err := switching.Start(context.Background(), switching.Options{
		Pool: pool, Now: w.clock.Now, Refresh: time.Hour, Lanes: 1,
		StoreTimeout: 500 * time.Millisecond, AnswerTimeout: time.Second,
	})
	w.must(err)
	r := setup(w, sw)
	got := make(chan switching.Response, 1)
	p.lose.Store(true)
	sw.Submit(r, func(r switching.Response) { got <- r })
	resp := <-got
	p.down.Store(false)
	w.recovered(sw)
	w.t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = sw.Shutdown(stop)
		pool.Close()
	})
	return resp, r, sw
}

// What was committed after its terminal had been told of a failure is undone,
// and its repeat hears of the failure again.
func TestDoubtfulSaleAndVoid(t *testing.T) {
	w := newWorld(t)
	told, r, sw := w.doubt(func(w *world, _ *switching.Switch) *switching.Request { return w.request(switching.KindSale, 10_00) })
	again, _ := askOf(t.Context(), sw, copyOf(r))
	if told.Reason != switching.SystemMalfunction || again.Reason != switching.SystemMalfunction {
		t.Fatalf("sale told %s, its repeat %s", told.Reason, again.Reason)
	}
	w.wantAvailable(0)
	s := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	told, r, sw = w.doubt(func(w *world, _ *switching.Switch) *switching.Request { return w.request(switching.KindVoid, 0, of(s)) })
	again, _ = askOf(t.Context(), sw, copyOf(r))
	if told.Reason != switching.SystemMalfunction || again.Reason != switching.SystemMalfunction {
		t.Fatalf("void told %s, its repeat %s", told.Reason, again.Reason)
	}
	w.wantAvailable(20_00)
	w.verify()
}

// Voids of yesterday counted because a unit holds another calendar's merchant.
func TestVoidsAcrossCalendars(t *testing.T) {
	w := newWorld(t)
	auditTwoCalendars(w)
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
	r := <-c2
	t.Logf("void %s %s", r.Reason, r.Rule)
	if r.Reason != switching.Approved {
		t.Errorf("the first void of the 11th is refused for one of the 10th")
	}
}
