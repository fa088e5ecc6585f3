package host

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLimiter(t *testing.T) {
	l := newLimiter[string](Rate{PerSecond: 2, Burst: 3}, 10)
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	takes := func(key string, after time.Duration, want int) {
		t.Helper()
		now = now.Add(after)
		got := 0
		for range 10 {
			if l.take(key, now) {
				got++
			}
		}
		if got != want {
			t.Errorf("%s after %s: %d let through, want %d", key, after, got, want)
		}
	}
	takes("a", 0, 3)
	takes("b", 0, 3)
	takes("a", 499*time.Millisecond, 0)
	takes("a", time.Millisecond, 1)
	takes("a", time.Second, 2)
	takes("a", time.Hour, 3)
	takes("a", -time.Minute, 0) // a clock that was set back lets nothing more through
	takes("b", time.Minute, 3)

	if unlimited := newLimiter[string](Rate{}, 1); !unlimited.take("a", now) || !unlimited.take("b", now) || len(unlimited.levels) != 0 {
		t.Error("no limit is one")
	}
}

// The table is no larger than it may be, and forgets who was not asked for longest.
func TestLimiterForgetsTheOldest(t *testing.T) {
	l := newLimiter[int](Rate{PerSecond: 1, Burst: 1}, 3)
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for _, key := range []int{1, 2, 3, 1, 4} { // 2 goes
		l.take(key, now)
	}
	for key, want := range map[int]bool{1: false, 3: false, 4: false} {
		if l.take(key, now) != want {
			t.Errorf("%d was forgotten", key)
		}
	}
	if !l.take(2, now) {
		t.Error("2 was not forgotten")
	}
	for key := range 1000 {
		l.take(key, now)
	}
	if len(l.levels) != 3 {
		t.Errorf("%d entries", len(l.levels))
	}
}

// Whatever comes when: over any time no more passes than burst and rate allow,
// and a key that keeps to its rate is never refused.
func TestLimiterKeepsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond, burst := rapid.IntRange(1, 50).Draw(t, "rate"), rapid.IntRange(1, 20).Draw(t, "burst")
		l := newLimiter[string](Rate{PerSecond: float64(perSecond), Burst: burst}, 4)
		begin := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
		now, steady := begin, begin
		passed := 0
		for i := range rapid.IntRange(1, 300).Draw(t, "messages") {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, fmt.Sprint("ms", i))) * time.Millisecond)
			if l.take("flood", now) {
				passed++
			}
			if most := float64(burst) + now.Sub(begin).Seconds()*float64(perSecond) + 1e-6; float64(passed) > most {
				t.Fatalf("%d passed in %s at %d/s with bursts of %d", passed, now.Sub(begin), perSecond, burst)
			}
			if !now.Before(steady) {
				if !l.take("steady", now) {
					t.Fatalf("a key within its rate was refused after %s", now.Sub(begin))
				}
				steady = now.Add(time.Second/time.Duration(perSecond) + time.Nanosecond)
			}
		}
	})
}
