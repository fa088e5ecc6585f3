package switching

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"meridian/internal/postgres"
	"meridian/ledger"
)

// job is a request on its way through a lane.
type job struct {
	request  *Request
	done     func(Response)
	arrived  time.Time
	storeBy  time.Time // past it, an undecided request is not approved
	answerBy time.Time // past it, even an unknown outcome is answered
	response Response
	// windowLocked: its unit did not win the lock of a window that is being closed.
	windowLocked bool
	// answered before its outcome was known: run on, to make it right.
	answered bool
	// marks are what tries of its unit wanted to store for it, records and claims;
	// one of them may be committed.
	marks []mark
	// tried is what the last try stored for it, or answered it from.
	tried uuid.UUID
}

// triesAgain has the request repeat, from here on, what its last try may have stored, also when
// its batch ends meanwhile.
func (j *job) triesAgain() {
	if j.tried != uuid.Nil {
		j.request.tried = append(j.request.tried, j.tried)
	}
}

// lane runs the units of work of its buckets, one at a time: a terminal's
// requests keep their order. It gathers what comes while a unit commits, and for a
// moment more where that is much (pace.go).
type lane struct {
	sw   *Switch
	rrns rrnSource

	mu sync.Mutex
	// queues of jobs by bucket. A lane serves few buckets; order is the turn.
	queues map[int16][]*job
	order  []int16
	length int
	// settlements are how many of them may end a batch, and settled is where the last
	// unit was one.
	settlements int
	settled     map[int16]bool
	closed      bool
	wake        chan struct{} // holds one token: there is work, or the lane is closed
	enough      chan struct{} // holds one token: so many requests wait that a unit is not waited for

	caution  caution
	presumes presumption
}

func newLane(sw *Switch) *lane {
	return &lane{
		sw: sw, queues: map[int16][]*job{}, settled: map[int16]bool{}, wake: make(chan struct{}, 1), enough: make(chan struct{}, 1),
		presumes: newPresumption(sw.cards, sw.opts.Lanes),
	}
}

// settlementShare of what waits in a lane may be settlements, which carry no MAC and take
// a unit each: what is sold finds room beside them.
const settlementShare = 4

// add queues a job; false means that the lane is full or closed.
func (l *lane) add(bucket int16, j *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.length >= l.sw.opts.Queue || j.settles() && l.settlements >= max(1, l.sw.opts.Queue/settlementShare) {
		return false
	}
	if len(l.queues[bucket]) == 0 {
		l.order = append(l.order, bucket)
	}
	l.queues[bucket] = append(l.queues[bucket], j)
	l.length++
	if j.settles() {
		l.settlements++
	}
	l.signal()
	if l.length == paceEnough {
		select {
		case l.enough <- struct{}{}:
		default:
		}
	}
	return true
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close lets the lane finish what it has and then end.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.signal()
}

func (l *lane) depth() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.length
}

// take removes the jobs of the next unit of the bucket whose turn it is.
func (l *lane) take() (bucket int16, jobs []*job, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) == 0 {
		return 0, nil, l.closed
	}
	bucket = l.order[0]
	l.order = l.order[1:]
	jobs, rest := unitOf(l.queues[bucket], l.sw.opts.MaxBatch, l.settled[bucket])
	l.settled[bucket] = jobs[0].settles()
	if len(rest) > 0 {
		l.queues[bucket] = rest
		l.order = append(l.order, bucket)
	} else {
		delete(l.queues, bucket)
	}
	l.length -= len(jobs)
	if l.settled[bucket] {
		l.settlements--
	}
	return bucket, jobs, false
}

// run works until the lane is closed and empty, or ctx ends.
func (l *lane) run(ctx context.Context) {
	var pace pace
	for {
		pace.wait(ctx, l.depth(), l.enough)
		bucket, jobs, closed := l.take()
		if len(jobs) > 0 {
			pace.begin(len(jobs), time.Now())
			l.work(ctx, bucket, jobs, false)
			continue
		}
		if closed {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
	}
}

// work runs a unit until its outcome is known; doubt tells that a try before
// may have been committed.
func (l *lane) work(ctx context.Context, bucket int16, jobs []*job, doubt bool) {
	for attempt := 0; len(jobs) > 0; attempt++ {
		if doubt {
			l.answerLate(jobs)
		} else if jobs = l.dropExpired(jobs); len(jobs) == 0 {
			return
		}
		outcome, err := l.try(ctx, bucket, jobs, doubt)
		if err == nil {
			l.deliver(jobs)
			return
		}
		if ctx.Err() != nil {
			l.giveUp(jobs, doubt || outcome == postgres.Unknown)
			return
		}
		l.sw.metrics.retries.WithLabelValues(outcome.String()).Inc()
		l.sw.logRetry(err, outcome, attempt, len(jobs))
		for _, j := range jobs {
			// A try that ran out of time while it waited again does not take that back.
			j.windowLocked = errors.Is(err, errWindowLocked) || j.windowLocked && errors.Is(err, context.DeadlineExceeded)
		}
		switch outcome {
		case postgres.Unknown:
			doubt = true
			for _, j := range jobs {
				j.triesAgain()
			}
		case postgres.Permanent:
			if len(jobs) > 1 {
				l.each(ctx, bucket, jobs, doubt)
				return
			}
			// In doubt there is a try for as long as the terminal waits, and one more
			// to take the key; a request that cannot even have that is not stored.
			if !doubt || jobs[0].answered || errors.Is(err, errPanicked) {
				l.fail(jobs, SystemMalfunction)
				return
			}
		case postgres.NotCommitted:
		}
		l.sw.ensureWindowsAfter(ctx, err)
		if postgres.Backoff(ctx, attempt, l.sw.opts.RetryPause) != nil {
			l.giveUp(jobs, doubt)
			return
		}
	}
}

// try runs the unit until it ends by something else than what it took for granted: it
// is run again at once without, first of other things than cards, of cards, and at last
// of cards that stay as they were read. That is four runs at most. A unit that is not in
// doubt has until its first deadline; one in doubt presumes nothing, and must be settled
// whatever it takes.
func (l *lane) try(ctx context.Context, bucket int16, jobs []*job, doubt bool) (postgres.Outcome, error) {
	until := time.Now().Add(l.sw.opts.StoreTimeout)
	if !doubt {
		for _, j := range jobs {
			if j.storeBy.Before(until) {
				until = j.storeBy
			}
		}
		// A moment more, so that one late request does not cost the others
		// their attempt: it is dropped in the decision.
		until = until.Add(l.sw.opts.StoreTimeout / 10)
	} else {
		until = answerInTime(until, time.Now(), jobs)
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	turn := l.sw.turns.take(jobs)
	defer turn.end()
	alone, waited := turn.wait(ctx)
	if waited > 0 {
		l.sw.metrics.wait.Observe(waited.Seconds())
	}
	u := unit{sw: l.sw, bucket: bucket, jobs: jobs, rrns: &l.rrns, doubt: doubt, lockCards: l.caution.next() || !alone, learns: &l.presumes}
	if !doubt && !u.lockCards {
		u.presumes, u.shelf = l.presumes.offer()
	}
	for {
		outcome, err := u.run(ctx)
		switch {
		case u.presumes != nil && presumedWrongly(err):
			l.sw.metrics.presumedOthers.Inc()
			l.presumes.caution.met()
			u.presumes = nil
		case u.presumes != nil && postgres.LockNotWon(err):
			u.presumes = nil // who reads can tell whether it was a window's
		case u.shelf != nil && ledger.CardsMoved(err):
			l.sw.metrics.presumedCards.Inc()
			l.metOldCards()
			u.shelf = nil
		case !u.lockCards && ledger.CardsMoved(err):
			l.sw.metrics.cardsMoved.Inc()
			l.caution.met()
			u.lockCards = true
		default:
			return outcome, err
		}
	}
}

// leastTry is what a try has although somebody is to be answered before: less would
// end what a database that works has nearly done.
const leastTry = 100 * time.Millisecond

// answerInTime brings a deadline forward to when the first of the jobs that still wait is
// to be answered, whatever is known by then. What was answered can wait.
func answerInTime(until, now time.Time, jobs []*job) time.Time {
	for _, j := range jobs {
		if !j.answered && j.answerBy.Before(until) {
			until = j.answerBy
		}
	}
	if least := now.Add(leastTry); until.Before(least) {
		return least
	}
	return until
}

// each runs the jobs of a unit that failed for good one by one: what is wrong
// with one of them is no reason to fail the others.
func (l *lane) each(ctx context.Context, bucket int16, jobs []*job, doubt bool) {
	for _, j := range jobs {
		l.work(ctx, bucket, []*job{j}, doubt)
	}
}

// answersInRow are built and written by one goroutine: some hundred microseconds,
// so that neither the last of a large unit waits for all others on a machine with
// processors to spare, nor a goroutine is started for each.
const answersInRow = 32

// deliver answers after the commit. Building and writing a batch of answers takes
// about as long as deciding it, so the lane goes on with its next unit meanwhile.
func (l *lane) deliver(jobs []*job) {
	if len(jobs) == 1 {
		l.tell(jobs)
		return
	}
	for part := range slices.Chunk(jobs, answersInRow) {
		l.sw.running.Go(func() { l.tell(part) })
	}
}

// tell answers jobs that were not answered before their outcome was known.
func (l *lane) tell(jobs []*job) {
	for _, j := range jobs {
		if !j.answered {
			l.sw.answer(j, j.response)
		}
	}
}

func (l *lane) fail(jobs []*job, reason Reason) {
	for _, j := range jobs {
		if !j.answered {
			l.sw.answer(j, Response{Reason: reason, Became: j.request.Kind})
		}
	}
}

// dropExpired answers what waited too long; it was not decided, and nothing of
// it is stored.
func (l *lane) dropExpired(jobs []*job) []*job {
	now := time.Now()
	var live []*job
	for _, j := range jobs {
		if now.Before(j.storeBy) {
			live = append(live, j)
			continue
		}
		if j.windowLocked && j.request.Kind.Cancels() {
			l.sw.answer(j, Response{Reason: CutoffInProgress, Rule: ruleCutting, Became: j.request.Kind})
			continue
		}
		l.fail([]*job{j}, StoreUnavailable)
	}
	return live
}

// answerLate tells the terminals that cannot wait longer that the system
// failed. Their requests stay in the unit: what turns out to be committed, and
// was told nowhere else, is reversed by the host.
func (l *lane) answerLate(jobs []*job) {
	now := time.Now()
	for _, j := range jobs {
		if !j.answered && !now.Before(j.answerBy) {
			// Before the answer: it is what is left of it if the host is killed before it
			// finds out. A unit's requests at most, for each lane and outage.
			l.sw.log.Warn("tells a terminal of a failure while the outcome is unknown", "tid", j.request.TID,
				"stan", j.request.STAN, "kind", j.request.Kind.String())
			l.sw.answer(j, Response{Reason: SystemMalfunction, Became: j.request.Kind})
			j.answered = true
			l.sw.metrics.unsure.Inc()
		}
	}
}

// giveUp ends a unit because the host is being stopped.
func (l *lane) giveUp(jobs []*job, doubt bool) {
	for _, j := range jobs {
		if doubt {
			// No answer: the terminal must take the outcome for unknown, because it is.
			l.sw.log.Error("stopped with an unknown outcome; its terminal will repeat or reverse",
				"tid", j.request.TID, "stan", j.request.STAN, "answered", j.answered)
			if !j.answered {
				l.sw.answer(j, Response{})
			}
			continue
		}
		l.fail([]*job{j}, StoreUnavailable)
	}
}

// expireQueued answers jobs that have waited in the queue past their deadline,
// while the lane's unit is held up.
func (l *lane) expireQueued(now time.Time) {
	var expired []*job
	l.mu.Lock()
	for bucket, queue := range l.queues {
		// Jobs arrive in order, and all wait equally long.
		n := 0
		for n < len(queue) && !now.Before(queue[n].storeBy) {
			if queue[n].settles() {
				l.settlements--
			}
			n++
		}
		if n == 0 {
			continue
		}
		expired = append(expired, queue[:n]...)
		l.length -= n
		l.queues[bucket] = queue[n:]
		if n == len(queue) {
			delete(l.queues, bucket)
			l.order = slices.DeleteFunc(l.order, func(b int16) bool { return b == bucket })
		}
	}
	l.mu.Unlock()
	l.fail(expired, StoreUnavailable)
}
