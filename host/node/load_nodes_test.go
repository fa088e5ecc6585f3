package node_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"meridian/internal/pglocal/pgtest"
)

// twoHosts serve the same tills over one database.
type twoHosts struct {
	w       *world
	hosts   [2]*running
	crowds  [2][]*terminal
	indexes []int // of the tills
}

// racers are tills at work at both hosts; the first shop's are all there.
const racers = 20

// TestLoadNodes races two hosts on one database: for keys, for reversals and
// their originals, and for what may be refunded of one sale.
func TestLoadNodes(t *testing.T) {
	w := newWorld(t, pgtest.Durable())
	two := &twoHosts{w: w}
	for i := range two.hosts {
		two.hosts[i] = w.start()
		two.crowds[i] = w.terminals(two.hosts[i], racers, false)
		for _, term := range two.crowds[i] {
			term.stan.Store(int32(i * 500_000)) // one till counts its STANs once
		}
	}
	for i := range racers {
		two.indexes = append(two.indexes, i)
	}
	two.oneKey(1000 * soakFactor())
	two.reversals(500 * soakFactor())
	two.refunds()
	for i, h := range two.hosts {
		closeAll(two.crowds[i])
		h.wantSound()
		h.stop()
	}
	w.wantSoundBooks()
}

// atBoth does the same thing at both hosts at once.
func atBoth(do func(i int)) {
	var both sync.WaitGroup
	for i := range 2 {
		both.Go(func() { do(i) })
	}
	both.Wait()
}

// oneKey sends every request to both hosts at once: one effect, and the same
// answer from both.
func (two *twoHosts) oneKey(count int) {
	parallel(two.w.t, two.indexes, func(i int, rng *rand.Rand) {
		asking := two.crowds[0][i]
		for range count / racers {
			d := asking.sale(asking.anyCard(rng), someMinor(rng))
			if rng.IntN(4) == 0 {
				d = asking.request("0100", "000000", d.card, d.minor, nil)
			}
			twins := [2]deal{*d, *d}
			atBoth(func(host int) { two.crowds[host][i].do(0, &twins[host]) })
			asking.want(&twins[0], "00")
			for _, field := range []int{15, 37, 38, 39} {
				if a, b := twins[0].answer.Field(field), twins[1].answer.Field(field); a != b {
					two.w.t.Errorf("%s, STAN %d: field %d is %q from one host and %q from the other", asking.till.tid, d.stan, field, a, b)
				}
			}
			if d.request.MTI == "0100" {
				asking.moved(&twins[0], 0, d.minor)
			} else {
				asking.moved(&twins[0], -d.minor, 0)
			}
		}
	})
}

// reversals reverses at one host what is being asked at the other: whichever
// comes first, no money is taken.
func (two *twoHosts) reversals(count int) {
	parallel(two.w.t, two.indexes, func(i int, rng *rand.Rand) {
		asking, reversing := two.crowds[0][i], two.crowds[1][i]
		for range count / racers {
			d := asking.sale(asking.anyCard(rng), someMinor(rng))
			two.w.book.giveUp(approval{asking.till.tid, d.stan, false})
			atBoth(func(host int) {
				if host == 0 {
					asking.do(0, d)
				} else {
					reversing.doReversal(0, reversing.reversalOf(d, 0))
				}
			})
			asking.want(d, "00", "12")
			reversing.do(0, d) // the late original at the other host, too
			reversing.want(d, "00", "12")
		}
	})
}

// refunds pays one sale back from fifty connections over both hosts. The sum is
// what was paid and no more, and nobody is told of a deadlock.
func (two *twoHosts) refunds() {
	buyer := two.crowds[0][0]
	sale := buyer.sale(7, 100_00)
	buyer.do(0, sale)
	buyer.want(sale, "00")
	buyer.moved(sale, -sale.minor, 0)
	two.w.nextDay()

	// The tills of one shop refund its sale, whoever made it.
	var at []post
	for _, crowd := range two.crowds {
		at = append(at, posts(crowd[:tillsPerShop])...)
	}
	var refunding sync.Mutex
	refunded := int64(0)
	parallel(two.w.t, at[:50], func(p post, _ *rand.Rand) {
		for range 8 {
			refund := p.of("0200", "200000", sale, 1_00)
			p.do(p.line, refund)
			p.want(refund, "00", "61")
			p.moved(refund, refund.minor, 0)
			if refund.approved() {
				refunding.Lock()
				refunded += refund.minor
				refunding.Unlock()
			}
		}
	})
	if refunded != sale.minor {
		two.w.t.Errorf("refunded %d of %d", refunded, sale.minor)
	}
}
