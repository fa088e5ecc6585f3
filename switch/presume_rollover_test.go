package switching_test

import (
	"testing"
	"time"

	"meridian/switch"
)

// The host closed a terminal's batch, and the terminal may not know it: what it
// repeats is found although its STAN is above all of the new batch.
func TestPresumedNewAcrossARollover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	repeated, marked := w.request(switching.KindSale, 10_00, stan(900)), w.request(switching.KindSale, 20_00, stan(901))
	tooLate, tombstone := w.request(switching.KindSale, 30_00, stan(902)), w.request(switching.KindSale, 40_00, stan(903))
	var answers []switching.Response
	for _, r := range []*switching.Request{repeated, marked, tooLate} {
		answers = append(answers, w.do(switching.Approved, r))
	}
	w.do(switching.Approved, w.request(switching.KindReversal, 40_00, stan(903)))
	w.must(w.close(till, 0))
	for range 5 { // more than caution lasts; and its STANs go on below those
		s.want(switching.Approved, w.request(switching.KindSale, 1))
	}
	w.clock.advance(15*time.Minute - time.Nanosecond)
	w.wantTransfers(0, func() {
		w.sameAnswer(answers[0], s.want(switching.Approved, copyOf(repeated)))
		w.sameAnswer(answers[1], s.want(switching.Approved, copyOf(marked, func(r *switching.Request) { r.Repeat = true })))
		s.want(switching.ReversedBefore, tombstone)
	})
	s.want(switching.Approved, w.request(switching.KindSale, 1))
	w.clock.advance(time.Nanosecond)
	w.wantTransfers(1, func() {
		if s.want(switching.Approved, copyOf(tooLate)).Stored {
			t.Error("a repeat after 15 minutes")
		}
	})
	if s.knows() > 3 {
		t.Error("goes on reading after 15 minutes")
	}
	if _, n := s.wrongly(); n != 1 { // that the batch went on
		t.Errorf("%d units presumed wrongly, want 1", n)
	}
}

// A reversal names the batch that its terminal believes to be the current one, long
// after the host closed it: the sale that comes after it is not posted, whether the
// host that it comes to reads or presumes.
func TestPresumedNoTombstoneOfTheBatchBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	w.must(w.close(till, 0))
	w.clock.advance(time.Hour)
	reverse := func(sale *switching.Request) {
		w.do(switching.Approved, w.request(switching.KindReversal, sale.AmountMinor, func(r *switching.Request) {
			r.Original = switching.Reference{STAN: sale.STAN, HasSTAN: true, BatchNo: 1}
		}))
	}
	for _, kind := range []switching.Kind{switching.KindSale, switching.KindAuthorization} {
		read := w.request(kind, 10_00)
		reverse(read)
		w.wantTransfers(0, func() { w.do(switching.ReversedBefore, copyOf(read)) })
		s.knows()
		presumed := w.request(kind, 10_00)
		reverse(presumed)
		w.wantTransfers(0, func() { s.want(switching.ReversedBefore, copyOf(presumed)) })
	}
	// Of another amount it is another sale.
	s.knows()
	other := w.request(switching.KindSale, 10_00)
	reverse(other)
	s.want(switching.Approved, copyOf(other, func(r *switching.Request) { r.AmountMinor = 11_00 }))
	// Together with what is read.
	s.knows()
	s.want(switching.Approved, w.request(switching.KindSale, 5_00, invoice("000001")))
	beside := w.request(switching.KindSale, 10_00)
	reverse(beside)
	answers, _ := s.together(w.request(switching.KindVoid, 0, ofInvoice("000001")), copyOf(beside))
	if !answers[0].Approved() || answers[1].Reason != switching.ReversedBefore {
		t.Errorf("a void and a sale that was reversed were answered %s and %s", answers[0].Reason, answers[1].Reason)
	}
	w.verify()
}

// invoice of a sale, and ofInvoice of its cancel: a reference that only the database can
// resolve, so that its unit reads.
func invoice(number string) func(*switching.Request) {
	return func(r *switching.Request) { r.Invoice = number }
}

func ofInvoice(number string) func(*switching.Request) {
	return func(r *switching.Request) { r.Original = switching.Reference{Invoice: number} }
}

// A unit that reads presumes the keys of its sales all the same; where it finds the
// terminal in another batch by then, it looks for them there and in the batch before.
func TestPresumedNewInABatchThatHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.want(switching.Approved, w.request(switching.KindSale, 5_00, invoice("000001")))
	s.knows()
	repeated := w.request(switching.KindSale, 10_00)
	first := w.do(switching.Approved, repeated)
	w.must(w.close(till, 0))
	s.wantWrongly("beside a void", func() {
		w.wantTransfers(2, func() { // of the void, and of the sale that held the lane up
			answers, _ := s.together(w.request(switching.KindVoid, 0, ofInvoice("000001")), copyOf(repeated))
			if !answers[0].Approved() {
				t.Errorf("the void was answered %s", answers[0].Reason)
			}
			w.sameAnswer(first, answers[1])
		})
	})
	w.verify()
}

// A sandbox's clock goes on by more than a day, which is when the batch before is
// forgotten, and back again: it is looked at as it was then.
func TestPresumedNewAfterTheClockWentBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.patient()
	s.knows()
	repeated := w.request(switching.KindSale, 10_00, stan(900))
	first := w.do(switching.Approved, repeated)
	w.must(w.close(till, 0))
	then := w.clock.Now().Add(time.Minute)
	w.clock.advance(25 * time.Hour)
	s.knows()
	w.clock.set(then)
	w.wantTransfers(0, func() { w.sameAnswer(first, s.want(switching.Approved, copyOf(repeated))) })
}
