package soak_test

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// sample is one live sale: when it was due, and how long after that it was answered.
type sample struct {
	due  time.Time
	took time.Duration
}

// samples of many terminals.
type samples struct {
	mu   sync.Mutex
	list []sample
}

func (s *samples) add(one sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, one)
}

// between returns how long those took that were under way at some time in [from, to).
func (s *samples) between(from, to time.Time) latencies {
	return s.choose(func(one sample) bool { return one.due.Before(to) && one.due.Add(one.took).After(from) })
}

// outside returns the others.
func (s *samples) outside(from, to time.Time) latencies {
	return s.choose(func(one sample) bool { return !one.due.Before(to) || !one.due.Add(one.took).After(from) })
}

func (s *samples) choose(wanted func(sample) bool) latencies {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list latencies
	for _, one := range s.list {
		if wanted(one) {
			list = append(list, one.took)
		}
	}
	slices.Sort(list)
	return list
}

// latencies in ascending order: percentiles are exact.
type latencies []time.Duration

// percentile is the smallest latency that p of a hundred do not exceed.
func (l latencies) percentile(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	rank := int(float64(len(l))*p/100 + 0.999999)
	return l[min(max(rank, 1), len(l))-1]
}

func (l latencies) String() string {
	ms := func(p float64) string { return fmt.Sprintf("%.1f ms", float64(l.percentile(p).Microseconds())/1000) }
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s of %d", ms(50), ms(90), ms(99), ms(99.9), ms(100), len(l))
}
