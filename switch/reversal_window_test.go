package switching_test

import (
	"testing"
	"time"

	"meridian/switch"
)

// A reversal asks for no right: what it may pay back has an end.
func TestReversalWindow(t *testing.T) {
	w := newWorld(t)
	w.policy("reversal_window_days = 2, allow_refund = true")
	sell := func() switching.Response { return w.do(switching.Approved, w.request(switching.KindSale, 10_00)) }
	inTime, late, refunded := sell(), sell(), sell()
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 5_00))
	days := func(n int) {
		w.clock.advance(time.Duration(n) * 24 * time.Hour)
		w.must(w.sw.CatchUp(t.Context()))
	}
	days(2)
	refund := w.do(switching.Approved, w.request(switching.KindRefund, 4_00, of(refunded)))
	w.wantTransfers(1, func() { w.do(switching.Approved, w.request(switching.KindReversal, 10_00, of(inTime))) })
	w.wantExceptions("reversal_after_cutoff", 1)
	days(1)
	tooLate := w.request(switching.KindReversal, 10_00, of(late))
	w.wantTransfers(0, func() {
		w.do(switching.InvalidTransaction, tooLate)
		w.do(switching.InvalidTransaction, copyOf(tooLate))
	})
	w.wantExceptions("reversal_too_late", 1)
	// A hold reserves and moves nothing; one that was reversed in time stays so.
	w.do(switching.Approved, w.request(switching.KindReversal, 5_00, of(hold)))
	w.wantTransfers(0, func() { w.do(switching.Approved, w.request(switching.KindReversal, 10_00, of(inTime))) })
	days(2)
	w.wantTransfers(0, func() { w.do(switching.InvalidTransaction, w.request(switching.KindReversal, 4_00, of(refund))) })
	w.wantExceptions("reversal_too_late", 2)
}
