package switching

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// lineInterval is between two lines of one kind about single requests. One a second
// shows what goes on; a terminal that repeats what fails, or a fleet beside a database
// that is away, would else write as fast as it can send.
const lineInterval = time.Second

// requestLines writes log lines about single requests, one of a kind in each
// lineInterval; the next one that is written says how many were not.
type requestLines struct {
	log *slog.Logger
	now func() time.Time // the machine's clock: a business clock may stand still

	mu    sync.Mutex
	kinds map[string]lineKind // by their texts, which are constants
}

type lineKind struct {
	last       time.Time
	suppressed int
}

func newRequestLines(log *slog.Logger, now func() time.Time) *requestLines {
	return &requestLines{log: log, now: now, kinds: map[string]lineKind{}}
}

// write a line, unless there was one of its kind a moment before.
func (l *requestLines) write(level slog.Level, text string, args ...any) {
	suppressed, ok := l.take(text)
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	l.log.Log(context.Background(), level, text, args...) //nolint:sloglint // a constant of the caller's
}

func (l *requestLines) take(text string) (suppressed int, ok bool) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	kind, known := l.kinds[text]
	if since := now.Sub(kind.last); known && since >= 0 && since < lineInterval {
		kind.suppressed++
		l.kinds[text] = kind
		return 0, false
	}
	l.kinds[text] = lineKind{last: now}
	return kind.suppressed, true
}
