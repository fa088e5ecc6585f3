package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"sync"
	"time"

	"meridian/internal/card"
)

// ClockPath is where a running sandbox's clock is read (GET) and moved (POST),
// on its ops address.
const ClockPath = "/sandbox/clock"

// ClockChange moves the clock: by a duration, to an instant, to a cutoff, or into a state.
type ClockChange struct {
	Do       string        `json:"do"` // advance, set, before-cutoff, after-cutoff, freeze, real
	Duration time.Duration `json:"duration_ns,omitempty"`
	Instant  time.Time     `json:"instant,omitzero"`
	// MID is the merchant whose next cutoff is meant; empty for the first one.
	MID string `json:"mid,omitempty"`
	// By is who moves it, for the audit log.
	By string `json:"by,omitempty"`
}

const (
	// beforeCutoff leaves time to send something by hand before the cutoff comes.
	beforeCutoff = time.Minute
	// afterCutoff is past it, also for who reads seconds.
	afterCutoff = time.Second
)

// maxChangeBytes is far more than a change takes.
const maxChangeBytes = 4096

// Years that a clock can show: those that an RRN and a card's expiry tell apart.
const (
	firstYear = 2000
	lastYear  = 2099
)

// maxLeap bounds how far one change goes forward: every business date that it skips is made, cut and
// settled before it is answered.
const maxLeap = 400 * 24 * time.Hour

// clockControl serves the clock. After every change it does the work that time
// going by would have done: days, cutovers, expiries.
type clockControl struct {
	clock *Clock
	catch func(context.Context) error
	// cutoff is the next one of a merchant.
	cutoff func(ctx context.Context, mid string) (time.Time, error)
	// record writes a move to the audit log.
	record func(ctx context.Context, detail string) error

	// changing: one change and its work end before the next one begins.
	changing sync.Mutex
}

// refusedChangeError is a change that was not made.
type refusedChangeError struct{ error }

func (e refusedChangeError) Unwrap() error { return e.error }

// read is what the clock shows.
func (c *clockControl) read() ClockReading { return c.clock.Read() }

// change moves the clock and does the work of the time in between. With record, the move's
// row in the audit log comes first: one without it would have moved money that nobody can
// explain. Who has a record of its own gives none. Errors: a refusedChangeError, with which
// nothing was moved; others are of the row and of the work.
func (c *clockControl) change(ctx context.Context, change ClockChange, record func(ctx context.Context, detail string) error) (ClockReading, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	was := c.clock.Read().Now
	what, move, err := c.plan(ctx, change)
	if err != nil {
		return ClockReading{}, refusedChangeError{err}
	}
	if move != nil {
		if record != nil {
			by := cmp.Or(card.HideTyped(change.By, nil), "a program at the ops address")
			if err := record(ctx, fmt.Sprintf("%s from %s, by %s: meridian clock", what, was.Format(time.RFC3339), by)); err != nil {
				return ClockReading{}, fmt.Errorf("the clock was not moved: %w", err)
			}
		}
		if err := move(); err != nil {
			return ClockReading{}, refusedChangeError{err}
		}
	}
	if err := c.catch(ctx); err != nil {
		return ClockReading{}, fmt.Errorf("the clock was moved, but not all work of the time in between is done: %w", err)
	}
	reading := c.clock.Read()
	reading.Was = was
	return reading, nil
}

func (c *clockControl) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reading := c.read()
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		var change ClockChange
		err := decodeChange(r, &change)
		if err == nil {
			reading, err = c.change(r.Context(), change, c.record)
		} else {
			err = refusedChangeError{err}
		}
		if _, refused := errors.AsType[refusedChangeError](err); refused {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "the clock is read (GET) and changed (POST)", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reading) //nolint:errchkjson // the peer went away; these instants have years
}

// plan says what a change does, and how; a nil move is that the clock stands there already.
func (c *clockControl) plan(ctx context.Context, change ClockChange) (what string, move func() error, err error) {
	switch change.Do {
	case "advance":
		return "advanced by " + change.Duration.String(), func() error { return c.clock.Advance(change.Duration) },
			c.reachable(c.clock.Now().Add(change.Duration))
	case "set":
		return c.set(change.Instant)
	case "before-cutoff", "after-cutoff":
		cutoff, err := c.cutoff(ctx, change.MID)
		if err != nil {
			return "", nil, err
		}
		if change.Do == "after-cutoff" {
			return c.set(cutoff.Add(afterCutoff))
		}
		if before := cutoff.Add(-beforeCutoff); before.After(c.clock.Now()) {
			return c.set(before)
		}
		return "", nil, nil // it is just before the cutoff already
	case "freeze":
		return "stopped", c.clock.Freeze, nil
	case "real":
		return "set back to the real time", c.clock.Real, nil
	default:
		return "", nil, fmt.Errorf("%q is no change of a clock: advance, set, before-cutoff, after-cutoff, freeze, real", change.Do)
	}
}

func (c *clockControl) set(to time.Time) (what string, move func() error, err error) {
	return "set to " + to.UTC().Format(time.RFC3339), func() error { return c.clock.Set(to) }, c.reachable(to)
}

// decodeChange reads a change of what a sandbox has and a production host has not.
func decodeChange(r *http.Request, change any) error {
	// A web page that somebody looks at on this machine: it cannot send the type below to another origin, but under a
	// name of its own that leads here this is none. Of a change, browsers say where it comes from.
	if origin := r.Header.Get("Origin"); origin != "" {
		return fmt.Errorf("a change comes from a program, not from a page of %.100q", origin)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the content type of a change is application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxChangeBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(change); err != nil {
		return fmt.Errorf("read the change: %w", err)
	}
	return nil
}

// reachable tells whether one change may go to an instant.
func (c *clockControl) reachable(to time.Time) error {
	if y := to.UTC().Year(); y < firstYear || y > lastYear {
		return fmt.Errorf("the year %d is not between %d and %d", y, firstYear, lastYear)
	}
	if from := c.clock.Now(); to.Sub(from) > maxLeap {
		return fmt.Errorf("from %s to %s is too far for one change: go %d days at most",
			from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), maxLeap/(24*time.Hour))
	}
	return nil
}
