//go:build unix

package bench

import (
	"slices"
	"time"
)

// latencies of one measurement, each kept: a run has a few hundred thousand.
type latencies []time.Duration

// at is the quantile q of sorted latencies: the smallest that a share q of them
// does not exceed. 0 without any.
func (l latencies) at(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	i := int(q*float64(len(l))+0.999999) - 1
	return l[min(max(i, 0), len(l)-1)]
}

func merge(parts []latencies) latencies {
	all := slices.Concat(parts...)
	slices.Sort(all)
	return all
}

// median of figures over rounds; 0 without any.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
