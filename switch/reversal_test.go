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
