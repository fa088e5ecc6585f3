package host

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// linesPerSecond and lineBurst are what the log gets of one kind of line and
	// listener: enough to see what goes on, and no more than a disk takes however
	// much is sent.
	linesPerSecond = 1
	lineBurst      = 10
	// lineKinds bounds the table: listeners times kinds of lines.
	lineKinds = 1024
)

// lineKey is what lines are counted by.
type lineKey struct{ listener, message string }

// lines writes log lines about single messages, as many as the log takes; the next
// one that is written says how many were not.
type lines struct {
	log     *slog.Logger
	limiter *limiter[lineKey]

	mu         sync.Mutex
	suppressed map[lineKey]int // as large as the set of keys
}

func newLines(log *slog.Logger) *lines {
	return &lines{log: log, limiter: newLimiter[lineKey](Rate{linesPerSecond, lineBurst}, lineKinds), suppressed: map[lineKey]int{}}
}

// write a line about a message m, unless there were too many of its kind.
func (l *lines) write(level slog.Level, m *Message, text string, args ...any) {
	key := lineKey{m.Listener, text}
	if !l.limiter.take(key, time.Now()) {
		l.mu.Lock()
		l.suppressed[key]++
		l.mu.Unlock()
		return
	}
	l.mu.Lock()
	suppressed := l.suppressed[key]
	delete(l.suppressed, key)
	l.mu.Unlock()
	args = append(args, "listener", m.Listener, "remote", m.Remote.String(), "conn", m.Conn)
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	l.log.Log(context.Background(), level, text, args...) //nolint:sloglint // a constant of the caller's
}
