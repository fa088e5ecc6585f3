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
