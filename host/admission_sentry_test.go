package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/switch"
)

// lockStub stands for the table of locks.
type lockStub struct {
	mu      sync.Mutex
	down    error
	held    map[int32]time.Time
	written []switching.TerminalLock
}

func (s *lockStub) LockTerminal(_ context.Context, l switching.TerminalLock) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return s.down
	}
	s.written = append(s.written, l)
	s.held[l.TerminalID] = l.Until
	return nil
}

func (s *lockStub) TerminalLocks(_ context.Context, now time.Time) (map[int32]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	held := map[int32]time.Time{}
	for id, until := range s.held {
		if until.After(now) {
			held[id] = until
		}
	}
	return held, nil
}

// watch is a sentry with what stands around it.
type watch struct {
	*Sentry

	t        *testing.T
	now      time.Time // both clocks
	entries  []switching.AuditEntry
	store    *lockStub
	text     strings.Builder
	registry *prometheus.Registry
}

// metric sums a metric over its labels.
func (w *watch) metric(name string) float64 {
	w.t.Helper()
	return metricOf(w.t, w.registry, name)
}

func (w *watch) Record(e switching.AuditEntry, done func()) {
	w.entries = append(w.entries, e)
	done()
}

func newWatch(t *testing.T, limits AdmissionLimits) *watch {
	t.Helper()
	w := &watch{t: t, now: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC), store: &lockStub{held: map[int32]time.Time{}}}
	w.registry = prometheus.NewRegistry()
	clock := func() time.Time { return w.now }
	w.Sentry = NewSentry(SentryOptions{
		Limits: limits, Recorder: w, Locks: w.store, Logger: slog.New(slog.NewTextHandler(&w.text, nil)), Registerer: w.registry,
		Now: clock, Real: clock,
	})
	return w
}

func till(id int32) *switching.Terminal {
	return &switching.Terminal{ID: id, TID: fmt.Sprintf("%08d", id), MACAlgorithm: "x919"}
}

func attempt(t *switching.Terminal, remote string) Attempt {
	a := Attempt{Listener: "nac", Remote: netip.MustParseAddr(remote), TID: "99999999", MTI: "0200", Terminal: t}
	if t != nil {
		a.TID = t.TID
	}
	return a
}

// fail sends n wrong MACs.
func (w *watch) fail(t *switching.Terminal, n int) {
	w.t.Helper()
	for range n {
		recorded := false
		w.MACFailed(attempt(t, "192.0.2.1"), false, func() { recorded = true })
		if !recorded {
			w.t.Fatal("nobody was told that the failure is on record")
		}
	}
}

func (w *watch) allows(t *switching.Terminal, want Verdict) {
	w.t.Helper()
	if got := w.Allow(attempt(t, "192.0.2.1")); got != want {
		w.t.Errorf("verdict %d on terminal %d, want %d", got, t.ID, want)
	}
}

// kinds counts what is in the audit log.
func (w *watch) kinds() map[string]int {
	n := map[string]int{}
	for _, e := range w.entries {
		n[e.Kind]++
	}
	return n
}

func TestTerminalIsLockedAfterWrongMACs(t *testing.T) {
	w := newWatch(t, AdmissionLimits{})
	w.fail(till(1), 9)
	w.allows(till(1), Pass)
	w.fail(till(2), 1)
	w.fail(till(1), 1)
	w.allows(till(1), Locked)
	w.allows(till(2), Pass)
	if n := w.kinds()["mac_failure"]; n != 11 {
		t.Errorf("%d rows about wrong MACs", n)
	}
	w.syncLocks(t.Context())
	w.allows(till(1), Locked)
	if len(w.store.written) != 1 || w.store.written[0].Failures != 10 || !w.store.written[0].Until.Equal(w.now.Add(15*time.Minute)) {
		t.Errorf("stored %+v", w.store.written)
	}
	if n := w.metric("meridian_terminals_locked"); n != 1 {
		t.Errorf("metric says %v", n)
	}
	w.Denied(attempt(till(1), "192.0.2.1"), switching.TerminalLocked, func() {})
	if n := w.kinds()["denied_terminal_locked"]; n != 1 {
		t.Errorf("%d rows about the locked terminal's message", n)
	}
	// It ends by itself, and the count has begun anew.
	w.now = w.now.Add(15 * time.Minute)
	w.allows(till(1), Pass)
	w.fail(till(1), 9)
	w.allows(till(1), Pass)
	w.syncLocks(t.Context())
	if n := w.metric("meridian_terminals_locked"); n != 0 {
		t.Errorf("metric says %v after the lock", n)
	}
}

func TestOnlyFailuresInARowLock(t *testing.T) {
	w := newWatch(t, AdmissionLimits{})
	for range 5 {
		w.fail(till(1), 9)
		w.Verified(attempt(till(1), "192.0.2.1"), true)
	}
	w.allows(till(1), Pass)
	w.fail(till(1), 9)
	w.Verified(attempt(till(1), "192.0.2.1"), false) // an echo, which has no MAC
	w.fail(till(1), 1)
	w.allows(till(1), Locked)

	// Nine in ten minutes, again and again.
	for range 40 {
		w.fail(till(2), 1)
		w.now = w.now.Add(10*time.Minute/9 + time.Second)
	}
	w.allows(till(2), Pass)

	never := newWatch(t, AdmissionLimits{LockAfter: -1})
	never.fail(till(1), 1000)
	never.allows(till(1), Pass)
}

// What another host locked holds here, and what a person unlocks is open.
func TestLocksAreShared(t *testing.T) {
	w := newWatch(t, AdmissionLimits{})
	w.store.held[7] = w.now.Add(time.Minute)
	w.syncLocks(t.Context())
	w.allows(till(7), Locked)
	w.fail(till(8), 10)
	w.syncLocks(t.Context())
	w.store.held = map[int32]time.Time{}
	w.allows(till(8), Locked)
	w.syncLocks(t.Context())
	w.allows(till(7), Pass)
	w.allows(till(8), Pass)
}

// While the store is away what is known holds, and is stored when it is back.
func TestLocksSurviveTheirStore(t *testing.T) {
	w := newWatch(t, AdmissionLimits{})
	w.store.held[7] = w.now.Add(time.Hour)
	w.syncLocks(t.Context())
	w.store.down = errors.New("away")
	w.fail(till(8), 10)
	for range 5 {
		w.syncLocks(t.Context())
	}
	w.allows(till(7), Locked)
	w.allows(till(8), Locked)
	if n := strings.Count(w.text.String(), "cannot keep"); n != 1 {
		t.Errorf("%d lines about a store that is away", n)
	}
	if n := w.locks.count(w.now); n != 2 {
		t.Errorf("%d locks known", n)
	}
	w.store.down = nil
	w.syncLocks(t.Context())
	if len(w.store.written) != 1 {
		t.Errorf("stored %+v", w.store.written)
	}
	w.allows(till(8), Locked)
}

func TestUnknownTerminalsGetFewAnswers(t *testing.T) {
	w := newWatch(t, AdmissionLimits{Refusals: Rate{PerSecond: 1, Burst: 5}, RefusalsTotal: Rate{PerSecond: 10, Burst: 8}})
	passed := 0
	for range 100 {
		a := attempt(nil, "192.0.2.1")
		if w.Allow(a) == Pass {
			passed++
			w.Denied(a, switching.UnknownTerminal, func() {})
		}
	}
	if passed != 5 {
		t.Errorf("%d answered", passed)
	}
	// Another address has its own share, and all together have one.
	for i := range 100 {
		a := attempt(nil, fmt.Sprintf("198.51.100.%d", i))
		if w.Allow(a) == Pass {
			passed++
			w.Denied(a, switching.UnknownTerminal, func() {})
		}
	}
	if passed != 8 {
		t.Errorf("%d answered in all", passed)
	}
	if n := w.kinds()["denied_unknown_terminal"]; n != passed {
		t.Errorf("%d rows for %d answers", n, passed)
	}
	if e := w.entries[0]; e.Subject != "address 192.0.2.1" || e.Detail != `terminal "99999999": 0200 on nac from 192.0.2.1` {
		t.Errorf("told as %+v", e)
	}
	// The others are summed up: by address.
	w.writeSums()
	if n := w.kinds()["denied_unknown_terminal"]; n != passed+98 {
		t.Errorf("%d rows with the sums", n)
	}
	if e := w.entries[passed]; !strings.HasSuffix(e.Detail, "more messages within a minute") {
		t.Errorf("told as %+v", e)
	}
	w.writeSums()
	if n := len(w.entries); n != passed+98 {
		t.Errorf("%d rows after a quiet minute", n)
	}
	if n := w.metric("meridian_denied_messages_total"); n != 200 {
		t.Errorf("metric says %v", n)
	}
}

// What settles has a limit of its own, which sales do not use up and concentrators have, too.
func TestLimitOfSettlements(t *testing.T) {
	w := newWatch(t, AdmissionLimits{
		Settlements:   Rate{PerSecond: 1, Burst: 3},
		Concentrators: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
	})
	send := func(id int32, mti string) Verdict {
		a := attempt(till(id), "203.0.113.9")
		a.MTI = mti
		return w.Verified(a, mti == "0200")
	}
	for range 10 {
		if got := send(1, "0200"); got != Pass {
			t.Fatalf("a sale: %d", got)
		}
	}
	for i, want := range []Verdict{Pass, Pass, Pass, Busy, Busy} {
		if got := send(1, "0500"); got != want {
			t.Errorf("settlement %d: %d", i, got)
		}
	}
	for _, other := range []struct {
		id  int32
		mti string
	}{{1, "0200"}, {1, "0320"}, {2, "0500"}} {
		if got := send(other.id, other.mti); got != Pass {
			t.Errorf("%s of terminal %d: %d", other.mti, other.id, got)
		}
	}
	w.writeSums()
	if n := w.kinds()["denied_settlement_limit"]; n != 1 {
		t.Errorf("%d sums", n)
	}
}

func TestLimitsOfAddressesAndTerminals(t *testing.T) {
	w := newWatch(t, AdmissionLimits{
		PerAddress: Rate{PerSecond: 1, Burst: 20}, PerTerminal: Rate{PerSecond: 1, Burst: 5},
		Concentrators: []netip.Prefix{netip.MustParsePrefix("::ffff:203.0.113.0/120")},
	})
	send := func(id int32, remote string) (v Verdict) {
		a := attempt(till(id), remote)
		if v = w.Allow(a); v == Pass {
			v = w.Verified(a, true)
		}
		return v
	}
	for i := range 10 {
		want := Pass
		if i >= 5 {
			want = Busy
		}
		if got := send(1, "192.0.2.1"); got != want {
			t.Errorf("message %d: %d", i, got)
		}
	}
	for i := range 20 { // the address has ten left
		want := Pass
		if i >= 10 {
			want = Busy
		}
		if got := send(int32(10+i), "192.0.2.1"); got != want {
			t.Errorf("terminal %d: %d", i, got)
		}
	}
	if got := w.Allow(attempt(nil, "192.0.2.1")); got != Drop {
		t.Errorf("a stranger at a full address: %d", got)
	}
	if got := send(50, "192.0.2.2"); got != Pass {
		t.Errorf("another address: %d", got)
	}
	for range 200 {
		if got := send(60, "203.0.113.9"); got != Pass {
			t.Fatalf("a concentrator: %d", got)
		}
	}
	// Whoever only claims a terminal's name uses up nothing of it.
	for range 10 {
		w.Allow(attempt(till(70), "192.0.2.9"))
	}
	if got := send(70, "192.0.2.10"); got != Pass {
		t.Errorf("the terminal itself: %d", got)
	}
	w.Denied(attempt(till(1), "192.0.2.1"), switching.RateLimited, func() {})
	if len(w.entries) != 0 {
		t.Errorf("rows for single messages: %+v", w.entries)
	}
	w.writeSums()
	if n := w.kinds(); n["denied_terminal_limit"] != 1 || n["denied_address_limit"] != 11 {
		t.Errorf("sums: %v", n)
	}
}

// What the switch refuses because of who sends it is written down; what it
// declines is not.
func TestDeniedIsWhoNotWhat(t *testing.T) {
	w := newWatch(t, AdmissionLimits{Refusals: Rate{PerSecond: 1, Burst: 8}})
	for _, reason := range switching.Reasons() {
		done := false
		w.Denied(attempt(till(1), "192.0.2.1"), reason, func() { done = true })
		if !done {
			t.Errorf("%s: done was not called", reason)
		}
	}
	want := map[string]int{
		"denied_unknown_terminal": 1, "denied_unknown_merchant": 1, "denied_terminal_not_of_merchant": 1, "denied_terminal_inactive": 1,
		"denied_security_violation": 1, "denied_terminal_locked": 1,
	}
	if got := w.kinds(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rows %v", got)
	}
	for range 100 {
		w.Denied(attempt(till(1), "192.0.2.1"), switching.TerminalInactive, func() {})
	}
	if n := w.kinds()["denied_terminal_inactive"]; n != 4 {
		t.Errorf("%d rows in a flood", n)
	}
}

// Wrong MACs in a flood are counted, and lock, but do not fill the log.
func TestFloodOfWrongMACs(t *testing.T) {
	w := newWatch(t, AdmissionLimits{Refusals: Rate{PerSecond: 1, Burst: 20}, LockAfter: 5000})
	w.fail(till(1), 4999)
	w.allows(till(1), Pass)
	if n := w.kinds()["mac_failure"]; n != 20 {
		t.Errorf("%d rows", n)
	}
	w.fail(till(1), 1)
	w.allows(till(1), Drop)
	w.now = w.now.Add(time.Minute)
	w.allows(till(1), Locked)
	w.writeSums()
	if n := w.kinds(); n["mac_failure"] != 21 || n["denied_terminal_locked"] != 1 {
		t.Errorf("rows %v", n)
	}
}

func TestSumsAreBounded(t *testing.T) {
	var s sums
	for i := range 5000 {
		s.add(sumKey{"denied_unknown_terminal", fmt.Sprint("address ", i)})
	}
	counts := s.take()
	if len(counts) != maxSums+1 || counts[sumKey{"denied_unknown_terminal", "others"}] != 5000-maxSums {
		t.Errorf("%d sums", len(counts))
	}
}

// Run stores a lock at once, and what is left when it ends.
func TestSentryRuns(t *testing.T) {
	w := newWatch(t, AdmissionLimits{PerAddress: Rate{PerSecond: 1, Burst: 1}})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	w.fail(till(1), 10)
	w.allows(till(2), Pass)
	w.allows(till(2), Busy)
	end()
	go func() { w.Run(ctx); close(ended) }()
	<-ended
	if len(w.store.written) != 1 {
		t.Errorf("stored %+v", w.store.written)
	}
	if n := w.kinds()["denied_address_limit"]; n != 1 {
		t.Errorf("%d sums", n)
	}
}

// A storm may begin and end between two looks at the metrics: what alerts ask for
// is there before it.
func TestDenialsAreShownFromTheStart(t *testing.T) {
	registry := prometheus.NewRegistry()
	NewSentry(SentryOptions{Listeners: []string{"nac", "ascii"}, Registerer: registry, Now: time.Now, Real: time.Now})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "meridian_denied_messages_total" && m.GetCounter().GetValue() == 0 {
				shown = append(shown, m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue())
			}
		}
	}
	slices.Sort(shown)
	if want := []string{"ascii mac", "ascii terminal_locked", "nac mac", "nac terminal_locked"}; !slices.Equal(shown, want) {
		t.Errorf("shown are %v, want %v", shown, want)
	}
}
