package switching_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
	"meridian/switch"
)

// newVerifiedWorld is a world with something for every check to look at: a date that is closed with a discount and a reserve, the
// next one on which the reserve came back, and one that is open.
func newVerifiedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, rate_millionths, returns_fee) VALUES (0, 20000, true)`)
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (1, 50000, 1)`)
	old := w.do(switching.Approved, w.request(switching.KindSale, 50_00))
	w.do(switching.Approved, w.request(switching.KindSale, 60_00, withCard(1)))
	w.settleBatch(till)
	w.toCutoff(0)
	w.do(switching.Approved, w.request(switching.KindSale, 30_00))
	w.toCutoff(1)
	w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 40_00))
	w.do(switching.Approved, w.request(switching.KindCompletion, 35_00, of(hold)))
	w.do(switching.Approved, w.request(switching.KindAuthorization, 45_00))
	w.policy("review_threshold_minor = 100")
	w.do(switching.UnderReview, w.request(switching.KindRefund, 5_00, of(old)))
	return w
}

// Every check finds a fault of its own, planted as only who owns the database could: past privileges and foreign keys.
// What else finds it is named to the last check, and says how the checks overlap.
func TestEachCheckFindsItsFault(t *testing.T) {
	t.Parallel()
	w := newVerifiedWorld(t)
	// A transfer on the open date, of no journal that exists.
	transfer := func(kind int, debit, credit string) string {
		return fmt.Sprintf(`INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
			SELECT 0, max(business_date), gen_random_uuid(), 1, %d, 1, 156, %s, %s, 700 FROM transfers`, kind, debit, credit)
	}
	const (
		bank     = `(1::bigint << 48)`
		stranger = `(16::bigint << 48) + 99`
		payable  = `(18::bigint << 48) + 1`
		sale     = `kind = 2 AND amount_minor = 2000` // of the open date
		itsID    = `(SELECT transaction_id FROM transactions WHERE ` + sale + `)`
		first    = `business_date = '2026-03-10'`
		second   = `business_date = '2026-03-11'`
		leaves   = `INSERT INTO retired_months VALUES ('2026-03-01', now(), 0, 0, 0, 0, 0, '2026-03-01')`
	)
	const ( // the checks that find more than the fault they are for
		balance          = "trial balance"
		chart            = "accounts are in the chart"
		replay           = "card balances equal the replay"
		carriedSealed    = "what was carried forward is as it was sealed"
		carried          = "what was carried forward equals the statements"
		gone             = "what has left is not in the ledger"
		statements       = "statements equal transfers"
		reserves         = "reserves held are those not released"
		released         = "statements release what is kept as released"
		due              = "due reserves are released"
		windowSeals      = "windows are sealed as their statements"
		order            = "windows close in order"
		loads            = "loads are as their references have them"
		standing         = "what stands equals what was moved"
		agree            = "authorizations and holds agree"
		audited          = "months that left are in the audit log"
		transactionsGone = "transactions that have left are not in the ledger"
	)
	tested := map[string]bool{}
	for _, c := range []struct {
		check, fault string
		also         []string
	}{
		{balance, `UPDATE card_accounts SET balance_minor = balance_minor + 700 WHERE card_id = 1`, []string{replay}},
		{balance, `DELETE FROM card_accounts WHERE card_id = 9`, []string{chart}},
		{balance, `UPDATE card_accounts SET held_minor = held_minor + 700 WHERE card_id = 1`, []string{replay}},
		{chart, transfer(1, bank, stranger), []string{balance, loads}},
		{replay, `UPDATE card_accounts SET balance_minor = balance_minor + CASE card_id WHEN 1 THEN 700 ELSE -700 END WHERE card_id < 3`, nil},
		{"holds equal their pending transfers", `UPDATE holds SET merchant_id = 2 WHERE state = 1`, nil},
		{"what no transaction moves is a load or a hold that ran out", transfer(1, bank, payable), []string{loads}},
		{loads, `INSERT INTO card_loads SELECT 5, 'x', 700, 0, max(business_date), gen_random_uuid(), now() FROM transfers`, nil},
		{loads, `UPDATE card_accounts SET balance_minor = balance_minor + 700 WHERE card_id = 3; ` + transfer(1, bank, `(16::bigint << 48) + 3`), nil}, // forged
		{loads, `UPDATE transfers SET leg = 2 WHERE kind = 1 AND credit_account = (16::bigint << 48) + 5`, nil},
		{"business dates exist", `UPDATE transfers SET business_date = '2026-03-31' WHERE kind = 1 AND credit_account = (16::bigint << 48) + 5`, []string{loads}},
		{carriedSealed, `INSERT INTO carried_positions VALUES (0, ` + bank + `, 156, 700, 700, 0, 0)`, nil},
		{carried, `INSERT INTO carried_positions VALUES (0, ` + payable + `, 156, 0, 700, 0, 0), (0, ` + bank + `, 156, 700, 0, 0, 0)`, []string{carriedSealed}},
		{gone, leaves, []string{transactionsGone, agree, carried, audited}},
		{"transfers of closes have their statement", `UPDATE settlements SET journal_id = gen_random_uuid() WHERE ` + first, nil},
		{statements, `UPDATE settlements SET sale_count = sale_count + 1 WHERE ` + first, nil},
		{"statements follow one another", `UPDATE settlements SET opening_payable_minor = opening_payable_minor + 1,
			closing_payable_minor = closing_payable_minor + 1 WHERE ` + second, nil},
		{"nothing is pending on closed dates", `UPDATE windows SET state = 3`, []string{order, statements, windowSeals}},
		{reserves, `DELETE FROM reserve_releases`, []string{released, due}},
		{released, `UPDATE reserve_releases SET released_on = released_on + 1`, nil},
		{due, `UPDATE settlements SET reserve_release_on = business_date WHERE ` + second, nil},
		{"closed windows are unchanged since their seal", `UPDATE settlements SET digest = digest + 1 WHERE ` + first, []string{windowSeals}},
		{windowSeals, `UPDATE window_seals SET digest = digest + 1 WHERE ` + first, nil},
		{order, `UPDATE cutovers SET cut_at = cut_at - interval '1 day' WHERE ` + first, nil},
		{"approved transactions have exactly their transfers", `UPDATE transactions SET cashback_minor = 100 WHERE ` + sale, nil},
		{"every transfer has its cause", transfer(2, `(16::bigint << 48) + 3`, `(17::bigint << 48) + 1`), []string{balance, replay}},
		{standing, `UPDATE transactions SET refund_count = 1 WHERE ` + sale, nil},
		{agree, `UPDATE transactions SET state = 4 WHERE kind = 1 AND state = 2`, nil},
		{"captured holds have their completion", `UPDATE holds SET captured_minor = 3400 WHERE state = 2`, nil},
		{"what is under review is reserved", `UPDATE transactions SET reviewed_minor = 0 WHERE reviewed_minor > 0`, nil},
		{"transfers are their transaction's", `UPDATE transactions SET card_id = 2 WHERE ` + sale, nil},
		{"every transaction has its key", `DELETE FROM idempotency_keys WHERE transaction_id = ` + itsID, nil},
		{"answers are what became of it", `UPDATE transactions SET reason = 10 WHERE ` + sale, nil},
		{"nothing was accepted after its business date", `UPDATE transactions SET accepted_at = accepted_at + interval '2 days' WHERE ` + sale, nil},
		{"every refund under review has its review", `DELETE FROM reviews`, nil},
		{"what the host took back was told by nobody", `UPDATE transactions SET told_by = ARRAY[gen_random_uuid()], state = 7 WHERE ` + sale, []string{standing}},
		{audited, `INSERT INTO retired_months VALUES ('2026-02-01', now(), 0, 0, 0, 0, 0, '2026-03-01')`, nil},
		{transactionsGone, leaves, []string{gone, agree, carried, audited}},
		{"RRNs are given once", `UPDATE transactions SET rrn = (SELECT rrn FROM transactions WHERE kind = 1 AND state = 2) WHERE ` + sale, nil},
		{"a terminal has one current batch", `UPDATE batches SET state = 5 WHERE batch_no = 2`, nil},
		{"transactions are in a batch", `UPDATE idempotency_keys SET batch_no = 77 WHERE transaction_id = ` + itsID +
			`; UPDATE transactions SET batch_no = 77 WHERE ` + sale, nil},
		{"a closed batch's totals equal its transactions", `UPDATE batches SET sale_minor = sale_minor + 1 WHERE batch_no = 1`, nil},
	} {
		tested[c.check] = true
		var got []string
		for _, f := range w.foundAfter(`SET LOCAL session_replication_role = replica; `+c.fault, switching.AllChecks()) {
			got = append(got, f.Check)
		}
		slices.Sort(got)
		got = slices.Compact(got)
		if want := slices.Sorted(slices.Values(append(c.also, c.check))); !slices.Equal(got, want) {
			t.Errorf("%s\nis found by %q, want %q", c.fault, got, want)
		}
	}
	for _, check := range switching.AllChecks() {
		if !tested[check.Name] {
			t.Errorf("no fault here is for %q", check.Name)
		}
	}
	w.verify()
}

// foundAfter is what checks find after a change by the database's owner, which is rolled back.
func (w *world) foundAfter(change string, checks []ledger.Check) []ledger.Finding {
	w.t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, w.url)
	w.must(err)
	defer func() { w.must(c.Close(ctx)) }()
	tx, err := c.Begin(ctx)
	w.must(err)
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, change); err != nil {
		w.t.Fatalf("%s: %v", change, err)
	}
	found, err := ledger.RunChecks(ctx, tx, checks)
	w.must(err)
	return found
}
