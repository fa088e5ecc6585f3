package switching_test

import (
	"slices"
	"testing"
	"time"

	"meridian/switch"
)

// An adjustment is lost at one host, and its terminal told of a failure. The clerk enters the tip again,
// and another host approves that: what was told there stands when the first is back.
func TestAdjustmentEnteredAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		total int64
		again func(w *world, sale *switching.Request)
	}{
		{"the same total", 11_00, func(w *world, sale *switching.Request) {
			w.do(switching.Approved, w.adjusts(sale, 11_00))
		}},
		{"the same total by way of another", 11_00, func(w *world, sale *switching.Request) {
			w.do(switching.Approved, w.adjusts(sale, 10_50))
			w.do(switching.Approved, w.adjusts(sale, 11_00))
		}},
		{"a partial reversal that leaves the same", 8_00, func(w *world, sale *switching.Request) {
			w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN), leaving(8_00)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.shaky()
			sale := w.request(switching.KindSale, 10_00)
			w.do(switching.Approved, sale)
			first.lose(w.adjusts(sale, c.total))
			c.again(w, sale)
			w.wantSpent(0, c.total, "as another host has told the terminal")
			w.back(first)
			w.wantSpent(0, c.total, "after the first host is back")
			w.verify()
		})
	}
}

// A refund that waits for a person is lost at a host, which tells its terminal of a failure, and
// a person approves it before the host is back.
func TestReviewApprovedWhileItsHostIsInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sold := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.toCutoff(0)
	w.policy("review_threshold_minor = 0")
	first := w.shaky()
	refund := w.request(switching.KindRefund, 4_00, of(sold))
	first.lose(refund)
	list, err := switching.Reviews(t.Context(), w.pool, false)
	w.must(err)
	var rrn int64
	w.must(w.pool.QueryRow(t.Context(), `SELECT rrn FROM transactions WHERE transaction_id = $1`, [16]byte(list[0].ID)).Scan(&rrn))
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: rrn, Approve: true, Who: "ann", Why: "due"}))
	w.wantAvailable(6_00)
	w.verify()
	w.back(first)
	w.wantSpent(0, 6_00, "what the person approved, after the host is back")
	w.verify()
}

// What a terminal was told to have failed is taken back when its host is back; what another host told it
// meanwhile, over that, is to be true all the same.
func TestToldOverWhatIsTakenBack(t *testing.T) {
	t.Parallel()
	t.Run("a partial reversal of a sale whose void failed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		first := w.shaky()
		sale := w.request(switching.KindSale, 10_00)
		sold := w.do(switching.Approved, sale)
		first.lose(w.request(switching.KindVoid, 0, of(sold)))
		partial := w.request(switching.KindReversal, 10_00, stan(sale.STAN), leaving(4_00))
		w.do(switching.InvalidAmount, partial) // nothing stands
		w.back(first)
		w.wantSpent(0, 10_00, "the reversal was declined")
		w.verify()
	})
	t.Run("a partial reversal of a completion whose void failed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		first := w.shaky()
		held := w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00))
		completion := w.request(switching.KindCompletion, 9_00, of(held))
		completed := w.do(switching.Approved, completion)
		first.lose(w.request(switching.KindVoid, 0, of(completed)))
		w.do(switching.InvalidAmount, w.request(switching.KindReversal, 9_00, stan(completion.STAN), leaving(8_00)))
		w.back(first)
		w.wantSpent(0, 9_00, "the reversal was declined")
		w.verify()
	})
	t.Run("a cancel of all that is left after a refund that failed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		first := w.shaky()
		sold := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
		w.clock.advance(24 * time.Hour)
		w.must(w.sw.CatchUp(t.Context()))
		first.lose(w.request(switching.KindRefund, 4_00, of(sold)))
		w.do(switching.Approved, w.request(switching.KindCancel, 0, of(sold)))
		w.back(first)
		w.wantSpent(0, 4_00, "the refund was taken back")
		var kinds []string // whether 4.00 are to be paid back, too, a person can tell
		w.must(w.pool.QueryRow(t.Context(), `SELECT array_agg(kind) FROM exceptions`).Scan(&kinds))
		if !slices.Equal(kinds, []string{"refund_taken_back"}) {
			t.Errorf("exceptions %v", kinds)
		}
		w.verify()
	})
}
