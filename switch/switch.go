package switching

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/internal/card"
	"meridian/internal/hsm"
	"meridian/internal/postgres"
	"meridian/ledger"
)

// Options of a switch. Zero values take the defaults beside them.
type Options struct {
	// Pool is for everything but units of work; and for those too, without a
	// LanePool of their own.
	Pool     *pgxpool.Pool
	LanePool *pgxpool.Pool
	Logger   *slog.Logger
	// Now is the business clock: it decides business dates and expiries. The
	// sandbox can move it; deadlines run on the monotonic clock instead.
	Now        func() time.Time
	Registerer prometheus.Registerer
	// Module has the keys; without one no terminal has a MAC, a session or a PIN.
	Module hsm.Module
	// FixedWorkingKeys hands out keys that everybody knows in place of drawn ones:
	// for sandboxes.
	FixedWorkingKeys func(ctx context.Context, tid string, use hsm.Use, algorithm hsm.Algorithm) (hsm.Key, error)

	// Lanes that work side by side: as many as processors, and at least two, so
	// that one works while another's commit is under way. More of them make
	// smaller units, and every unit has its price. There are never more than
	// buckets.
	Lanes int
	// MaxBatch requests in a unit: 256. Beyond it a commit is no cheaper per
	// request, and the first one waits longer.
	MaxBatch int
	// Queue bounds what waits in one lane: 4096, a few seconds of work.
	Queue int
	// StoreTimeout: a request that waited longer is not approved. 3 s.
	StoreTimeout time.Duration
	// AnswerTimeout: even a request whose commit is unknown is answered by
	// then. 6 s, well below a terminal's patience.
	AnswerTimeout time.Duration
	// RetryPause is the longest pause between two tries of a unit: 250 ms, so
	// that a database that is back is noticed at once.
	RetryPause time.Duration
	// VerifyEvery is how often the ledger is verified beside the traffic: 10 min;
	// negative for never, where another switch on the same database does it.
	// It reads everything, so it never takes more than a twentieth of the time.
	VerifyEvery time.Duration
	// CardsKept is how many cards, at least, are kept as they were last seen, so as
	// not to be read for each request; twice as many at most: 131,072, some 300 bytes each.
	CardsKept int
	// Refresh is how often reference data is looked at for a new version, and
	// housekeeping done: 1 s.
	Refresh time.Duration
}

// DefaultLanes of a switch on this machine.
func DefaultLanes() int { return max(2, runtime.GOMAXPROCS(0)) }

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LanePool == nil {
		o.LanePool = o.Pool
	}
	setDefault(&o.Lanes, DefaultLanes())
	setDefault(&o.MaxBatch, 256)
	setDefault(&o.Queue, 4096)
	setDefault(&o.CardsKept, 1<<17)
	setDefault(&o.StoreTimeout, 3*time.Second)
	setDefault(&o.AnswerTimeout, 6*time.Second)
	setDefault(&o.RetryPause, 250*time.Millisecond)
	setDefault(&o.Refresh, time.Second)
	setDefault(&o.VerifyEvery, 10*time.Minute)
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Switch takes requests and answers them.
type Switch struct {
	opts      Options
	pool      *pgxpool.Pool
	log       *slog.Logger
	lines     *requestLines
	now       func() time.Time
	metrics   *metrics
	cutovers  *cutoverMetrics
	directory atomic.Pointer[Directory]
	lanes     []*lane

	stop    context.CancelFunc
	running sync.WaitGroup // lanes
	keepers sync.WaitGroup // housekeeping

	ensuring sync.Mutex    // one caller makes windows, the others wait for it
	daysMade atomic.Int32  // the UTC date at which business days were last made ahead
	signOns  chan struct{} // bounds password checks under way

	ring     *Keyring
	cards    *ledger.CardShelf
	oldCards chan struct{} // holds one token: the shelf was cleared
	turns    *cardTurns
	signIns  chan struct{} // bounds sign-ins under way
	beside   beside
	signRRNs signInRRNs

	downloads downloads
}

// Start reads the reference data, makes the windows and starts the lanes. The
// database must be there to start, and may go and come after.
func Start(ctx context.Context, o Options) (*Switch, error) {
	o.setDefaults()
	s := &Switch{opts: o, pool: o.Pool, log: o.Logger, now: o.Now, metrics: newMetrics(o.Registerer)}
	s.lines = newRequestLines(o.Logger, time.Now)
	s.cutovers = newCutoverMetrics(o.Registerer)
	s.signOns = make(chan struct{}, signOnsAtOnce)
	s.ring, s.signIns = newKeyring(&s.opts), make(chan struct{}, signInsAtOnce)
	s.cards, s.oldCards = ledger.NewCardShelf(s.opts.CardsKept), make(chan struct{}, 1)
	s.turns = newCardTurns(s.opts.StoreTimeout)
	dir, err := LoadDirectory(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	s.setDirectory(dir)
	if err := ledger.EnsureWindows(ctx, s.pool, dir.Calendars(), s.now()); err != nil {
		return nil, fmt.Errorf("start switch: %w", err)
	}
	if err := s.ring.follow(ctx); err != nil {
		return nil, fmt.Errorf("start switch: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	for range max(1, min(o.Lanes, len(dir.Buckets()))) {
		l := newLane(s)
		s.lanes = append(s.lanes, l)
		s.running.Go(func() { l.run(running) })
	}
	s.keepers.Go(func() { s.keepShelf(running) })
	s.keepers.Go(func() { s.ring.run(running) })
	s.keepers.Go(func() { s.keepHouse(running) })
	s.keepers.Go(func() { s.watchDeadlines(running) })
	watch := newLedgerWatch(o.Registerer)
	s.keepers.Go(func() { s.watchLedger(running, watch) })
	standing := newStandingWatch(o.Registerer)
	s.keepers.Go(func() { s.watchStanding(running, standing) })
	return s, nil
}

func (s *Switch) setDirectory(d *Directory) {
	d.follow(s.directory.Load(), s.now())
	s.directory.Store(d)
	s.metrics.directory.Set(float64(d.Version))
}

// Directory is the reference data the switch works with now.
func (s *Switch) Directory() *Directory { return s.directory.Load() }

// Terminal as the switch knows it now; nil if it does not.
func (s *Switch) Terminal(tid string) *Terminal { return s.Directory().Terminal(tid) }

// Network of a card number by the ranges that the switch knows now; empty if none has it.
func (s *Switch) Network(pan card.PAN) string { return s.Directory().network(pan) }

// Submit takes a request and calls done with its response, once: from this
// call for what is decided without the ledger, from a lane's goroutine
// otherwise. done must not block.
func (s *Switch) Submit(r *Request, done func(Response)) {
	arrived := r.Received
	if arrived.IsZero() {
		arrived = time.Now()
	}
	j := &job{
		request: r, done: done, arrived: arrived,
		storeBy: arrived.Add(s.opts.StoreTimeout), answerBy: arrived.Add(s.opts.AnswerTimeout),
	}
	if r.Kind == KindEcho && r.TID == "" { // a line test between hosts names no terminal
		s.answer(j, Response{Reason: Approved, Became: r.Kind})
		return
	}
	if reason := s.directory.Load().admit(r); reason != Approved {
		s.answer(j, Response{Reason: reason, Became: r.Kind, Rule: ruleOf(r.Kind, RuleAdmission)})
		return
	}
	if r.terminal.Scheme == SchemeSession && !r.Credentials.SignedIn && r.Kind.needsSession() {
		s.answer(j, Response{Reason: SignInRequired, Became: r.Kind, Demand: DemandSignIn, Rule: ruleOf(r.Kind, RuleAdmission)})
		return
	}
	if r.Kind == KindLogon && r.WorkingKeys != 0 || r.Kind == KindSignOff {
		s.besides(j, s.signInOrOff)
		return
	}
	if r.Kind == KindLogon && r.OperatorNo != "" {
		s.besides(j, s.signOn)
		return
	}
	if r.Kind == KindEcho || r.Kind == KindLogon {
		s.answer(j, Response{Reason: Approved, Became: r.Kind, AcceptedAt: s.now(), Currency: r.merchant.Currency})
		return
	}
	switch r.Kind {
	case KindStatus, KindDownload:
		s.answer(j, s.catalogued(r))
		return
	case KindDownloadEnd:
		s.besides(j, s.downloaded) // whose statements the pool bounds
		return
	default:
	}
	if r.STAN < 0 || r.STAN > 999999 {
		s.answer(j, Response{Reason: FormatError, Became: r.Kind})
		return
	}
	if !s.laneOf(r.merchant.Bucket).add(r.merchant.Bucket, j) {
		s.answer(j, Response{Reason: StoreUnavailable, Became: r.Kind})
	}
}

func (s *Switch) laneOf(bucket int16) *lane { return s.lanes[int(bucket)%len(s.lanes)] }

// answer calls a job's done, with the time as the merchant's clocks show it,
// and counts it.
func (s *Switch) answer(j *job, r Response) {
	if m := j.request.merchant; m != nil && !r.AcceptedAt.IsZero() {
		r.AcceptedAt = r.AcceptedAt.In(m.zone)
	}
	if pan := j.request.PAN; r.RRN != 0 && !pan.IsZero() {
		r.Network = s.directory.Load().network(pan)
	}
	s.metrics.answered(j, &r)
	j.done(r)
}

// watchDeadlines answers what waits behind a unit that is held up, and shows
// how much waits.
func (s *Switch) watchDeadlines(ctx context.Context) {
	tick := time.NewTicker(max(s.opts.StoreTimeout/20, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			depth := 0
			for _, l := range s.lanes {
				depth += l.depth()
				l.expireQueued(now)
			}
			s.metrics.laneDepth.Set(float64(depth))
		}
	}
}

// ensureWindowsAfter makes windows when a unit found none for its instant.
func (s *Switch) ensureWindowsAfter(ctx context.Context, err error) {
	if !errors.Is(err, errNoWindow) {
		return
	}
	s.ensuring.Lock()
	defer s.ensuring.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.opts.StoreTimeout)
	defer cancel()
	if err := ledger.EnsureWindows(ctx, s.pool, s.directory.Load().Calendars(), s.now()); err != nil {
		s.log.Error("cannot make business days", "error", err)
	}
}

// logRetry says why units are tried again.
func (s *Switch) logRetry(err error, outcome postgres.Outcome, attempt, jobs int) {
	s.lines.write(slog.LevelWarn, "unit of work failed", "outcome", outcome.String(), "attempt", attempt, "requests", jobs, "error", err)
}

// Shutdown lets the lanes finish what they have, until ctx ends, and stops.
// Nothing may be submitted after it.
func (s *Switch) Shutdown(ctx context.Context) error {
	for _, l := range s.lanes {
		l.close()
	}
	finished := make(chan struct{})
	go func() {
		s.running.Wait()
		close(finished)
	}()
	var err error
	select {
	case <-finished:
	case <-ctx.Done():
		err = fmt.Errorf("shut down switch: %w", ctx.Err())
	}
	s.stop()
	s.running.Wait()
	s.keepers.Wait()
	return err
}
