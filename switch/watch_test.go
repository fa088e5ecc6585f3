package switching_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/ledger"
	"meridian/switch"
)

// series are a registry's values by name and labels.
func series(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				name = append(name, l.GetValue())
			}
			values[strings.Join(name, " ")] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

// standing looks, and compares what is named.
func (w *world) standing(want map[string]float64) {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	w.must(switching.LookAtStanding(w.t.Context(), w.pool, w.clock.Now(), registry))
	got := series(w.t.(*testing.T), registry)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v, shown := got[name]; !shown || v != want[name] {
			w.t.Errorf("%s is %v (shown: %t), want %v", name, v, shown, want[name])
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// Dates that are not closed show, whoever was to close them.
func TestStandingDates(t *testing.T) {
	w := newWorld(t)
	w.cutover() // the dates before the world began
	w.standing(map[string]float64{
		"meridian_cutover_windows china open": 4, "meridian_cutover_windows china due": 0, "meridian_cutover_windows china cutting": 0,
		"meridian_cutover_lag_seconds china": 0, "meridian_cutover_next_timestamp_seconds china": float64(cutoff10.Unix()),
	})
	w.clock.set(cutoff10.Add(90 * time.Second))
	w.standing(map[string]float64{
		"meridian_cutover_windows china open": 4, "meridian_cutover_windows china due": 4,
		"meridian_cutover_lag_seconds china":            90,
		"meridian_cutover_next_timestamp_seconds china": float64(cutoff10.AddDate(0, 0, 1).Unix()),
	})
	w.sql(`UPDATE windows SET state = 2 WHERE bucket = 1 AND business_date = '2026-03-10'`)
	w.sql(`INSERT INTO cutovers (bucket, calendar_id, business_date, cut_at) VALUES (1, 1, '2026-03-10', $1)`, w.clock.Now())
	w.standing(map[string]float64{"meridian_cutover_windows china due": 3, "meridian_cutover_windows china cutting": 1})
	if run := w.cutover(); len(run.Closed) != 4 {
		t.Fatalf("closed %d windows, want 4", len(run.Closed))
	}
	w.standing(map[string]float64{
		"meridian_cutover_windows china open": 4, "meridian_cutover_windows china due": 0, "meridian_cutover_windows china cutting": 0,
		"meridian_cutover_lag_seconds china": 0,
	})
}

// Batches that differ show until their terminal has ended them, and what it
// showed for a day after.
func TestStandingBatches(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, sale)
	w.standing(map[string]float64{"meridian_batches open": 1, "meridian_batches_out_of_balance": 0})
	w.do(switching.BatchOutOfBalance, w.settlement(1, net(1, 9_00)))
	w.standing(map[string]float64{"meridian_batches open": 0, "meridian_batches uploading": 1, "meridian_batches_out_of_balance": 1})
	w.do(switching.Approved, w.upload(sale, func(r *switching.Request) { r.AmountMinor = 9_00 }))
	w.standing(map[string]float64{"meridian_batch_differences amount_differs": 1, "meridian_batches_out_of_balance": 1})
	w.do(switching.Approved, w.settlement(1, net(1, 9_00), trailer))
	w.standing(map[string]float64{
		"meridian_batches open": 1, "meridian_batches uploading": 0,
		"meridian_batch_differences amount_differs": 1, "meridian_batches_out_of_balance": 1,
	})
	w.clock.advance(24*time.Hour + time.Second)
	w.standing(map[string]float64{"meridian_batch_differences amount_differs": 0, "meridian_batches_out_of_balance": 0})
}

// A refund that waits for a person shows, and for how long.
func TestStandingReviews(t *testing.T) {
	w := newWorld(t)
	w.policy(`review_threshold_minor = 500`)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.clock.set(cutoff10)
	w.cutover()
	w.standing(map[string]float64{"meridian_reviews_open": 0, "meridian_reviews_oldest_seconds": 0})
	refund := w.do(switching.UnderReview, w.request(switching.KindRefund, 10_00, of(sale)))
	w.clock.advance(time.Hour)
	w.standing(map[string]float64{"meridian_reviews_open": 1, "meridian_reviews_oldest_seconds": 3600})
	w.must(switching.DecideReview(t.Context(), w.pool, w.clock.Now(), switching.ReviewDecision{
		RRN: refund.RRN, Who: "test", Why: "the clerk was asked",
	}))
	w.standing(map[string]float64{"meridian_reviews_open": 0, "meridian_reviews_oldest_seconds": 0})
}

// Money that was made up shows in its currency, and an audit log that was
// changed shows as broken.
func TestVerificationShows(t *testing.T) {
	w := newWorld(t)
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	look := func(want map[string]float64) {
		t.Helper()
		registry := prometheus.NewRegistry()
		w.sw.VerifyOnce(t.Context(), registry, 0, time.Minute)
		got := series(t, registry)
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%s is %v, want %v", name, got[name], v)
			}
		}
		if age := time.Since(time.Unix(int64(got["meridian_ledger_verified_timestamp_seconds"]), 0)); age < -time.Minute || age > time.Minute {
			t.Errorf("verified %s ago", age)
		}
	}
	look(map[string]float64{"meridian_ledger_imbalance_minor_units CNY": 0, "meridian_ledger_findings": 0, "meridian_audit_chain_broken": 0})
	w.sql(`UPDATE card_accounts SET balance_minor = balance_minor + 7 WHERE card_id = 2`)
	look(map[string]float64{"meridian_ledger_imbalance_minor_units CNY": -7, "meridian_ledger_findings": 2})
	imbalances, err := ledger.Imbalances(t.Context(), w.pool)
	w.must(err)
	if len(imbalances) != 1 || imbalances[0].Currency.Alpha() != "CNY" || imbalances[0].Minor != -7 {
		t.Errorf("imbalances %+v, want 7 minor units of CNY too much on cards", imbalances)
	}
}

// A part that takes too long keeps nobody from seeing what the others find; what it looks at
// is not verified, and that shows as well.
func TestVerificationInParts(t *testing.T) {
	t.Parallel()
	w := newWorldThatWaits(t, 500*time.Millisecond, switching.Options{})
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.sql(`UPDATE card_accounts SET balance_minor = balance_minor + 7 WHERE card_id = 2`)
	blocker, err := w.owner().Begin(t.Context())
	w.must(err)
	_, err = blocker.Exec(t.Context(), `LOCK TABLE holds IN ACCESS EXCLUSIVE MODE`)
	w.must(err)
	look := func(rests int, timeout time.Duration) map[string]float64 {
		t.Helper()
		registry := prometheus.NewRegistry()
		w.sw.VerifyOnce(t.Context(), registry, rests, timeout)
		return series(t, registry)
	}
	const (
		findings, failures = "meridian_ledger_findings", "meridian_ledger_verification_failures_total"
		verified, took     = "meridian_ledger_verified_timestamp_seconds", "meridian_ledger_verification_duration_seconds"
	)
	got := look(0, time.Minute)
	if got[findings] != 2 || got[failures] != 3 || got[verified] != 0 || got["meridian_ledger_imbalance_minor_units CNY"] != -7 {
		t.Errorf("with three checks that wait for holds: %v", got)
	}
	w.must(blocker.Rollback(t.Context()))
	began := time.Now()
	got = look(3, time.Minute)
	spent := time.Since(began).Seconds()
	if got[findings] != 2 || got[failures] != 0 || got[verified] == 0 {
		t.Errorf("without: %v", got)
	}
	if got[took] <= 0 || spent < 4*got[took] {
		t.Errorf("parts took %v s in %v s, with rests of three times as long", got[took], spent)
	}
	if got := look(0, time.Nanosecond); got[failures] != float64(len(switching.AllChecks())+2) || got[verified] != 0 {
		t.Errorf("without time: %v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	registry := prometheus.NewRegistry()
	w.sw.VerifyOnce(ended, registry, 0, time.Minute)
	if got := series(t, registry); got[failures] != 0 || got[verified] != 0 {
		t.Errorf("a host that is stopped: %v", got)
	}
}
