package switching_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meridian/switch/model"
)

// TestModel asks hosts and model the same random sequences of questions and
// wants the same answers, balances and books after each.
//
// How many sequences: 40, or 3,000 with MERIDIAN_TEST_SOAK set, or as many as
// the flag -rapid.checks says; `make soak-model` asks 10,000 on all processors. A
// failure is shrunk to few questions, and told with the flag that repeats it:
//
//	go test ./switch -run 'TestModel$' -rapid.checks=1000 -rapid.shrinktime=2m
func TestModel(t *testing.T) {
	checks(t, 40, 3_000)
	tw := newTwins(t)
	rapid.Check(t, func(t *rapid.T) { tw.sequence(t, map[string]int{}) })
}

// checks sets how many sequences rapid tries, unless its own flag or variable
// does.
func checks(t *testing.T, normally, soaking int) {
	t.Helper()
	given := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if given {
		return
	}
	n := normally
	if os.Getenv("MERIDIAN_TEST_SOAK") != "" {
		n = soaking
	}
	f := flag.Lookup("rapid.checks")
	was := f.Value.String()
	if err := f.Value.Set(fmt.Sprint(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Value.Set(was); err != nil {
			t.Error(err)
		}
	})
}

// machine asks one sequence.
type machine struct {
	*twins

	begin time.Time
	// terminals that requests come from when nothing else decides it.
	terminals []int
	// asked are the requests that can be repeated.
	asked []model.Request
	// promised are requests whose reversal came before them.
	promised []model.Request
}

func (tw *twins) sequence(t *rapid.T, more map[string]int) {
	begin := rapid.SampledFrom(beginnings).Draw(t, "begin")
	tw.reset(begin)
	about := themes[draw(t, "theme", themeNames...)]
	s := &machine{twins: tw, begin: begin, terminals: draw(t, "terminals", []int{0, 1}, []int{0, 1, 2, 3}, []int{2}, []int{3, 0})}
	s.openShops(t, about.rules)
	do := map[string]func(*rapid.T){
		"buy": s.buy, "complete": s.complete, "cancel": s.cancel, "reverse": s.reverse, "reverse early": s.reverseEarly,
		"late original": s.lateOriginal, "repeat": s.repeat, "change repeat": s.changeRepeat, "inquire": s.inquire, "fault": s.fault,
		"refund nothing": s.refundNothing, "sign on": s.signOn, "guess": s.guess, "operators": s.changeOperators, "review": s.review,
		"settle": s.settle, "show": s.show, "show all": s.showAll, "close batch": s.closeBatch, "close batches": s.closeBatches,
		"move clock": s.moveClock, "next day": s.nextDay, "turn back": s.turnBack, "policy": s.changePolicy, "rights": s.changeRights, "terms": s.changeTerms,
		"card status": s.changeCard, "expire": s.expire, "cutover": s.closeDates, "race": s.race,
	}
	var often []string
	for _, weigh := range []map[string]int{more, about.weights} {
		for _, name := range slices.Sorted(maps.Keys(weigh)) {
			often = append(often, slices.Repeat([]string{name}, weigh[name])...)
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"": func(t *rapid.T) { tw.check(t) },
		"step": func(t *rapid.T) {
			do[often[evenly(len(often)).Draw(t, "step")]](t)
		},
	})
	tw.verify(t)
}

// evenly draws an index. rapid's own choices prefer the first ones, which is
// right for values and wrong for what is done: half of the steps would be of
// one kind.
func evenly(n int) *rapid.Generator[int] {
	const bits = 10 // many more than the choices there are
	return rapid.Custom(func(t *rapid.T) int {
		v := 0
		for range bits {
			v <<= 1
			if rapid.Bool().Draw(t, "bit") {
				v++
			}
		}
		return v % n
	})
}

// Days before what calendars find hard, and one on which nothing happens.
var beginnings = []time.Time{
	time.Date(2028, 1, 19, 9, 0, 0, 0, time.UTC),
	time.Date(2028, 3, 25, 22, 0, 0, 0, time.UTC),  // Berlin goes to summer time
	time.Date(2027, 10, 30, 22, 0, 0, 0, time.UTC), // and back
	time.Date(2028, 3, 11, 12, 0, 0, 0, time.UTC),  // New York
	time.Date(2027, 11, 6, 12, 0, 0, 0, time.UTC),
	time.Date(2027, 12, 31, 12, 0, 0, 0, time.UTC), // a year's end
	time.Date(2028, 2, 28, 12, 0, 0, 0, time.UTC),  // a leap day
}

// put asks and remembers, so that it can be repeated.
func (s *machine) put(t *rapid.T, r model.Request) {
	s.asked = append(s.asked, r)
	s.ask(t, s.host(t), r)
}

func (s *machine) host(t *rapid.T) int { return rapid.IntRange(0, len(s.hosts)-1).Draw(t, "host") }

// draw one of a few.
func draw[T any](t *rapid.T, label string, from ...T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

// one in n times.
func one(t *rapid.T, n int, label string) bool { return rapid.IntRange(0, n-1).Draw(t, label) == n-1 }

func (s *machine) terminal(t *rapid.T) (merchant, terminal int) {
	terminal = rapid.SampledFrom(s.terminals).Draw(t, "terminal")
	return twinOwners[terminal], terminal
}

// again is a request that was asked before, as it was or marked as a repeat.
func (s *machine) again(t *rapid.T) model.Request {
	if len(s.asked) == 0 {
		return s.purchase(t, s.nextSTAN())
	}
	r := s.asked[len(s.asked)-1-rapid.IntRange(0, len(s.asked)-1).Draw(t, "again")]
	r.Repeat = one(t, 3, "marked")
	return r
}
