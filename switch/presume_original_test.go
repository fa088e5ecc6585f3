package switching_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"meridian/internal/postgres"
	"meridian/migrations"
	"meridian/switch"
)

// These tests are about originals that a lane takes for granted (presume_original.go): it
// stored them itself, or read them without a lock, and somebody else changes them meanwhile.

// one asks and wants one round trip.
func (s *shaky) one(want switching.Reason, r *switching.Request) (got switching.Response) {
	s.w.t.Helper()
	before := s.p.trips.Load()
	got = s.told(r)
	if got.Reason != want {
		s.w.t.Fatalf("%s answered %s (rule %q), want %s", r.Kind, got.Reason, got.Rule, want)
	}
	if n := s.p.trips.Load() - before; n != 1 {
		s.w.t.Errorf("%s, %s: %d round trips", r.Kind, want, n)
	}
	s.w.verify()
	return got
}

// once asks for each kind of thing that speaks of an original.
func (s *shaky) once(ask func(want switching.Reason, r *switching.Request) switching.Response) {
	w := s.w
	again := func(first switching.Response, r *switching.Request, change ...func(*switching.Request)) {
		w.t.Helper()
		w.sameAnswer(first, ask(first.Reason, copyOf(r, change...)))
	}
	marked := func(r *switching.Request) { r.Repeat = true }

	sold := w.request(switching.KindSale, 10_00)
	sale := ask(switching.Approved, sold)
	again(sale, sold)
	again(sale, sold, marked)
	voided := w.request(switching.KindVoid, 0, of(sale))
	void := ask(switching.Approved, voided)
	again(void, voided)
	again(sale, sold)
	ask(switching.InvalidTransaction, w.request(switching.KindVoid, 0, of(sale)))
	ask(switching.Approved, w.request(switching.KindReversal, 0, of(void), stan(voided.STAN)))
	ask(switching.Approved, w.request(switching.KindCancel, 0, of(sale)))

	lost := w.request(switching.KindSale, 20_00)
	ask(switching.Approved, lost)
	reversal := w.request(switching.KindReversal, 20_00, stan(lost.STAN))
	reversed := ask(switching.Approved, reversal)
	again(reversed, reversal)
	again(reversed, reversal, marked)
	ask(switching.RepeatDiffers, copyOf(reversal, func(r *switching.Request) { r.AmountMinor++ }))

	part := w.request(switching.KindSale, 30_00)
	ask(switching.Approved, part)
	ask(switching.Approved, w.request(switching.KindReversal, 30_00, stan(part.STAN), func(r *switching.Request) {
		r.HasReplacement, r.ReplacementMinor = true, 10_00
	}))

	held := ask(switching.Approved, w.request(switching.KindAuthorization, 40_00))
	completed := ask(switching.Approved, w.request(switching.KindCompletion, 35_00, of(held)))
	ask(switching.InvalidTransaction, w.request(switching.KindCompletion, 35_00, of(held)))
	ask(switching.NotAllowedNow, w.request(switching.KindRefund, 1_00, of(completed)))
	unvoided := w.request(switching.KindVoid, 0, of(completed))
	undone := ask(switching.Approved, unvoided)
	ask(switching.Approved, w.request(switching.KindReversal, 0, of(undone), stan(unvoided.STAN)))
	ask(switching.Approved, w.request(switching.KindVoid, 0, of(completed)))
	ask(switching.Approved, w.request(switching.KindVoid, 0, of(held)))
	ask(switching.InvalidTransaction, w.request(switching.KindVoid, 0, of(held)))

	// By STAN, and by what is another's.
	kept := w.request(switching.KindSale, 5_00)
	stays := ask(switching.Approved, kept)
	ask(switching.WrongTerminal, w.request(switching.KindVoid, 0, of(stays), at(shop, till2)))
	ask(switching.OriginalNotFound, w.request(switching.KindVoid, 0, of(stays), at(kiosk, booth)))
	ask(switching.Approved, w.request(switching.KindVoid, 0, func(r *switching.Request) {
		r.Original = switching.Reference{HasSTAN: true, STAN: kept.STAN, BatchNo: 1}
	}))
}

// What a lane stored a moment ago it need not read to undo, to complete or to repeat it.
func TestOriginalsInOneRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	known := func() {
		for _, where := range []func(*switching.Request){at(shop, till2), at(kiosk, booth), at(shop, till)} {
			s.knows(where)
		}
	}
	known()
	s.once(s.want) // a connection prepares what it stores once
	known()
	before := w.available(0)
	s.once(s.one)
	if spent := before - w.available(0); spent != 10_00 { // what is left of the sale that was reversed in part
		t.Errorf("spent %d", spent)
	}
	s.wantNeverWrong()
}

// The same is decided over the same evidence, presumed or read.
func TestPresumedEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	evidence := func(void switching.Response) (e map[string]any) {
		t.Helper()
		var text string
		w.must(w.pool.QueryRow(t.Context(), `SELECT decision::text FROM transactions WHERE rrn = $1`, void.RRN).Scan(&text))
		w.must(json.Unmarshal([]byte(text), &e))
		delete(e, "original_rrn")
		return e
	}
	for _, amount := range []int64{0, 10_00, 5_00} {
		void := func() *switching.Request {
			return w.request(switching.KindVoid, amount, of(s.told(w.request(switching.KindSale, 10_00))))
		}
		presumed, read := s.told(void()), w.ask(void())
		if presumed.Reason != read.Reason || presumed.Rule != read.Rule {
			t.Errorf("%s %s, read %s %s", presumed.Reason, presumed.Rule, read.Reason, read.Rule)
		}
		if got, want := fmt.Sprint(evidence(presumed)), fmt.Sprint(evidence(read)); got != want {
			t.Errorf("presumed\n%s\nread\n%s", got, want)
		}
		s.knows() // the other host's STANs are this terminal's, too
	}
}

// Another host has changed the original: what is decided is what had been decided over that.
func TestPresumedOriginal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	sale := func() *switching.Request { return w.request(switching.KindSale, 10_00) }
	authorization := func() *switching.Request { return w.request(switching.KindAuthorization, 10_00) }
	void := func(_ *switching.Request, o switching.Response) *switching.Request {
		return w.request(switching.KindVoid, 0, of(o), at(shop, till))
	}
	reverse := func(r *switching.Request, _ switching.Response) *switching.Request {
		return w.request(switching.KindReversal, 10_00, stan(r.STAN))
	}
	reverseInPart := func(r *switching.Request, _ switching.Response) *switching.Request {
		return w.request(switching.KindReversal, 10_00, stan(r.STAN), func(r *switching.Request) { r.HasReplacement, r.ReplacementMinor = true, 4_00 })
	}
	complete := func(_ *switching.Request, o switching.Response) *switching.Request {
		return w.request(switching.KindCompletion, 10_00, of(o))
	}
	for _, c := range []struct {
		name     string
		original func() *switching.Request
		meanwhile,
		then func(r *switching.Request, o switching.Response) *switching.Request
		want  switching.Reason
		spent int64
	}{
		{"voided, void", sale, void, void, switching.InvalidTransaction, 0},
		{"voided, reversal", sale, void, reverse, switching.Approved, 0},
		{"reversed, void", sale, reverse, void, switching.InvalidTransaction, 0},
		{"reversed, reversal", sale, reverse, reverse, switching.Approved, 0},
		{"reversed in part, void", sale, reverseInPart, void, switching.Approved, 0},
		{"completed, completion", authorization, complete, complete, switching.InvalidTransaction, 10_00},
		{"completed, void", authorization, complete, void, switching.InvalidTransaction, 10_00},
		{"completed, reversal", authorization, complete, reverse, switching.InvalidTransaction, 10_00},
		{"voided, completion", authorization, void, complete, switching.InvalidTransaction, 0},
		{"reversed, completion", authorization, reverse, complete, switching.InvalidTransaction, 0},
		{"reversed in part, completion", authorization, reverseInPart, complete, switching.ExceedsAmountLimit, 4_00},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.knows()
			before := w.available(0)
			asked := c.original()
			o := s.want(switching.Approved, asked)
			w.do(switching.Approved, c.meanwhile(asked, o))
			s.wantWrongly(c.name, func() { s.want(c.want, c.then(asked, o)) })
			if spent := before - w.available(0); spent != c.spent {
				t.Errorf("%s: spent %d, want %d", c.name, spent, c.spent)
			}
		})
	}
}

// What was declined over an original that has become another one since.
func TestPresumedDecline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	sale := s.want(switching.Approved, w.request(switching.KindSale, 10_00))
	voided := w.request(switching.KindVoid, 0, of(sale))
	void := s.want(switching.Approved, voided)
	w.do(switching.Approved, w.request(switching.KindReversal, 0, of(void), stan(voided.STAN)))
	s.wantWrongly("stands again", func() { s.want(switching.Approved, w.request(switching.KindVoid, 0, of(sale))) })
}

// An original that is not there any more, as where its month was detached, is not presumed again.
func TestPresumedOriginalIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	sale := s.want(switching.Approved, w.request(switching.KindSale, 10_00))
	w.sql(`DELETE FROM transactions WHERE rrn = $1`, sale.RRN)
	s.wantWrongly("gone", func() {
		if got := s.told(w.request(switching.KindVoid, 0, of(sale))); got.Reason != switching.OriginalNotFound {
			t.Errorf("answered %s", got.Reason)
		}
	})
	_, before := s.wrongly()
	for range 5 { // more than caution lasts
		s.told(w.request(switching.KindVoid, 0, of(sale)))
	}
	if _, now := s.wrongly(); now != before {
		t.Error("what was wrong is presumed again")
	}
}

// Original and hold changed, each alone: nothing else of the unit would tell.
func TestPresumedOriginalAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	for _, c := range []struct {
		table, change string
		kind          switching.Kind
		then          switching.Kind
		want          switching.Reason
	}{
		{"transactions", "state = 4, captured_minor = 0", switching.KindSale, switching.KindVoid, switching.InvalidTransaction},
		{"transactions", "refunded_minor = 1", switching.KindSale, switching.KindVoid, switching.InvalidTransaction},
		{"transactions", "reviewed_minor = 1", switching.KindSale, switching.KindVoid, switching.InvalidTransaction},
		{"transactions", "captured_minor = 5", switching.KindSale, switching.KindVoid, switching.Approved},
		{"transactions", "refund_count = 1", switching.KindSale, switching.KindVoid, switching.Approved},
		{"transactions", "told_by = '{}'", switching.KindSale, switching.KindVoid, switching.Approved},
		{"transactions", "state = 6", switching.KindAuthorization, switching.KindCompletion, switching.InvalidTransaction},
		{"holds", "state = 4", switching.KindAuthorization, switching.KindCompletion, switching.InvalidTransaction},
		{"holds", "amount_minor = 1", switching.KindAuthorization, switching.KindCompletion, switching.ExceedsAmountLimit},
		{"holds", "state = 2, captured_minor = 1", switching.KindAuthorization, switching.KindVoid, switching.InvalidTransaction},
	} {
		t.Run(c.table+", "+c.change, func(t *testing.T) {
			s.knows()
			o := s.told(w.request(c.kind, 10_00))
			var id string
			w.must(w.pool.QueryRow(t.Context(), `SELECT transaction_id::text FROM transactions WHERE rrn = $1`, o.RRN).Scan(&id))
			key := map[string]string{"transactions": "transaction_id", "holds": "hold_id"}[c.table]
			w.sql("UPDATE "+c.table+" SET "+c.change+" WHERE "+key+"::text = $1", id)
			amount := int64(0)
			if c.then == switching.KindCompletion {
				amount = 10_00
			}
			s.wantWrongly(c.change, func() {
				if got := s.told(w.request(c.then, amount, of(o))); got.Reason != c.want {
					t.Errorf("%s answered %s, want %s", c.then, got.Reason, c.want)
				}
			})
		})
	}
}

// What is repeated was told by another host meanwhile: both are among the tellers.
func TestPresumedTellers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	s.want(switching.Approved, w.request(switching.KindVoid, 0, of(s.told(w.request(switching.KindSale, 1))))) // a connection prepares what it stores once
	r := w.request(switching.KindSale, 10_00)
	first := s.want(switching.Approved, r)
	w.sameAnswer(first, s.one(switching.Approved, copyOf(r)))
	w.sameAnswer(first, w.do(switching.Approved, copyOf(r)))
	s.wantWrongly("tellers", func() { w.sameAnswer(first, s.want(switching.Approved, copyOf(r))) })
	if n := w.tellers(r); n != "4" {
		t.Errorf("%s tellers, want the one that stored it and three repeats", n)
	}
}

// A refund of a settled sale reads that without a lock; once it knows it, it does not.
func TestOriginalsOfADayBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	authorize := func() switching.Response {
		return w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00))
	}
	held, caught, voided, kept, other := authorize(), authorize(), authorize(), authorize(), authorize()
	complete := func(held switching.Response) switching.Response {
		return w.do(switching.Approved, w.request(switching.KindCompletion, 10_00, of(held)))
	}
	completed, once := complete(caught), complete(authorize())
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(voided)))
	w.clock.advance(24 * time.Hour)
	w.cutover()
	s := w.patient()
	s.knows()
	s.want(switching.Approved, w.request(switching.KindRefund, 1, of(first)))
	s.knows()
	s.one(switching.Approved, w.request(switching.KindRefund, 1_00, of(first)))
	// What has a hold, or speaks of something itself, takes one round trip more.
	few := func(want switching.Reason, most int64, kind switching.Kind, amount int64, original switching.Response) {
		t.Helper()
		s.knows()
		before := s.p.trips.Load()
		s.want(want, w.request(kind, amount, of(original)))
		if n := s.p.trips.Load() - before; n > most {
			t.Errorf("%s: %d round trips", kind, n)
		}
	}
	// A connection prepares its statements once.
	s.want(switching.Approved, w.request(switching.KindCompletion, 10_00, of(other)))
	s.want(switching.Approved, w.request(switching.KindRefund, 1_00, of(once)))
	few(switching.Approved, 3, switching.KindCompletion, 10_00, held)
	few(switching.Approved, 3, switching.KindRefund, 1_00, completed)
	few(switching.Approved, 1, switching.KindRefund, 1_00, completed)
	few(switching.InvalidTransaction, 3, switching.KindCompletion, 10_00, voided)
	few(switching.Approved, 3, switching.KindVoid, 0, kept)
	// A host that has not seen it.
	elsewhere := w.patient()
	elsewhere.knows()
	elsewhere.want(switching.Approved, w.request(switching.KindRefund, 1_00, of(first)))
	s.wantWrongly("refunded", func() { s.want(switching.ExceedsAmountLimit, w.request(switching.KindRefund, 9_00, of(first))) })
	s.want(switching.Approved, w.request(switching.KindRefund, 7_99, of(first)))
	s.want(switching.OriginalNotFound, w.request(switching.KindRefund, 1_00, func(r *switching.Request) {
		r.Original = switching.Reference{HasRRN: true, RRN: 999}
	}))
	w.verify()
}

// An original that is read without a lock, while another host changes it or its hold: the read
// passes, and what is stored waits.
func TestOriginalReadWithoutLock(t *testing.T) {
	t.Parallel()
	const itsHold = `hold_id = (SELECT transaction_id FROM transactions WHERE rrn = $1)`
	for _, c := range []struct {
		kind, then switching.Kind
		amount     int64
		change     string
		want       switching.Reason
	}{
		{switching.KindSale, switching.KindRefund, 6_00, `UPDATE transactions SET refunded_minor = refunded_minor + 500, refund_count = refund_count + 1 WHERE rrn = $1`, switching.ExceedsAmountLimit},
		{switching.KindAuthorization, switching.KindCompletion, 6_00, `UPDATE holds SET amount_minor = 500 WHERE ` + itsHold, switching.ExceedsAmountLimit},
		{switching.KindAuthorization, switching.KindCompletion, 6_00, `UPDATE holds SET amount_minor = 1000 WHERE ` + itsHold, switching.Approved},
	} {
		w := newWorld(t)
		first := w.do(switching.Approved, w.request(c.kind, 10_00))
		w.clock.advance(24 * time.Hour)
		w.cutover()
		s := w.patient()
		s.knows()
		if c.want == switching.Approved { // what is declined over the hold as it is read
			w.sql(`UPDATE holds SET amount_minor = 500 WHERE `+itsHold, first.RRN)
		}
		held := w.hold(strings.ReplaceAll(c.change, "$1", fmt.Sprint(first.RRN)))
		s.wantWrongly(c.then.String(), func() {
			answer := make(chan switching.Response, 1)
			s.sw.Submit(w.request(c.then, c.amount, of(first)), func(r switching.Response) { answer <- r })
			w.waiting(1, func() bool { return len(answer) > 0 })
			w.must(held.Commit(t.Context()))
			if got := <-answer; got.Reason != c.want {
				t.Errorf("%s answered %s, want %s", c.then, got.Reason, c.want)
			}
		})
	}
}

// Limits that are sums, operators and batches that settle are read.
func TestOriginalsUnderPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("max_voids_per_day = 2")
	s := w.patient()
	void := func(want switching.Reason) {
		t.Helper()
		s.knows()
		sale := s.told(w.request(switching.KindSale, 10_00))
		s.want(want, w.request(switching.KindVoid, 0, of(sale)))
	}
	void(switching.Approved)
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(w.do(switching.Approved, w.request(switching.KindSale, 1)))))
	void(switching.ExceedsCountLimit)

	b := newWorld(t)
	b.policy("settled_by_batch = true, cancel_mode = 'strict'")
	at2 := b.patient()
	at2.knows()
	sale := at2.told(b.request(switching.KindSale, 10_00))
	b.must(b.close(till, 0))
	b.clock.advance(16 * time.Minute)
	at2.knows()
	at2.want(switching.NotAllowedNow, b.request(switching.KindVoid, 0, of(sale)))
	// The batch of a terminal that has no request in the unit.
	at2.knows(at(shop, till2))
	at2.want(switching.Approved, b.request(switching.KindRefund, 1_00, of(sale), at(shop, till2)))
}

// A reversal finds its own original, whatever its references say.
func TestReversalsOfPresumedOriginals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows(at(kiosk, booth))
	s.knows()
	other := s.told(w.request(switching.KindSale, 10_00, at(kiosk, booth), withCard(1)))
	mine := w.request(switching.KindSale, 20_00)
	s.told(mine)
	s.want(switching.Approved, w.request(switching.KindReversal, 20_00, of(other), stan(mine.STAN)))
	w.wantSpent(1, 10_00, "another's sale")
	// A reversal before its original leaves a tombstone, presumed or not.
	late := w.request(switching.KindSale, 30_00)
	s.want(switching.Approved, w.request(switching.KindReversal, 30_00, stan(late.STAN)))
	s.want(switching.ReversedBefore, late)
	// A reversal of the other host is not repeated.
	s.knows()
	lost := w.request(switching.KindSale, 40_00)
	s.told(lost)
	reversal := w.request(switching.KindReversal, 40_00, stan(lost.STAN))
	first := w.do(switching.Approved, reversal)
	s.wantWrongly("reversed elsewhere", func() { w.sameAnswer(first, s.want(switching.Approved, copyOf(reversal))) })
}

// Many in one unit, and some of them of the same original.
func TestManyOriginalsInOneUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	ask := func(wantTrips bool) {
		t.Helper()
		s.knows(at(kiosk, booth))
		s.knows()
		var list []*switching.Request
		var want []switching.Reason
		add := func(reason switching.Reason, r *switching.Request) {
			list, want = append(list, r), append(want, reason)
		}
		before := w.available(0)
		var sales, losts []*switching.Request
		var sold, held []switching.Response
		for range 15 {
			sales, losts = append(sales, w.request(switching.KindSale, 3)), append(losts, w.request(switching.KindSale, 7))
			sold = append(sold, s.told(sales[len(sales)-1]))
			s.told(losts[len(losts)-1])
			held = append(held, s.told(w.request(switching.KindAuthorization, 5)))
		}
		for i := range sales { // a terminal's STANs go up
			add(switching.Approved, copyOf(sales[i]))
			add(switching.Approved, w.request(switching.KindVoid, 0, of(sold[i])))
			add(switching.InvalidTransaction, w.request(switching.KindVoid, 0, of(sold[i])))
			add(switching.Approved, w.request(switching.KindCompletion, 4, of(held[i])))
			add(switching.InvalidTransaction, w.request(switching.KindCompletion, 4, of(held[i])))
			add(switching.Approved, w.request(switching.KindReversal, 7, stan(losts[i].STAN)))
			add(switching.Approved, w.request(switching.KindSale, 11))
		}
		answers, trips := s.together(list...)
		for i, got := range answers {
			if got.Reason != want[i] {
				t.Errorf("%s %d answered %s, want %s", list[i].Kind, i, got.Reason, want[i])
			}
		}
		if wantTrips && trips != 1 {
			t.Errorf("%d round trips", trips)
		}
		if spent := before - w.available(0); spent != 15*(4+11) {
			t.Errorf("spent %d", spent)
		}
		w.verify()
	}
	ask(false) // a connection prepares what it stores once
	ask(true)
	s.wantNeverWrong()
}

// The commit of a void that was one round trip is not heard of.
func TestPresumedVoidInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.shaky()
	s.knows()
	spent := opened - w.available(0)
	sale := s.told(w.request(switching.KindSale, 10_00))
	void := w.request(switching.KindVoid, 0, of(sale))
	s.lose(void)
	w.wantAvailable(spent) // it was committed
	w.back(s)
	w.wantRepeats(switching.SystemMalfunction, void, s)
	w.wantAvailable(spent + 10_00)
	w.verify()
	s.want(switching.Approved, w.request(switching.KindVoid, 0, of(sale)))
}

// A repeat of what was in a batch that has ended, or waits for an upload, is presumed to be in
// that once, and costs the other terminals of the lane nothing after that.
func TestPresumedRepeatsOfAnEndedBatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change, repeat func(*switching.Request)
		end            func(w *world, s *shaky)
	}{
		"settled, marked": {
			func(*switching.Request) {},
			func(r *switching.Request) { r.Repeat = true },
			func(w *world, s *shaky) {
				b := w.current().Totals
				s.want(switching.Approved, w.settlement(0, net(b.SaleCount, b.SaleMinor)))
			},
		},
		"uploading, unmarked": {
			func(*switching.Request) {},
			func(*switching.Request) {},
			func(w *world, s *shaky) { s.want(switching.BatchOutOfBalance, w.settlement(0, net(99, 1))) },
		},
		"closed by a person, stated": {
			func(r *switching.Request) { r.BatchNo = 1 },
			func(*switching.Request) {},
			func(w *world, _ *shaky) { w.must(w.close(till, 0)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.patient()
			another := func(r *switching.Request) { at(shop, till2)(r); withCard(5)(r) }
			s.knows(another)
			s.knows()
			sale := w.request(switching.KindSale, 10_00, c.change)
			first := s.want(switching.Approved, sale)
			c.end(w, s)
			_, before := s.wrongly()
			slow := 0
			for range 30 {
				w.sameAnswer(first, s.told(copyOf(sale, c.repeat)))
				if s.trips(switching.Approved, w.request(switching.KindSale, 1, another)) > 1 {
					slow++
				}
			}
			if _, now := s.wrongly(); now-before > 1 || slow > 2 {
				t.Errorf("%d repeats presumed wrongly, and %d sales of another terminal were read", now-before, slow)
			}
		})
	}
}

// A hold that is known ends when the one that is stored does, which is to the microsecond.
func TestPresumedHoldEndsAsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.set(w.clock.Now().Add(900 * time.Nanosecond))
	s := w.patient()
	s.knows()
	presumed := s.want(switching.Approved, w.request(switching.KindAuthorization, 10_00))
	read := s.want(switching.Approved, w.request(switching.KindAuthorization, 10_00))
	var ends time.Time
	w.must(w.pool.QueryRow(t.Context(), `SELECT max(expires_at) FROM holds`).Scan(&ends))
	w.clock.set(ends.Add(500 * time.Nanosecond))
	s.knows()
	for _, got := range []switching.Response{
		s.told(w.request(switching.KindCompletion, 10_00, of(presumed))), w.ask(w.request(switching.KindCompletion, 10_00, of(read))),
	} {
		if got.Reason != switching.InvalidTransaction {
			t.Errorf("answered %s", got.Reason)
		}
	}
}

// An authorization that was repeated is known as before.
func TestRepeatedAuthorizationIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	var trips int64
	for range 3 { // a connection prepares what it stores once
		r := w.request(switching.KindAuthorization, 10_00)
		held := s.told(r)
		w.sameAnswer(held, s.told(copyOf(r)))
		trips = s.trips(switching.Approved, w.request(switching.KindCompletion, 10_00, of(held)))
	}
	if trips != 1 {
		t.Errorf("%d round trips", trips)
	}
	w.verify()
}

// Two hosts have a reversal of one void: the one knows void and sale, the other finds the sale
// by the void. Neither has what the other waits for.
func TestPresumedAndReadLockInOneOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	knows, reads := w.pointing(), w.pointing()
	knows.knows()
	var void *switching.Request
	voided := func() {
		sale := knows.want(switching.Approved, w.request(switching.KindSale, 10_00))
		void = w.request(switching.KindVoid, 0, of(sale))
		knows.want(switching.Approved, void)
	}
	voided() // a connection prepares what it stores once
	knows.want(switching.Approved, w.request(switching.KindReversal, 0, stan(void.STAN)))
	voided()
	reversal := w.request(switching.KindReversal, 0, stan(void.STAN))
	sale := w.hold(`SELECT FROM transactions WHERE transaction_id = (SELECT original_id FROM transactions WHERE kind = 5 ORDER BY rrn DESC LIMIT 1) FOR UPDATE`)
	answers := make(chan switching.Response, 2)
	for i, s := range []*shaky{knows, reads} {
		s.sw.Submit(copyOf(reversal), func(r switching.Response) { answers <- r })
		w.waiting(i+1, func() bool { return len(answers) > 0 })
	}
	w.must(sale.Rollback(t.Context()))
	for range 2 {
		if got := <-answers; !got.Approved() {
			t.Errorf("answered %s", got.Reason)
		}
	}
	w.verify()
	for _, s := range []*shaky{knows, reads} {
		for name, n := range series(t, s.counts) {
			if strings.HasPrefix(name, "meridian_unit_retries_total") && n > 0 {
				t.Errorf("%s: %v", name, n)
			}
		}
	}
}

// pointing is a patient host whose lanes plan as a node's do.
func (w *world) pointing() *shaky {
	return w.shakyOf(postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience, LockTimeout: 8 * time.Second, PointLookups: true}, 40*time.Second)
}
