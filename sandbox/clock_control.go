package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// ClockPath is where a running sandbox's clock is read (GET) and moved (POST),
// on its ops address.
const ClockPath = "/sandbox/clock"

// ClockChange moves the clock: by a duration, to an instant, or into a state.
type ClockChange struct {
	Do       string        `json:"do"` // advance, set, freeze, real
	Duration time.Duration `json:"duration_ns,omitempty"`
	Instant  time.Time     `json:"instant,omitzero"`
}

// maxChangeBytes is far more than a change takes.
const maxChangeBytes = 4096

// clockControl serves the clock. After every change it does the work that time
// going by would have done: days, cutovers, expiries.
type clockControl struct {
	clock *Clock
	catch func(context.Context) error
}

func (c *clockControl) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if err := c.change(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := c.catch(r.Context()); err != nil {
			http.Error(w, "the clock was moved, but not all work of the time in between is done: "+err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c.clock.Read()) //nolint:errcheck // the peer went away
}

func (c *clockControl) change(r *http.Request) error {
	var change ClockChange
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxChangeBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(&change); err != nil {
		return fmt.Errorf("read the change: %w", err)
	}
	switch change.Do {
	case "advance":
		return c.clock.Advance(change.Duration)
	case "set":
		if y := change.Instant.Year(); y < 2000 || y > 2099 {
			return fmt.Errorf("the year %d is not between 2000 and 2099", y)
		}
		return c.clock.Set(change.Instant)
	case "freeze":
		return c.clock.Freeze()
	case "real":
		return c.clock.Real()
	default:
		return fmt.Errorf("%q is no change of a clock: advance, set, freeze, real", change.Do)
	}
}
