package switching

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A database that is away for hours is told of at once, once a minute while it lasts, and once when it is back.
func TestLinesOfHousekeepingThatIsBehind(t *testing.T) {
	var out bytes.Buffer
	lines := behindLines{log: slog.New(slog.NewTextHandler(&out, nil))}
	now := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	away := errors.New("read reference data: away")
	wrote := func(count int, parts ...string) {
		t.Helper()
		got := out.String()
		if strings.Count(got, "\n") != count {
			t.Errorf("want %d lines, got\n%s", count, got)
		}
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("want %s, got\n%s", part, got)
			}
		}
		out.Reset()
	}
	fail := func(err error) {
		lines.failed(now, err)
		now = now.Add(time.Second)
	}

	lines.done(now)
	wrote(0)
	fail(away)
	wrote(1, "housekeeping is behind", "read reference data: away")
	for range 59 {
		fail(away)
	}
	wrote(0)
	fail(away)
	wrote(1, "away", "suppressed=59")
	fail(errors.New("close business dates: not balanced"))
	wrote(1, "not balanced")
	fail(away)
	wrote(1, "away")
	lines.done(now)
	wrote(1, "housekeeping has caught up", "failed_turns=63", "seconds=63")
	lines.done(now)
	wrote(0)
	fail(away)
	wrote(1, "away")
}
