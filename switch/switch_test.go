package switching_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/switch"
)

func TestSaleMovesMoneyOnce(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 12_34)
	first := w.do(switching.Approved, sale)
	w.wantAvailable(12_34)
	if first.RRN == 0 || len(first.AuthCode) != 6 || first.BusinessDate.String() != "2026-03-10" {
		t.Fatalf("incomplete answer %+v", first)
	}
	again := *sale
	again.Repeat = true
	second := w.do(switching.Approved, &again)
	w.wantAvailable(12_34)
	if second.RRN != first.RRN || second.AuthCode != first.AuthCode || !second.AcceptedAt.Equal(first.AcceptedAt) || !second.Stored {
		t.Fatalf("repeat answered %+v, first %+v", second, first)
	}
	other := *sale
	other.AmountMinor = 99_99
	w.do(switching.RepeatDiffers, &other)
	w.wantAvailable(12_34)
}

func TestLifeOfAnAuthorization(t *testing.T) {
	w := newWorld(t)
	auth := w.do(switching.Approved, w.request(switching.KindAuthorization, 100_00))
	w.wantAvailable(100_00)
	w.do(switching.ExceedsAmountLimit, w.request(switching.KindCompletion, 115_01, of(auth)))
	done := w.do(switching.Approved, w.request(switching.KindCompletion, 85_00, of(auth)))
	w.wantAvailable(85_00)
	w.do(switching.InvalidTransaction, w.request(switching.KindCompletion, 1_00, of(auth)))
	w.do(switching.InvalidTransaction, w.request(switching.KindVoid, 0, of(auth)))

	void := w.do(switching.Approved, w.request(switching.KindVoid, 85_00, of(done)))
	if void.Became != switching.KindVoid || void.Rule.String() != "R30" {
		t.Fatalf("void of a completion: %s %s", void.Became, void.Rule)
	}
	w.wantAvailable(100_00) // the hold is back
	w.do(switching.Approved, w.request(switching.KindCompletion, 115_00, of(auth)))
	w.wantAvailable(115_00)
}

func TestVoidBeforeAndRefundAfterTheCutoff(t *testing.T) {
	w := newWorld(t)
	early := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	late := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	void := w.do(switching.Approved, w.request(switching.KindCancel, 0, of(early)))
	if void.Became != switching.KindVoid || void.Rule.String() != "R16" {
		t.Fatalf("cancel before the cutoff became %s by %s", void.Became, void.Rule)
	}
	w.wantAvailable(20_00)
	again := w.do(switching.InvalidTransaction, w.request(switching.KindCancel, 0, of(early)))
	if again.Rule.String() != "R13" {
		t.Fatalf("second cancel: rule %s", again.Rule)
	}

	w.clock.set(time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)) // 23:00 in Shanghai, to the nanosecond
	refund := w.do(switching.Approved, w.request(switching.KindCancel, 5_00, of(late)))
	if refund.Became != switching.KindRefund || refund.Rule.String() != "R29" || refund.BusinessDate.String() != "2026-03-11" {
		t.Fatalf("cancel at the cutoff became %s by %s on %s", refund.Became, refund.Rule, refund.BusinessDate)
	}
	w.wantAvailable(15_00)
	over := w.do(switching.ExceedsAmountLimit, w.request(switching.KindRefund, 15_01, of(late)))
	if over.Rule.String() != "R24" {
		t.Fatalf("over-refund: rule %s", over.Rule)
	}
	w.do(switching.Approved, w.request(switching.KindRefund, 15_00, of(late)))
	w.wantAvailable(0)
}

func TestReversals(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN)))
	w.wantAvailable(0)
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(sale.STAN)))
	w.wantAvailable(0)

	// Before its original: the late original is declined and not posted.
	w.do(switching.Approved, w.request(switching.KindReversal, 7_00, stan(500)))
	w.do(switching.ReversedBefore, w.request(switching.KindSale, 7_00, stan(500)))
	w.do(switching.ReversedBefore, w.request(switching.KindSale, 7_00, stan(500)))
	w.wantAvailable(0)

	partial := w.request(switching.KindSale, 30_00)
	sold := w.do(switching.Approved, partial)
	w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(partial.STAN), func(r *switching.Request) {
		r.ReplacementMinor, r.HasReplacement = 20_00, true
	}))
	w.wantAvailable(20_00)

	void := w.request(switching.KindVoid, 20_00, of(sold))
	w.do(switching.Approved, void)
	w.wantAvailable(0)
	w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(void.STAN)))
	w.wantAvailable(20_00)
}

func TestInspection(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	void := w.do(switching.Approved, w.request(switching.KindVoid, 10_00, of(sale)))
	found, err := switching.FindByRRN(t.Context(), w.pool, sale.RRN)
	w.must(err)
	if len(found) != 1 || found[0].State != switching.StateVoided || len(found[0].Transfers) != 1 ||
		found[0].Transfers[0].Debit != "card:1" || len(found[0].ReferredToByRRNs) != 1 {
		t.Fatalf("sale: %+v", found)
	}
	found, err = switching.FindByRRN(t.Context(), w.pool, void.RRN)
	w.must(err)
	if len(found) != 1 || found[0].Rule != 16 || found[0].Decision == nil || found[0].OriginalID.String() == "" {
		t.Fatalf("void: %+v", found)
	}
	list, err := switching.ListTransactions(t.Context(), w.pool, switching.TransactionFilter{TID: till})
	w.must(err)
	if len(list) != 2 || list[0].Kind != switching.KindVoid {
		t.Fatalf("list: %+v", list)
	}
}

// TestAnswersShowTheMerchantsTime: first answers and repeats, of what is stored
// and of what is not.
func TestAnswersShowTheMerchantsTime(t *testing.T) {
	w := newWorld(t)
	w.clock.set(time.Date(2026, 3, 10, 20, 30, 0, 0, time.UTC))
	sale := w.request(switching.KindSale, 1_00)
	again := *sale
	for name, r := range map[string]*switching.Request{
		"sale": sale, "repeat": &again, "logon": w.request(switching.KindLogon, 0), "declined": w.request(switching.KindSale, 50_000_00),
	} {
		if got := w.ask(r).AcceptedAt.Format("0102 15:04 -07:00"); got != "0311 04:30 +08:00" {
			t.Errorf("%s: answered at %s, want Shanghai's time", name, got)
		}
	}
}

// policy changes columns of the merchants' policy, and the switch reads it.
func (w *world) policy(set string) {
	w.t.Helper()
	w.sql("UPDATE policies SET " + set)
	w.sql("UPDATE installation SET directory_version = directory_version + 1")
	w.must(w.sw.Refresh(w.t.Context()))
}

func TestReviewOfARefund(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.policy("review_threshold_minor = 5000")
	big := w.request(switching.KindRefund, 60_00, of(sale))
	first := w.do(switching.UnderReview, big)
	if first.Rule.String() != "R26" {
		t.Fatalf("rule %s", first.Rule)
	}
	w.wantAvailable(100_00)
	// What waits for a review is reserved.
	w.do(switching.ExceedsAmountLimit, w.request(switching.KindRefund, 40_01, of(sale)))
	open, err := switching.Reviews(t.Context(), w.pool, false)
	w.must(err)
	if len(open) != 1 || open[0].Amount != 60_00 {
		t.Fatalf("open reviews: %+v", open)
	}
	repeat := *big
	w.do(switching.UnderReview, &repeat)
	w.clock.advance(24 * time.Hour)
	decision := switching.ReviewDecision{RRN: first.RRN, Approve: true, Who: "ann", Why: "receipt seen"}
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), decision))
	if err := switching.DecideReview(t.Context(), w.pool, w.clock.Now(), decision); err == nil {
		t.Fatal("decided twice")
	}
	w.verify()
	w.wantAvailable(40_00)
	final := w.do(switching.Approved, &repeat)
	if final.RRN != first.RRN || final.BusinessDate.String() != "2026-03-12" || final.AuthCode == "" {
		t.Fatalf("final answer %+v", final)
	}
	if final.AuthCode == fmt.Sprintf("%06d", final.RRN%1_000_000) {
		t.Errorf("authorization code %s is the end of the RRN %012d: the first of a day would have 000000", final.AuthCode, final.RRN)
	}
	second := w.request(switching.KindRefund, 40_00, of(sale))
	w.policy("review_threshold_minor = 1000")
	w.do(switching.UnderReview, second)
	found, err := switching.Reviews(t.Context(), w.pool, false)
	w.must(err)
	var rrn int64
	for _, c := range found[0].RRN {
		rrn = rrn*10 + int64(c-'0')
	}
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{RRN: rrn, Who: "ann", Why: "no receipt"}))
	w.do(switching.ReviewRejected, second)
	w.wantAvailable(40_00)
	w.policy("review_threshold_minor = NULL")
	w.do(switching.Approved, w.request(switching.KindRefund, 40_00, of(sale)))
	w.wantAvailable(0)
}

func TestLimitsOfVoids(t *testing.T) {
	w := newWorld(t)
	var sales []switching.Response
	for range 4 {
		sales = append(sales, w.do(switching.Approved, w.request(switching.KindSale, 10_00)))
	}
	w.policy("max_voids_per_day = 1")
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(sales[0])))
	over := w.do(switching.ExceedsCountLimit, w.request(switching.KindVoid, 0, of(sales[1])))
	if over.Rule.String() != "R20" {
		t.Fatalf("rule %s", over.Rule)
	}
	w.policy("max_voids_per_day = NULL, max_void_minor_per_day = 1999")
	w.do(switching.ExceedsAmountLimit, w.request(switching.KindVoid, 0, of(sales[1])))
	w.policy("max_void_minor_per_day = NULL, void_window_minutes = 30")
	w.clock.advance(30 * time.Minute)
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(sales[2])))
	w.clock.advance(time.Nanosecond)
	w.do(switching.NotAllowedNow, w.request(switching.KindVoid, 0, of(sales[1])))
	w.policy("void_window_minutes = NULL, allow_void = false")
	forbidden := w.do(switching.NotPermittedToTerminal, w.request(switching.KindCancel, 0, of(sales[1])))
	if forbidden.Rule.String() != "R5" {
		t.Fatalf("rule %s", forbidden.Rule)
	}
}

func TestPreviewOfACancel(t *testing.T) {
	w := newWorld(t)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	before, err := switching.PreviewCancel(t.Context(), w.pool, w.clock.Now(), sale.RRN)
	w.must(err)
	cutoff := time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)
	if before.Verdict != "VOID" || before.Rule != 16 || before.VoidableUntil == nil || !before.VoidableUntil.Equal(cutoff) ||
		before.Counterfactual != "from the cutoff at 2026-03-10T15:00:00Z on: REFUND R29" {
		t.Fatalf("before the cutoff: %+v", before)
	}
	after, err := switching.PreviewCancel(t.Context(), w.pool, cutoff, sale.RRN)
	w.must(err)
	if after.Verdict != "REFUND" || after.Rule != 29 || after.VoidableUntil != nil ||
		after.Counterfactual != "before the cutoff at 2026-03-10T15:00:00Z: VOID R16" {
		t.Fatalf("from the cutoff on: %+v", after)
	}
	// Of a merchant that has another calendar since, whose date ends an hour before.
	twoCalendars(w)
	w.sql(`UPDATE merchants SET calendar_id = 2 WHERE merchant_id = 1`)
	moved, err := switching.PreviewCancel(t.Context(), w.pool, w.clock.Now(), sale.RRN)
	w.must(err)
	if moved.Verdict != "VOID" || moved.Rule != 16 || moved.VoidableUntil == nil || !moved.VoidableUntil.Equal(cutoff.Add(-time.Hour)) ||
		moved.Counterfactual != "from the cutoff at 2026-03-10T14:00:00Z on: REFUND R29" {
		t.Fatalf("with another calendar: %+v", moved)
	}
	w.wantAvailable(10_00) // nothing was done
	w.verify()
}

func TestCancelWhileTheWindowIsLocked(t *testing.T) {
	w := newWorldThatWaits(t, time.Second, switching.Options{StoreTimeout: 3 * time.Second})
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	c, err := pgx.Connect(t.Context(), w.url)
	w.must(err)
	tx, err := c.Begin(t.Context())
	w.must(err)
	_, err = tx.Exec(t.Context(), `SELECT FROM windows WHERE business_date = '2026-03-10' FOR UPDATE`)
	w.must(err)
	got := w.ask(w.request(switching.KindCancel, 0, of(sale)))
	if got.Reason != switching.CutoffInProgress || got.Rule.String() != "R6" {
		t.Fatalf("answered %s %s", got.Reason, got.Rule)
	}
	w.must(tx.Rollback(t.Context()))
	w.must(c.Close(t.Context()))
	w.do(switching.Approved, w.request(switching.KindCancel, 0, of(sale)))
}

func TestOperators(t *testing.T) {
	w := newWorld(t)
	owner, err := pgxpool.New(t.Context(), w.url)
	w.must(err)
	defer owner.Close()
	w.must(switching.AddOperator(t.Context(), owner, shop, "01", "0000", false, "ann", "first clerk"))
	w.must(switching.AddOperator(t.Context(), owner, shop, "99", "4711", true, "ann", "supervisor"))
	w.must(switching.SetPolicy(t.Context(), owner, "plain", "require_operator", "true", "ann", "fraud"))
	w.must(w.sw.Refresh(t.Context()))
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	denied := w.do(switching.OperatorNotSignedOn, w.request(switching.KindVoid, 0, of(sale)))
	if denied.Rule.String() != "R4" {
		t.Fatalf("rule %s", denied.Rule)
	}
	logon := func(number, password string) *switching.Request {
		return w.request(switching.KindLogon, 0, func(r *switching.Request) { r.OperatorNo, r.OperatorPassword = number, password })
	}
	w.do(switching.WrongOperatorPassword, logon("01", "9999"))
	w.do(switching.WrongOperatorPassword, logon("77", "0000"))
	w.do(switching.Approved, logon("01", "0000"))
	w.policy("supervisor_for_void = true")
	w.do(switching.OperatorNotAllowed, w.request(switching.KindVoid, 0, of(sale)))
	w.do(switching.Approved, logon("99", "4711"))
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(sale)))

	for range 5 {
		w.do(switching.WrongOperatorPassword, logon("01", "guess"))
	}
	w.do(switching.OperatorLocked, logon("01", "0000"))
	w.clock.advance(31 * time.Minute)
	w.do(switching.Approved, logon("01", "0000"))

	if err := switching.SetPolicy(t.Context(), owner, "plain", "allow_void", "false", "ann", ""); err == nil {
		t.Fatal("changed without a reason")
	}
	w.must(switching.SetRight(t.Context(), owner, shop, till, switching.RightVoid, false, "ann", "stolen terminal"))
	w.must(w.sw.Refresh(t.Context()))
	other := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.NotPermittedToTerminal, w.request(switching.KindVoid, 0, of(other)))
}

func TestMinimumBalanceOfAMerchant(t *testing.T) {
	w := newWorld(t)
	old := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.policy("min_balance_minor = 5000") // of 120.00 owed, 50.00 must stay
	// Late, each of them becomes a refund.
	for _, kind := range []switching.Kind{switching.KindRefund, switching.KindCancel, switching.KindVoid} {
		low := w.do(switching.InsufficientFunds, w.request(kind, 100_00, of(old)))
		if low.Rule.String() != "R27" {
			t.Errorf("%s: rule %s", kind, low.Rule)
		}
	}
	w.do(switching.InsufficientFunds, w.request(switching.KindRefund, 70_01, of(old)))
	w.do(switching.Approved, w.request(switching.KindRefund, 70_00, of(old)))
	w.do(switching.InsufficientFunds, w.request(switching.KindRefund, 1, of(old)))
}

// A reversal has its key in its original's batch, which may have ended on a date that is
// closed: what is owed is less by it all the same.
func TestOwedAfterALateReversal(t *testing.T) {
	w := newWorld(t)
	sold := w.request(switching.KindSale, 100_00)
	w.do(switching.Approved, sold)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 50_00))
	w.do(switching.Approved, w.settlement(0, net(2, 150_00)))
	for range 2 {
		w.do(switching.Approved, w.request(switching.KindSale, 1_00, at(shop, till2)))
		w.clock.advance(24 * time.Hour)
		w.cutover()
	}
	w.do(switching.Approved, w.request(switching.KindReversal, 100_00, stan(sold.STAN), func(r *switching.Request) { r.BatchNo = 1 }))
	w.policy("min_balance_minor = 201") // 52.00 are owed
	w.do(switching.InsufficientFunds, w.request(switching.KindRefund, 50_00, of(sale)))
	w.policy("min_balance_minor = 200")
	w.do(switching.Approved, w.request(switching.KindRefund, 50_00, of(sale)))
}

// Who ends a batch may be before a cutoff that another host has behind it: the batch has
// transactions of a later date than it was closed on.
func TestOwedOfABatchClosedBeforeTheCutoff(t *testing.T) {
	w := newWorld(t)
	before := &clock{now: time.Date(2026, 3, 10, 14, 59, 59, 500_000_000, time.UTC)}
	behind, _ := w.host(before)
	old := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.set(time.Date(2026, 3, 10, 15, 0, 0, 500_000_000, time.UTC))
	w.do(switching.Approved, w.request(switching.KindRefund, 60_00, of(old))) // of the next date
	mine := w.sw
	w.sw = behind
	w.do(switching.Approved, w.settlement(0, net(1, 100_00), trailer))
	w.sw = mine
	w.do(switching.Approved, w.request(switching.KindSale, 20_00, at(shop, till2)))
	_, err := switching.CloseBatch(t.Context(), w.pool, before.Now(), switching.BatchClosing{TID: till2, Who: "ann", Why: "lost"})
	w.must(err)
	w.clock.advance(time.Minute)
	w.cutover()
	w.policy("min_balance_minor = 3000")
	w.do(switching.InsufficientFunds, w.request(switching.KindRefund, 40_00, of(old))) // of 60.00 owed
	w.do(switching.Approved, w.request(switching.KindRefund, 30_00, of(old)))
}

// What the unit itself moves counts, in the order of its requests.
func TestMinimumBalanceWithinAUnit(t *testing.T) {
	w := newWorld(t)
	old := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	sale := w.do(switching.Approved, w.request(switching.KindSale, 50_00))
	w.policy("min_balance_minor = 10000") // of 150.00 owed, 100.00 must stay
	refund := func(minor int64) *switching.Request { return w.request(switching.KindRefund, minor, of(old)) }
	for _, c := range []struct {
		what string
		list []*switching.Request
		want []switching.Reason
	}{
		{
			"a void before it",
			[]*switching.Request{w.request(switching.KindVoid, 0, of(sale)), refund(50_00)},
			[]switching.Reason{switching.Approved, switching.InsufficientFunds},
		},
		{
			"a sale before it",
			[]*switching.Request{w.request(switching.KindSale, 20_00), refund(20_00)},
			[]switching.Reason{switching.Approved, switching.Approved},
		},
		{
			"another refund",
			[]*switching.Request{w.request(switching.KindSale, 20_00), refund(10_01), refund(10_00), refund(9_99)},
			[]switching.Reason{switching.Approved, switching.Approved, switching.InsufficientFunds, switching.Approved},
		},
		{
			"a sale after it",
			[]*switching.Request{refund(20_00), w.request(switching.KindSale, 20_00)},
			[]switching.Reason{switching.InsufficientFunds, switching.Approved},
		},
	} {
		answers, _ := w.patient().together(c.list...)
		for i, got := range answers {
			if got.Reason != c.want[i] {
				t.Errorf("%s: %s was answered %s, want %s", c.what, c.list[i].Kind, got.Reason, c.want[i])
			}
		}
		w.verify()
	}
}

// A hold that shrank after its completion was voided cannot carry that
// completion again.
func TestReversedVoidOfACompletionFitsItsHold(t *testing.T) {
	w := newWorld(t)
	auth := w.do(switching.Approved, w.request(switching.KindAuthorization, 100_00))
	done := w.do(switching.Approved, w.request(switching.KindCompletion, 90_00, of(auth)))
	void := w.request(switching.KindCancel, 0, of(done))
	w.do(switching.Approved, void)
	w.do(switching.Approved, w.request(switching.KindReversal, 100_00, of(auth), func(r *switching.Request) {
		r.ReplacementMinor, r.HasReplacement = 1_00, true
	}))
	w.wantAvailable(1_00)
	w.do(switching.NoAction, w.request(switching.KindReversal, 0, stan(void.STAN)))
	w.wantAvailable(1_00)
}

// An invoice number comes again: after a decline, and in a later batch.
func TestVoidByAnInvoiceThatCameAgain(t *testing.T) {
	w := newWorld(t)
	invoice := func(r *switching.Request) { r.Invoice = "777001" }
	w.do(switching.InsufficientFunds, w.request(switching.KindSale, opened+1, invoice))
	w.do(switching.Approved, w.request(switching.KindSale, 10_00, invoice))
	w.do(switching.Approved, w.request(switching.KindVoid, 10_00, func(r *switching.Request) {
		r.Original = switching.Reference{Invoice: "777001"}
	}))
	w.wantAvailable(0)
}

// A migration beside running hosts may give a column another type, which ends what they have
// prepared ("cached plan must not change result type"): they prepare it anew.
func TestColumnOfAnotherType(t *testing.T) {
	w := newWorld(t)
	for range 8 { // custom plans first, and then the generic one
		sold := w.do(switching.Approved, w.request(switching.KindSale, 100))
		w.do(switching.Approved, w.request(switching.KindVoid, 100, of(sold)))
	}
	for _, migration := range []string{
		`ALTER TABLE transactions ALTER remark TYPE text, ALTER stan TYPE integer`,
		`ALTER TABLE transactions ALTER remark TYPE valid_remark, ALTER stan TYPE valid_stan`,
		`ALTER TABLE card_accounts ALTER status TYPE smallint`,
	} {
		w.sql(migration)
		sold := w.do(switching.Approved, w.request(switching.KindSale, 100))
		w.do(switching.Approved, w.request(switching.KindVoid, 100, of(sold)))
	}
	w.wantAvailable(0)
}
