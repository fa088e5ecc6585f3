package node_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/host/node"
)

// doubting makes a host answer soon what is in doubt, and leaves it patience with
// a busy machine.
func doubting(c *node.Config) {
	c.Switch.StoreTimeout, c.Switch.AnswerTimeout = 10*time.Second, 1500*time.Millisecond
}

// failover is one till at three hosts of one database: two whose database can
// go away, and one that is well.
type failover struct {
	w       *world
	proxies [2]*proxy
	hosts   [3]*running
	at      [3]*terminal
}

func newFailover(t *testing.T, till till) *failover {
	t.Helper()
	f := &failover{w: newWorld(t)}
	for i := range f.proxies {
		f.proxies[i] = newProxy(t, f.w.url)
		f.hosts[i] = f.w.behind(f.proxies[i], doubting)
	}
	f.hosts[2] = f.w.start()
	for i, h := range f.hosts {
		f.at[i] = newTerminal(f.w, h, till)
		f.at[i].troubled = true
		f.at[i].stan.Store(int32(i * 100_000)) // one till counts its STANs once
	}
	return f
}

// lose asks host i for a deal whose commit it does not hear of, because its
// database goes away: the terminal is told of a failure.
func (f *failover) lose(i int, d *deal) {
	f.w.t.Helper()
	f.w.until("its commit to be the one that is lost", func() bool {
		f.proxies[i].refuse(false)
		f.proxies[i].cutCommits(1, func() { f.proxies[i].refuse(true) })
		f.at[i].do(0, d)
		return d.answer.Code() != "91" // the host verified its ledger at this moment: nothing is stored
	})
	if code := d.answer.Code(); code != "96" {
		f.w.t.Fatalf("STAN %d was answered %q while the outcome is unknown, want 96", d.stan, code)
	}
}

// back lets the databases come back, one after the other, and waits until their
// hosts, which settle their doubts first, approve again.
func (f *failover) back(hosts ...int) {
	f.w.t.Helper()
	for _, i := range hosts {
		f.proxies[i].refuse(false)
		f.w.until("the host to be back", func() bool {
			after := f.at[i].sale(2, 100)
			f.at[i].do(0, after)
			f.at[i].moved(after, -100, 0)
			return after.approved()
		})
	}
}

// wantState of a deal, and the answer of its repeats at every host.
func (f *failover) wantState(what string, d *deal, state int, code string) {
	f.w.t.Helper()
	if got := f.w.stateOf(f.at[0], d); got != state {
		f.w.t.Errorf("%s: the sale is in state %d, want %d", what, got, state)
	}
	for i := range f.at {
		if got := f.again(i, d).answer.Code(); got != code {
			f.w.t.Errorf("%s: its repeat was answered %q at host %d, want %s", what, got, i, code)
		}
	}
}

// again repeats a deal at host i.
func (f *failover) again(i int, d *deal) *deal {
	again := *d
	again.request = d.request.Repeat()
	f.at[i].do(0, &again)
	return &again
}

// told repeats a deal at the host that is well, which approves it.
func (f *failover) told(d *deal) {
	f.w.t.Helper()
	again := f.again(2, d)
	if !again.approved() {
		f.w.t.Errorf("answered %q at a host that is well", again.answer.Code())
	}
	f.at[2].moved(again, -d.minor, 0)
}

func (f *failover) end() {
	f.w.t.Helper()
	for i, h := range f.hosts {
		h.wantSound()
		f.at[i].close()
		h.stop()
	}
	f.w.wantSoundBooks()
}

// TestFaultFailover: a host loses its database between a commit and its answer
// and tells the terminal of a failure. The terminal turns to another host, or to
// the same one again: what it hears first is what holds.
func TestFaultFailover(t *testing.T) {
	t.Parallel()
	f := newFailover(t, tills()[0])
	sale := func() *deal { return f.at[0].sale(1, 100) }

	repeated := sale()
	f.lose(0, repeated)
	if !strings.Contains(f.w.logs.String(), "tells a terminal of a failure while the outcome is unknown") {
		t.Error("the log has no note of what the host means to find out")
	}
	f.told(repeated)
	f.back(0)
	f.wantState("repeated at another host", repeated, 2, "00")

	abandoned := sale()
	f.lose(0, abandoned)
	call, err := f.at[0].send(1, abandoned.request.Repeat()) // it waits behind the doubt
	f.w.must(err)
	f.w.until("the repeat to wait", func() bool { return f.hosts[0].metric("meridian_lane_depth") > 0 })
	f.back(0)
	if answer, err := f.at[0].await(call); err != nil || answer.Code() != "96" {
		t.Errorf("a repeat at the host that was in doubt was answered %q, %v, want 96", answer.Code(), err)
	}
	f.wantState("repeated after the host was back", abandoned, 7, "96")

	reversed := sale()
	f.lose(0, reversed)
	f.w.book.giveUp(approval{f.at[0].till.tid, reversed.stan, false})
	f.at[2].doReversal(0, f.at[2].reversalOf(reversed, 0))
	f.back(0)
	f.wantState("reversed at another host", reversed, 5, "00")

	partly := sale()
	f.lose(0, partly)
	f.w.book.giveUp(approval{f.at[0].till.tid, partly.stan, false})
	f.at[2].doReversal(0, f.at[2].reversalOf(partly, 40))
	f.w.book.move(partly.card, -40, 0)
	f.back(0)
	f.wantState("reversed in part at another host", partly, 2, "00")
	f.end()
}

// TestFaultFailoverTwice: the second host loses the commit of the repeat. The
// terminal was told of failures and nothing else, whoever is back first, unless
// a third host approved meanwhile.
func TestFaultFailoverTwice(t *testing.T) {
	t.Parallel()
	f := newFailover(t, tills()[1])
	for _, c := range []struct {
		what  string
		told  bool
		order []int
		state int
		code  string
	}{
		{"the first is back first", false, []int{0, 1}, 7, "96"},
		{"the second is back first", false, []int{1, 0}, 7, "96"},
		{"told by a third", true, []int{1, 0}, 2, "00"},
	} {
		sale := f.at[0].sale(1, 100)
		f.lose(0, sale)
		f.lose(1, sale)
		if c.told {
			f.told(sale)
		}
		f.back(c.order...)
		f.wantState(c.what, sale, c.state, c.code)
	}
	f.end()
}

// failovers to be raced at least.
const failovers = 50

// TestFaultFailoverRaces: a shop's tills repeat at the second host at the
// moment when the first one is back. Each is told what holds.
func TestFaultFailoverRaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := &failoverRace{w: w, p: newProxy(t, w.url)}
	r.first, r.second = w.behind(r.p, doubting), w.start()
	for i, till := range tills() {
		if i/tillsPerShop%4 == 0 { // of one bucket, and so of one lane
			here, there := newTerminal(w, r.first, till), newTerminal(w, r.second, till)
			here.troubled, there.troubled = true, true
			r.here, r.there = append(r.here, here), append(r.there, there)
		}
	}
	raced := 0
	w.until("enough races", func() bool {
		raced += r.round()
		return raced >= failovers*soakFactor()
	})
	t.Logf("raced %d: %d were told at the second host, %d were taken back", raced, r.told, raced-r.told)
	for _, h := range []*running{r.first, r.second} {
		h.wantSound()
	}
	closeAll(r.here)
	closeAll(r.there)
	r.first.stop()
	r.second.stop()
	w.wantSoundBooks()
}

type failoverRace struct {
	w             *world
	p             *proxy
	first, second *running
	here, there   []*terminal // the same tills
	told          int
}

// lock holds a card until its end.
func (r *failoverRace) lock(card int) (unlock func()) {
	r.w.t.Helper()
	tx, err := r.w.pool.Begin(r.w.t.Context())
	r.w.must(err)
	_, err = tx.Exec(r.w.t.Context(), `SELECT FROM card_accounts WHERE card_id = $1 FOR UPDATE`, card+1)
	r.w.must(err)
	return func() { r.w.must(tx.Rollback(r.w.t.Context())) }
}

// untilLocked waits until a unit of work waits for a lock, or happened.
func (r *failoverRace) untilLocked(happened func() bool) {
	r.w.t.Helper()
	r.w.until("a unit to wait for its card", func() bool {
		var waiting int
		r.w.must(r.w.pool.QueryRow(r.w.t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`).Scan(&waiting))
		return waiting > 0 || happened()
	})
}

// round has one sale of every till in doubt in one unit of work, and races
// their repeats against the first host's return. It tells how many it raced: on
// a machine too busy for the first host's patience, none.
func (r *failoverRace) round() (raced int) {
	// A unit before theirs holds the lane up until they have all gathered, and
	// theirs is held up until the next commit can only be its own.
	const beforeCard, theirCard = cardCount - 1, cardCount - 2
	unlockBefore, unlockTheirs := r.lock(beforeCard), r.lock(theirCard)
	var asking sync.WaitGroup
	before := r.here[0].sale(beforeCard, 100)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		r.here[0].do(1, before)
		r.here[0].moved(before, -100, 0)
	}()
	isAnswered := func() bool {
		select {
		case <-answered:
			return true
		default:
			return false
		}
	}
	r.untilLocked(isAnswered)
	sales := make([]*deal, len(r.here))
	for i, term := range r.here {
		sales[i] = term.sale(term.till.number, 100)
		if i == 0 {
			sales[i] = term.sale(theirCard, 100)
		}
		asking.Go(func() { term.do(0, sales[i]) })
	}
	r.w.until("the tills to gather", func() bool { return isAnswered() || r.first.metric("meridian_lane_depth") >= float64(len(sales)) })
	unlockBefore()
	<-answered
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		asking.Wait()
	}()
	r.untilLocked(func() bool {
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
	r.p.cutCommits(1, func() { r.p.refuse(true) })
	unlockTheirs()
	<-gone
	r.p.cutCommits(0, nil)
	r.repeat(sales)
	for _, d := range sales {
		if d.answer.Code() == "96" {
			raced++
		}
	}
	return raced
}

// spread of the repeats: twice what the first host takes to notice that its
// database is back.
const spread = 600 * time.Millisecond

// repeat asks again for all sales at the second host, while the first comes
// back, and then at both for what holds.
func (r *failoverRace) repeat(sales []*deal) {
	repeats := make([]*deal, len(sales))
	indexes := make([]int, len(sales))
	for i, d := range sales {
		again := *d
		again.request = d.request.Repeat()
		indexes[i], repeats[i] = i, &again
	}
	r.p.refuse(false)
	parallel(r.w.t, indexes, func(i int, rng *rand.Rand) {
		time.Sleep(time.Duration(rng.Int64N(int64(spread))))
		r.there[i].do(0, repeats[i])
	})
	r.w.until("the first host to be back", func() bool {
		after := r.here[0].sale(0, 100)
		r.here[0].do(0, after)
		r.here[0].moved(after, -100, 0)
		return after.approved()
	})
	for i, d := range repeats {
		r.there[i].want(d, "00")
		r.there[i].moved(d, -100, 0)
		if d.approved() && sales[i].answer.Code() == "96" {
			r.told++
		}
		r.here[i].repeatSame(0, d)
		r.there[i].repeatSame(0, d)
	}
}
