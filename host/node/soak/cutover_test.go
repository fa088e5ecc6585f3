package soak_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

const (
	// ratioMax is what a cutover may do to the p99 of sales, and verifyMax what a
	// verification of a million transactions may take. They are printed with what
	// was measured: whether a machine that others use too keeps them is for the
	// reader to judge.
	ratioMax  = 3.0
	verifyMax = time.Minute
	// verifyConnections is what meridian ledger verify takes.
	verifyConnections = 4
)

// TestCutoverUnderLoad lets a month of business dates go by: tellers fill each
// date, its cutoffs come, and on the big dates live terminals sell over the
// cutoff and the close. In the end every statement equals the transfers and
// what the terminals were answered, and the ledger verifies.
func TestCutoverUnderLoad(t *testing.T) {
	w := newWorld(t, newPlan(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tellers, live := newTellers(w), newLiveTerminals(w)
	for day := range w.plan.dates {
		w.set(noon(day))
		started := time.Now()
		quotas := w.plan.quotas(day)
		w.workDay(tellers, quotas)
		if t.Failed() {
			t.FailNow()
		}
		t.Logf("%s: %d + %d + %d transactions in %s", firstDay.AddDays(day), quotas[0], quotas[1], quotas[2], time.Since(started).Round(time.Millisecond))
		w.awaitClosed(ctx)
		if w.plan.isBig(day) {
			w.liveCutover(ctx, live, day)
		}
	}
	w.set(noon(w.plan.dates + 1)) // the live sales after the last cutoff are of one date more
	w.awaitClosed(ctx)
	w.report(ctx)
}

// closePoll is often enough to see when a close ends, and next to nothing for
// the database.
const closePoll = 20 * time.Millisecond

// awaitClosed waits until no window is past its cutoff and open.
func (w *world) awaitClosed(ctx context.Context) {
	w.t.Helper()
	w.await(ctx, "close what is due", func(ctx context.Context) (bool, error) {
		states, err := ledger.CutoverStates(ctx, w.pool, w.now())
		due := 0
		for i := range states {
			due += states[i].Due
		}
		return due == 0, err
	})
}

func (w *world) await(ctx context.Context, what string, done func(context.Context) (bool, error)) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	tick := time.NewTicker(closePoll)
	defer tick.Stop()
	for {
		ok, err := done(ctx)
		w.must(err)
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("waited %s for the host to %s", stepTimeout, what)
		}
	}
}

// liveCutover sells over a day's cutoff and close, and prints how long sales
// took during it and outside of it.
func (w *world) liveCutover(ctx context.Context, live []*liveTerminal, day int) {
	w.t.Helper()
	w.set(cutoff(day).Add(-w.plan.liveBefore))
	from, date := w.instant(cutoff(day)), firstDay.AddDays(day)
	enough, sold := make(chan struct{}), make(chan *samples, 1)
	go func() { sold <- w.sellUntil(live, enough) }()

	wait(ctx, time.Until(from))
	w.await(ctx, "close the big date", func(ctx context.Context) (closed bool, err error) {
		err = w.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state = 3) = count(*) FROM windows WHERE calendar_id = 1 AND business_date = $1`,
			date.Time()).Scan(&closed)
		return closed, err
	})
	to := time.Now()
	wait(ctx, w.plan.liveAfter)
	close(enough)
	all := <-sold

	var transactions int
	w.must(w.pool.QueryRow(ctx, `SELECT count(*) FROM transactions WHERE business_date = $1 AND calendar_id = 1`, date.Time()).Scan(&transactions))
	during, outside := all.between(from, to), all.outside(from, to)
	ratio := float64(during.percentile(99)) / float64(max(outside.percentile(99), 1))
	w.t.Logf("%s, a date of %d transactions, closed %.2f s after its cutoff", date, transactions, to.Sub(from).Seconds())
	w.t.Logf("  sales outside the cutover: %s", outside)
	w.t.Logf("  sales during the cutover:  %s", during)
	w.t.Logf("  p99 during / outside: %.2f%s", ratio, w.verdict(ratio <= ratioMax, fmt.Sprintf("%.0f", ratioMax)))
}

// wait for some time of the month to go by, or for the test to end.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// verdict says what the large run thinks of a figure; in a small month it means nothing.
func (w *world) verdict(ok bool, atMost string) string {
	switch {
	case !w.plan.large:
		return ""
	case ok:
		return ", at most " + atMost + ": PASS"
	default:
		return ", at most " + atMost + ": FAIL"
	}
}

// report verifies everything and prints what there is.
func (w *world) report(ctx context.Context) {
	w.t.Helper()
	started := time.Now()
	v, err := switching.VerifyOn(ctx, w.pool, verifyConnections)
	w.must(err)
	for _, f := range v.Findings {
		w.t.Errorf("ledger: %s: %s: %s", f.Check, f.Subject, f.Detail)
	}
	took := time.Since(started)
	statements := w.compareStatements(ctx)
	w.t.Logf("%d transactions and %d transfers on %d dates, %s on disk", v.Transactions, v.Transfers, w.plan.dates, w.size(ctx))
	w.t.Logf("%d statements equal their transfers and their terminals", statements)
	w.t.Logf("verified in %.1f s%s", took.Seconds(), w.verdict(took <= verifyMax, fmt.Sprintf("%.0f s", verifyMax.Seconds())))
}
