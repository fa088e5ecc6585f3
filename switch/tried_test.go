package switching_test

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// swallower is a host that loses the database, once told to, with what stores something of card 0 and a
// COMMIT behind it: the database never gets any of that.
type swallower struct {
	w         *world
	sw        *switching.Switch
	swallow   atomic.Bool
	swallowed chan struct{}
}

func (w *world) swallower() *swallower {
	w.t.Helper()
	s := &swallower{w: w, swallowed: make(chan struct{}, 1)}
	ln, through, dial := inFrontOf(w.t, w.url)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			d, err := dial()
			if err != nil {
				c.Close()
				continue
			}
			go func() { io.Copy(c, d); c.Close() }()
			go s.pass(c, d)
		}
	}()
	pool, err := postgres.Open(w.t.Context(), through, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience})
	w.must(err)
	w.t.Cleanup(pool.Close)
	s.sw = w.second(func(o *switching.Options) { o.LanePool = pool; o.Lanes = 1 })
	return s
}

// pass on what the host sends, but for what is to be swallowed.
func (s *swallower) pass(from, to io.ReadWriteCloser) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 1<<20)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if s.swallow.Load() && bytes.Contains(buf[:n], []byte(cardNumber(0).Masked())) {
			s.swallow.Store(false)
			s.swallowed <- struct{}{}
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// ask for what is swallowed first, and then tried again.
func (s *swallower) ask(r *switching.Request) switching.Response {
	s.w.t.Helper()
	s.swallow.Store(true)
	got := askAt(s.w.t, s.sw, copyOf(r))
	select {
	case <-s.swallowed:
	default:
		s.w.t.Fatalf("nothing was swallowed: %s", got.Reason)
	}
	return got
}

// A terminal begins its STANs anew after it has settled. The host loses the database before that has the
// commit of its first sale, and tries again: it is no repeat of the same sale in the batch before.
func TestSaleTriedAgainIsNoRepeatOfTheBatchBefore(t *testing.T) {
	w := newWorld(t)
	host := w.swallower()
	sale := w.request(switching.KindSale, 10_00, stan(1))
	first := w.do(switching.Approved, copyOf(sale))
	w.do(switching.Approved, w.settlement(0, net(1, 10_00)))
	w.clock.advance(5 * time.Minute)
	// Another one before it, so that the host has prepared what it needs.
	if got := askAt(t, host.sw, w.request(switching.KindSale, 1_00, stan(1), withCard(1))); !got.Approved() {
		t.Fatalf("answered %s", got.Reason)
	}
	w.do(switching.Approved, w.settlement(0, net(1, 1_00)))
	got := host.ask(sale)
	w.verify()
	if spent := opened - w.available(0); !got.Approved() || spent != 20_00 {
		t.Errorf("the second of two sales of 10.00 in two batches was answered %s (RRN %d, %d), and the card spent %d", got.Reason, first.RRN, got.RRN, spent)
	}
}

// The same of a reversal: the sale that it reverses is one of this batch.
func TestReversalTriedAgainIsNoRepeatOfTheBatchBefore(t *testing.T) {
	w := newWorld(t)
	host := w.swallower()
	sale, reversal := w.request(switching.KindSale, 10_00, stan(1)), w.request(switching.KindReversal, 10_00, stan(1))
	w.do(switching.Approved, copyOf(sale))
	w.do(switching.Approved, copyOf(reversal))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, stan(2), withCard(1)))
	w.do(switching.Approved, w.settlement(0, net(1, 1_00)))
	w.clock.advance(5 * time.Minute)
	w.do(switching.Approved, copyOf(sale))
	w.wantAvailable(10_00)
	got := host.ask(reversal)
	w.verify()
	if spent := opened - w.available(0); !got.Approved() || spent != 0 {
		t.Errorf("the reversal was answered %s, and the card spent %d", got.Reason, spent)
	}
}

// A refund that was given in an earlier batch is asked for again, under the same STAN: that is told
// (94), also where its host lost the database meanwhile.
func TestRefundTriedAgainIsNoRepeatOfAnEarlierBatch(t *testing.T) {
	w := newWorld(t)
	host := w.swallower()
	sold := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.toCutoff(0)
	refund := w.request(switching.KindRefund, 1_00, of(sold), stan(700))
	w.do(switching.Approved, copyOf(refund))
	w.must(w.close(till, 0))
	w.clock.advance(48 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	for n := range int32(2) {
		if got := askAt(t, host.sw, w.request(switching.KindSale, 1_00, stan(n+1), withCard(1))); !got.Approved() {
			t.Fatalf("answered %s", got.Reason)
		}
		w.clock.advance(20 * time.Minute)
	}
	before := w.available(0)
	got := host.ask(refund)
	w.verify()
	if got.Reason != switching.PaidBefore || w.available(0) != before {
		t.Errorf("a refund that was given before was answered %s, and paid %d", got.Reason, w.available(0)-before)
	}
}

// What a host has stored, unheard of, it finds when it tries again, although the batch was settled meanwhile
// with totals that agreed: it is no new one.
func TestTriedAgainBehindASettlement(t *testing.T) {
	w := newWorld(t)
	host := w.patient()
	sale := w.request(switching.KindSale, 10_00)
	host.ask(sale)
	<-host.p.lost
	w.do(switching.Approved, w.settlement(0, net(1, 10_00)))
	host.p.down.Store(false)
	if got := <-host.answer; !got.Approved() {
		t.Errorf("answered %s", got.Reason)
	}
	w.wantSpent(0, 10_00, "one sale")
	w.verify()
}
