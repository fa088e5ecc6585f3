package node_test

import (
	"math/rand/v2"
	"testing"
)

// post is one of a terminal's two lines with somebody working at it.
type post struct {
	*terminal

	line int
}

// posts are two for each terminal.
func posts(list []*terminal) []post {
	var all []post
	for _, t := range list {
		all = append(all, post{t, 0}, post{t, 1})
	}
	return all
}

func (w *world) terminals(h *running, count int, troubled bool) []*terminal {
	var list []*terminal
	for _, t := range tills()[:count] {
		term := newTerminal(w, h, t)
		term.troubled = troubled
		list = append(list, term)
	}
	return list
}

func closeAll(list []*terminal) {
	for _, t := range list {
		t.close()
	}
}

// yesterday gives every terminal sales to refund, and lets a cutoff pass.
func (w *world) yesterday(crowd []*terminal) {
	w.t.Helper()
	parallel(w.t, crowd, func(t *terminal, rng *rand.Rand) {
		for range 3 {
			sale := t.sale(t.anyCard(rng), someMinor(rng))
			t.do(0, sale)
			t.want(sale, "00")
			t.moved(sale, -sale.minor, 0)
			t.settled = append(t.settled, sale)
		}
	})
	w.nextDay()
}

// times is true n times.
func times(n int) func() bool {
	return func() bool {
		n--
		return n >= 0
	}
}

// TestLoadCrowd: more than 200 connections with repeats, racing reversals and
// malformed frames. Every approval is in the ledger exactly once.
func TestLoadCrowd(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	crowd := w.terminals(h, len(tills()), false)
	w.yesterday(crowd)
	parallel(t, posts(crowd), func(p post, rng *rand.Rand) { p.day(rng, p.line, times(9*soakFactor())) })
	if n := h.metric("meridian_connections"); n < 200 {
		t.Errorf("%v connections at the end, want at least 200", n)
	}
	h.wantSound()
	closeAll(crowd)
	h.stop()
	w.wantSoundBooks()
}
