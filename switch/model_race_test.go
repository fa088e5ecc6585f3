package switching_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meridian/switch"
	"meridian/switch/model"
)

// TestModelRaces lets requests race through two hosts over one database. They
// are right if some order of them gives the model the same answers and the
// same world. How many sequences: 25, or 2,000 with MERIDIAN_TEST_SOAK set. Who
// wins a race is not in rapid's hands: a failure may not come again by its seed,
// and what is reported then is the race itself.
func TestModelRaces(t *testing.T) {
	checks(t, 25, 2_000)
	tw := newTwins(t)
	rapid.Check(t, func(t *rapid.T) { tw.sequence(t, map[string]int{"race": 20}) })
}

// racersMax requests race at once: the orders of four are 24 worlds to try.
const racersMax = 4

// race lets requests about one original (or repeats of each other) go at once.
func (s *machine) race(t *rapid.T) {
	id := s.cancellable(t)
	if id < 0 {
		s.buy(t)
		return
	}
	n := rapid.IntRange(2, racersMax).Draw(t, "racers")
	var racers []model.Request
	for range n {
		var r model.Request
		switch draw(t, "racer", "cancel", "cancel", "reverse", "repeat", "complete") {
		case "cancel":
			r = s.cancellation(t, id)
		case "reverse":
			r = s.reversal(t, id)
		case "repeat":
			r = s.again(t)
			if len(racers) > 0 {
				r = racers[0]
			}
		case "complete":
			r = model.Request{Kind: model.Completion, STAN: s.nextSTAN(), Card: model.NoCard, HasAmount: true}
			s.referTo(t, &r, id)
			r.AmountMinor = max(1, s.m.Transactions[id].Hold.AmountMinor)
		}
		racers = append(racers, r)
	}
	s.asked = append(s.asked, racers...)
	s.runRace(t, racers)
}

// runRace asks at once, the hosts in turn, and looks for an order that explains
// what came of it. The model goes on from there.
func (tw *twins) runRace(t rapid.TB, racers []model.Request) {
	t.Helper()
	got := make([]switching.Response, len(racers))
	var answers sync.WaitGroup
	for i, r := range racers {
		request := tw.request(r)
		answers.Add(1)
		go tw.hosts[i%len(tw.hosts)].sw.Submit(request, func(resp switching.Response) {
			got[i] = resp
			answers.Done()
		})
	}
	answers.Wait()
	before, toldBefore := tw.m, slices.Clone(tw.told)
	nearest, farthest := "", -1
	for _, order := range orders(len(racers)) {
		tw.m, tw.told = before.Clone(), slices.Clone(toldBefore)
		diff, explained := "", 0
		for _, i := range order {
			if diff = tw.answersDiffer(got[i], tw.m.Ask(racers[i])); diff != "" {
				break
			}
			explained++
		}
		if diff == "" {
			if diff = tw.worldsDiffer(); diff == "" {
				t.Logf("%s  raced, as in the order %v:%s", tw.m.Now.Format(time.RFC3339Nano), order, raceReport(racers, got))
				return
			}
		}
		if explained > farthest {
			nearest, farthest = fmt.Sprintf("\n\tthe order %v explains %d answers, but:%s", order, explained, diff), explained
		}
	}
	t.Fatalf("no order explains this race:%s%s", raceReport(racers, got), nearest)
}

func raceReport(racers []model.Request, got []switching.Response) string {
	var b strings.Builder
	for i, r := range racers {
		fmt.Fprintf(&b, "\n\t%d: %s → %s %s %s RRN %012d stored %t",
			i, describe(r), got[i].Reason, got[i].Became, got[i].Rule, got[i].RRN, got[i].Stored)
	}
	return b.String()
}

// orders are the permutations of n.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range orders(n - 1) {
		for at := 0; at <= len(shorter); at++ {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}
