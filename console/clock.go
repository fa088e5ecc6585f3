package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"meridian/ledger"
)

// MovableClock is a business clock that people may move. Each change does the work
// that time going by would have done, cutovers among it, before it returns. An
// error of a change is told to the person as it is.
type MovableClock interface {
	Read() ClockReading
	Advance(ctx context.Context, d time.Duration) error
	Set(ctx context.Context, t time.Time) error
	Freeze(ctx context.Context) error
	Real(ctx context.Context) error
}

// ClockReading is what a movable clock shows.
type ClockReading struct {
	Now, Real time.Time
	Frozen    bool
}

const (
	// clockTimeout bounds the work of one change: 400 dates of every calendar take a
	// minute or two.
	clockTimeout = 5 * time.Minute
	// justBefore leaves time to send something by hand before the cutoff comes.
	justBefore = time.Minute
	// justAfter is past it.
	justAfter = time.Second
	// cutoffsOffered to go to, of all calendars together.
	cutoffsOffered = 6
	// passedShown of the cutoffs that a change went past.
	passedShown = 20
)

// clockBody is the clock, and where it can go.
type clockBody struct {
	ClockReading

	Stands  string // against the real time
	Zones   []zoneBody
	Offered []offeredCutoff
	CanAct  bool
	// Was is what the clock showed before the change that led here.
	Was    time.Time
	Passed []ledger.PassedCutoff
	More   int // cutoffs that were passed besides
}

// zoneBody is the wall clock of calendars.
type zoneBody struct {
	Zone      string
	Local     time.Time
	Calendars []string
}

// offeredCutoff is a cutoff that the clock can be moved to.
type offeredCutoff struct {
	ledger.Cutoff

	In            string
	Before, After time.Time
}

func (c *Console) clockPage(r *http.Request) (*view, error) {
	ctx := r.Context()
	body := &clockBody{ClockReading: c.o.MovableClock.Read(), CanAct: personOf(r).CanAct()}
	body.Stands = standing(body.ClockReading)
	for _, calendar := range c.o.Directory().Calendars() {
		i := slices.IndexFunc(body.Zones, func(z zoneBody) bool { return z.Zone == calendar.Zone.String() })
		if i < 0 {
			i = len(body.Zones)
			body.Zones = append(body.Zones, zoneBody{Zone: calendar.Zone.String(), Local: body.Now.In(calendar.Zone)})
		}
		body.Zones[i].Calendars = append(body.Zones[i].Calendars, calendar.Name)
		next, err := ledger.NextCutoffs(ctx, c.o.Pool, calendar, body.Now, 2)
		if err != nil {
			return nil, err
		}
		for _, cutoff := range next {
			body.Offered = append(body.Offered, offeredCutoff{
				Cutoff: cutoff, In: span(cutoff.ClosesAt.Sub(body.Now)),
				Before: cutoff.ClosesAt.Add(-justBefore).UTC(), After: cutoff.ClosesAt.Add(justAfter).UTC(),
			})
		}
	}
	slices.SortStableFunc(body.Offered, func(a, b offeredCutoff) int { return a.ClosesAt.Compare(b.ClosesAt) })
	body.Offered = body.Offered[:min(len(body.Offered), cutoffsOffered)]
	if was, err := time.Parse(time.RFC3339Nano, param(r, "was")); err == nil {
		body.Was = was
		passed, err := ledger.PassedCutoffs(ctx, c.o.Pool, was, body.Now)
		if err != nil {
			return nil, err
		}
		if body.Passed = passed; len(passed) > passedShown {
			body.Passed, body.More = passed[:passedShown], len(passed)-passedShown
		}
	}
	return &view{template: "clock.html", title: "Clock", section: "clock", body: body}, nil
}

// standing says how a clock stands to the real one.
func standing(r ClockReading) string {
	ahead := r.Now.Sub(r.Real).Round(time.Second)
	switch {
	case r.Frozen:
		return "It stands still."
	case ahead > 0:
		return "It is " + span(ahead) + " ahead of the real time."
	case ahead < 0:
		return "It is " + span(-ahead) + " behind the real time."
	default:
		return "It is the real time."
	}
}

// moveClock makes one change. Its row in the audit log comes first: a clock that
// was moved without one would have moved money that nobody can explain.
func (c *Console) moveClock(r *http.Request, who, why string) (string, error) {
	clock := c.o.MovableClock
	was := clock.Read().Now
	what, change, err := clockChange(clock, r)
	if err != nil {
		return "", err
	}
	err = c.record(r.Context(), "clock_moved", "clock",
		fmt.Sprintf("%s from %s, by %s: %s", what, was.UTC().Format(time.RFC3339), who, why))
	if err != nil {
		return "", err
	}
	// Who leaves the page does not stop the work of the time in between.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), clockTimeout)
	defer cancel()
	if err := change(ctx); err != nil {
		c.log.Warn("cannot move the clock", "change", what, "error", err)
		return "", &pageError{http.StatusConflict, "The clock was not moved as asked", capital(err.Error()) + "."}
	}
	return "/clock?" + url.Values{"was": {was.UTC().Format(time.RFC3339Nano)}}.Encode(), nil
}

// maxClockHours is more than a year: how far a change may go is the clock's to say.
const maxClockHours = 24 * 400

// clockChange reads the change that a form asks for: "advance 1" (hours), "to" an
// instant, "set" to what was typed, "freeze" or "real".
func clockChange(clock MovableClock, r *http.Request) (what string, change func(context.Context) error, err error) {
	do, argument, _ := strings.Cut(r.PostFormValue("do"), " ")
	set := func(to time.Time) (string, func(context.Context) error, error) {
		return "set to " + to.UTC().Format(time.RFC3339), func(ctx context.Context) error { return clock.Set(ctx, to) }, nil
	}
	switch do {
	case "advance":
		hours, err := strconv.Atoi(argument)
		if err != nil || hours < -maxClockHours || hours > maxClockHours {
			return "", nil, badRequest("“" + truncate(argument) + "” is no number of hours.")
		}
		d := time.Duration(hours) * time.Hour
		return "advanced by " + d.String(), func(ctx context.Context) error { return clock.Advance(ctx, d) }, nil
	case "to":
		to, err := time.Parse(time.RFC3339Nano, argument)
		if err != nil {
			return "", nil, badRequest("“" + truncate(argument) + "” is no instant.")
		}
		return set(to)
	case "set":
		to, err := parseInstant(r.PostFormValue("instant"))
		if err != nil {
			return "", nil, err
		}
		return set(to)
	case "freeze":
		return "stopped", clock.Freeze, nil
	case "real":
		return "set back to the real time", clock.Real, nil
	default:
		return "", nil, badRequest("A clock is advanced, set, frozen, or set back to the real time.")
	}
}

// parseInstant reads what somebody typed: UTC unless it says otherwise.
func parseInstant(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, badRequest("“" + truncate(text) + "” is no instant, such as 2026-03-29 01:59:59 (UTC).")
}
