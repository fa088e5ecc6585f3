package switching_test

import (
	"errors"
	"testing"
	"time"

	"meridian/switch"
)

// A fleet is larger than one listing: what is looked for is found wherever it is, and a
// listing goes on where the last one ended.
func TestTerminalsBeyondOneListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const more = switching.TerminalsListed + 500
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) SELECT 100 + n, (30000000 + n)::text, 2, 'nac' FROM generate_series(1, $1::int) n`, more)
	w.sql(`INSERT INTO terminal_locks (bucket, terminal_id, locked_at, locked_until, failures)
		SELECT 0, 100 + n, $1::timestamptz - interval '1 minute', $1::timestamptz + n * interval '1 minute', 10 FROM (VALUES (0), ($2::int)) AS n(n)`,
		w.clock.Now(), more)
	list := func(f switching.TerminalFilter) (tids []string) {
		t.Helper()
		states, err := switching.TerminalStates(t.Context(), w.pool, f)
		w.must(err)
		for _, one := range states {
			tids = append(tids, one.TID)
		}
		return tids
	}
	want := func(what string, got []string, n int, first, last string) {
		t.Helper()
		if len(got) != n || n > 0 && (got[0] != first || got[n-1] != last) {
			t.Errorf("%s: %d terminals, want %d from %s to %s", what, len(got), n, first, last)
			if len(got) > 0 {
				t.Errorf("from %s to %s", got[0], got[len(got)-1])
			}
		}
	}
	now, later := w.clock.Now(), w.clock.Now().Add(365*24*time.Hour)
	whole := list(switching.TerminalFilter{})
	want("the first listing", whole, switching.TerminalsListed, till, "30009997")
	want("the next", list(switching.TerminalFilter{After: whole[len(whole)-1]}), 503, "30009998", "30010500")
	want("further back", list(switching.TerminalFilter{Offset: 10_000, Limit: 3}), 3, "30009998", "30010000")
	want("by what they begin with", list(switching.TerminalFilter{Prefix: "300105"}), 1, "30010500", "30010500")
	want("of a merchant", list(switching.TerminalFilter{MID: shop, Limit: 50}), 2, till, till2)
	want("locked", list(switching.TerminalFilter{LockedAt: &now}), 1, "30010500", "30010500")
	want("locked no longer", list(switching.TerminalFilter{LockedAt: &later}), 0, "", "")
	if _, err := switching.TerminalStates(t.Context(), w.pool, switching.TerminalFilter{MID: "nobody"}); !errors.Is(err, switching.ErrNoMerchant) {
		t.Errorf("terminals of nobody: %v", err)
	}
}
