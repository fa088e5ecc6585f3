package switching

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// However many requests fail, the log gets one line of a kind in a second, and the
// next one counts the others.
func TestRequestLinesAreBounded(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	lines := newRequestLines(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	for range 1000 {
		lines.write(slog.LevelWarn, "cannot sign an operator on", "tid", "10000001")
		lines.write(slog.LevelWarn, "cannot begin or end a session", "tid", "10000001")
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Fatalf("%d lines, want 2:\n%s", n, out.String())
	}
	out.Reset()
	now = now.Add(lineInterval)
	for range 1000 {
		lines.write(slog.LevelWarn, "cannot sign an operator on", "tid", "10000001")
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "suppressed=999") {
		t.Errorf("got %s", got)
	}
}
