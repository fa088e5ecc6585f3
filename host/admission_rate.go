package host

import (
	"sync"
	"time"
)

// Rate is a token bucket: Burst messages at once, PerSecond over time. The zero
// value is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// unlimited tells whether the rate lets everything pass.
func (r Rate) unlimited() bool { return r.PerSecond <= 0 }

// limiterEntries bounds a table of buckets: about 6 MiB. A bucket that nobody
// asked for longest makes room; whoever wants that to be his own needs as many
// addresses, and each of them has a limit then.
const limiterEntries = 1 << 16

// limiter holds keys to a rate. A bucket is one instant: when it will be full
// again. A key that is not in the table has a full one.
type limiter[K comparable] struct {
	rate Rate
	most int

	mu     sync.Mutex
	levels map[K]*level[K]
	oldest level[K] // of the ring: next is asked for longest ago, previous last
}

type level[K comparable] struct {
	key            K
	full           time.Time
	previous, next *level[K]
}

func newLimiter[K comparable](rate Rate, most int) *limiter[K] {
	l := &limiter[K]{rate: rate, most: most, levels: make(map[K]*level[K])}
	l.oldest.previous, l.oldest.next = &l.oldest, &l.oldest
	return l
}

// take reports whether key may have one more at now, and takes it.
func (l *limiter[K]) take(key K, now time.Time) bool {
	if l.rate.unlimited() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.levels[key]
	if v == nil {
		v = l.add(key)
	} else {
		v.unlink()
	}
	v.link(l.oldest.previous)

	one := time.Duration(float64(time.Second) / l.rate.PerSecond)
	full := v.full
	if full.Before(now) {
		full = now
	}
	if full.Add(one).Sub(now) > one*time.Duration(max(l.rate.Burst, 1)) {
		return false
	}
	v.full = full.Add(one)
	return true
}

// add makes a bucket, in the place of the oldest when the table is full.
func (l *limiter[K]) add(key K) *level[K] {
	v := &level[K]{}
	if len(l.levels) >= l.most {
		v = l.oldest.next
		v.unlink()
		delete(l.levels, v.key)
		v.full = time.Time{}
	}
	v.key = key
	l.levels[key] = v
	return v
}

func (v *level[K]) unlink() { v.previous.next, v.next.previous = v.next, v.previous }

// link puts v behind after.
func (v *level[K]) link(after *level[K]) {
	v.previous, v.next = after, after.next
	after.next.previous = v
	after.next = v
}
