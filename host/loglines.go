package host

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// lineKinds bounds the table: listeners times kinds of lines.
	lineKinds = 1024
)

// messageLines are what the log gets of one kind of line and listener: enough to see
// what goes on, and no more than a disk takes however much is sent.
var messageLines = Rate{PerSecond: 1, Burst: 10}

// Of connections that end the log gets more, because each is a line in ordinary times, too:
// a fleet that connects for every transaction has some hundred a second.
const (
	closingsPerSecond = 100
	closingBurst      = 1000
)

// lineKey is what lines are counted by.
type lineKey struct{ listener, message string }

// lines writes log lines about single messages or connections, as many as the log takes; the
// next one that is written says how many were not.
type lines struct {
	log     *slog.Logger
	limiter *limiter[lineKey]

	mu         sync.Mutex
	suppressed map[lineKey]int // as large as the set of keys
}

func newLines(log *slog.Logger, each Rate) *lines {
	return &lines{log: log, limiter: newLimiter[lineKey](each, lineKinds), suppressed: map[lineKey]int{}}
}

// write a line about a message m, unless there were too many of its kind.
func (l *lines) write(level slog.Level, m *Message, text string, args ...any) {
	suppressed, ok := l.take(lineKey{m.Listener, text})
	if !ok {
		return
	}
	args = append(args, "listener", m.Listener, "remote", m.Remote.String(), "conn", m.Conn)
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	l.log.Log(context.Background(), level, text, args...) //nolint:sloglint // a constant of the caller's
}

// take reports whether a line of the kind is to be written, and how many were not since the
// last one that was.
func (l *lines) take(key lineKey) (suppressed int, ok bool) {
	ok = l.limiter.take(key, time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok {
		l.suppressed[key]++
		return 0, false
	}
	suppressed = l.suppressed[key]
	delete(l.suppressed, key)
	return suppressed, true
}
