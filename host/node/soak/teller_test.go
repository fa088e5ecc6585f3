package soak_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"meridian/switch"
)

// teller works one terminal, one request after the other, through the switch
// without a socket: a month has to go by in minutes.
type teller struct {
	w    *world
	shop *shop
	tid  string
	rng  *rand.Rand
	stan int32
	// earlier are purchases of days before today, not refunded yet; today's join
	// them tomorrow.
	earlier, today []*deal
}

// earlierMax bounds what a teller remembers: enough for purchases of several
// days to be among them.
const earlierMax = 100

func newTellers(w *world) [calendarCount][]*teller {
	var all [calendarCount][]*teller
	for i := range w.shops {
		s := &w.shops[i]
		for _, tid := range s.tids[:terminalsPerMerchant-1] { // the last is for live sales
			all[s.calendar] = append(all[s.calendar], &teller{
				w: w, shop: s, tid: tid, rng: rand.New(rand.NewPCG(1, uint64(len(all[s.calendar]))<<8|uint64(s.calendar))),
			})
		}
	}
	return all
}

// workDay lets the tellers of every calendar do their day's transactions, all at once.
func (w *world) workDay(tellers [calendarCount][]*teller, quotas [calendarCount]int) {
	var all sync.WaitGroup
	for c := range tellers {
		var left atomic.Int64
		left.Store(int64(quotas[c]))
		for _, t := range tellers[c] {
			t.nextDay()
			all.Go(func() {
				for !w.t.Failed() {
					s := t.choose()
					if left.Add(-s.transactions) < 0 {
						return
					}
					s.play(t)
				}
			})
		}
		defer left.Load() // lives as long as its tellers
	}
	all.Wait()
}

func (t *teller) nextDay() {
	t.earlier = append(t.earlier, t.today...)
	if over := len(t.earlier) - earlierMax; over > 0 {
		t.earlier = t.earlier[over:]
	}
	t.today = nil
}

// story is one customer: as many transactions as it stores.
type story struct {
	share        int // of a hundred
	transactions int64
	play         func(*teller)
}

var stories = []story{
	{62, 1, (*teller).playSale},
	{5, 1, (*teller).playCashback},
	{8, 2, (*teller).playCompletion},
	{6, 2, (*teller).playVoid},
	{4, 2, (*teller).playReversal},
	{10, 1, (*teller).playRefund},
	{2, 1, (*teller).playHold},
	{3, 1, (*teller).playRepeat},
}

func (t *teller) choose() *story {
	n := t.rng.IntN(100)
	for i := range stories {
		if n -= stories[i].share; n < 0 {
			return &stories[i]
		}
	}
	return &stories[0]
}

func (t *teller) request(kind switching.Kind, minor int64) *switching.Request {
	t.stan++
	return &switching.Request{
		Kind: kind, MID: t.shop.mid, TID: t.tid, Dialect: t.shop.dialect, STAN: t.stan, AmountMinor: minor, HasAmount: minor != 0,
	}
}

func (t *teller) withCard(r *switching.Request) *switching.Request {
	list := t.w.cards[t.shop.calendar]
	r.PAN, r.Expiry = list[t.rng.IntN(len(list))], "3012"
	r.Token = t.w.vault.Token(r.PAN)
	return r
}

// ask submits and waits; everything that a teller asks is approved.
func (t *teller) ask(r *switching.Request) (switching.Response, bool) {
	answered := make(chan switching.Response, 1)
	t.w.node.Switch().Submit(r, func(resp switching.Response) { answered <- resp })
	resp := <-answered
	if !resp.Approved() || !resp.HasBusinessDate {
		t.w.t.Errorf("%s, STAN %d: %s was answered %s (rule %q)", t.tid, r.STAN, r.Kind, resp.Reason, resp.Rule)
		return resp, false
	}
	return resp, true
}

func (t *teller) someMinor() int64 { return 100 + t.rng.Int64N(50_000) }

// buy makes a purchase and writes it down.
func (t *teller) buy(r *switching.Request) *deal {
	resp, ok := t.ask(r)
	if !ok {
		return nil
	}
	d := &deal{
		merchantID: t.shop.id, date: resp.BusinessDate, rrn: resp.RRN, minor: r.AmountMinor,
		cashbackMinor: r.CashbackMinor, completion: r.Kind == switching.KindCompletion,
	}
	t.w.book.purchase(d)
	return d
}

func (t *teller) playSale() {
	if d := t.buy(t.withCard(t.request(switching.KindSale, t.someMinor()))); d != nil {
		t.today = append(t.today, d)
	}
}

func (t *teller) playCashback() {
	r := t.withCard(t.request(switching.KindSale, t.someMinor()))
	r.CashbackMinor = 1 + t.rng.Int64N(r.AmountMinor-1)
	t.buy(r)
}

func (t *teller) playCompletion() {
	r := t.withCard(t.request(switching.KindAuthorization, t.someMinor()))
	hold, ok := t.ask(r)
	if !ok {
		return
	}
	completion := t.request(switching.KindCompletion, 1+t.rng.Int64N(r.AmountMinor))
	completion.Original = byRRN(hold.RRN)
	if d := t.buy(completion); d != nil {
		t.today = append(t.today, d)
	}
}

func byRRN(rrn int64) switching.Reference { return switching.Reference{RRN: rrn, HasRRN: true} }

func (t *teller) playVoid() {
	d := t.buy(t.withCard(t.request(switching.KindSale, t.someMinor())))
	if d == nil {
		return
	}
	r := t.request(switching.KindVoid, d.minor)
	r.Original = byRRN(d.rrn)
	t.cancelled(d, r, d.minor)
}

// cancelled asks for a purchase to be undone and writes down what it became.
func (t *teller) cancelled(d *deal, r *switching.Request, minor int64) {
	resp, ok := t.ask(r)
	switch {
	case !ok:
	case resp.Became == switching.KindVoid && resp.BusinessDate == d.date:
		t.w.book.voided(d)
	case resp.Became == switching.KindRefund && resp.BusinessDate > d.date:
		t.w.book.refunded(d, resp.BusinessDate, minor)
	default:
		t.w.t.Errorf("%s, STAN %d: a cancel became a %s on %s, its purchase is of %s", t.tid, r.STAN, resp.Became, resp.BusinessDate, d.date)
	}
}

func (t *teller) playReversal() {
	r := t.withCard(t.request(switching.KindSale, t.someMinor()))
	d := t.buy(r)
	if d == nil {
		return
	}
	reversal := *r
	reversal.Kind = switching.KindReversal
	resp, ok := t.ask(&reversal)
	switch {
	case !ok:
	case resp.BusinessDate != d.date:
		t.w.t.Errorf("%s, STAN %d: a sale of %s was reversed on %s, in the middle of its day", t.tid, r.STAN, d.date, resp.BusinessDate)
	default:
		t.w.book.reversed(d)
	}
}

func (t *teller) playRefund() {
	if len(t.earlier) == 0 {
		t.playSale()
		return
	}
	i := t.rng.IntN(len(t.earlier))
	d := t.earlier[i]
	t.earlier[i] = t.earlier[len(t.earlier)-1]
	t.earlier = t.earlier[:len(t.earlier)-1]
	minor := d.minor
	if t.rng.IntN(2) == 0 {
		minor = 1 + t.rng.Int64N(d.minor)
	}
	r := t.request(switching.KindRefund, minor)
	r.Original = byRRN(d.rrn)
	t.cancelled(d, r, minor)
}

// playHold leaves an authorization to run out.
func (t *teller) playHold() { t.ask(t.withCard(t.request(switching.KindAuthorization, t.someMinor()))) }

func (t *teller) playRepeat() {
	r := t.withCard(t.request(switching.KindSale, t.someMinor()))
	d := t.buy(r)
	if d == nil {
		return
	}
	repeat := *r
	repeat.Repeat = true
	if resp, ok := t.ask(&repeat); ok && resp.RRN != d.rrn {
		t.w.t.Errorf("%s, STAN %d: a repeat was answered with another RRN", t.tid, r.STAN)
	}
}
