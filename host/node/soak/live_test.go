package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"meridian/internal/loadgen"
	"meridian/ledger"
)

// liveTerminal sells over TCP at a steady pace. A sale that is due while the one
// before it waits is late by that wait, and so are those behind it: a host that
// stands still for a second has made every sale of that second slow, not one.
type liveTerminal struct {
	w       *world
	shop    *shop
	tid     string
	dialect loadgen.Dialect
	line    *loadgen.Line
	rng     *rand.Rand
	stan    int
}

// cancelEvery so many live sales, one is cancelled: what it becomes shows on
// which side of the cutoff the host has taken it to be.
const cancelEvery = 20

func newLiveTerminals(w *world) []*liveTerminal {
	var list []*liveTerminal
	for i := range w.plan.liveTerminals {
		s := &w.shops[i%w.plan.merchants[0]]
		if i >= w.plan.merchants[0] {
			w.t.Fatalf("%d live terminals: the first calendar has %d", w.plan.liveTerminals, w.plan.merchants[0])
		}
		dialect := loadgen.NAC()
		if s.dialect == "ascii" {
			dialect = loadgen.ASCII()
		}
		list = append(list, &liveTerminal{
			w: w, shop: s, tid: s.tids[terminalsPerMerchant-1], dialect: dialect, rng: rand.New(rand.NewPCG(2, uint64(i))),
		})
	}
	return list
}

// sellUntil lets every terminal sell until enough is closed, and returns how
// long their sales took.
func (w *world) sellUntil(list []*liveTerminal, enough <-chan struct{}) *samples {
	all := &samples{}
	start := time.Now()
	var selling sync.WaitGroup
	for i, t := range list {
		// Spread over a turn, so that they do not all come at once.
		first := start.Add(w.plan.livePace * time.Duration(i) / time.Duration(len(list)))
		selling.Go(func() { t.sell(first, enough, all) })
	}
	selling.Wait()
	return all
}

func (t *liveTerminal) sell(due time.Time, enough <-chan struct{}, all *samples) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	line, err := loadgen.Dial(ctx, t.dialect, t.w.node.Addresses()[t.shop.dialect])
	if err != nil {
		t.w.t.Error(err)
		return
	}
	defer line.Close()
	t.line = line
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for ; !t.w.t.Failed(); due = due.Add(t.w.plan.livePace) {
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-enough:
			return
		}
		minor := 100 + t.rng.Int64N(50_000)
		answer, ok := t.ask(ctx, t.sale(minor))
		if !ok {
			return
		}
		all.add(sample{due, time.Since(due)})
		d := t.deal(answer, minor)
		t.w.book.purchase(d)
		if t.stan%cancelEvery == 0 {
			t.cancel(ctx, d)
		}
	}
}

func (t *liveTerminal) message(processing string, minor int64) loadgen.Message {
	t.stan++
	fields := map[int]string{
		3: processing, 4: fmt.Sprintf("%012d", minor), 11: fmt.Sprintf("%06d", t.stan), 41: t.tid, 42: t.shop.mid, 49: "156",
	}
	if t.shop.dialect == "ascii" {
		fields[7], fields[12], fields[13] = "0310120000", "120000", "0310"
	} else {
		fields[24] = "001"
	}
	return loadgen.Message{MTI: "0200", Fields: fields}
}

func (t *liveTerminal) sale(minor int64) loadgen.Message {
	m := t.message("000000", minor)
	list := t.w.cards[t.shop.calendar]
	m.Fields[2], m.Fields[14] = list[t.rng.IntN(len(list))].Reveal(), "3012"
	return m
}

func (t *liveTerminal) ask(ctx context.Context, m loadgen.Message) (loadgen.Message, bool) {
	call, err := t.line.Send(m)
	if err != nil {
		t.w.t.Errorf("%s: %v", t.tid, err)
		return loadgen.Message{}, false
	}
	answer, err := call.Wait(ctx)
	if err != nil || answer.Code() != "00" {
		t.w.t.Errorf("%s, STAN %s: answered %q, %v", t.tid, m.Field(11), answer.Code(), err)
		return answer, false
	}
	return answer, true
}

// date of an answer, F15: its month and day, in the year that the clock shows.
func (t *liveTerminal) date(answer loadgen.Message) ledger.Date {
	date, err := ledger.ParseDate(fmt.Sprintf("%d-%s-%s", t.w.now().Year(), answer.Field(15)[:2], answer.Field(15)[2:]))
	if err != nil {
		t.w.t.Errorf("%s: %v", t.tid, err)
	}
	return date
}

func (t *liveTerminal) deal(answer loadgen.Message, minor int64) *deal {
	rrn, err := strconv.ParseInt(answer.Field(37), 10, 64)
	if err != nil {
		t.w.t.Errorf("%s: RRN: %v", t.tid, err)
	}
	return &deal{merchantID: t.shop.id, date: t.date(answer), rrn: rrn, minor: minor}
}

func (t *liveTerminal) cancel(ctx context.Context, d *deal) {
	m := t.message("290000", d.minor)
	m.Fields[37] = fmt.Sprintf("%012d", d.rrn)
	answer, ok := t.ask(ctx, m)
	if !ok {
		return
	}
	date := t.date(answer)
	became, rule, _ := strings.Cut(answer.Field(63), " ")
	switch {
	case became == "VOID" && rule == "R16" && date == d.date:
		t.w.book.voided(d)
	case became == "REFUND" && rule == "R29" && date > d.date:
		t.w.book.refunded(d, date, d.minor)
	default:
		t.w.t.Errorf("%s: a cancel on %s became %q, its sale is of %s", t.tid, date, answer.Field(63), d.date)
	}
}
