package switching_test

import (
	"strings"
	"testing"
	"time"

	"meridian/switch"
)

// Rows that contradict each other are found, also where every sum still comes out.
func TestVerifyFindsForgedRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.do(switching.Approved, w.request(switching.KindSale, 50_00))
	w.do(switching.Approved, w.request(switching.KindSale, 60_00))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.do(switching.Approved, w.request(switching.KindRefund, 11_00, of(old)))
	refund := w.request(switching.KindRefund, 10_00, of(old))
	w.do(switching.Approved, refund)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(refund.STAN)))
	sale := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(sale)))
	reversed := w.request(switching.KindSale, 30_00)
	w.do(switching.Approved, reversed)
	w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(reversed.STAN)))
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 40_00))
	w.do(switching.Approved, w.request(switching.KindCompletion, 35_00, of(hold)))
	w.do(switching.Approved, w.request(switching.KindAuthorization, 45_00))
	w.do(switching.InsufficientFunds, w.request(switching.KindSale, 40_000_00))
	w.do(switching.Approved, w.request(switching.KindSale, 15_00, func(r *switching.Request) { r.CashbackMinor = 5_00 }))
	w.policy("review_threshold_minor = 100")
	w.do(switching.UnderReview, w.request(switching.KindRefund, 5_00, of(old)))
	voided := w.do(switching.Approved, w.request(switching.KindAuthorization, 25_00))
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(voided)))
	unheld := w.request(switching.KindAuthorization, 26_00)
	w.do(switching.Approved, unheld)
	w.do(switching.Approved, w.request(switching.KindReversal, 26_00, stan(unheld.STAN)))
	w.do(switching.Approved, w.request(switching.KindReversal, 27_00, stan(900))) // of nothing

	const toCard = `UPDATE card_accounts SET balance_minor = balance_minor + 700 WHERE card_id = 1; `
	const fromCard = `UPDATE card_accounts SET balance_minor = balance_minor - 700 WHERE card_id = 1; `
	leg := func(kind, journal, debit, credit string) string {
		return `INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
			SELECT bucket, business_date, transaction_id, 90, ` + kind + `, 1, currency, ` + debit + `, ` + credit + `, 700
			FROM transactions WHERE ` + journal
	}
	const (
		card    = `(16::bigint << 48) + 1`
		pending = `(17::bigint << 48) + 1`
		payable = `(18::bigint << 48) + 1`
		bank    = `1::bigint << 48`
	)
	const (
		exact     = "approved transactions have exactly their transfers"
		standing  = "what stands equals what was moved"
		causeless = "what no transaction moves is a load or a hold that ran out"
		holds     = "holds equal their pending transfers"
		captured  = "captured holds have their completion"
		owners    = "transfers are their transaction's"
		keys      = "every transaction has its key"
		answers   = "answers are what became of it"
		dates     = "nothing was accepted after its business date"
		reviews   = "every refund under review has its review"
	)
	for _, c := range []struct{ check, name, fault string }{
		{exact, "a refund in a void's journal", toCard + leg("10", "kind = 5", payable, card)},
		{exact, "a refund in a reversal's journal", toCard + leg("10", "kind = 8", payable, card)},
		{exact, "a refund in a completion's journal", toCard + leg("10", "kind = 3", payable, card)},
		{exact, "a load in a completion's journal", toCard + leg("1", "kind = 3", bank, card)},
		{exact, "a load in a void's journal", toCard + leg("1", "kind = 5", bank, card)},
		{exact, "a sale in a reversal's journal", fromCard + leg("2", "kind = 8", card, pending)},
		{causeless, "an expiry that posts, in a void", toCard + leg("7", "kind = 5", pending, card)},
		{exact, "a transfer of no kind in a void's journal", toCard + leg("99", "kind = 5", payable, card)},
		{exact, "a transfer of a close in a void's journal", leg("15", "kind = 5", payable, `32::bigint << 48`)},
		{causeless, "an expiry that posts, in a journal of none", fromCard + strings.Replace(leg("7", "kind = 5", card, pending), "transaction_id, 90", "gen_random_uuid(), 90", 1)},
		{causeless, "a load out of a merchant's money", toCard + strings.Replace(leg("1", "kind = 5", payable, card), "transaction_id, 90", "gen_random_uuid(), 90", 1)},
		{causeless, "a load onto a merchant", strings.Replace(leg("1", "kind = 5", bank, payable), "transaction_id, 90", "gen_random_uuid(), 90", 1)},
		{holds, "an open hold of another card", `UPDATE holds SET card_id = 2 WHERE state = 1`},
		{holds, "an open hold of another merchant", `UPDATE holds SET merchant_id = 2 WHERE state = 1`},
		{holds, "a hold in another currency", `UPDATE holds SET currency = 840 WHERE state = 1`},
		{captured, "a hold that captured something else", `UPDATE holds SET captured_minor = 3400 WHERE state = 2`},
		{owners, "a completion of another hold", `UPDATE transactions t SET original_id = a.transaction_id FROM transactions a WHERE t.kind = 3 AND a.kind = 1 AND a.state = 2`},
		{owners, "a completion of nothing", `UPDATE transactions SET original_id = NULL, original_date = NULL WHERE kind = 3`},
		{keys, "a key that leads to another sale", `UPDATE idempotency_keys k SET transaction_id = o.transaction_id FROM idempotency_keys o WHERE k.stan = 1 AND o.stan = 2`},
		{keys, "a key in another batch", `UPDATE idempotency_keys k SET batch_no = 7 FROM transactions t WHERE k.transaction_id = t.transaction_id AND t.kind = 2 AND t.state = 2`},
		{keys, "a key on another date", `UPDATE idempotency_keys k SET business_date = k.business_date - 1 FROM transactions t WHERE k.transaction_id = t.transaction_id AND t.kind = 2 AND t.state = 2`},
		{keys, "a key of another class", `UPDATE idempotency_keys k SET class = 6 FROM transactions t WHERE k.transaction_id = t.transaction_id AND t.kind = 2 AND t.state = 2`},
		{keys, "a key that says its sale was reversed", `UPDATE idempotency_keys k SET tombstone = true FROM transactions t WHERE k.transaction_id = t.transaction_id AND t.kind = 2 AND t.state = 2`},
		{answers, "an approval whose answer is no", `UPDATE transactions SET reason = 10 WHERE kind = 2 AND state = 2 AND amount_minor = 6000`},
		{answers, "a decline whose answer is yes", `UPDATE transactions SET reason = 1, auth_code = '000001' WHERE kind = 2 AND state = 1`},
		{answers, "a reversed sale whose answer is no", `UPDATE transactions SET reason = 10 WHERE kind = 2 AND state = 5`},
		{dates, "accepted after the date had ended", `UPDATE transactions SET accepted_at = accepted_at + interval '1 day' WHERE kind = 2 AND amount_minor = 6000`},
		{standing, "refunds that are not counted", `UPDATE transactions SET refund_count = 0 WHERE refunded_minor > 0`},
		{exact, "cash that was not handed out", `UPDATE transactions SET cashback_minor = 0 WHERE cashback_minor > 0`},
		{keys, "a refund by another merchant", `UPDATE transactions SET merchant_id = 2 WHERE kind = 6 AND state = 8`},
		{reviews, "a review of what was decided", `UPDATE reviews SET review_id = (SELECT transaction_id FROM transactions WHERE kind = 6 AND state = 2)`},
		{reviews, "a second review", `INSERT INTO reviews (bucket, review_id, business_date, merchant_id, raised_at, cause) SELECT bucket, transaction_id, business_date, merchant_id, accepted_at, 'x' FROM transactions WHERE kind = 6 AND state = 2`},
		{exact, "money out of the reversal of nothing", toCard + leg("11", "kind = 8 AND original_id IS NULL", pending, card)},
		{standing, "money out of the reversal of a hold", toCard + leg("11", "kind = 8 AND amount_minor = 2600", pending, card)},
		{standing, "more than a refund's reversal takes", toCard + leg("12", "kind = 8 AND amount_minor = 1000", payable, card)},
	} {
		if !w.findsWith(c.fault, c.check) {
			t.Errorf("%s is not found by %q", c.name, c.check)
		}
	}
}
