package host

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"meridian/switch"
)

// LockStore keeps the locks of terminals for all hosts.
type LockStore interface {
	LockTerminal(ctx context.Context, lock switching.TerminalLock) error
	// TerminalLocks are those that hold at now, by terminal, and until when.
	TerminalLocks(ctx context.Context, now time.Time) (map[int32]time.Time, error)
}

// locks are the terminals that are locked, as the store and this host know it.
type locks struct {
	wake chan struct{} // there is a lock to store

	mu     sync.Mutex
	stored map[int32]time.Time              // as last read
	own    map[int32]switching.TerminalLock // not stored yet
}

// holds tells whether a terminal is locked at now.
func (l *locks) holds(terminal int32, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own, ok := l.own[terminal]; ok && now.Before(own.Until) {
		return true
	}
	until, ok := l.stored[terminal]
	return ok && now.Before(until)
}

// add locks a terminal on this host at once, and on the others when it is stored.
func (l *locks) add(lock switching.TerminalLock) {
	l.mu.Lock()
	if l.own == nil {
		l.own = map[int32]switching.TerminalLock{}
	}
	l.own[lock.TerminalID] = lock
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// pending are the locks that have to be stored.
func (l *locks) pending() []switching.TerminalLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]switching.TerminalLock, 0, len(l.own))
	for _, lock := range l.own {
		list = append(list, lock)
	}
	return list
}

// settle takes over what the store has. A lock that was stored before it was read
// is in there, or a person has ended it.
func (l *locks) settle(written []switching.TerminalLock, stored map[int32]time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lock := range written {
		if l.own[lock.TerminalID] == lock { // not locked anew meanwhile
			delete(l.own, lock.TerminalID)
		}
	}
	l.stored = stored
}

// count the locks that hold at now.
func (l *locks) count(now time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, until := range l.stored {
		if now.Before(until) {
			n++
		}
	}
	for id, lock := range l.own {
		if until, stored := l.stored[id]; now.Before(lock.Until) && (!stored || !now.Before(until)) {
			n++
		}
	}
	return n
}

// syncLocks stores what is not stored, and reads what others did. While the
// store is away what is known holds, and is stored later.
func (s *Sentry) syncLocks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	var written []switching.TerminalLock
	for _, lock := range s.locks.pending() {
		if err := s.o.Locks.LockTerminal(ctx, lock); err != nil {
			s.storeFailed(ctx, err)
			return
		}
		written = append(written, lock)
	}
	stored, err := s.o.Locks.TerminalLocks(ctx, s.o.Now())
	if err != nil {
		s.storeFailed(ctx, err)
		return
	}
	s.locks.settle(written, stored)
	s.metrics.lockedNow.Set(float64(s.locks.count(s.o.Now())))
}

// storeFailed tells it, unless it is the shutdown.
func (s *Sentry) storeFailed(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	if log, suppressed := s.lines.take("locks", s.o.Real()); log {
		s.o.Logger.Warn("cannot keep terminals' locks in step; trying again", "error", err, "suppressed", suppressed)
	}
}

// failures are wrong MACs in a row by terminal: as many as there are terminals.
type failures struct {
	mu    sync.Mutex
	times map[int32][]time.Time // the last ones, the oldest first
}

// add counts one and returns how many there were, and since when, if that is too
// many; the count then starts anew.
func (f *failures) add(terminal int32, now time.Time, limits *AdmissionLimits) (n int, since time.Time) {
	if limits.LockAfter < 0 {
		return 0, since
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.times == nil {
		f.times = map[int32][]time.Time{}
	}
	times := f.times[terminal]
	if len(times) >= limits.LockAfter {
		times = slices.Delete(times, 0, len(times)-limits.LockAfter+1)
	}
	times = append(times, now)
	if since = times[0]; len(times) < limits.LockAfter || now.Sub(since) > limits.LockWithin {
		f.times[terminal] = times
		return 0, since
	}
	delete(f.times, terminal)
	return len(times), since
}

// clear forgets a terminal's wrong MACs.
func (f *failures) clear(terminal int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.times, terminal)
}
