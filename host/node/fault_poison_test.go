package node_test

import (
	"testing"

	"meridian/internal/loadgen"
)

// TestFaultPoison: the database will not have one request among many. Its
// neighbours in the same units are approved, and it gets 96.
func TestFaultPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(`ALTER TABLE transactions ADD CONSTRAINT poison CHECK (stan <> 777777) NOT VALID`)
	h := w.start()
	// The tills of one shop, so that they meet in one lane.
	crowd := w.terminals(h, tillsPerShop, false)
	for round := range 5 {
		type asked struct {
			t    *terminal
			d    *deal
			call *loadgen.Call
		}
		var all []asked
		for i, term := range crowd {
			for n := range 10 {
				d := term.sale(term.till.number, 100)
				if i == round && n == 5 {
					d.stan = 777777
					d.request.Fields[11] = "777777"
				}
				call, err := term.send(n%2, d.request)
				w.must(err)
				all = append(all, asked{term, d, call})
			}
		}
		for _, a := range all {
			answer, err := a.t.await(a.call)
			w.must(err)
			a.d.answer = answer
			if a.d.stan == 777777 {
				a.t.want(a.d, "96")
				continue
			}
			a.t.want(a.d, "00")
			a.t.moved(a.d, -100, 0)
			if a.d.approved() {
				w.must(w.book.approve(approval{a.t.till.tid, a.d.stan, false}, answer.Field(37)))
			}
		}
	}
	h.wantSound()
	closeAll(crowd)
	h.stop()
	w.wantSoundBooks()
}

// TestFaultPoisonInDoubt: the commit of a request that the database will never
// have is lost on the way. It must not hold its lane for ever.
func TestFaultPoisonInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(`ALTER TABLE transactions ADD CONSTRAINT poison CHECK (stan <> 777777) NOT VALID`)
	p := newProxy(t, w.url)
	h := w.behind(p, hurried)
	term := w.terminals(h, 1, true)[0]
	for range 3 { // the connection's statements are prepared from now on
		warm := term.sale(0, 100)
		term.do(0, warm)
		term.want(warm, "00")
		term.moved(warm, -100, 0)
	}
	p.arrest(1)
	poison := term.sale(1, 100)
	poison.stan, poison.request.Fields[11] = 777777, "777777"
	term.do(0, poison)
	if code := poison.answer.Code(); code != "96" {
		t.Errorf("the poison was answered %q, want 96", code)
	}
	p.thaw()
	w.until("the lane to go on", func() bool {
		after := term.sale(2, 100)
		term.do(0, after)
		term.moved(after, -100, 0)
		return after.approved()
	})
	h.wantSound()
	term.close()
	h.stop()
	w.wantSoundBooks()
}
