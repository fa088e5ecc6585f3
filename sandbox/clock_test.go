//go:build unix

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/internal/pglocal/pgtest"
)

// tuesday is noon in London, 20:00 in Shanghai: three hours before its cutoff.
var tuesday = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

// realTime is a real clock that a test moves.
type realTime struct{ now time.Time }

func (r *realTime) Now() time.Time { return r.now }

func openClock(t *testing.T, dir string, r *realTime) *Clock {
	t.Helper()
	c, err := OpenClock(dir, r.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClock(t *testing.T) {
	dir, actual := t.TempDir(), &realTime{tuesday}
	c := openClock(t, dir, actual)
	shows := func(want time.Time, offset string, frozen bool) {
		t.Helper()
		r := c.Read()
		if !r.Now.Equal(want) || !c.Now().Equal(want) || r.Offset != offset || r.Frozen != frozen || !r.Real.Equal(actual.now) {
			t.Errorf("it shows %+v, want %s, offset %s, frozen %t", r, want, offset, frozen)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		c = openClock(t, dir, actual) // whoever starts again finds it as it was
	}
	shows(tuesday, "0s", false)
	must(c.Advance(90 * time.Minute))
	shows(tuesday.Add(90*time.Minute), "1h30m0s", false)
	actual.now = actual.now.Add(time.Minute)
	shows(tuesday.Add(91*time.Minute), "1h30m0s", false)
	must(c.Freeze())
	actual.now = actual.now.Add(time.Hour)
	shows(tuesday.Add(91*time.Minute), "30m0s", true)
	must(c.Advance(-time.Minute))
	shows(tuesday.Add(90*time.Minute), "29m0s", true)
	must(c.Set(tuesday.AddDate(0, 0, 1)))
	shows(tuesday.AddDate(0, 0, 1), "22h59m0s", true)
	must(c.Real())
	shows(tuesday.Add(61*time.Minute), "0s", false)
	must(c.Set(tuesday))
	shows(tuesday, "-1h1m0s", false)
}

func TestClockIsKeptOrForgotten(t *testing.T) {
	c := openClock(t, "", &realTime{tuesday})
	if err := c.Advance(time.Hour); err != nil || !c.Now().Equal(tuesday.Add(time.Hour)) {
		t.Errorf("without a directory: %v, %s", err, c.Now())
	}
	dir := t.TempDir()
	path := filepath.Join(dir, clockFile)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenClock(dir, time.Now); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken file: %v", err)
	}
	gone := openClock(t, filepath.Join(dir, "gone"), &realTime{tuesday})
	if err := gone.Advance(time.Hour); err == nil || !gone.Now().Equal(tuesday) {
		t.Errorf("a change that cannot be kept counts: %v, %s", err, gone.Now())
	}
}

func TestClockControl(t *testing.T) {
	caught, failing := 0, error(nil)
	cutoff := tuesday.Add(3 * time.Hour)
	c := &clockControl{clock: openClock(t, "", &realTime{tuesday}), catch: func(context.Context) error {
		caught++
		return failing
	}, cutoff: func(_ context.Context, mid string) (time.Time, error) {
		if mid != "" {
			return time.Time{}, errors.New("the sandbox has no merchant " + mid)
		}
		return cutoff, nil
	}}
	call := func(method, kind, body string, want int) string {
		t.Helper()
		r := httptest.NewRequest(method, ClockPath, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", method, body, w.Code, w.Body, want)
		}
		return w.Body.String()
	}
	const kind = "application/json"
	for body, why := range map[string]string{
		``:                                "read the change",
		`{"do":"stop"}`:                   "advance, set, before-cutoff, after-cutoff, freeze, real",
		`{"do":"freeze","later":1}`:       "later",
		`{"do":"after-cutoff","mid":"1"}`: "no merchant 1",
		`{"do":"set"}`:                    "year 1 ",
		`{"do":"advance","x":"` + strings.Repeat("x", maxChangeBytes) + `"}`: "too large",
		`{"do":"set","instant":"2100-01-01T00:00:00Z"}`:                      "year 2100",
		`{"do":"set","instant":"2030-01-01T00:00:00Z"}`:                      "400 days at most",
		`{"do":"advance","duration_ns":34560000000000001}`:                   "400 days at most",
		`{"do":"advance","duration_ns":9223372036854775807}`:                 "year",
	} {
		if got := call(http.MethodPost, kind, body, http.StatusBadRequest); !strings.Contains(got, why) {
			t.Errorf("%.60s: %q does not say %q", body, got, why)
		}
	}
	call(http.MethodPost, "text/plain", `{"do":"freeze"}`, http.StatusBadRequest)
	call(http.MethodDelete, kind, "", http.StatusMethodNotAllowed)
	// As a page sends it under whose name this machine can be reached.
	rebound := httptest.NewRequest(http.MethodPost, "http://pages.example:9580"+ClockPath, strings.NewReader(`{"do":"freeze"}`))
	rebound.Header.Set("Content-Type", kind)
	rebound.Header.Set("Origin", "http://pages.example:9580")
	refused := httptest.NewRecorder()
	c.ServeHTTP(refused, rebound)
	if refused.Code != http.StatusBadRequest || !strings.Contains(refused.Body.String(), "not from a page") {
		t.Errorf("a page that has this machine's address is told %d %s", refused.Code, refused.Body)
	}
	if caught != 0 || !c.clock.Now().Equal(tuesday) {
		t.Errorf("what was refused has had effects: %d, %s", caught, c.clock.Now())
	}
	var r ClockReading
	read := func(text string) {
		t.Helper()
		r = ClockReading{}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
	}
	read(call(http.MethodGet, "", "", http.StatusOK))
	if !r.Now.Equal(tuesday) || !r.Was.IsZero() || caught != 0 {
		t.Errorf("read: %+v, caught up %d times", r, caught)
	}
	read(call(http.MethodPost, kind+"; charset=utf-8", `{"do":"advance","duration_ns":34560000000000000}`, http.StatusOK))
	if !r.Was.Equal(tuesday) || !r.Now.Equal(tuesday.Add(maxLeap)) || caught != 1 {
		t.Errorf("advanced: %+v, caught up %d times", r, caught)
	}
	call(http.MethodPost, kind, `{"do":"set","instant":"2001-01-01T00:00:00Z"}`, http.StatusOK)
	call(http.MethodPost, kind, `{"do":"freeze"}`, http.StatusOK)
	read(call(http.MethodPost, kind, `{"do":"real"}`, http.StatusOK))
	if !r.Now.Equal(tuesday) || r.Frozen || caught != 4 {
		t.Errorf("real again: %+v, caught up %d times", r, caught)
	}
	for do, want := range map[string]time.Time{"before-cutoff": cutoff.Add(-time.Minute), "after-cutoff": cutoff.Add(time.Second)} {
		read(call(http.MethodPost, kind, `{"do":"real"}`, http.StatusOK))
		read(call(http.MethodPost, kind, `{"do":"`+do+`"}`, http.StatusOK))
		if !r.Now.Equal(want) {
			t.Errorf("%s is at %s, want %s", do, r.Now, want)
		}
	}
	last := cutoff.Add(-time.Second)
	read(call(http.MethodPost, kind, `{"do":"set","instant":"`+last.Format(time.RFC3339)+`"}`, http.StatusOK))
	read(call(http.MethodPost, kind, `{"do":"before-cutoff"}`, http.StatusOK))
	if !r.Now.Equal(last) {
		t.Errorf("from the last second before the cutoff it went to %s", r.Now)
	}
	failing = errors.New("the database is away")
	if got := call(http.MethodPost, kind, `{"do":"freeze"}`, http.StatusInternalServerError); !strings.Contains(got, "is away") {
		t.Errorf("failed work is told as %q", got)
	}
}

// moveClock changes a running sandbox's clock.
func moveClock(t *testing.T, m *Manifest, change ClockChange) ClockReading {
	t.Helper()
	body, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(m.Addresses.Ops+ClockPath, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	var r ClockReading
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(answer, &r) != nil {
		t.Fatalf("%d %s (%v)", response.StatusCode, answer, err)
	}
	return r
}

// When the clock passes a cutoff the date is closed before the answer, sales go
// to the next one, and a restart goes on from there.
func TestClockOfARunningSandbox(t *testing.T) {
	const closed = `SELECT count(*) FROM windows WHERE calendar_id = 1 AND business_date = '2026-11-24' AND state = 3`
	const lastDate = `SELECT max(business_date)::text FROM transactions`
	o := options(dataDir(t))
	o.DatabaseURL = pgtest.Database(t, migrate)
	o.Now = (&realTime{tuesday}).Now
	s := start(t, o)
	url := s.Manifest().DatabaseURL
	buckets := value[int64](t, url, `SELECT count(*) FROM buckets`)
	sell(t, s.Manifest(), "CNY", 1, 12_34, "00")
	moveClock(t, s.Manifest(), ClockChange{Do: "advance", Duration: 3*time.Hour - time.Nanosecond})
	sell(t, s.Manifest(), "CNY", 2, 12_34, "00")
	if n, date := value[int64](t, url, closed), value[string](t, url, lastDate); n != 0 || date != "2026-11-24" {
		t.Fatalf("before the cutoff: closed in %d buckets, sale on %s", n, date)
	}
	r := moveClock(t, s.Manifest(), ClockChange{Do: "advance", Duration: time.Nanosecond})
	if cutoff := tuesday.Add(3 * time.Hour); !r.Now.Equal(cutoff) || !r.Was.Equal(cutoff.Add(-time.Nanosecond)) {
		t.Errorf("it shows %+v", r)
	}
	if n := value[int64](t, url, closed); n != buckets {
		t.Errorf("closed in %d of %d buckets", n, buckets)
	}
	sell(t, s.Manifest(), "CNY", 3, 12_34, "00")
	if date := value[string](t, url, lastDate); date != "2026-11-25" {
		t.Errorf("at the cutoff: sale on %s", date)
	}
	// The console moves the same clock, with the same work.
	answer, err := http.PostForm(s.Manifest().Addresses.Console+"/clock",
		neturl.Values{"do": {"to 2026-11-25T02:30:01Z"}, "reason": {"past Berlin's cutoff"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.Body.Close() != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), "closed and settled") {
		t.Fatalf("%d %v\n%s", answer.StatusCode, err, text)
	}
	http.DefaultClient.CloseIdleConnections()
	if n := value[int64](t, url, `SELECT count(*) FROM windows WHERE calendar_id = 2 AND business_date = '2026-11-25' AND state = 3`); n != buckets {
		t.Errorf("Berlin's date is closed in %d of %d buckets", n, buckets)
	}
	moved := value[string](t, url, `SELECT detail FROM audit_log WHERE kind = 'clock_moved' ORDER BY sequence DESC LIMIT 1`)
	if want := "set to 2026-11-25T02:30:01Z from 2026-11-24T15:00:00Z, by sandbox console: past Berlin's cutoff"; moved != want {
		t.Errorf("the audit log says %q", moved)
	}
	verify(t, url)
	s.stop()

	s = start(t, o)
	sell(t, s.Manifest(), "CNY", 4, 12_34, "00")
	if n := value[int64](t, url, `SELECT count(*) FROM transactions WHERE business_date = '2026-11-25'`); n != 2 {
		t.Errorf("after the restart %d sales are on the 25th, want 2", n)
	}
	verify(t, url)
}

// A change is answered when nothing is due any more, although the host's own
// turns compete and more dates have passed than one turn closes.
func TestClockLeapsOverManyDates(t *testing.T) {
	const notClosed = `SELECT count(*) FROM windows w JOIN business_days d USING (calendar_id, business_date)
		WHERE w.state < 3 AND d.closes_at <= $1`
	o := options(dataDir(t))
	o.DatabaseURL = pgtest.Database(t, migrate)
	o.Now = (&realTime{tuesday}).Now
	s := start(t, o)
	url := s.Manifest().DatabaseURL
	sell(t, s.Manifest(), "CNY", 1, 12_34, "00")
	moveClock(t, s.Manifest(), ClockChange{Do: "freeze"})
	for range 4 {
		r := moveClock(t, s.Manifest(), ClockChange{Do: "advance", Duration: 5*24*time.Hour + time.Minute})
		if n := value[int64](t, url, notClosed, r.Now); n != 0 {
			t.Fatalf("at %s %d windows are past their cutoff and not closed", r.Now, n)
		}
	}
	sell(t, s.Manifest(), "CNY", 2, 12_34, "00")
	verify(t, url)
}

// The clock of an ephemeral sandbox neither follows nor moves the one that the
// data directory keeps.
func TestClockOfAnEphemeralSandbox(t *testing.T) {
	dir := dataDir(t)
	kept := openClock(t, dir, &realTime{tuesday})
	if err := kept.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	o := options(dir)
	o.Ephemeral, o.DatabaseURL = true, pgtest.Database(t, migrate)
	o.Now = (&realTime{tuesday}).Now
	s := start(t, o)
	if r := moveClock(t, s.Manifest(), ClockChange{Do: "advance", Duration: time.Minute}); !r.Now.Equal(tuesday.Add(time.Minute)) {
		t.Errorf("it shows %+v", r)
	}
	s.stop()
	if c := openClock(t, dir, &realTime{tuesday}); !c.Now().Equal(tuesday.Add(time.Hour)) {
		t.Errorf("the kept clock shows %s", c.Now())
	}
}
