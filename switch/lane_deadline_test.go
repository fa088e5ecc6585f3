package switching

import (
	"testing"
	"time"
)

func TestADeadlineIsWhenSomebodyIsToBeAnswered(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	waits := func(d time.Duration) *job { return &job{answerBy: at(d)} }
	answered := func(d time.Duration) *job { return &job{answerBy: at(d), answered: true} }
	for name, c := range map[string]struct {
		jobs []*job
		want time.Duration
	}{
		"nobody":                 {nil, 6 * time.Second},
		"later":                  {[]*job{waits(7 * time.Second)}, 6 * time.Second},
		"the first of them":      {[]*job{waits(5 * time.Second), waits(2 * time.Second), waits(3 * time.Second)}, 2 * time.Second},
		"who was answered waits": {[]*job{answered(time.Second), waits(4 * time.Second)}, 4 * time.Second},
		"everybody was":          {[]*job{answered(time.Second)}, 6 * time.Second},
		"too soon to try":        {[]*job{waits(time.Millisecond)}, leastTry},
		"it has passed":          {[]*job{waits(-time.Second)}, leastTry},
	} {
		if got := answerInTime(at(6*time.Second), now, c.jobs).Sub(now); got != c.want {
			t.Errorf("%s: in %s, want %s", name, got, c.want)
		}
	}
}
