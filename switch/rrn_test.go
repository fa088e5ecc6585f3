package switching_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/switch"
)

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A day's RRNs have eight digits. When they are used up nothing is approved, the
// log says why, and the next day begins anew.
func TestRRNsOfADayAreUsedUp(t *testing.T) {
	log := &logged{}
	w := newWorldWith(t, switching.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	w.sql(`INSERT INTO rrn_days (rrn_day, year, next) VALUES (6069, 2026, 99999500)`)
	w.do(switching.SystemMalfunction, w.request(switching.KindSale, 100))
	w.clock.advance(24 * time.Hour)
	if r := w.do(switching.Approved, w.request(switching.KindSale, 100)); r.RRN != 607000000000 {
		t.Errorf("RRN %d", r.RRN)
	}
	if text := log.String(); !strings.Contains(text, "the day's RRNs are used up") {
		t.Errorf("the log says\n%s", text)
	}
}

// A busy lane takes more RRNs at a time; of the last that a day has it takes what there is,
// and each is given once.
func TestRRNBlocksGrow(t *testing.T) {
	w := newWorld(t)
	next := func() (n int64) {
		w.must(w.pool.QueryRow(t.Context(), `SELECT coalesce(max(next), 0) FROM rrn_days WHERE rrn_day = 6069`).Scan(&n))
		return n
	}
	given := map[int64]bool{}
	sell := func(n int) {
		t.Helper()
		var waiting sync.WaitGroup
		var mu sync.Mutex
		underWay := make(chan struct{}, 50)
		for range n {
			waiting.Add(1)
			underWay <- struct{}{}
			w.sw.Submit(w.request(switching.KindSale, 1), func(r switching.Response) {
				defer waiting.Done()
				<-underWay
				mu.Lock()
				defer mu.Unlock()
				if !r.Approved() || given[r.RRN] {
					t.Errorf("RRN %d: %s", r.RRN, r.Reason)
				}
				given[r.RRN] = true
			})
		}
		waiting.Wait()
	}
	taken := int64(0)
	for _, block := range []int64{1000, 2000, 4000} {
		for next() == taken {
			sell(100)
		}
		if taken += block; next() != taken {
			t.Fatalf("%d RRNs are taken after %d sales, want %d", next(), len(given), taken)
		}
	}
	w.sql(`UPDATE rrn_days SET next = 100000000 - 1500 WHERE rrn_day = 6069`)
	for next() == 100000000-1500 {
		sell(100)
	}
	if n := next(); n != 100000000-500 {
		t.Errorf("%d RRNs are taken", n)
	}
}
