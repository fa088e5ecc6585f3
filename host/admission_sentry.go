package host

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/switch"
)

// Sentry is the [Guard] of a host: it holds terminals and addresses to their
// limits, locks terminals with wrong MACs, and keeps what it refuses in the audit
// log.
//
//	Allow ─▶ address within its limit? known, or within the refusals? not locked?
//	Verified ─▶ terminal within its limit?        MACFailed ─▶ counted, perhaps locked
//
// Its memory is bounded whatever is sent: tables of fixed size for addresses and
// sums, and the rest by the terminals that there are.
type Sentry struct {
	o       SentryOptions
	limits  AdmissionLimits
	metrics *sentryMetrics

	terminals *limiter[terminalKey]
	settling  *limiter[int32] // by terminal
	addresses *limiter[netip.Prefix]
	refusals  *limiter[refusalKey]
	total     *limiter[struct{}]
	failures  failures
	locks     locks
	sums      sums
	lines     *sampler[string] // of the log
}

// SentryOptions of a sentry. All but Limits and Listeners are required.
type SentryOptions struct {
	Limits AdmissionLimits
	// Listeners are those whose metrics are there from the start.
	Listeners []string
	Recorder  Recorder
	Locks     LockStore
	Logger    *slog.Logger
	// Registerer of its metrics; nil registers none.
	Registerer prometheus.Registerer
	// Now is the business clock: of audit rows and locks.
	Now func() time.Time
	// Real is the clock of rates, which no sandbox stops.
	Real func() time.Time
}

// refusalKey is who is refused: a terminal that is known, else an address.
type refusalKey struct {
	terminal int32
	address  netip.Prefix
}

// terminalKey is what a terminal's limit is charged to. Messages whose MAC was right
// are apart from those that need none, which anybody can send in its name.
type terminalKey struct {
	terminal int32
	sealed   bool
}

// NewSentry makes a sentry; [Sentry.Run] has to run beside it.
func NewSentry(o SentryOptions) *Sentry {
	s := &Sentry{o: o, limits: o.Limits.withDefaults(), metrics: newSentryMetrics(o.Registerer, o.Listeners)}
	s.terminals = newLimiter[terminalKey](s.limits.PerTerminal, limiterEntries)
	s.settling = newLimiter[int32](s.limits.Settlements, limiterEntries)
	s.addresses = newLimiter[netip.Prefix](s.limits.PerAddress, limiterEntries)
	s.refusals = newLimiter[refusalKey](s.limits.Refusals, limiterEntries)
	s.total = newLimiter[struct{}](s.limits.RefusalsTotal, 1)
	s.locks.wake = make(chan struct{}, 1)
	s.lines = newSampler[string](refusalLogInterval)
	return s
}

// keyOf says in whose name an attempt is refused. Nothing vouches for a
// terminal's name before its MAC was right, but a flood in its name is one flood.
func keyOf(a *Attempt) refusalKey {
	if a.Terminal != nil {
		return refusalKey{terminal: a.Terminal.ID}
	}
	return refusalKey{address: addressKey(a.Remote)}
}

// Allow holds the address to its limit, unknown terminals to few answers, and
// locked ones to a refusal.
func (s *Sentry) Allow(a Attempt) Verdict {
	if !s.limits.concentrates(a.Remote) && !s.addresses.take(addressKey(a.Remote), s.o.Real()) {
		s.sum(&a, "address_limit")
		if a.Terminal == nil {
			return Drop
		}
		return Busy
	}
	if a.Terminal == nil {
		if !s.mayRefuse(&a) {
			s.sum(&a, switching.UnknownTerminal.String())
			return Drop
		}
		return Pass // the switch refuses it, by its rules
	}
	if s.locks.holds(a.Terminal.ID, s.o.Now()) {
		if !s.mayRefuse(&a) {
			s.sum(&a, switching.TerminalLocked.String())
			return Drop
		}
		return Locked
	}
	return Pass
}

// mayRefuse reports whether one more refusal may be told and written down.
func (s *Sentry) mayRefuse(a *Attempt) bool {
	now := s.o.Real()
	return s.refusals.take(keyOf(a), now) && s.total.take(struct{}{}, now)
}

// Verified forgets wrong MACs after a right one, and holds the terminal to its limit.
func (s *Sentry) Verified(a Attempt, mac bool) Verdict {
	if a.Terminal == nil {
		return Pass
	}
	if mac {
		s.failures.clear(a.Terminal.ID)
	}
	if !s.limits.concentrates(a.Remote) && !s.terminals.take(terminalKey{a.Terminal.ID, mac}, s.o.Real()) {
		s.sum(&a, "terminal_limit")
		return Busy
	}
	// Wherever it comes from: a concentrator's address makes no terminal settle more often.
	if strings.HasPrefix(a.MTI, "05") && !s.settling.take(a.Terminal.ID, s.o.Real()) {
		s.sum(&a, "settlement_limit")
		return Busy
	}
	return Pass
}

// MACFailed writes the attempt down, and locks the terminal after too many.
func (s *Sentry) MACFailed(a Attempt, missing bool, done func()) {
	problem := "wrong"
	if missing {
		problem = "missing"
	}
	if a.Terminal != nil {
		s.countFailure(&a)
	}
	s.metrics.denied(&a, deniedMAC)
	if !s.mayRefuse(&a) {
		s.sums.add(sumKey{"mac_failure", subjectOf(&a)})
		done()
		return
	}
	s.record("mac_failure", &a, fmt.Sprintf("MAC %s in %s from %s", problem, a.MTI, a.Remote), done)
}

// countFailure locks a terminal whose last MACs were wrong too often.
func (s *Sentry) countFailure(a *Attempt) {
	now := s.o.Now()
	n, since := s.failures.add(a.Terminal.ID, now, &s.limits)
	if n == 0 {
		return
	}
	s.metrics.locked.Inc()
	s.o.Logger.Warn("terminal locked after wrong MACs", "tid", a.Terminal.TID, "failures", n, "for", s.limits.LockFor.String())
	s.locks.add(switching.TerminalLock{
		TerminalID: a.Terminal.ID, TID: a.Terminal.TID, Failures: n, At: now, Until: now.Add(s.limits.LockFor),
		Detail: fmt.Sprintf("%d wrong MACs in a row within %s, the last from %s: locked until %s",
			n, now.Sub(since).Round(time.Second), a.Remote, now.Add(s.limits.LockFor).UTC().Format("2006-01-02 15:04:05Z")),
	})
}

// Denied writes down why the sender was not let in. What a terminal that was let
// in asked in vain is in its transactions.
func (s *Sentry) Denied(a Attempt, reason switching.Reason, done func()) {
	switch reason {
	case switching.UnknownTerminal, switching.UnknownMerchant, switching.TerminalNotOfMerchant,
		switching.TerminalInactive, switching.SecurityViolation, switching.TerminalLocked:
	default: // RateLimited is in the sums
		done()
		return
	}
	// What Allow let through to be refused was charged there.
	charged := a.Terminal == nil || reason == switching.TerminalLocked
	if !charged && !s.mayRefuse(&a) {
		s.sum(&a, reason.String())
		done()
		return
	}
	s.metrics.denied(&a, reason.String())
	s.record("denied_"+reason.String(), &a, fmt.Sprintf("%s on %s from %s", a.MTI, a.Listener, a.Remote), done)
}

// sum counts an attempt that gets no row of its own.
func (s *Sentry) sum(a *Attempt, reason string) {
	s.metrics.denied(a, reason)
	s.sums.add(sumKey{"denied_" + reason, subjectOf(a)})
}

func (s *Sentry) record(kind string, a *Attempt, detail string, done func()) {
	subject := subjectOf(a)
	if a.Terminal == nil && a.TID != "" {
		detail = "terminal " + strconv.Quote(a.TID) + ": " + detail
	}
	s.o.Recorder.Record(switching.AuditEntry{At: s.o.Now(), Kind: kind, Subject: subject, Detail: detail}, done)
}

// subjectOf an attempt: the terminal if it is known, else where it came from.
func subjectOf(a *Attempt) string {
	if a.Terminal != nil {
		return "terminal " + a.Terminal.TID
	}
	return "address " + a.Remote.String()
}

const (
	// lockPoll is how soon a lock or its end by a person holds on all hosts.
	lockPoll = time.Second
	// lockTimeout bounds one look; the locks that are known hold meanwhile.
	lockTimeout = 5 * time.Second
	// sumEvery is how often the sums are written.
	sumEvery = time.Minute
)

// ReadLocks makes the locks that hold known; before it none is. Run does it all
// the time.
func (s *Sentry) ReadLocks(ctx context.Context) { s.syncLocks(ctx) }

// Run keeps the locks in step with the store and writes the sums, until ctx ends;
// then it writes what is left.
func (s *Sentry) Run(ctx context.Context) {
	poll, summing := time.NewTicker(lockPoll), time.NewTicker(sumEvery)
	defer poll.Stop()
	defer summing.Stop()
	for {
		s.syncLocks(ctx)
		select {
		case <-ctx.Done():
			s.syncLocks(context.WithoutCancel(ctx))
			s.writeSums()
			return
		case <-summing.C:
			s.writeSums()
		case <-poll.C:
		case <-s.locks.wake:
		}
	}
}

// writeSums hands what was only counted to the audit log.
func (s *Sentry) writeSums() {
	for key, n := range s.sums.take() {
		s.o.Recorder.Record(switching.AuditEntry{
			At: s.o.Now(), Kind: key.kind, Subject: key.subject, Detail: fmt.Sprintf("%d more messages within a minute", n),
		}, func() {})
	}
}
