package switching_test

import (
	"context"
	"testing"
	"time"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// doubt asks one host for something whose commit gets lost, and returns what the terminal was told, what it had asked, and
// the host when its database is back.
func (w *world) doubt(setup func(w *world, sw *switching.Switch) *switching.Request) (switching.Response, *switching.Request, *switching.Switch) {
	p, through := lossy(w.t.(*testing.T), w.url)
	pool, err := postgres.Open(context.Background(), through, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience})
	w.must(err)
	sw, err := switching.Start(context.Background(), switching.Options{
		Pool: pool, Now: w.clock.Now, Refresh: time.Hour, Lanes: 1,
		StoreTimeout: w.soon() / 4, AnswerTimeout: w.soon() / 2,
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
		stop, cancel := context.WithTimeout(context.Background(), hung)
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
