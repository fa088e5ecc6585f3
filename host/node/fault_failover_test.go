package node_test

import "testing"

// TestFaultFailover: one of two hosts loses its database between a commit and
// its answer, tells the terminal of a failure, and the terminal turns to the
// other host. What it hears there is what holds when the first one is back.
func TestFaultFailover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newProxy(t, w.url)
	first, second := w.behind(p, hurried), w.start(hurried)
	here, there := newTerminal(w, first, tills()[0]), newTerminal(w, second, tills()[0])
	here.troubled, there.troubled = true, true

	p.cutCommits(1, func() { p.refuse(true) })
	sale := here.sale(1, 100)
	here.do(0, sale)
	if code := sale.answer.Code(); code != "96" {
		t.Fatalf("answered %q while the outcome is unknown, want 96", code)
	}
	there.do(0, sale)
	there.want(sale, "00")
	there.moved(sale, -100, 0)
	p.refuse(false)
	w.until("the first host to be back", func() bool {
		after := here.sale(2, 100)
		here.do(0, after)
		here.moved(after, -100, 0)
		return after.approved()
	})
	there.repeat(0, sale)
	for _, h := range []*running{first, second} {
		h.wantSound()
	}
	here.close()
	there.close()
	first.stop()
	second.stop()
	w.wantSoundBooks()
}
