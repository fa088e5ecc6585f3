package switching_test

import (
	"testing"
	"time"

	"meridian/ledger"
	"meridian/switch"
)

// cutover runs the job at the world's clock; the ledger must verify after it.
func (w *world) cutover() ledger.CutoverRun {
	w.t.Helper()
	run, err := ledger.RunCutover(w.t.Context(), w.pool, w.clock.Now())
	w.must(err)
	w.verify()
	return run
}

// statement of a merchant on a date.
func (w *world) statement(mid, date string) ledger.Statement {
	w.t.Helper()
	d, err := ledger.ParseDate(date)
	w.must(err)
	list, _, err := ledger.Statements(w.t.Context(), w.pool, ledger.StatementFilter{MID: mid, From: d, To: d})
	w.must(err)
	if len(list) != 1 {
		w.t.Fatalf("%d statements of %s on %s, want 1", len(list), mid, date)
	}
	return list[0]
}

func (w *world) wantFigures(s ledger.Statement, want map[string]int64) {
	w.t.Helper()
	for _, f := range s.Figures() {
		if f.Value != want[f.Column] {
			w.t.Errorf("%s on %s: %s is %d, want %d", s.MID, s.BusinessDate, f.Column, f.Value, want[f.Column])
		}
	}
}

// cutoff10 is the world's first cutoff: 23:00 on 2026-03-10 in Shanghai.
var cutoff10 = time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)

func TestStatementOfADay(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, rate_millionths, fixed_minor) VALUES (0, 18000, 0), (1, 25000, 10)`)
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (1, 50000, 2)`)

	w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.do(switching.Approved, w.request(switching.KindSale, 50_00, func(r *switching.Request) { r.CashbackMinor = 20_00 }))
	voided := w.do(switching.Approved, w.request(switching.KindSale, 33_00))
	w.do(switching.Approved, w.request(switching.KindVoid, 33_00, of(voided)))
	reversed := w.request(switching.KindSale, 44_00)
	w.do(switching.Approved, reversed)
	w.do(switching.Approved, w.request(switching.KindReversal, 44_00, stan(reversed.STAN)))
	partly := w.request(switching.KindSale, 30_00)
	w.do(switching.Approved, partly)
	w.do(switching.Approved, w.request(switching.KindReversal, 30_00, stan(partly.STAN), func(r *switching.Request) {
		r.ReplacementMinor, r.HasReplacement = 20_00, true
	}))
	auth := w.do(switching.Approved, w.request(switching.KindAuthorization, 100_00))
	w.do(switching.Approved, w.request(switching.KindCompletion, 110_00, of(auth))) // 10.00 above the hold
	w.do(switching.Approved, w.request(switching.KindAdvice, 7_00))
	kept := w.do(switching.Approved, w.request(switching.KindSale, 5_00))
	void := w.request(switching.KindVoid, 5_00, of(kept))
	w.do(switching.Approved, void)
	w.do(switching.Approved, w.request(switching.KindReversal, 5_00, stan(void.STAN))) // stands again
	w.do(switching.Approved, w.request(switching.KindSale, 9_00, at(kiosk, booth)))

	w.clock.set(cutoff10.Add(-time.Nanosecond))
	if run := w.cutover(); len(run.Closed) != 4 { // the day before, in four buckets
		t.Fatalf("a nanosecond before the cutoff %d windows were closed", len(run.Closed))
	}
	w.clock.set(cutoff10)
	if run := w.cutover(); len(run.Closed) != 4 || run.Waiting != 0 {
		t.Fatalf("at the cutoff: %+v", run)
	}
	gross := int64(100_00 + 50_00 + 20_00 + 110_00 + 7_00 + 5_00)
	// 2.5 % + 0.10 on 100.00, 30.00 (the cash apart), 20.00, 110.00, 7.00 and 5.00:
	// 2.60 + 0.85 + 0.60 + 2.85 + 0.28 (17.5 to the even 18) + 0.22 (12.5 to the even 12)
	discount := int64(2_60 + 85 + 60 + 2_85 + 28 + 22)
	reserve := int64(14_60)
	w.wantFigures(w.statement(shop, "2026-03-10"), map[string]int64{
		"sale_count": 6, "sale_minor": 100_00 + 30_00 + 33_00 + 44_00 + 30_00 + 5_00,
		"cashback_count": 1, "cashback_minor": 20_00,
		"completion_count": 1, "completion_minor": 110_00,
		"advice_count": 1, "advice_minor": 7_00,
		"reinstatement_count": 1, "reinstatement_minor": 5_00,
		"void_count": 2, "void_minor": 38_00,
		"reversal_count": 2, "reversal_minor": 54_00,
		"gross_minor": gross, "discount_minor": discount, "reserve_minor": reserve,
		"closing_payable_minor": gross - discount - reserve, "closing_reserve_minor": reserve,
	})
	w.wantFigures(w.statement(kiosk, "2026-03-10"), map[string]int64{
		"sale_count": 1, "sale_minor": 9_00, "gross_minor": 9_00, "discount_minor": 16, "closing_payable_minor": 8_84,
	})
	if s := w.statement(shop, "2026-03-10"); s.ValueDate.String() != "2026-03-11" || s.ReserveReleaseOn.String() != "2026-03-12" {
		t.Errorf("value date %s, release %s", s.ValueDate, s.ReserveReleaseOn)
	}
	if run := w.cutover(); len(run.Closed) != 0 {
		t.Fatalf("closed again: %+v", run)
	}
}
