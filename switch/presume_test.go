package switching_test

import (
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// These tests are about what a lane takes for granted (presume.go): one host knows a
// card, a window, a batch and how far a terminal's STANs have come, and something of
// it changes behind its back. What it answers and stores is what it would have
// answered and stored had it read everything.

// told asks this host.
func (s *shaky) told(r *switching.Request) switching.Response {
	s.w.t.Helper()
	got, err := askOf(s.w.t.Context(), s.sw, r)
	s.w.must(err)
	return got
}

// want an answer from this host; the ledger must verify after it.
func (s *shaky) want(reason switching.Reason, r *switching.Request) switching.Response {
	s.w.t.Helper()
	got := s.told(r)
	if got.Reason != reason {
		s.w.t.Fatalf("%s answered %s, want %s", r.Kind, got.Reason, reason)
	}
	s.w.verify()
	return got
}

// trips are the round trips to the database that a request takes.
func (s *shaky) trips(want switching.Reason, r *switching.Request) int64 {
	s.w.t.Helper()
	before := s.p.trips.Load()
	if got := s.told(r); got.Reason != want {
		s.w.t.Fatalf("%s answered %s, want %s", r.Kind, got.Reason, want)
	}
	return s.p.trips.Load() - before
}

// knows sells for the least amount until a sale takes one round trip, and so was
// decided before anything was read; it returns how many it has sold.
func (s *shaky) knows(change ...func(*switching.Request)) (sold int64) {
	s.w.t.Helper()
	for sold < 300 { // more than caution lasts
		sold++
		if s.trips(switching.Approved, s.w.request(switching.KindSale, 1, change...)) == 1 {
			return sold
		}
	}
	s.w.t.Fatal("still reads before it decides")
	return sold
}

// wrongly is how many units have presumed wrongly, of cards and of other things.
func (s *shaky) wrongly() (cards, others int) {
	counts := series(s.w.t.(*testing.T), s.counts)
	return int(counts["meridian_unit_presumed_wrongly_total cards"]), int(counts["meridian_unit_presumed_wrongly_total others"])
}

// wantWrongly runs what must make one unit presume wrongly, of cards, of others or of
// both: otherwise a test shows nothing.
func (s *shaky) wantWrongly(what string, do func()) {
	s.w.t.Helper()
	cards, others := s.wrongly()
	do()
	nowCards, nowOthers := s.wrongly()
	if c, o := nowCards-cards, nowOthers-others; c > 1 || o > 1 || c+o == 0 {
		s.w.t.Fatalf("%s: units presumed wrongly, of cards %d and of others %d", what, c, o)
	}
}

// wantNeverWrong expects that no unit has presumed wrongly.
func (s *shaky) wantNeverWrong() {
	s.w.t.Helper()
	if cards, others := s.wrongly(); cards+others > 0 {
		s.w.t.Errorf("units presumed wrongly, of cards %d and of others %d", cards, others)
	}
}

// heldUp has a unit of work held up while do asks for more, which is then one unit; the
// round trips of that are returned.
func (s *shaky) heldUp(do func()) (trips func() int64) {
	w := s.w
	w.t.Helper()
	held := w.hold(`SELECT FROM card_accounts WHERE card_id = 4 FOR UPDATE`)
	before := make(chan switching.Response, 1)
	s.sw.Submit(w.request(switching.KindSale, 1, withCard(3), at(kiosk, booth)), func(r switching.Response) { before <- r })
	w.waiting(1, func() bool { return false })
	do()
	so := s.p.trips.Load()
	w.must(held.Rollback(w.t.Context()))
	if got := <-before; !got.Approved() {
		w.t.Fatalf("the sale before was answered %s", got.Reason)
	}
	return func() int64 { return s.p.trips.Load() - so - 1 }
}

// together has requests decided in one unit of work.
func (s *shaky) together(list ...*switching.Request) (answers []switching.Response, trips int64) {
	waiting := make([]chan switching.Response, len(list))
	count := s.heldUp(func() {
		for i, r := range list {
			answer := make(chan switching.Response, 1)
			waiting[i] = answer
			s.sw.Submit(r, func(r switching.Response) { answer <- r })
		}
	})
	for _, answer := range waiting {
		answers = append(answers, <-answer)
	}
	return answers, count()
}

// transfers that are stored.
func (w *world) transfers() (n int) {
	w.t.Helper()
	w.must(w.pool.QueryRow(w.t.Context(), `SELECT count(*) FROM transfers`).Scan(&n))
	return n
}

// wantTransfers checks how many transfers came of it.
func (w *world) wantTransfers(want int, do func()) {
	w.t.Helper()
	before := w.transfers()
	do()
	if n := w.transfers() - before; n != want {
		w.t.Fatalf("%d transfers, want %d", n, want)
	}
}

// patient is a host that nothing of a test's makes impatient.
func (w *world) patient() *shaky { return w.shakyFor(40 * time.Second) }

// What a host knows, it does not ask for: a sale or an authorization, approved or
// declined, is one round trip, and what it stores is all there.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	s.want(switching.Approved, w.request(switching.KindAuthorization, 1_00)) // a connection prepares what it stores once
	s.knows()
	w.wantTransfers(6, func() {
		for range 3 {
			for _, c := range []struct {
				want switching.Reason
				r    *switching.Request
			}{
				{switching.Approved, w.request(switching.KindSale, 10_00)},
				{switching.Approved, w.request(switching.KindAuthorization, 10_00)},
				{switching.InsufficientFunds, w.request(switching.KindSale, opened)},
				{switching.WrongExpiry, w.request(switching.KindSale, 1_00, func(r *switching.Request) { r.Expiry = "3011" })},
			} {
				if n := s.trips(c.want, c.r); n != 1 {
					t.Errorf("%s, %s: %d round trips", c.r.Kind, c.want, n)
				}
			}
		}
	})
	// What cannot be taken for granted is read: a repeat, and what is no sale.
	sale := w.request(switching.KindSale, 10_00)
	first := s.want(switching.Approved, sale)
	w.sameAnswer(first, s.want(switching.Approved, copyOf(sale)))
	w.sameAnswer(first, s.want(switching.Approved, copyOf(sale, func(r *switching.Request) { r.Repeat = true })))
	s.want(switching.Approved, w.request(switching.KindVoid, 0, of(first)))
	s.wantNeverWrong()
}

// Another host moves the card's money: the sale is decided over what is there.
func TestPresumedMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	for _, kind := range []switching.Kind{switching.KindSale, switching.KindAuthorization} {
		s.knows()
		most := w.request(kind, w.available(0)-5_00, at(kiosk, booth))
		w.do(switching.Approved, most)
		s.wantWrongly("less money", func() {
			w.wantTransfers(0, func() { s.want(switching.InsufficientFunds, w.request(switching.KindSale, 10_00)) })
		})
		s.knows() // that there is little
		w.do(switching.Approved, w.request(switching.KindReversal, most.AmountMinor, at(kiosk, booth), stan(most.STAN)))
		s.wantWrongly("more money", func() {
			w.wantTransfers(1, func() { s.want(switching.Approved, w.request(switching.KindSale, 10_00)) })
		})
	}
	left := w.available(0)
	s.knows()
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM transactions WHERE card_id = 1 AND state = 2 AND kind = 2 AND amount_minor = 1`).Scan(&left))
	w.wantAvailable(left + 2*10_00)
}

// A card is changed behind the host's back.
func TestPresumedCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	for _, c := range []struct {
		change, back string
		want         switching.Reason
	}{
		{"status = 2", "status = 1", switching.RestrictedCard},
		{"status = 3", "status = 1", switching.LostCard},
		{"status = 4", "status = 1", switching.StolenCard},
		{"expiry = '2602'", "expiry = '3012'", switching.ExpiredCard},
		{"expiry = '3011'", "expiry = '3012'", switching.Approved},
		{"currency = 840", "currency = 156", switching.CurrencyMismatch},
		{"balance_minor = balance_minor - 99000", "balance_minor = balance_minor + 99000", switching.InsufficientFunds},
		{"held_minor = held_minor + 99000", "held_minor = held_minor - 99000", switching.InsufficientFunds},
		{"pin_failures = 2", "pin_failures = 0", switching.Approved},
	} {
		sale := func() *switching.Request {
			return w.request(switching.KindSale, 10_00, func(r *switching.Request) { r.Expiry = "" })
		}
		s.knows()
		w.sql("UPDATE card_accounts SET " + c.change + " WHERE card_id = 1")
		s.wantWrongly(c.change, func() {
			if got := s.told(sale()); got.Reason != c.want {
				t.Errorf("%s: %s, want %s", c.change, got.Reason, c.want)
			}
		})
		w.sql("UPDATE card_accounts SET "+c.back+" WHERE pan_masked = $1", cardNumber(0).Masked())
		if got := s.told(sale()); !got.Approved() {
			t.Errorf("%s: %s, want an approval", c.back, got.Reason)
		}
		w.verify()
	}
	// The card's account gets another number, as where a lost card is replaced; and another goes.
	s.knows()
	w.sql(`UPDATE card_accounts SET pan_token = '\x01000000000000000000000000000000' WHERE card_id = 1`)
	s.wantWrongly("another number", func() {
		w.wantTransfers(0, func() { s.want(switching.InvalidCard, w.request(switching.KindSale, 1_00)) })
	})
	before, _ := s.wrongly()
	for range 5 { // more than caution lasts
		s.want(switching.InvalidCard, w.request(switching.KindSale, 1_00))
	}
	if now, _ := s.wrongly(); now != before {
		t.Error("what was wrong is presumed again")
	}
	gone := withCard(9)
	s.knows(gone)
	w.sql(`DELETE FROM card_accounts WHERE card_id = 10`)
	s.wantWrongly("gone", func() {
		w.wantTransfers(0, func() {
			if got := s.told(w.request(switching.KindSale, 1_00, gone)); got.Reason != switching.InvalidCard {
				t.Errorf("a card that is gone: %s", got.Reason)
			}
		})
	})
}

// An account has got another number, and one unit sells on both: the old one is nobody's.
func TestPresumedCardOfTwoNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	older, newer := withCard(1), withCard(77)
	s.knows(older)
	number := w.request(switching.KindSale, 1, newer).Token
	w.sql(`UPDATE card_accounts SET pan_token = $1 WHERE card_id = 2`, number[:])
	s.wantWrongly("two numbers", func() {
		w.wantTransfers(2, func() { // the unit before it, and the newer one
			answers, _ := s.together(w.request(switching.KindSale, 1_00, older), w.request(switching.KindSale, 2_00, newer))
			if answers[0].Reason != switching.InvalidCard || answers[1].Reason != switching.Approved {
				t.Errorf("the older number: %s; the newer: %s", answers[0].Reason, answers[1].Reason)
			}
		})
	})
	w.verify()
	before, _ := s.wrongly()
	for range 5 { // more than caution lasts
		s.want(switching.InvalidCard, w.request(switching.KindSale, 1_00, older))
	}
	if now, _ := s.wrongly(); now != before {
		t.Error("what was wrong is presumed again")
	}
}

// Another host has decided the same request, or another one under its key.
func TestPresumedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	sale := w.request(switching.KindSale, 10_00)
	first := w.do(switching.Approved, sale)
	s.wantWrongly("the same request", func() {
		w.wantTransfers(0, func() { w.sameAnswer(first, s.want(switching.Approved, copyOf(sale))) })
	})
	s.knows()
	sale = w.request(switching.KindSale, 20_00)
	w.do(switching.Approved, sale)
	s.wantWrongly("another request", func() {
		w.wantTransfers(0, func() {
			s.want(switching.RepeatDiffers, copyOf(sale, func(r *switching.Request) { r.AmountMinor++ }))
		})
	})
	s.knows()
	refused := w.request(switching.KindSale, opened+1)
	declined := w.do(switching.InsufficientFunds, refused)
	s.wantWrongly("a decline", func() { w.sameAnswer(declined, s.want(switching.InsufficientFunds, copyOf(refused))) })
	s.knows()
	voided := w.do(switching.Approved, w.request(switching.KindSale, 5_00))
	void := w.request(switching.KindVoid, 0, of(voided))
	w.do(switching.Approved, void)
	s.wantWrongly("a void's STAN", func() {
		w.wantTransfers(0, func() { s.want(switching.RepeatDiffers, w.request(switching.KindSale, 5_00, stan(void.STAN))) })
	})
	// What says of itself that it is a repeat is looked for.
	s.knows()
	sale = w.request(switching.KindSale, 30_00)
	first = w.do(switching.Approved, sale)
	_, before := s.wrongly()
	w.sameAnswer(first, s.want(switching.Approved, copyOf(sale, func(r *switching.Request) { r.Repeat = true })))
	if _, now := s.wrongly(); now != before {
		t.Error("a marked repeat is presumed to be new")
	}
}

// Another host has the reversal of a sale that is still on its way to this one.
func TestPresumedNoTombstone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN)))
	s.wantWrongly("a tombstone", func() {
		w.wantTransfers(0, func() { s.want(switching.ReversedBefore, sale) })
	})
	w.sameStored(s, switching.ReversedBefore, sale)
}

// sameStored expects a repeat's answer out of the store, from both hosts.
func (w *world) sameStored(s *shaky, want switching.Reason, r *switching.Request) {
	w.t.Helper()
	for _, got := range []switching.Response{s.want(want, copyOf(r)), w.do(want, copyOf(r))} {
		if !got.Stored {
			w.t.Errorf("%s was decided again", r.Kind)
		}
	}
}

// The terminal's batch ends at another host, or by a person, or waits for an upload.
func TestPresumedBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	inBatch := func(what string, number int32, amountMinor int64) {
		t.Helper()
		s.wantWrongly(what, func() {
			w.wantTransfers(1, func() { s.want(switching.Approved, w.request(switching.KindSale, amountMinor)) })
		})
		b := w.wantBatch(number, switching.BatchOpen)
		if got := (switching.Totals{SaleCount: 1, SaleMinor: amountMinor}); b.Totals != got {
			t.Fatalf("%s: batch %d has %+v, want %+v", what, number, b.Totals, got)
		}
	}
	settled := func() *switching.StatedTotals {
		b := w.current().Totals
		return net(b.SaleCount, b.SaleMinor)
	}
	s.knows()
	w.do(switching.Approved, w.settlement(0, settled()))
	inBatch("settled", 2, 10_00)
	w.clock.advance(16 * time.Minute) // from then on a repeat of the batch before is not looked for
	s.knows()
	w.must(w.close(till, 0))
	inBatch("closed by a person", 3, 11_00)
	w.clock.advance(16 * time.Minute)
	s.knows()
	w.must(w.close(till, 500))
	inBatch("closed by a person, with a number", 500, 12_00)
	w.clock.advance(16 * time.Minute)
	s.knows()
	w.do(switching.BatchOutOfBalance, w.settlement(0, net(99, 1)))
	s.wantWrongly("uploading", func() {
		w.wantTransfers(0, func() { s.want(switching.BatchInUpload, w.request(switching.KindSale, 10_00)) })
	})
	// It is known to be uploading, and not known to be no more.
	s.want(switching.BatchInUpload, w.request(switching.KindSale, 10_00))
	w.do(switching.Approved, w.settlement(0, settled(), trailer))
	s.want(switching.Approved, w.request(switching.KindSale, 13_00))
	if b := w.wantBatch(501, switching.BatchOpen); b.Totals.SaleMinor != 13_00 {
		t.Fatalf("after the upload: %+v", b.Totals)
	}
	// One that is stated and is not the terminal's any more.
	w.clock.advance(16 * time.Minute)
	s.knows()
	stated := func(r *switching.Request) { r.BatchNo = 501 }
	w.must(w.close(till, 0))
	s.wantWrongly("stated", func() {
		w.wantTransfers(0, func() { s.want(switching.NotCurrentBatch, w.request(switching.KindSale, 1_00, stated)) })
	})
}

// The window that a host knows is closed, or is being closed, by another one whose
// clock is ahead.
func TestPresumedWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cutover() // the dates before the world began
	s := w.patient()
	next := func(what string, answer switching.Response) {
		t.Helper()
		if got := answer.BusinessDate.String(); got != "2026-03-11" {
			t.Errorf("%s: sold on %s", what, got)
		}
	}
	s.knows()
	w.clock.set(cutoff10.Add(-time.Minute))
	s.knows()
	// Its row is taken while it is cut; the sale that waits for it must not go in.
	cut := w.hold(`
		WITH cut AS (
			UPDATE windows SET state = 2 WHERE business_date = '2026-03-10' AND bucket = 0 RETURNING bucket, calendar_id, business_date)
		INSERT INTO cutovers (bucket, calendar_id, business_date, cut_at) SELECT bucket, calendar_id, business_date, '2026-03-10 15:00+00' FROM cut`)
	s.wantWrongly("being cut", func() {
		answer := make(chan switching.Response, 1)
		s.sw.Submit(w.request(switching.KindSale, 10_00), func(r switching.Response) { answer <- r })
		w.waiting(1, func() bool { return len(answer) > 0 })
		w.must(cut.Commit(t.Context()))
		got := <-answer
		if !got.Approved() {
			t.Fatalf("answered %s", got.Reason)
		}
		next("being cut", got)
	})
	next("cut", s.want(switching.Approved, w.request(switching.KindSale, 10_00)))
	_, err := ledger.RunCutover(t.Context(), w.pool, cutoff10)
	w.must(err)
	w.verify()
	next("closed", s.want(switching.Approved, w.request(switching.KindSale, 10_00)))
	w.clock.set(cutoff10)
	next("from the instant on", s.want(switching.Approved, w.request(switching.KindSale, 10_00)))
	if n := s.trips(switching.Approved, w.request(switching.KindSale, 10_00)); n != 1 {
		t.Errorf("%d round trips in the next date", n)
	}

	// Closed, not only cut, between two sales.
	s.knows()
	w.clock.set(cutoff10.AddDate(0, 0, 1).Add(-time.Minute))
	_, err = ledger.RunCutover(t.Context(), w.pool, cutoff10.AddDate(0, 0, 1))
	w.must(err)
	s.wantWrongly("closed", func() {
		got := s.want(switching.Approved, w.request(switching.KindSale, 10_00))
		if got.BusinessDate.String() != "2026-03-12" {
			t.Errorf("sold on %s", got.BusinessDate)
		}
	})
	if got := w.statement(shop, "2026-03-10"); got.GrossMinor == 0 {
		t.Error("nothing was sold on the first date")
	}
}

// The instant of the cutoff comes, and the clock of a sandbox goes back: a sale is in
// the window of its instant, whether it states its batch or not.
func TestPresumedWindowIsOfTheInstant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	for _, batchNo := range []int32{0, 1} {
		stated := func(r *switching.Request) { r.BatchNo = batchNo }
		for _, c := range []struct {
			at   time.Time
			date string
		}{
			{cutoff10.Add(-time.Nanosecond), "2026-03-10"},
			{cutoff10, "2026-03-11"},
			{cutoff10.Add(-time.Nanosecond), "2026-03-10"},
			{cutoff10.AddDate(0, 0, 1), "2026-03-12"},
			{cutoff10.AddDate(0, 0, 1).Add(-time.Nanosecond), "2026-03-11"},
			{cutoff10.Add(-2 * time.Hour), "2026-03-10"},
		} {
			w.clock.set(c.at)
			if got := s.want(switching.Approved, w.request(switching.KindSale, 1_00, stated)); got.BusinessDate.String() != c.date {
				t.Errorf("batch %d, at %s sold on %s, want %s", batchNo, c.at, got.BusinessDate, c.date)
			}
			s.knows(stated)
			if got := s.want(switching.Approved, w.request(switching.KindSale, 1_00, stated)); got.BusinessDate.String() != c.date {
				t.Errorf("batch %d, at %s sold on %s, want %s, once it was known", batchNo, c.at, got.BusinessDate, c.date)
			}
		}
	}
	s.wantNeverWrong()
}

// Where batches end with their date, the first sale of a date is in a batch of its
// own, whichever host has seen the date before.
func TestPresumedBatchEndsWithItsDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("auto_close_batch = true")
	s := w.patient()
	sold := s.knows()
	w.clock.set(cutoff10)
	s.want(switching.Approved, w.request(switching.KindSale, 10_00))
	if b := w.wantBatch(1, switching.BatchClosed); b.ClosedBy != switching.ClosedByCutoff || b.Totals.SaleMinor != sold {
		t.Fatalf("closed by %s with %+v, sold %d", b.ClosedBy, b.Totals, sold)
	}
	w.clock.advance(16 * time.Minute)
	sold = s.knows()
	// A date is known by another terminal's sale, and this one's batch is of the date before.
	s.knows(at(shop, till2))
	w.clock.set(cutoff10.AddDate(0, 0, 1))
	s.knows(at(kiosk, booth))
	s.want(switching.Approved, w.request(switching.KindSale, 15_00))
	if b := w.wantBatch(2, switching.BatchClosed); b.Totals.SaleMinor != 10_00+sold {
		t.Fatalf("batch 2: %+v, sold %d", b.Totals, 10_00+sold)
	}
	// The next date comes at another host first.
	w.clock.set(cutoff10.AddDate(0, 0, 2))
	w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	s.want(switching.Approved, w.request(switching.KindSale, 30_00))
	if b := w.wantBatch(3, switching.BatchClosed); b.Totals != (switching.Totals{SaleCount: 1, SaleMinor: 15_00}) {
		t.Fatalf("batch 3: %+v", b.Totals)
	}
	if b := w.wantBatch(4, switching.BatchOpen); b.Totals != (switching.Totals{SaleCount: 2, SaleMinor: 50_00}) {
		t.Fatalf("batch 4: %+v", b.Totals)
	}
}

// Tries of a PIN are counted over hosts that presume all but its card.
func TestPresumedPIN(t *testing.T) {
	t.Parallel()
	w := newVaulted(t)
	right, wrong := w.withPIN(rightPIN), w.withPIN(wrongPIN)
	first, second := w.sw, w.another(t)
	ask := func(sw *switching.Switch, want switching.Reason, failures int, r *switching.Request) {
		t.Helper()
		if got := askAt(t, sw, r); got.Reason != want {
			t.Errorf("answered %s, want %s", got.Reason, want)
		}
		if n := w.failures(0); n != failures {
			t.Errorf("%d wrong PINs in a row, want %d", n, failures)
		}
	}
	for range 4 { // both get to know the terminal, and then nothing of the other's
		ask(second, switching.Approved, 0, w.request(switching.KindSale, 1))
		ask(first, switching.Approved, 0, w.request(switching.KindSale, 1, right))
	}
	for range 4 {
		ask(second, switching.Approved, 0, w.request(switching.KindSale, 1, right))
	}
	sale := w.request(switching.KindSale, 1_00, wrong)
	ask(first, switching.IncorrectPIN, 1, copyOf(sale, wrong))
	ask(second, switching.IncorrectPIN, 1, copyOf(sale, wrong)) // a repeat is not another try
	ask(second, switching.IncorrectPIN, 2, w.request(switching.KindSale, 1_00, wrong))
	ask(first, switching.Approved, 0, w.request(switching.KindSale, 1_00, right))
	for n, sw := range []*switching.Switch{second, first, second} {
		ask(sw, switching.IncorrectPIN, n+1, w.request(switching.KindSale, 1_00, wrong))
	}
	ask(first, switching.PINTriesExceeded, 3, w.request(switching.KindSale, 1_00, right))
	ask(second, switching.PINTriesExceeded, 3, w.request(switching.KindSale, 1_00, right))
	w.sql(`UPDATE card_accounts SET pin_failures = 0 WHERE card_id = 1`)
	ask(second, switching.Approved, 0, w.request(switching.KindSale, 1_00, right))
	ask(first, switching.Approved, 0, w.request(switching.KindSale, 1_00))
	// The card gets another PIN, which is no part of what its change is compared with.
	for range 10 { // more than caution lasts
		ask(first, switching.Approved, 0, w.request(switching.KindSale, 1, right))
	}
	reference, err := w.module.ReferenceClearPIN(wrongPIN, token(cardNumber(0)))
	w.must(err)
	w.sql(`UPDATE card_accounts SET pin_reference = $1 WHERE card_id = 1`, reference)
	ask(first, switching.IncorrectPIN, 1, w.request(switching.KindSale, 1_00, right))
	ask(first, switching.Approved, 0, w.request(switching.KindSale, 1_00, wrong))
	w.verify()
}
