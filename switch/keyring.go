package switching

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/hsm"
)

const (
	// keyReads bounds the terminals of one read: as many keys as fit a moment of
	// a morning's rush, and an array that the database plans at once.
	keyReads = 256
	// keyRetryPause is the wait before first uses that could not be stored are
	// tried again.
	keyRetryPause = time.Second
)

// errRingClosed: the host is stopping.
var errRingClosed = errors.New("keys are not read any more")

// Keyring has the keys of the terminals that talk to this host.
//
//	keys(terminal) ── known ──────────────▶ use
//	     └─ unknown, or known to be stale ─▶ wait ─▶ one read for all that wait ─▶ use, in order
//
// It follows what other hosts do by looking for changed rows once in a while
// (Follow); a message that does not fit what is known has the rows read again.
// There are no more entries than terminals, and no more waits than messages
// under way.
type Keyring struct {
	module  hsm.Module
	pool    *pgxpool.Pool
	now     func() time.Time
	log     *slog.Logger
	timeout time.Duration // of one read

	entries sync.Map // int32 -> *ringEntry
	wake    chan struct{}

	mu     sync.Mutex
	wanted []*ringEntry              // to be read, in the order of asking
	uses   map[generationKey]ringUse // first uses to be stored
	closed bool

	following sync.Mutex
	seen      map[seenKey]time.Time // changes of the last look
	lookedAt  time.Time             // by the database's clock
}

// ringEntry is one terminal's place in the ring.
type ringEntry struct {
	terminalID int32

	mu       sync.Mutex
	terminal *Terminal // as it was when somebody last asked
	bucket   int16
	set      *KeySet // nil: not known, or known to be over
	last     *KeySet // what was read last, for what was made of it
	// changes counts what made a set known to be over; a read that began before
	// one is not kept.
	changes, began int
	// waiting are served in order, and who asks meanwhile waits behind them: a
	// terminal's messages stay in their order.
	waiting []ringWait
	queued  bool
	// early are those of waiting that waited before the read under way began: it
	// shows them everything that they can have heard of.
	early int
}

// ringWait is who waits for keys, newer ones than stale.
type ringWait struct {
	stale *KeySet
	use   func(set *KeySet, fresh bool, err error)
}

type generationKey struct {
	terminalID, number int32
}

type ringUse struct {
	bucket int16
	at     time.Time
}

func newKeyring(o *Options) *Keyring {
	return &Keyring{
		module: o.Module, pool: o.Pool, now: o.Now, log: o.Logger, timeout: o.StoreTimeout,
		wake: make(chan struct{}, 1), uses: map[generationKey]ringUse{}, seen: map[seenKey]time.Time{},
	}
}

// ErrNoModule: the host has no security module.
var ErrNoModule = errors.New("there is no security module")

// Keys calls use with a terminal's keys: from this call when they are known, from
// another goroutine once they are read. fresh tells that they were read for this
// call. Of a set that did not fit a message, stale, a fresh one is read. An error
// says that they cannot be read now. use must not block.
func (s *Switch) Keys(t *Terminal, stale *KeySet, use func(set *KeySet, fresh bool, err error)) {
	m := s.directory.Load().merchantsByID[t.MerchantID]
	switch {
	case s.ring.module == nil:
		use(nil, true, ErrNoModule)
	case t.Scheme.Derives():
		use(s.ring.derived(t), true, nil)
	case m == nil: // the terminal is of a version of the directory that is over
		use(nil, true, fmt.Errorf("terminal %s belongs to no merchant", t.TID))
	default:
		s.ring.keys(t, m.Bucket, stale, use)
	}
}

func (k *Keyring) entry(terminalID int32) *ringEntry {
	if e, ok := k.entries.Load(terminalID); ok {
		return e.(*ringEntry) //nolint:forcetypeassert // nothing else is stored
	}
	e, _ := k.entries.LoadOrStore(terminalID, &ringEntry{terminalID: terminalID})
	return e.(*ringEntry) //nolint:forcetypeassert // nothing else is stored
}

func (k *Keyring) keys(t *Terminal, bucket int16, stale *KeySet, use func(set *KeySet, fresh bool, err error)) {
	e := k.entry(t.ID)
	e.mu.Lock()
	e.terminal, e.bucket = t, bucket
	if set := e.set; set != nil && set != stale && !e.queued && set.terminal.sameKeys(t) {
		e.mu.Unlock()
		use(set, false, nil)
		return
	}
	e.waiting = append(e.waiting, ringWait{stale, use})
	ask := !e.queued
	e.queued = true
	e.mu.Unlock()
	if ask {
		k.want(e)
	}
}

// derived is the set of a terminal whose keys come with its messages: the
// database has nothing to add.
func (k *Keyring) derived(t *Terminal) *KeySet {
	e := k.entry(t.ID)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.set == nil || !e.set.terminal.sameKeys(t) {
		set := &KeySet{ring: k, terminal: t}
		set.base, set.broken = hsm.ParseKey(t.BaseKey, hsm.UseDUKPTBase)
		e.set = set
	}
	return e.set
}

// want queues an entry to be read.
func (k *Keyring) want(e *ringEntry) {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		k.deliver(e, nil, errRingClosed)
		return
	}
	k.wanted = append(k.wanted, e)
	k.mu.Unlock()
	k.signal()
}

func (k *Keyring) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// forget has a terminal's keys read anew for the next message.
func (k *Keyring) forget(terminalID int32) {
	e, ok := k.entries.Load(terminalID)
	if !ok {
		return
	}
	entry := e.(*ringEntry) //nolint:forcetypeassert // nothing else is stored
	entry.mu.Lock()
	defer entry.mu.Unlock()
	entry.set = nil
	entry.changes++
}

// used notes the first message under a generation, to be stored: from then on
// its predecessors are over in a while, on every host.
func (k *Keyring) used(s *KeySet, g *generation) {
	if g.number == 0 || g.firstUsed.Load() != 0 {
		return
	}
	now := k.now()
	if !g.firstUsed.CompareAndSwap(0, now.UnixNano()) {
		return
	}
	e := k.entry(s.terminal.ID)
	e.mu.Lock()
	bucket := e.bucket
	e.mu.Unlock()
	k.mu.Lock()
	k.uses[generationKey{s.terminal.ID, g.number}] = ringUse{bucket, now}
	k.mu.Unlock()
	k.signal()
}

// run reads and stores what is asked for until ctx ends.
func (k *Keyring) run(ctx context.Context) {
	defer k.close()
	retry := time.NewTimer(0)
	<-retry.C
	defer retry.Stop()
	for {
		for {
			list := k.take()
			if len(list) == 0 {
				break
			}
			k.read(ctx, list)
		}
		if err := k.storeUses(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("cannot store that keys are in use; trying again", "error", err)
			retry.Reset(keyRetryPause)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-retry.C:
		}
	}
}

// take removes up to keyReads entries that are to be read.
func (k *Keyring) take() []*ringEntry {
	k.mu.Lock()
	n := min(len(k.wanted), keyReads)
	list := k.wanted[:n:n]
	k.wanted = k.wanted[n:]
	k.mu.Unlock()
	for _, e := range list {
		e.mu.Lock()
		e.early, e.began = len(e.waiting), e.changes
		e.mu.Unlock()
	}
	return list
}

// read reads the keys of terminals, bucket by bucket, and serves who waits.
func (k *Keyring) read(ctx context.Context, list []*ringEntry) {
	byBucket := map[int16]map[int32]*ringEntry{}
	for _, e := range list {
		e.mu.Lock()
		bucket := e.bucket
		e.mu.Unlock()
		if byBucket[bucket] == nil {
			byBucket[bucket] = map[int32]*ringEntry{}
		}
		byBucket[bucket][e.terminalID] = e
	}
	for bucket, entries := range byBucket {
		reading, cancel := context.WithTimeout(ctx, k.timeout)
		rows, err := readGenerations(reading, k.pool, bucket, entries)
		cancel()
		for id, e := range entries {
			if err != nil {
				k.deliver(e, nil, fmt.Errorf("read keys: %w", err))
				continue
			}
			e.mu.Lock()
			set := k.newSet(e.terminal, rows[id])
			set.inherit(e.last)
			e.mu.Unlock()
			k.deliver(e, set, nil)
		}
	}
}

// newSet is what the rows of a terminal come to, the newest generation first.
func (k *Keyring) newSet(t *Terminal, generations []*generation) *KeySet {
	if t.Scheme != SchemeSession && (t.MAK != nil || t.PIK != nil) {
		generations = append(generations, &generation{mak: t.MAK, pik: t.PIK})
	}
	return &KeySet{ring: k, terminal: t, generations: generations}
}

// deliver serves who waits, until nobody does or somebody has found what was read
// too old: for him, and for who came after him, it is read again.
func (k *Keyring) deliver(e *ringEntry, set *KeySet, err error) {
	for first := true; ; first = false {
		e.mu.Lock()
		if first && err == nil {
			e.last = set
			if e.began == e.changes {
				e.set = set
			}
		}
		serve, early := e.waiting, e.early
		if err == nil {
			if at := slices.IndexFunc(serve, func(w ringWait) bool { return w.stale == set }); at >= 0 {
				serve = serve[:at]
			}
		}
		e.waiting, e.early = e.waiting[len(serve):], 0
		again := len(serve) == 0 && len(e.waiting) > 0
		e.queued = again || len(serve) > 0
		e.mu.Unlock()
		for i, w := range serve {
			w.use(set, first && i < early, err)
		}
		if again {
			k.want(e)
		}
		if len(serve) == 0 {
			return
		}
	}
}

// close lets nobody wait for what is not read any more.
func (k *Keyring) close() {
	k.mu.Lock()
	k.closed = true
	list := k.wanted
	k.wanted = nil
	k.mu.Unlock()
	for _, e := range list {
		k.deliver(e, nil, errRingClosed)
	}
}
