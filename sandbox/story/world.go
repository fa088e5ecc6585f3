package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/ledger"
	"meridian/switch"
)

// World is the sandbox that scenarios are played at.
type World struct {
	// DataDir has sandbox.json, where terminals find host, keys and cards; what
	// they remember stands there too.
	DataDir   string
	Terminals []Terminal
	// Pool reads the books, on connections that are not the host's.
	Pool *pgxpool.Pool
	// Clock reads the sandbox's clock or moves it, and does what is due by then.
	Clock func(ctx context.Context, move Move) (Reading, error)
}

// Terminal of the sandbox.
type Terminal struct {
	TID, MID, Dialect string
	// Stories is true of a merchant's terminals that stories are played on, so that
	// nobody's own terminal is in their way.
	Stories bool
}

// Reading is what the sandbox's clock shows.
type Reading struct {
	Now    time.Time
	Frozen bool
}

// Choice is who plays; what is empty the scenario says, or it is the first that fits.
type Choice struct{ Dialect, MID, TID string }

// ErrNobody: no terminal can play the scenario as it was asked for.
var ErrNobody = errors.New("no terminal plays that")

// cast finds the terminal that plays.
func (w *World) cast(s *Scenario, c Choice) (Terminal, error) {
	mid, tid := first(c.MID, string(s.Merchant)), first(c.TID, string(s.Terminal))
	if tid != "" {
		i := slices.IndexFunc(w.Terminals, func(t Terminal) bool { return t.TID == tid })
		switch {
		case i < 0:
			return Terminal{}, fmt.Errorf("%w: the sandbox has no terminal %s", ErrNobody, tid)
		case c.Dialect != "" && w.Terminals[i].Dialect != c.Dialect:
			return Terminal{}, fmt.Errorf("%w: terminal %s speaks %s, not %s", ErrNobody, tid, w.Terminals[i].Dialect, c.Dialect)
		case !s.Plays(w.Terminals[i].Dialect):
			return Terminal{}, fmt.Errorf("%w: %s is for %s, terminal %s speaks %s", ErrNobody, s.Name, strings.Join(s.Dialects, ", "), tid, w.Terminals[i].Dialect)
		}
		return w.Terminals[i], nil
	}
	dialect := first(c.Dialect, s.Dialects[0])
	if !s.Plays(dialect) {
		return Terminal{}, fmt.Errorf("%w: %s is for %s, not for %s", ErrNobody, s.Name, strings.Join(s.Dialects, ", "), dialect)
	}
	for _, t := range w.Terminals {
		if t.Stories && t.Dialect == dialect && (mid == "" || t.MID == mid) {
			return t, nil
		}
	}
	return Terminal{}, fmt.Errorf("%w: the sandbox has no %s terminal for stories of merchant %q", ErrNobody, dialect, mid)
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// NextCutoff is the end of the business date that takes a merchant's sales at the instant now.
func NextCutoff(ctx context.Context, db ledger.Querier, d *switching.Directory, mid string, now time.Time) (time.Time, error) {
	m := d.Merchant(mid)
	if m == nil {
		return time.Time{}, fmt.Errorf("the sandbox has no merchant %s", mid)
	}
	for _, calendar := range d.Calendars() {
		if calendar.ID != m.CalendarID {
			continue
		}
		next, err := ledger.NextCutoffs(ctx, db, calendar, now, 1)
		if err != nil {
			return time.Time{}, fmt.Errorf("next cutoff of merchant %s: %w", mid, err)
		}
		if len(next) == 1 {
			return next[0].ClosesAt, nil
		}
	}
	return time.Time{}, fmt.Errorf("merchant %s has no cutoff after %s", mid, now.UTC().Format(time.RFC3339))
}
