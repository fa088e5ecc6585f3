package host

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

// A flood of messages is not one of log lines, and it is told how many are missing.
func TestLinesAreLimited(t *testing.T) {
	var text bytes.Buffer
	l := newLines(slog.New(slog.NewTextHandler(&text, nil)), messageLines)
	m := &Message{Listener: "nac", Remote: netip.MustParseAddrPort("192.0.2.7:4000"), Conn: 3}
	for range 5000 {
		l.write(slog.LevelWarn, m, "message refused", "field", 4)
	}
	// A second or two may pass on a busy machine.
	if n := strings.Count(text.String(), "message refused"); n < messageLines.Burst || n > 2*messageLines.Burst {
		t.Errorf("%d lines", n)
	}
	if line, _, _ := strings.Cut(text.String(), "\n"); !strings.Contains(line, `msg="message refused" field=4 listener=nac remote=192.0.2.7:4000 conn=3`) {
		t.Errorf("told as %s", line)
	}
	text.Reset()
	l.limiter = newLimiter[lineKey](messageLines, lineKinds) // time has passed
	l.write(slog.LevelWarn, m, "message refused")
	if !strings.Contains(text.String(), "suppressed=") {
		t.Errorf("told as %s", text.String())
	}
	for _, other := range []*Message{{Listener: "ascii"}, {Listener: "unionpay"}} {
		text.Reset()
		l.write(slog.LevelWarn, other, "message refused")
		l.write(slog.LevelError, m, "keys cannot be read")
		if n := strings.Count(text.String(), "\n"); n != 2 {
			t.Errorf("another kind of line is held back: %s", text.String())
		}
	}
}
