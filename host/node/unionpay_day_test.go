package node

import (
	"testing"

	"meridian/internal/loadgen"
)

// TestUnionPayDay is a day of a terminal as the reference has it, from sign-in to
// sign-off: each answer is complete, the ledger verifies after each message, and
// whatever is sent again is answered by the same bytes.
func TestUnionPayDay(t *testing.T) {
	t.Parallel()
	w := newUnionPayTown(t)
	p := w.apart(posTill)
	for _, code := range []string{loadgen.SignInSingle, loadgen.SignInTrack, loadgen.SignInDouble} {
		p.signIn(code)
		p.do("00", p.sale(1_00))
		p.do("00", p.sale(1_00, p.pinOf(pay(everyday))))
	}
	w.spent(everyday, 6_00)
	p.do("00", p.Management("0820", loadgen.Echo))
	p.do("00", p.Management("0800", loadgen.Echo))

	// A sale and its void.
	sale := p.twice("00", p.sale(10_00, p.pinOf(pay(everyday))))
	void := p.do("00", p.about(loadgen.SaleVoid, of(sale), 10_00))
	w.shows(void, "交易成功")
	w.again(void)
	w.spent(everyday, 6_00)

	// Authorizations: voided, completed by request and by advice; a completion voided.
	hold := p.twice("00", p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(20_00)))
	w.spent(everyday, 26_00)
	p.twice("00", p.about(loadgen.PreauthVoid, holdOf(hold), 20_00))
	w.spent(everyday, 6_00)
	hold = p.do("00", p.Request(loadgen.Preauth, pay(everyday).Swiped(), loadgen.Amount(20_00)))
	completion := p.twice("00", p.about(loadgen.Completion, holdOf(hold), 22_00))
	w.spent(everyday, 28_00)
	p.twice("00", p.about(loadgen.CompletionVoid, of(completion), 22_00))
	w.spent(everyday, 26_00) // the hold is back
	p.twice("00", p.about(loadgen.CompletionAdvice, holdOf(hold), 15_00))
	w.spent(everyday, 21_00)

	// What a card has; an offline sale, and its tip.
	balance := p.do("00", p.Request(loadgen.Inquiry, pay(everyday).Swiped(), p.pinOf(pay(everyday))))
	if got := balance.answer.Field(54); got != "0002156C000000097900" {
		t.Errorf("balance %q", got)
	}
	offline := p.twice("00", p.Request(loadgen.OfflineSale, pay(everyday).Keyed(), loadgen.Amount(30_00)))
	w.spent(everyday, 51_00)
	p.twice("00", p.about(loadgen.Tip, of(offline), 33_00, map[int]string{48: "000000000300"}))
	w.spent(everyday, 54_00)

	// What an issuer's script did to the card.
	script := p.Management("0620", loadgen.ScriptResult, map[int]string{
		3: "000000", 4: "000000000100", 2: pay(everyday).PAN, 22: "051", 23: "001", 25: "00", 49: "156",
		55: "\x95\x05\x00\x00\x00\x00\x00\x9F\x36\x02\x00\x2A\xDF\x31\x05\x20\x00\x00\x00\x00",
		37: sale.rrn(), 61: sale.request.Field(60)[2:8] + sale.request.Field(11) + sale.answer.Field(13),
	})
	p.twice("00", script)

	// Settled at the cutoff, a sale is refunded: by a refund, and by a void that
	// became one.
	first, second := p.do("00", p.sale(10_00)), p.do("00", p.sale(20_00))
	w.settled()
	refund := p.do("00", p.about(loadgen.Refund, of(first), 4_00, map[int]string{63: "CUP"}))
	w.shows(refund, "交易成功")
	w.again(refund)
	p.do("00", p.about(loadgen.Refund, of(first), 6_00, map[int]string{63: "CUP"}))
	p.do("61", p.about(loadgen.Refund, of(first), 1, map[int]string{63: "CUP"}))
	turned := p.do("00", p.about(loadgen.SaleVoid, of(second), 20_00))
	w.shows(turned, "已结算，已转为退货")
	if got := turned.answer.Field(15); got != mmdd(dayOf(w.clock.Now())) {
		t.Errorf("posted on %s", got)
	}
	w.again(turned)
	w.spent(everyday, 54_00)

	// The batch: the terminal's totals are the host's.
	settlement := p.settled("1", p.Totals())
	w.again(settlement)
	number := p.Batch()
	end := p.twice("00", p.End(loadgen.EndBalanced, 0))
	p.NextBatch()
	p.do("00", p.sale(1_00))
	w.again(end) // its answer was lost: it is told again, whatever came since
	if got := p.signIn(loadgen.SignInDouble).Field(60); got[2:8] != six(number+1) {
		t.Errorf("signed in to batch %s after %06d", got[2:8], number)
	}

	p.do("00", p.Management("0820", loadgen.SignOff))
	p.do("77", p.sale(1_00))
	w.spent(everyday, 55_00)
}
