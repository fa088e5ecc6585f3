package switching_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meridian/switch/model"
)

// TestModel asks hosts and model the same random sequences of questions and
// wants the same answers, balances and books after each.
//
// How many sequences: 100, or 10,000 with MERIDIAN_TEST_SOAK set, or as many as
// the flag -rapid.checks says. A failure is shrunk to few questions, and told
// with the flag that repeats it:
//
//	MERIDIAN_TEST_SOAK=1 go test ./switch -timeout 60m -run 'TestModel$'
//	go test ./switch -run 'TestModel$' -rapid.checks=1000 -rapid.shrinktime=2m
func TestModel(t *testing.T) {
	checks(t, 100, 10_000)
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
	// asked are the requests that can be repeated.
	asked []model.Request
	// promised are requests whose reversal came before them.
	promised []model.Request
}

// How often what is asked; more than these comes with more.
var weights = map[string]int{
	"buy": 5, "complete": 3, "cancel": 6, "reverse": 4, "reverse early": 1, "late original": 1, "repeat": 2, "change repeat": 1,
	"inquire": 1, "fault": 1, "move clock": 5, "turn back": 1, "policy": 2, "card status": 1, "expire": 1, "cutover": 2,
}

func (tw *twins) sequence(t *rapid.T, more map[string]int) {
	begin := rapid.SampledFrom(beginnings).Draw(t, "begin")
	tw.reset(begin)
	s := &machine{twins: tw, begin: begin}
	do := map[string]func(*rapid.T){
		"buy": s.buy, "complete": s.complete, "cancel": s.cancel, "reverse": s.reverse, "reverse early": s.reverseEarly,
		"late original": s.lateOriginal, "repeat": s.repeat, "change repeat": s.changeRepeat, "inquire": s.inquire, "fault": s.fault,
		"move clock": s.moveClock, "turn back": s.turnBack, "policy": s.changePolicy, "card status": s.changeCard, "expire": s.expire,
		"cutover": s.closeDates, "race": s.race,
	}
	actions := map[string]func(*rapid.T){"": func(t *rapid.T) { tw.check(t) }}
	for _, weigh := range []map[string]int{weights, more} {
		for name, weight := range weigh {
			for i := range weight {
				actions[fmt.Sprintf("%s %d", name, i)] = do[name]
			}
		}
	}
	t.Repeat(actions)
	tw.verify(t)
}

// Days before what calendars find hard, and one on which nothing happens.
var beginnings = []time.Time{
	time.Date(2028, 5, 16, 9, 0, 0, 0, time.UTC),
	time.Date(2028, 3, 25, 22, 0, 0, 0, time.UTC),  // Berlin goes to summer time
	time.Date(2028, 10, 28, 22, 0, 0, 0, time.UTC), // and back
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
	terminal = rapid.IntRange(0, len(twinOwners)-1).Draw(t, "terminal")
	return twinOwners[terminal], terminal
}

func (s *machine) buy(t *rapid.T) { s.put(t, s.purchase(t, s.nextSTAN())) }

func (s *machine) purchase(t *rapid.T, stan int) model.Request {
	r := model.Request{Kind: draw(t, "kind", model.Sale, model.Sale, model.Authorization, model.Advice), STAN: stan, HasAmount: true}
	r.Merchant, r.Terminal = s.terminal(t)
	r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	r.AmountMinor = draw[int64](t, "amount", 1_000, 999, 2_000, 20_000, 50_000)
	if r.Kind == model.Sale {
		r.CashbackMinor = draw[int64](t, "cashback", 0, 0, 0, 500)
	}
	if one(t, 3, "with invoice") {
		r.Invoice = draw(t, "invoice", "000001", "000002")
	}
	return r
}

// fault is a purchase or an inquiry with one thing wrong.
func (s *machine) fault(t *rapid.T) {
	r := s.purchase(t, s.nextSTAN())
	switch draw(t, "fault", "amount", "limit", "cashback", "more cashback", "currency", "card", "expiry", "no card", "inquiry", "merchant", "terminal", "other's terminal") {
	case "amount":
		r.AmountMinor, r.CashbackMinor = 0, 0
	case "limit":
		r.AmountMinor = 50_001
	case "cashback":
		r.Kind, r.AmountMinor, r.CashbackMinor = model.Sale, 20_000, 10_001
	case "more cashback":
		r.Kind, r.AmountMinor, r.CashbackMinor = model.Sale, 1_000, 1_001
	case "currency":
		r.Currency = 978
	case "card":
		r.Card = draw(t, "what card", model.StrangeCard, model.ForeignCard, model.MistypedCard)
	case "expiry":
		r.Expiry = "3011"
	case "no card":
		r.Card = model.NoCard
	case "inquiry":
		r.Kind, r.CashbackMinor = model.Balance, 0
		r.Card = draw(t, "what card", model.StrangeCard, model.ForeignCard, model.MistypedCard, model.NoCard)
	case "merchant":
		r.Merchant = model.Nobody
	case "terminal":
		r.Terminal = model.Nobody
	case "other's terminal":
		r.Merchant = (r.Merchant + 1) % len(s.m.Merchants)
	}
	s.put(t, r)
}

func (s *machine) inquire(t *rapid.T) {
	r := model.Request{Kind: model.Balance, STAN: s.nextSTAN()}
	r.Merchant, r.Terminal = s.terminal(t)
	r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	s.put(t, r)
}

// original draws a transaction, the youngest that fits first; -1 if there is none.
func (s *machine) original(t *rapid.T, fits func(*model.Transaction) bool) int {
	var some []int
	whatever := one(t, 8, "any original")
	for i := len(s.m.Transactions) - 1; i >= 0; i-- {
		if tr := &s.m.Transactions[i]; whatever || fits(tr) {
			some = append(some, i)
		}
	}
	if len(some) == 0 {
		return -1
	}
	return rapid.SampledFrom(some).Draw(t, "original")
}

// referTo fills in where the original was, and how it is named.
func (s *machine) referTo(t *rapid.T, r *model.Request, id int) {
	if id < 0 {
		r.Merchant, r.Terminal = s.terminal(t)
		r.Original = draw(t, "reference",
			model.Reference{By: model.ByRRN, Transaction: -1}, model.Reference{}, model.Reference{By: model.BySTAN, STAN: 999_999},
			model.Reference{By: model.ByInvoice, Invoice: "999999"})
		return
	}
	o := &s.m.Transactions[id]
	r.Merchant, r.Terminal = o.Merchant, o.Terminal
	if one(t, 6, "elsewhere") {
		r.Merchant, r.Terminal = s.terminal(t)
	}
	switch draw(t, "by", model.ByRRN, model.ByRRN, model.BySTAN, model.ByInvoice) {
	case model.BySTAN:
		r.Original = model.Reference{By: model.BySTAN, STAN: o.STAN, Batch: draw(t, "batch", 0, 1)}
	case model.ByInvoice:
		if o.Invoice != "" {
			r.Original = model.Reference{By: model.ByInvoice, Invoice: o.Invoice}
			break
		}
		fallthrough
	default:
		r.Original = model.Reference{By: model.ByRRN, Transaction: id}
	}
	if one(t, 4, "with card") {
		r.Card = o.Card
		if one(t, 3, "another card") {
			r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
		}
	}
}

func (s *machine) complete(t *rapid.T) {
	r := model.Request{Kind: model.Completion, STAN: s.nextSTAN(), Card: model.NoCard, HasAmount: true}
	id := s.original(t, func(o *model.Transaction) bool { return o.Hold.State == model.HoldOpen })
	s.referTo(t, &r, id)
	r.AmountMinor = 1_000
	if id >= 0 {
		hold := s.m.Transactions[id].Hold.AmountMinor
		r.AmountMinor = draw(t, "amount", hold, hold/2, hold*115/100, hold*115/100+1, 0)
	}
	s.put(t, r)
}

func (s *machine) cancel(t *rapid.T) { s.put(t, s.cancellation(t, s.cancellable(t))) }

func (s *machine) cancellable(t *rapid.T) int {
	return s.original(t, func(o *model.Transaction) bool { return o.CapturedMinor > 0 || o.Hold.State == model.HoldOpen })
}

func (s *machine) cancellation(t *rapid.T, id int) model.Request {
	r := model.Request{Kind: draw(t, "kind", model.Cancel, model.Void, model.Refund), STAN: s.nextSTAN(), Card: model.NoCard}
	s.referTo(t, &r, id)
	if id >= 0 {
		o := &s.m.Transactions[id]
		left := o.CapturedMinor - o.RefundedMinor
		if o.Kind == model.Authorization {
			left = o.Hold.AmountMinor
		}
		r.AmountMinor = draw[int64](t, "amount", -1, -1, left, left/2, left/3+1, left+1, o.AmountMinor, 0)
		r.HasAmount = r.AmountMinor >= 0
		r.AmountMinor = max(r.AmountMinor, 0)
	}
	if one(t, 15, "another currency") {
		r.Currency = 978
	}
	return r
}

func (s *machine) reverse(t *rapid.T) {
	id := s.original(t, func(o *model.Transaction) bool { return o.State == model.StateApproved && o.Kind != model.Reversal })
	if id < 0 {
		s.reverseEarly(t)
		return
	}
	s.put(t, s.reversal(t, id))
}

func (s *machine) reversal(t *rapid.T, id int) model.Request {
	o := &s.m.Transactions[id]
	r := model.Request{
		Kind: model.Reversal, Merchant: o.Merchant, Terminal: o.Terminal, STAN: o.STAN, Card: model.NoCard,
		AmountMinor: o.Request.AmountMinor, HasAmount: o.Request.HasAmount, ApproveUnknown: draw(t, "approve unknown", true, false),
	}
	if o.State == model.StateApproved && one(t, 10, "wrong amount") {
		r.AmountMinor, r.HasAmount = o.AmountMinor+1, true
	}
	if one(t, 3, "own STAN") {
		r.STAN = s.nextSTAN()
		s.referTo(t, &r, id)
	}
	if one(t, 4, "partial") {
		r.HasReplacement = true
		r.ReplacementMinor = draw[int64](t, "replacement", o.AmountMinor/2, o.AmountMinor, 0, o.AmountMinor+1, 1)
	}
	return r
}

// reverseEarly reverses what has not come yet.
func (s *machine) reverseEarly(t *rapid.T) {
	late := s.purchase(t, s.nextSTAN())
	s.promised = append(s.promised, late)
	r := model.Request{
		Kind: model.Reversal, Merchant: late.Merchant, Terminal: late.Terminal, STAN: late.STAN, Card: model.NoCard,
		AmountMinor: late.AmountMinor, HasAmount: true, ApproveUnknown: draw(t, "approve unknown", true, false),
	}
	if one(t, 3, "own STAN") {
		r.STAN = s.nextSTAN()
		r.Original = model.Reference{By: model.BySTAN, STAN: late.STAN, Batch: draw(t, "batch", 1, 0)}
	}
	s.put(t, r)
}

func (s *machine) lateOriginal(t *rapid.T) {
	if len(s.promised) == 0 {
		t.Skip("nothing was reversed before it came")
	}
	s.put(t, rapid.SampledFrom(s.promised).Draw(t, "late"))
}

func (s *machine) again(t *rapid.T) model.Request {
	if len(s.asked) == 0 {
		t.Skip("nothing to repeat")
	}
	return s.asked[len(s.asked)-1-rapid.IntRange(0, len(s.asked)-1).Draw(t, "again")]
}

func (s *machine) repeat(t *rapid.T) { s.ask(t, s.host(t), s.again(t)) }

func (s *machine) changeRepeat(t *rapid.T) {
	r := s.again(t)
	switch draw(t, "change", "amount", "kind", "card", "invoice", "reference") {
	case "amount":
		r.AmountMinor, r.HasAmount = r.AmountMinor+1, true
	case "kind":
		if r.Kind == model.Reversal {
			t.Skip("a reversal's key is of another class")
		}
		r.Kind = draw(t, "kind", model.Sale, model.Advice, model.Cancel)
	case "card":
		r.Card = rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	case "invoice":
		r.Invoice = "000003"
	case "reference":
		r.Original = model.Reference{By: model.ByRRN, Transaction: -1}
	}
	s.put(t, r)
}

// moveClock goes forward: to a cutoff, to the nanosecond, or by a while.
func (s *machine) moveClock(t *rapid.T) {
	now := s.m.Now
	switch draw(t, "clock", "cutoff", "cutoff", "while", "holds") {
	case "cutoff":
		c := rapid.SampledFrom(s.m.Calendars).Draw(t, "calendar")
		date := c.DateAt(now) + model.Date(draw(t, "days", 0, 0, 1, 3, 29, 30, 31))
		now = c.CutoffOf(date).Add(draw[time.Duration](t, "beside", 0, -time.Nanosecond, time.Nanosecond, -time.Microsecond, time.Microsecond, time.Hour))
	case "while":
		now = now.Add(draw(t, "while", time.Second, time.Hour, 24*time.Hour, 7*24*time.Hour, 40*24*time.Hour))
	case "holds":
		for i := range s.m.Transactions {
			if h := s.m.Transactions[i].Hold; h.State == model.HoldOpen && h.ExpiresAt.After(now) {
				now = h.ExpiresAt.Add(draw[time.Duration](t, "beside", 0, -time.Nanosecond, time.Nanosecond))
				break
			}
		}
	}
	if now.After(s.last) {
		t.Skip("no business days are made for that time")
	}
	s.setClock(now)
	t.Logf("clock %s", now.Format(time.RFC3339Nano))
}

// turnBack is what only a sandbox's clock can do.
func (s *machine) turnBack(t *rapid.T) {
	now := s.m.Now.Add(-draw(t, "back", time.Hour, 24*time.Hour, 72*time.Hour))
	if now.Before(s.begin.AddDate(0, 0, -daysBack)) {
		t.Skip("no business days are made for that time")
	}
	s.setClock(now)
	t.Logf("clock back to %s", now.Format(time.RFC3339Nano))
}

func (s *machine) changePolicy(t *rapid.T) {
	merchant := rapid.IntRange(0, len(s.m.Merchants)-1).Draw(t, "merchant")
	p := s.m.Merchants[merchant].Policy
	switch draw(t, "policy", "mode", "mode", "permission", "window", "count", "limit", "purchases") {
	case "mode":
		p.Mode = draw(t, "mode", model.Strict, model.CancelOnly, model.Auto)
	case "permission":
		p.AllowVoid = draw(t, "void", true, false)
		p.AllowRefund = draw(t, "refund", false, true)
	case "window":
		p.RefundWindowDays = draw(t, "days", 1, 3, 30)
	case "count":
		p.MaxRefunds = draw(t, "refunds", 1, 2, 3)
	case "limit":
		p.MaxAmountMinor = draw[int64](t, "amount", 0, 1_500, 50_000)
		p.MaxCashbackMinor = draw[int64](t, "cashback", 0, 400, 10_000)
	case "purchases":
		p.AllowAuthorization = draw(t, "authorization", true, false)
		p.AllowCashback = draw(t, "cashback", true, false)
		p.AllowOfflineAdvice = draw(t, "advice", true, false)
	}
	s.setPolicy(merchant, p)
	t.Logf("policy of merchant %d: %+v", merchant, p)
}

func (s *machine) changeCard(t *rapid.T) {
	i := rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	status := rapid.SampledFrom(twinStatuses).Draw(t, "status")
	s.setCardStatus(i, status)
	t.Logf("card %d is %s", i, status)
}

func (s *machine) expire(t *rapid.T) {
	s.expireHolds(s.host(t))
	t.Logf("holds expire")
}

// closeDates lets the job of the cutoff run, unless so much is due that it
// would take longer than the rest of the sequence.
func (s *machine) closeDates(t *rapid.T) {
	due := 0
	for i, c := range s.m.Calendars {
		due += int(c.DateAt(s.m.Now) - s.m.Unsealed[i])
	}
	if due > 9 {
		t.Skip("too much is due")
	}
	s.twins.cutover(s.host(t))
	t.Logf("business dates before %v are closed", s.m.Unsealed)
}
