package switching

import (
	"log/slog"
	"time"
)

// behindInterval is between two lines that say the same of housekeeping: it is tried each
// second, and a database may be away for hours.
const behindInterval = time.Minute

// behindLines tells when housekeeping falls behind, why, and when it has caught up. It is
// used by one goroutine.
type behindLines struct {
	log *slog.Logger

	since      time.Time // of the first turn that failed, zero while none does
	turns      int       // that failed since then
	told       string    // the error of the last line
	toldAt     time.Time
	suppressed int // turns after it that said the same
}

// failed writes a line, unless it would say what the last one said less than behindInterval ago.
func (b *behindLines) failed(now time.Time, err error) {
	if b.turns == 0 {
		b.since = now
	}
	b.turns++
	if text := err.Error(); b.turns == 1 || text != b.told || now.Sub(b.toldAt) >= behindInterval {
		args := []any{"error", err}
		if b.suppressed > 0 {
			args = append(args, "suppressed", b.suppressed)
		}
		b.log.Warn("housekeeping is behind; trying again", args...)
		b.told, b.toldAt, b.suppressed = text, now, 0
		return
	}
	b.suppressed++
}

// done writes a line if the turn before failed.
func (b *behindLines) done(now time.Time) {
	if b.turns > 0 {
		b.log.Info("housekeeping has caught up", "failed_turns", b.turns, "seconds", now.Sub(b.since).Seconds())
	}
	*b = behindLines{log: b.log}
}
