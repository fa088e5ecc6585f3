package switching_test

import (
	"testing"

	"meridian/switch"
)

// A sale whose reversal was answered 00 does not stand again with the reversal of its void.
func TestReversalThenVoidReversal(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	s := w.do(switching.Approved, sale)
	void := w.request(switching.KindVoid, 0, of(s))
	w.do(switching.Approved, void)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN))) // 00: nothing stands
	r := w.ask(w.request(switching.KindReversal, 0, stan(void.STAN)))
	if w.available(0) != opened {
		t.Errorf("the sale whose reversal was answered 00 stands: its void's reversal was answered %s, and the card spent %d", r.Reason, opened-w.available(0))
	}
}

// Where nothing stands, a partial reversal can leave nothing: its terminal is not told that it did.
func TestPartialReversalOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	declined := w.request(switching.KindSale, opened+1)
	w.do(switching.InsufficientFunds, declined)
	w.do(switching.InvalidAmount, w.request(switching.KindReversal, declined.AmountMinor, stan(declined.STAN), leaving(4_00)))
	reversed := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, reversed)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(reversed.STAN)))
	anew := w.request(switching.KindReversal, 10_00, leaving(4_00), ofSTAN(reversed))
	w.do(switching.InvalidAmount, anew)
	unknown := w.request(switching.KindReversal, 10_00, stan(700), leaving(4_00), func(r *switching.Request) { r.ApproveUnknownOriginal = true })
	w.do(switching.OriginalNotFound, unknown)
	w.do(switching.ReversedBefore, w.request(switching.KindSale, 10_00, stan(700)))
	w.wantAvailable(0)
}
