package soak_test

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// planVariable sizes the large run: transactions, business dates and how many of
// the transactions a big date has, such as "1000000 30 100000".
const planVariable = "MERIDIAN_TEST_CUTOVER"

// plan is how much is done, and how fast.
type plan struct {
	large        bool
	transactions int // in all, about
	dates        int
	bigDate      int // transactions of a big date in the first calendar; every tenth date and the last are big
	merchants    [calendarCount]int
	cards        int // of each calendar's currency
	// Live terminals sell at a steady pace around the cutover of a big date.
	liveTerminals int
	livePace      time.Duration // of each of them
	liveBefore    time.Duration
	liveAfter     time.Duration // from the close on
	refresh       time.Duration // of the host's housekeeping
}

// newPlan is the small month, or the one that the environment asks for.
func newPlan(t *testing.T) plan {
	t.Helper()
	p := plan{
		transactions: 600, dates: 2, bigDate: 300, merchants: [calendarCount]int{8, 4, 4}, cards: 20,
		liveTerminals: 8, livePace: 20 * time.Millisecond, liveBefore: 300 * time.Millisecond, liveAfter: 100 * time.Millisecond,
		refresh: 20 * time.Millisecond,
	}
	text := os.Getenv(planVariable)
	if text == "" {
		return p
	}
	p = plan{
		large: true, merchants: [calendarCount]int{240, 90, 30}, cards: 10_000, // lanes seldom meet on one
		liveTerminals: 60, livePace: 200 * time.Millisecond, liveBefore: time.Minute, liveAfter: 30 * time.Second,
		refresh: time.Second,
	}
	if n, err := fmt.Sscan(text, &p.transactions, &p.dates, &p.bigDate); n != 3 || p.dates < 1 || p.bigDate < p.liveSales() {
		t.Fatalf("%s=%q: write transactions, business dates and the transactions of a big date (at least %d): %v",
			planVariable, text, p.liveSales(), err)
	}
	return p
}

func (p *plan) isBig(day int) bool { return (day+1)%10 == 0 || day == p.dates-1 }

// liveSales is about what live terminals do before the cutoff.
func (p *plan) liveSales() int {
	return p.liveTerminals * int(p.liveBefore/p.livePace)
}

// shares of the calendars in an ordinary date's transactions, of twelve.
var shares = [calendarCount]int{8, 3, 1}

// quotas are how many transactions the tellers of each calendar do on a day.
func (p *plan) quotas(day int) [calendarCount]int {
	big := 0
	for d := range p.dates {
		if p.isBig(d) {
			big++
		}
	}
	// What big dates leave, over all dates: the other calendars have no big ones.
	ordinary := max(0, p.transactions-big*p.bigDate) * 12 / (12*p.dates - shares[0]*big)
	var quotas [calendarCount]int
	for c := range quotas {
		quotas[c] = ordinary * shares[c] / 12
	}
	if p.isBig(day) {
		quotas[0] = p.bigDate - p.liveSales()
	}
	return quotas
}
