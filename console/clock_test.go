package console

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"meridian/switch"
)

// testClock is the world's clock as one that people move; its work is the cutover.
type testClock struct {
	w      *world
	frozen bool
	broken error
}

func (c *testClock) Read() ClockReading {
	return ClockReading{Now: c.w.Now(), Real: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC), Frozen: c.frozen}
}

func (c *testClock) Advance(ctx context.Context, d time.Duration) error {
	return c.Set(ctx, c.w.Now().Add(d))
}

func (c *testClock) Set(_ context.Context, t time.Time) error {
	if c.broken != nil {
		return c.broken
	}
	c.w.settle(t)
	return nil
}

func (c *testClock) Freeze(context.Context) error { c.frozen = true; return nil }

func (c *testClock) Real(ctx context.Context) error {
	c.frozen = false
	return c.Set(ctx, c.Read().Real)
}

func TestClock(t *testing.T) {
	clock := &testClock{}
	w := newWorld(t, func(o *Options) { o.MovableClock = clock })
	clock.w = w
	sale := w.ask(switching.KindSale, 12_34)
	page := w.get("/clock").want(t, 200, "2026-03-10 12:00:00 UTC", "It is the real time", "20:00:00 +08:00 Asia/Shanghai", "2026-03-10 Tue 23:00:00 +08:00", "3 h")
	if !strings.Contains(page.body, `value="to 2026-03-10T14:59:00Z"`) || !strings.Contains(page.body, `value="to 2026-03-10T15:00:01Z"`) {
		t.Errorf("the next cutoff is not offered:\n%s", page.body)
	}
	move := func(do string, more ...string) answer {
		t.Helper()
		form := url.Values{"do": {do}, "reason": {"tried"}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return w.post("/clock", form)
	}
	led := func(a answer, texts ...string) {
		t.Helper()
		w.get(a.want(t, 303).header.Get("Location")).want(t, 200, texts...)
	}
	led(move("to 2026-03-10T14:59:00Z"), "from 2026-03-10 12:00:00 to 2026-03-10 14:59:00 UTC. No cutoff was in between", "2 h 59 min ahead")
	w.get("/transactions/"+rrnOf(sale)).want(t, 200, "A void of 12.34 CNY", "1 min from now")
	led(move("to 2026-03-10T15:00:01Z"), "Business date 2026-03-10 of china: cutoff 2026-03-10 15:00:00 UTC, closed and settled")
	w.get("/transactions/"+rrnOf(sale)).want(t, 200, "A refund of 12.34 CNY")
	led(move("advance 1"), "to 2026-03-10 16:00:01 UTC")
	led(move("set", "instant", "2026-03-11T09:00"), "2026-03-11 09:00:00 UTC", "berlin: cutoff 2026-03-11 01:30:00")
	led(move("freeze"), "frozen", "It stands still")
	w.get("/audit?kind=clock_moved").want(t, 200, "set to 2026-03-10T14:59:00Z from 2026-03-10T12:00:00Z, by tester: tried", "advanced by 1h0m0s", "stopped from")
	if n := strings.Count(w.get("/audit?kind=clock_moved").body, `href="/audit?kind=clock_moved"`); n != 5 {
		t.Errorf("%d rows in the audit log for 5 changes", n)
	}
	for do, text := range map[string]string{
		"advance x": "no number of hours", "advance 99999": "no number", "to then": "no instant", "set": "no instant", "stop": "advanced, set, frozen", "": "advanced",
	} {
		move(do).want(t, 400, text)
	}
	w.post("/clock", url.Values{"do": {"freeze"}}).want(t, 400, "Say why")
	clock.broken = errors.New("from here to there is too far for one change")
	move("advance 9000").want(t, 409, "From here to there is too far")
}

// A host has no such clock.
func TestClockOfAHost(t *testing.T) {
	w := newWorld(t)
	w.get("/clock").want(t, 404)
	w.post("/clock", url.Values{"do": {"freeze"}, "reason": {"x"}}).want(t, 405)
	if strings.Contains(w.get("/").body, `href="/clock"`) {
		t.Error("the navigation leads to a clock")
	}
}
