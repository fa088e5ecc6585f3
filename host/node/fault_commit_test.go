package node_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"meridian/host/node"
	switching "meridian/switch"
)

// behind starts a node that reaches its database through a proxy. Housekeeping
// rests, so that the only commits are those of units of work.
func (w *world) behind(p *proxy, change ...func(*node.Config)) *running {
	w.t.Helper()
	return w.start(append(change, func(c *node.Config) {
		c.DatabaseURL = p.url
		c.Switch.Refresh = time.Hour
	})...)
}

// stateOf the transaction of a request, by its STAN: 0 when nothing is stored.
func (w *world) stateOf(t *terminal, d *deal) int {
	w.t.Helper()
	var state int
	w.must(w.pool.QueryRow(w.t.Context(), `
		SELECT coalesce(max(t.state), 0) FROM transactions t JOIN terminals r USING (terminal_id)
		WHERE r.tid = $1 AND t.stan = $2 AND t.kind <> 8`, t.till.tid, d.stan).Scan(&state))
	return state
}

// TestFaultCommitAnswerLost: the database committed, and the host did not hear
// of it. Run again, the unit finds its keys: approved, once.
func TestFaultCommitAnswerLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newProxy(t, w.url)
	h := w.behind(p)
	crowd := w.terminals(h, crowdUnderFault, false)
	p.cutCommits(12, nil)
	parallel(t, posts(crowd), func(post post, rng *rand.Rand) { post.day(rng, post.line, times(4)) })
	if left := p.cutsLeft(); left > 0 {
		t.Errorf("%d commits were not cut", left)
	}
	if n := h.metric("meridian_unit_retries_total"); n < 12 {
		t.Errorf("%v units were tried again, want at least 12", n)
	}
	h.wantSound()
	closeAll(crowd)
	h.stop()
	w.wantSoundBooks()
}

// TestFaultCommitInDoubt: committed, unheard of, and then the database is away.
// Whatever the terminal is told meanwhile, the money must agree with it.
func TestFaultCommitInDoubt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		away time.Duration // after the request was sent
	}{
		{"past the answer's deadline", answerTimeout + 2*time.Second},
		{"past the store's deadline", storeTimeout + 500*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := newProxy(t, w.url)
			h := w.behind(p, hurried)
			// One till for each shop: lanes and units of their own.
			var crowd []*terminal
			for i, term := range w.terminals(h, len(tills()), true) {
				if i%tillsPerShop < 2 {
					crowd = append(crowd, term)
				}
			}
			p.cutCommits(1, func() { p.refuse(true) })
			back := time.AfterFunc(c.away, func() { p.refuse(false) })
			defer back.Stop()
			parallel(t, crowd, func(term *terminal, rng *rand.Rand) {
				var asked []*deal
				for kind := range 3 {
					d := term.sale(term.anyCard(rng), 100)
					if kind == 1 {
						d = term.request("0100", "000000", d.card, 100, nil)
					}
					term.do(0, d)
					term.want(d, "00")
					if kind == 1 {
						term.moved(d, 0, 100)
					} else {
						term.moved(d, -100, 0)
					}
					asked = append(asked, d)
				}
				w.until("the database", func() bool {
					after := term.sale(asked[0].card, 100)
					term.do(0, after)
					term.moved(after, -100, 0)
					return after.approved()
				})
				// What is stored by now is what was told; what is not was refused.
				for _, d := range asked {
					if w.stateOf(term, d) != 0 {
						term.repeatSame(0, d)
					}
				}
			})
			if p.cutsLeft() > 0 {
				t.Error("no commit was cut")
			}
			h.wantSound()
			closeAll(crowd)
			h.stop()
			w.wantSoundBooks()
		})
	}
}

// TestFaultCommitArrivesLate: the network holds the store of a sale, and brings
// it to the database after the terminal was told of a failure. Other connections
// work meanwhile, so that the host looks and finds nothing.
func TestFaultCommitArrivesLate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		held int // stores: of the sale, and of what the host makes of finding nothing
		late func(w *world, p *proxy, term *terminal, sale *deal)
	}{
		{"after the host took its key", 1, func(w *world, p *proxy, term *terminal, sale *deal) {
			w.until("the host to take the key", func() bool { return w.stateOf(term, sale) == int(switching.StateDeclined) })
			p.thaw()
		}},
		{"before what the host makes of it", 2, func(w *world, p *proxy, term *terminal, sale *deal) {
			w.until("both stores to be held", func() bool { return p.held() == 2 })
			p.thawFirst()
			w.until("the late sale to be stored", func() bool { return w.stateOf(term, sale) == int(switching.StateApproved) })
			p.thaw()
			w.until("the late sale to be abandoned", func() bool { return w.stateOf(term, sale) == int(switching.StateAbandoned) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := newProxy(t, w.url)
			h := w.behind(p, hurried)
			term := w.terminals(h, 1, true)[0]
			for range 3 { // the connection's statements are prepared from now on
				warm := term.sale(1, 100)
				term.do(0, warm)
				term.want(warm, "00")
				term.moved(warm, -100, 0)
			}
			p.arrest(c.held)
			sale := term.sale(1, 100)
			term.do(0, sale)
			if code := sale.answer.Code(); code != "96" {
				t.Fatalf("answered %q while the outcome is unknown, want 96", code)
			}
			c.late(w, p, term, sale)
			again := *sale
			again.request = sale.request.Repeat()
			term.do(0, &again)
			if code := again.answer.Code(); code != "96" {
				t.Errorf("the repeat was answered %q, the first time 96", code)
			}
			term.doReversal(0, term.reversalOf(sale, 0))
			h.wantSound()
			term.close()
			h.stop()
			w.wantSoundBooks()
		})
	}
}

// TestFaultNetworkStalls: no store reaches the database for longer than any
// answer may take, and then all of them do at once.
func TestFaultNetworkStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newProxy(t, w.url)
	h := w.behind(p, hurried)
	b := w.open(w.terminals(h, crowdUnderFault, true))
	b.goOn(300)
	p.arrest(1000)
	thaw := time.AfterFunc(answerTimeout+2*time.Second, p.thaw)
	defer thaw.Stop()
	w.until("requests in doubt to be answered", func() bool { return w.book.answered("0210", "96") > 0 })
	w.until("requests to be refused", func() bool { return w.book.answered("0210", "91") > crowdUnderFault })
	b.goOn(300)
	b.close()
	h.wantSound()
	h.stop()
	w.wantSoundBooks()
}
