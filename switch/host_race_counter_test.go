package switching_test

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// One message under one transaction counter at two hosts, the first of which stores it while the
// second waits for the counter: it is a repeat of the first, as it is when it comes a moment later.
func TestCountedSaleAtTwoHosts(t *testing.T) {
	w := newVaulted(t)
	withModule := func(o *switching.Options) { o.Module = w.module }
	h1, h2 := w.second(withModule), w.second(withModule)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, counted(1))) // the counter has a row
	// The second has met another host at the card, and reads it the next time.
	if got := askAt(t, h2, w.request(switching.KindSale, 2_00)); !got.Approved() {
		t.Fatalf("the second's own sale was answered %s", got.Reason)
	}
	sale := w.request(switching.KindSale, 10_00, counted(2))
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	answers := []chan switching.Response{make(chan switching.Response, 1), make(chan switching.Response, 1)}
	h1.Submit(copyOf(sale), func(r switching.Response) { answers[0] <- r })
	w.waiting(1, func() bool { return false })
	h2.Submit(copyOf(sale), func(r switching.Response) { answers[1] <- r })
	w.waiting(2, func() bool { return false })
	w.must(card.Rollback(t.Context()))
	first, second := <-answers[0], <-answers[1]
	if !first.Approved() {
		t.Fatalf("the sale was answered %s", first.Reason)
	}
	if second.Reason != first.Reason {
		t.Fatalf("the same sale at another host was answered %s, want %s", second.Reason, first.Reason)
	}
	w.sameAnswer(first, second)
	w.verify()
}

// cancels is what asks for the end of another connection's statement, instead of a version.
const cancels = 80877102

// cutOff is a way to the database that ends, for who is on it, when cut is called. What the database
// has been sent, it does: it is not told that nobody waits for it.
func (w *world) cutOff() (through string, cut func()) {
	w.t.Helper()
	ln, through, dial := inFrontOf(w.t, w.url)
	ends := make(chan struct{})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			begin := make([]byte, 8)
			if _, err := io.ReadFull(c, begin); err != nil || binary.BigEndian.Uint32(begin[4:]) == cancels {
				c.Close()
				continue
			}
			s, err := dial()
			if err != nil {
				c.Close()
				continue
			}
			go func() { s.Write(begin); io.Copy(s, c); s.Close() }()
			go func() { io.Copy(c, s); c.Close() }()
			select {
			case <-ends:
			default:
				go func() { <-ends; c.Close() }()
			}
		}
	}()
	return through, func() { close(ends) }
}

// A host loses the database while that stores a sale under a transaction counter, and asks again
// before it has: the terminal is told what is stored in the end.
func TestCountedSaleInDoubt(t *testing.T) {
	w := newVaulted(t)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00, counted(1))) // the counter has a row
	through, cut := w.cutOff()
	lanes, err := postgres.Open(t.Context(), through, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience})
	w.must(err)
	t.Cleanup(lanes.Close)
	host := w.second(func(o *switching.Options) { o.Module, o.LanePool = w.module, lanes })
	sale := w.request(switching.KindSale, 10_00, counted(2))
	card := w.hold(`SELECT FROM card_accounts WHERE card_id = 1 FOR UPDATE`)
	answer := make(chan switching.Response, 1)
	host.Submit(copyOf(sale), func(r switching.Response) { answer <- r })
	w.waiting(1, func() bool { return false })
	cut()
	w.waiting(2, func() bool { return false }) // what was lost sight of, and the next try
	w.must(card.Rollback(t.Context()))
	select {
	case got := <-answer:
		want := int64(1_00)
		if got.Approved() {
			want += 10_00
		}
		w.wantSpent(0, want, "the sale was answered "+got.Reason.String())
	case <-time.After(hung):
		t.Fatal("no answer")
	}
	if got, err := askOf(context.Background(), w.sw, copyOf(sale)); err != nil || !got.Approved() {
		t.Errorf("its repeat was answered %s, %v", got.Reason, err)
	}
	w.wantSpent(0, 11_00, "once")
	w.verify()
}
