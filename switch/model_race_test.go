package switching_test

import (
	"context"
	"errors"
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
// same world. How many sequences: 20, or 1,000 with MERIDIAN_TEST_SOAK set. Who
// wins a race is not in rapid's hands: a failure may not come again by its seed,
// and what is reported then is the race itself.
func TestModelRaces(t *testing.T) {
	checks(t, 20, 1_000)
	tw := newTwins(t)
	rapid.Check(t, func(t *rapid.T) { tw.sequence(t, map[string]int{"race": 20}) })
}

// racersMax requests race at once: the orders of four are 24 worlds to try.
const racersMax = 4

// racer is a request, or a person's word on a refund under review.
type racer struct {
	request model.Request
	decides bool
	refund  int // under review
	approve bool
}

// raced is what a racer came to: the answer, or the error of the decision.
type raced struct {
	answer switching.Response
	err    error
}

// race lets what is about one original (or a repeat of it, or the end of its
// batch) go at once.
func (s *machine) race(t *rapid.T) {
	id := s.cancellable(t)
	if id < 0 {
		s.buy(t)
		return
	}
	n := rapid.IntRange(2, racersMax).Draw(t, "racers")
	var racers []racer
	for range n {
		r := racer{request: s.racing(t, id, racers)}
		if refund := s.original(t, func(o *model.Transaction) bool { return o.Review == model.ReviewOpen }); refund >= 0 && one(t, 3, "decide") {
			r = racer{decides: true, refund: refund, approve: one(t, 2, "approve")}
		} else {
			s.asked = append(s.asked, r.request)
		}
		racers = append(racers, r)
	}
	s.runRace(t, racers)
}

// racing is a request that has something to do with the original or with those
// that race with it.
func (s *machine) racing(t *rapid.T, id int, racers []racer) model.Request {
	o := &s.m.Transactions[id]
	switch draw(t, "racer", "cancel", "cancel another", "reverse", "repeat", "complete", "sell", "settle") {
	case "cancel another": // of the same limits
		if another := s.cancellable(t); another >= 0 {
			return s.cancellation(t, another)
		}
		return s.cancellation(t, id)
	case "reverse":
		return s.reversal(t, id)
	case "repeat":
		for _, r := range racers {
			if !r.decides {
				return r.request
			}
		}
		return s.again(t)
	case "complete":
		r := model.Request{Kind: model.Completion, STAN: s.nextSTAN(), Card: model.NoCard, HasAmount: true}
		s.referTo(t, &r, id)
		r.AmountMinor = max(1, o.Hold.AmountMinor)
		return r
	case "sell":
		r := s.purchase(t, s.nextSTAN())
		r.Merchant, r.Terminal = o.Merchant, o.Terminal
		return r
	case "settle":
		return model.Request{
			Kind: draw(t, "kind", model.Settlement, model.Trailer), Merchant: o.Merchant, Terminal: o.Terminal, STAN: s.nextSTAN(), Card: model.NoCard,
			Batch: s.m.Terminals[o.Terminal].Batch.Number, Stated: s.state(t, s.m.Totals(o.Terminal)),
		}
	default:
		return s.cancellation(t, id)
	}
}

// runRace asks at once, the hosts in turn, and looks for an order that explains
// what came of it. The model goes on from there.
func (tw *twins) runRace(t rapid.TB, racers []racer) {
	t.Helper()
	got := make([]raced, len(racers))
	var answers sync.WaitGroup
	for i, r := range racers {
		answers.Add(1)
		go tw.start(tw.hosts[i%len(tw.hosts)], r, &got[i], answers.Done)
	}
	answers.Wait()
	before, toldBefore := tw.m, slices.Clone(tw.told)
	nearest, farthest := "", -1
	for _, order := range orders(len(racers)) {
		tw.m, tw.told = before.Clone(), slices.Clone(toldBefore)
		diff, explained := "", 0
		for _, i := range order {
			if diff = tw.outcomeDiffers(got[i], racers[i]); diff != "" {
				break
			}
			explained++
		}
		if diff == "" {
			diff = tw.worldsDiffer()
			if diff != "" && tw.swapReversals(len(before.Transactions)) {
				diff = tw.worldsDiffer()
			}
			if diff == "" {
				t.Logf("%s  raced, as in the order %v:%s", tw.m.Now.Format(time.RFC3339Nano), order, tw.raceReport(racers, got))
				return
			}
		}
		if explained > farthest {
			nearest, farthest = fmt.Sprintf("\n\tthe order %v explains %d answers, but:%s", order, explained, diff), explained
		}
	}
	tw.m, tw.told = before, toldBefore
	t.Fatalf("no order explains this race:%s%s", tw.raceReport(racers, got), nearest)
}

// swapReversals lets the other one of two reversals of an original be the one that undid it. Both
// are approved and it is undone once; but under keys of two batches, one that names the batch which has
// just ended and one that names none, they do not wait for each other before they are accepted.
// from is the first transaction of the race.
func (tw *twins) swapReversals(from int) bool {
	raced := tw.m.Transactions[from:]
	for i := range raced {
		for j := range raced[:i] {
			a, b := &raced[i], &raced[j]
			if a.Kind == model.Reversal && b.Kind == model.Reversal && a.Original == b.Original && a.UndoneMinor != b.UndoneMinor {
				a.UndoneMinor, b.UndoneMinor = b.UndoneMinor, a.UndoneMinor
				return true
			}
		}
	}
	return false
}

// start lets one go at a host.
func (tw *twins) start(at *world, r racer, came *raced, done func()) {
	if !r.decides {
		at.sw.Submit(tw.request(r.request), func(resp switching.Response) {
			came.answer = resp
			done()
		})
		return
	}
	came.err = switching.DecideReview(context.Background(), at.pool, tw.m.Now, switching.ReviewDecision{
		RRN: tw.rrn(r.refund), Approve: r.approve, Who: "ann", Why: "a test",
	})
	done()
}

// outcomeDiffers lets the model do what was raced.
func (tw *twins) outcomeDiffers(got raced, r racer) string {
	if !r.decides {
		return tw.answersDiffer(got.answer, tw.m.Ask(r.request))
	}
	decided := tw.m.DecideReview(r.refund, r.approve)
	switch {
	case decided && got.err == nil, !decided && errors.Is(got.err, switching.ErrNoReview):
		return ""
	default:
		return fmt.Sprintf("\n\tdecision on #%d: host %v, model decides %t", r.refund, got.err, decided)
	}
}

func (tw *twins) raceReport(racers []racer, got []raced) string {
	var b strings.Builder
	for i, r := range racers {
		if r.decides {
			fmt.Fprintf(&b, "\n\t%d: decision on #%d: approved %t → %v", i, r.refund, r.approve, got[i].err)
			continue
		}
		a := got[i].answer
		fmt.Fprintf(&b, "\n\t%d: %s → %s %s %s RRN %012d stored %t", i, describe(r.request), a.Reason, a.Became, a.Rule, a.RRN, a.Stored)
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
