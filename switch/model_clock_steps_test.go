package switching_test

import (
	"time"

	"pgregory.net/rapid"

	"meridian/switch/model"
)

// Steps of the property test in which time goes by.

// moveClock goes forward: to a cutoff, to the nanosecond, or by a while.
func (s *machine) moveClock(t *rapid.T) {
	now := s.m.Now
	switch draw(t, "clock", "cutoff", "cutoff", "while", "since", "holds") {
	case "cutoff":
		c := rapid.SampledFrom(s.m.Calendars).Draw(t, "calendar")
		date := c.DateAt(now) + model.Date(draw(t, "days", 0, 0, 1, 3, 29, 30, 31))
		now = c.CutoffOf(date).Add(draw[time.Duration](t, "beside", 0, -time.Nanosecond, time.Nanosecond, -time.Microsecond, time.Microsecond, time.Hour))
	case "while":
		now = now.Add(draw(t, "while", time.Second, time.Minute, 10*time.Minute, time.Hour, 24*time.Hour, 7*24*time.Hour, 40*24*time.Hour))
	case "since":
		if next := s.since(t); next.After(now) {
			now = next
		}
	case "holds":
		for i := range s.m.Transactions {
			if h := s.m.Transactions[i].Hold; h.State == model.HoldOpen && h.ExpiresAt.After(now) {
				now = h.ExpiresAt.Add(draw[time.Duration](t, "beside", 0, -time.Nanosecond, time.Nanosecond))
				break
			}
		}
	}
	s.goTo(t, now)
}

// goTo is as far as business days are made.
func (s *machine) goTo(t *rapid.T, now time.Time) {
	if now.After(s.last) || now.Before(s.begin) {
		return
	}
	s.setClock(now)
	t.Logf("clock %s", now.Format(time.RFC3339Nano))
}

// nextDay is after the next cutoff of a merchant.
func (s *machine) nextDay(t *rapid.T) {
	merchant, _ := s.terminal(t)
	c := s.m.Calendars[s.m.Merchants[merchant].Calendar]
	s.goTo(t, c.CutoffOf(c.DateAt(s.m.Now)).Add(draw(t, "after", time.Hour, 0, 10*time.Hour)))
}

// since is where something ends that began when a transaction was accepted.
func (s *machine) since(t *rapid.T) time.Time {
	if len(s.m.Transactions) == 0 {
		return s.m.Now
	}
	o := &s.m.Transactions[len(s.m.Transactions)-1-rapid.IntRange(0, min(len(s.m.Transactions)-1, 5)).Draw(t, "since")]
	// Repeats, a lockout, reversals; voids by policy.
	after := draw(t, "after", 15*time.Minute, 30*time.Minute, 24*time.Hour, s.m.Merchants[o.Merchant].Policy.VoidWindow)
	return o.AcceptedAt.Add(after + draw[time.Duration](t, "beside", 0, -time.Nanosecond, time.Nanosecond, time.Microsecond))
}

// turnBack is what only a sandbox's clock can do.
func (s *machine) turnBack(t *rapid.T) {
	s.goTo(t, s.m.Now.Add(-draw(t, "back", time.Hour, 24*time.Hour, 72*time.Hour)))
}

func (s *machine) expire(t *rapid.T) {
	s.expireHolds(s.host(t))
	t.Logf("holds expire")
}

// closeDates lets the job of the cutoff run, unless so much is due that it
// would take longer than the rest of the sequence.
func (s *machine) closeDates(t *rapid.T) {
	if one(t, 2, "one more") {
		s.nextDay(t)
	}
	due := 0
	for i, c := range s.m.Calendars {
		due += int(c.DateAt(s.m.Now) - s.m.Unsealed[i])
	}
	if due > 12 {
		return
	}
	s.twins.cutover(s.host(t))
	t.Logf("business dates before %v are closed", s.m.Unsealed)
}
