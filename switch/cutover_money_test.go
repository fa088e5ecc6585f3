package switching_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"meridian/ledger"
	"meridian/switch"
)

// toCutoff moves the clock to the nth cutoff after the world's first and closes.
func (w *world) toCutoff(n int) {
	w.t.Helper()
	w.clock.set(cutoff10.AddDate(0, 0, n))
	w.cutover()
}

func TestReserveIsHeldAndReleased(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (0, 100000, 2)`)
	w.do(switching.Approved, w.request(switching.KindSale, 100_05))
	w.toCutoff(0)
	w.wantFigures(w.statement(shop, "2026-03-10"), map[string]int64{
		"sale_count": 1, "sale_minor": 100_05, "gross_minor": 100_05, "reserve_minor": 10_00, // 1000.5 to the even 1000
		"closing_payable_minor": 90_05, "closing_reserve_minor": 10_00,
	})
	w.do(switching.Approved, w.request(switching.KindSale, 50_00))
	w.toCutoff(1)
	w.wantFigures(w.statement(shop, "2026-03-11"), map[string]int64{
		"sale_count": 1, "sale_minor": 50_00, "gross_minor": 50_00, "reserve_minor": 5_00,
		"opening_payable_minor": 90_05, "closing_payable_minor": 135_05,
		"opening_reserve_minor": 10_00, "closing_reserve_minor": 15_00,
	})
	// A date without a sale gives back what is due all the same.
	w.toCutoff(2)
	w.wantFigures(w.statement(shop, "2026-03-12"), map[string]int64{
		"reserve_released_minor": 10_00, "opening_payable_minor": 135_05, "closing_payable_minor": 145_05,
		"opening_reserve_minor": 15_00, "closing_reserve_minor": 5_00,
	})
	w.toCutoff(4) // two dates at once, one without anything
	w.wantFigures(w.statement(shop, "2026-03-13"), map[string]int64{
		"reserve_released_minor": 5_00, "opening_payable_minor": 145_05, "closing_payable_minor": 150_05, "opening_reserve_minor": 5_00,
	})
	if list, _, err := ledger.Statements(t.Context(), w.pool, ledger.StatementFilter{MID: shop}); err != nil || len(list) != 4 {
		t.Fatalf("%d statements, %v", len(list), err)
	}
}

func TestNegativeBalancesAreOwedAndRecovered(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (0, 200000, 1)`)
	sold := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.toCutoff(0)
	w.do(switching.Approved, w.request(switching.KindRefund, 95_00, of(sold)))
	w.toCutoff(1)
	w.wantFigures(w.statement(shop, "2026-03-11"), map[string]int64{
		"refund_count": 1, "refund_minor": 95_00, "reserve_released_minor": 20_00,
		"opening_payable_minor": 80_00, "closing_payable_minor": 5_00, "opening_reserve_minor": 20_00,
	})
	small := w.request(switching.KindSale, 10_00)
	w.do(switching.Approved, small)
	w.toCutoff(2)
	w.wantFigures(w.statement(shop, "2026-03-12"), map[string]int64{
		"sale_count": 1, "sale_minor": 10_00, "gross_minor": 10_00, "reserve_minor": 2_00,
		"opening_payable_minor": 5_00, "closing_payable_minor": 13_00, "closing_reserve_minor": 2_00,
	})
	// A reversal after the cutoff and the rest of the refund: more than there is.
	w.do(switching.Approved, w.request(switching.KindReversal, 10_00, stan(small.STAN)))
	w.do(switching.Approved, w.request(switching.KindRefund, 5_00, of(sold)))
	big := w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.toCutoff(3)
	w.wantFigures(w.statement(shop, "2026-03-13"), map[string]int64{
		"sale_count": 1, "sale_minor": 1_00, "gross_minor": 1_00, "adjustment_count": 1, "adjustment_minor": 10_00,
		"refund_count": 1, "refund_minor": 5_00, "reserve_released_minor": 2_00, "reserve_minor": 20,
		"opening_payable_minor": 13_00, "closing_payable_minor": 80, "opening_reserve_minor": 2_00, "closing_reserve_minor": 20,
	})
	w.do(switching.Approved, w.request(switching.KindRefund, 1_00, of(big)))
	w.sql(`DELETE FROM reserve_terms`)
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (0, 500000, 30)`)
	next := w.do(switching.Approved, w.request(switching.KindSale, 3_00, withCard(1)))
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(next)))
	w.toCutoff(4)
	w.wantFigures(w.statement(shop, "2026-03-14"), map[string]int64{
		"sale_count": 1, "sale_minor": 3_00, "void_count": 1, "void_minor": 3_00, "refund_count": 1, "refund_minor": 1_00,
		"reserve_released_minor": 20, "opening_payable_minor": 80, "opening_reserve_minor": 20,
	})

	// Now it owes: a refund of a sale on a day without others.
	last := w.do(switching.Approved, w.request(switching.KindSale, 8_00))
	w.sql(`DELETE FROM reserve_terms`)
	w.toCutoff(5)
	w.sql(`INSERT INTO discount_terms (rate_millionths) VALUES (100000)`)
	other := w.do(switching.Approved, w.request(switching.KindSale, 20_00))
	w.toCutoff(6) // payable 8.00 + 18.00
	w.do(switching.Approved, w.request(switching.KindRefund, 8_00, of(last)))
	w.do(switching.Approved, w.request(switching.KindRefund, 20_00, of(other)))
	w.toCutoff(7)
	w.wantFigures(w.statement(shop, "2026-03-17"), map[string]int64{
		"refund_count": 2, "refund_minor": 28_00, "opening_payable_minor": 26_00,
		"to_receivable_minor": 2_00, "closing_receivable_minor": 2_00,
	})
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (1, 1000000, 30)`)
	w.do(switching.Approved, w.request(switching.KindSale, 1_00))
	w.toCutoff(8)
	w.wantFigures(w.statement(shop, "2026-03-18"), map[string]int64{
		"sale_count": 1, "sale_minor": 1_00, "gross_minor": 1_00, "discount_minor": 10, "recovered_minor": 90,
		"opening_receivable_minor": 2_00, "closing_receivable_minor": 1_10,
	})
	w.do(switching.Approved, w.request(switching.KindSale, 5_00))
	w.toCutoff(9)
	// The debt first, then the reserve, of which there is no more than is left.
	w.wantFigures(w.statement(shop, "2026-03-19"), map[string]int64{
		"sale_count": 1, "sale_minor": 5_00, "gross_minor": 5_00, "discount_minor": 50, "recovered_minor": 1_10, "reserve_minor": 3_40,
		"opening_receivable_minor": 1_10, "closing_reserve_minor": 3_40,
	})
}

func TestTermsByMerchantNetworkAndDate(t *testing.T) {
	w := newWorld(t)
	w.sql(`UPDATE bin_ranges SET network = 'blue'`)
	w.sql(`INSERT INTO discount_terms (merchant_id, network, valid_from, rate_millionths, fixed_minor) VALUES
		(0, '', '2000-01-01', 10000, 0), (0, 'blue', '2000-01-01', 20000, 0), (0, 'red', '2000-01-01', 90000, 0),
		(2, '', '2026-03-11', 30000, 0), (2, '', '2026-03-12', 35000, 0), (2, 'blue', '2026-03-13', 40000, 1)`)
	for n, want := range []struct{ shop, kiosk int64 }{{2_00, 2_00}, {2_00, 3_00}, {2_00, 3_50}, {2_00, 4_01}} {
		w.do(switching.Approved, w.request(switching.KindSale, 100_00))
		w.do(switching.Approved, w.request(switching.KindSale, 100_00, at(kiosk, booth), withCard(1)))
		w.toCutoff(n)
		date := ledger.MakeDate(2026, 3, 10+n).String()
		if s := w.statement(shop, date); s.DiscountMinor != want.shop {
			t.Errorf("%s: shop pays %d, want %d", date, s.DiscountMinor, want.shop)
		}
		if s := w.statement(kiosk, date); s.DiscountMinor != want.kiosk {
			t.Errorf("%s: kiosk pays %d, want %d", date, s.DiscountMinor, want.kiosk)
		}
	}
}

func TestRefundsReturnTheFeeWhereTermsSaySo(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, valid_from, rate_millionths, fixed_minor, returns_fee) VALUES
		(0, '2000-01-01', 25000, 30, true), (0, '2026-03-11', 50000, 30, false), (2, '2000-01-01', 25000, 30, false)`)
	sold := w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	late := w.request(switching.KindSale, 40_00)
	w.do(switching.Approved, late)
	mine := w.do(switching.Approved, w.request(switching.KindSale, 60_00, at(kiosk, booth), withCard(1)))
	w.toCutoff(0)
	w.do(switching.Approved, w.request(switching.KindRefund, 10_00, of(sold)))
	undone := w.request(switching.KindRefund, 20_00, of(sold))
	w.do(switching.Approved, undone)
	w.do(switching.Approved, w.request(switching.KindReversal, 20_00, stan(undone.STAN)))
	w.do(switching.Approved, w.request(switching.KindReversal, 40_00, stan(late.STAN)))
	w.do(switching.Approved, w.request(switching.KindRefund, 60_00, of(mine), at(kiosk, booth)))
	w.toCutoff(1)
	// By the terms of the date of the sale: 2.5 % of 10.00, of 20.00 and back, of 40.00.
	w.wantFigures(w.statement(shop, "2026-03-11"), map[string]int64{
		"refund_count": 2, "refund_minor": 30_00, "refund_reversal_count": 1, "refund_reversal_minor": 20_00,
		"adjustment_count": 1, "adjustment_minor": 40_00, "discount_returned_minor": 25 + 1_00,
		"opening_payable_minor": 140_00 - 2_50 - 1_00 - 60, "closing_payable_minor": 140_00 - 2_50 - 1_00 - 60 - 50_00 + 1_25,
	})
	if s := w.statement(kiosk, "2026-03-11"); s.DiscountReturnedMinor != 0 || s.ToReceivableMinor != 1_80 {
		t.Errorf("kiosk: returned %d, owes %d", s.DiscountReturnedMinor, s.ToReceivableMinor)
	}
}

// What becomes of a sale after its date changes nothing of that date's
// statement, even when the close comes days late.
func TestLateCloseSettlesTheDateAsItWas(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (rate_millionths) VALUES (10000)`)
	sale := w.request(switching.KindSale, 100_00)
	w.do(switching.Approved, sale)
	sold := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	for day := range 5 { // nobody closes for five days
		w.clock.set(cutoff10.AddDate(0, 0, day).Add(time.Hour))
		w.do(switching.Approved, w.request(switching.KindSale, 1_00, withCard(1)))
		if day == 1 {
			w.do(switching.Approved, w.request(switching.KindReversal, 100_00, stan(sale.STAN)))
			w.do(switching.Approved, w.request(switching.KindRefund, 10_00, of(sold)))
		}
	}
	run := w.cutover()
	var last ledger.Date
	for _, c := range run.Closed {
		if c.BusinessDate < last {
			t.Fatalf("closed %s after %s", c.BusinessDate, last)
		}
		last = c.BusinessDate
	}
	if len(run.Closed) != 6*4 || last.String() != "2026-03-14" {
		t.Fatalf("closed %d windows up to %s", len(run.Closed), last)
	}
	w.wantFigures(w.statement(shop, "2026-03-10"), map[string]int64{
		"sale_count": 2, "sale_minor": 110_00, "gross_minor": 110_00, "discount_minor": 1_10, "closing_payable_minor": 108_90,
	})
	w.wantFigures(w.statement(shop, "2026-03-12"), map[string]int64{
		"sale_count": 1, "sale_minor": 1_00, "gross_minor": 1_00, "discount_minor": 1,
		"adjustment_count": 1, "adjustment_minor": 100_00, "refund_count": 1, "refund_minor": 10_00,
		"opening_payable_minor": 108_90 + 99, "to_receivable_minor": 0, "closing_payable_minor": 108_90 + 99 + 99 - 110_00,
	})
}

// The service cannot have a reserve given back twice, and what only an owner
// can do is found.
func TestReserveIsReleasedOnce(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO reserve_terms (merchant_id, rate_millionths, release_days) VALUES (0, 100000, 1)`)
	w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.toCutoff(0)
	w.toCutoff(1)
	if s := w.statement(shop, "2026-03-11"); s.ReserveReleasedMinor != 10_00 {
		t.Fatalf("released %d", s.ReserveReleasedMinor)
	}
	for _, statement := range []string{
		`UPDATE settlements SET reserve_released_on = NULL`,
		`UPDATE reserve_releases SET released_on = released_on + 1`,
		`DELETE FROM reserve_releases`,
	} {
		_, err := w.pool.Exec(t.Context(), statement)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v, want permission denied", statement, err)
		}
	}
	w.sql(`DELETE FROM reserve_releases`)
	w.clock.set(cutoff10.AddDate(0, 0, 2))
	const shopOn = "merchant 1 on %s in currency 156: "
	kept := fmt.Sprintf("statements release what is kept as released: "+shopOn+"releases 1000, kept as released 0", "2026-03-11")
	for _, want := range [][]string{
		{ // it has been given back, and nothing says so
			fmt.Sprintf("due reserves are released: "+shopOn+"its reserve of 1000 was due on 2026-03-11 and is held", "2026-03-10"),
			fmt.Sprintf("reserves held are those not released: "+shopOn+"closes with a reserve of 0, not released 1000", "2026-03-11"),
			kept,
		},
		{ // and was given back again
			fmt.Sprintf("reserves held are those not released: "+shopOn+"closes with a reserve of -1000, not released 0", "2026-03-12"),
			kept,
		},
	} {
		v, err := switching.Verify(t.Context(), w.pool)
		w.must(err)
		var found []string
		for _, f := range v.Findings {
			found = append(found, f.Check+": "+f.Subject+": "+f.Detail)
		}
		slices.Sort(found)
		if !slices.Equal(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
		_, err = ledger.RunCutover(t.Context(), w.pool, w.clock.Now())
		w.must(err)
	}
}

// A host whose clock is a few seconds ahead sells behind a cutoff; its terminal settles, and another
// host, before the cutoff yet, pays the sale back. The discount of what was paid back comes back.
func TestFeeOfARefundBeforeItsSale(t *testing.T) {
	w := newWorld(t)
	w.sql(`INSERT INTO discount_terms (merchant_id, rate_millionths, returns_fee) VALUES (0, 20000, true)`)
	w.policy("settled_by_batch = true")
	ahead := &clock{now: cutoff10.Add(2 * time.Second)}
	w.clock.set(cutoff10.Add(-3 * time.Second))
	host := w.second(func(o *switching.Options) { o.Now = ahead.Now })
	sold := askAt(t, host, w.request(switching.KindSale, 100_00))
	if !sold.Approved() {
		t.Fatalf("answered %s", sold.Reason)
	}
	if got := askAt(t, host, w.settlement(0, net(1, 100_00))); !got.Approved() {
		t.Fatalf("answered %s", got.Reason)
	}
	refund := w.do(switching.Approved, w.request(switching.KindRefund, 100_00, of(sold)))
	if refund.BusinessDate >= sold.BusinessDate {
		t.Fatalf("sold on %s, refunded on %s", sold.BusinessDate, refund.BusinessDate)
	}
	w.toCutoff(0)
	w.toCutoff(1)
	charged, returned := int64(0), int64(0)
	for _, date := range []string{"2026-03-10", "2026-03-11"} {
		s := w.statement(shop, date)
		charged, returned = charged+s.DiscountMinor, returned+s.DiscountReturnedMinor
	}
	if charged != returned {
		t.Errorf("of a sale that was paid back in full a discount of %d was charged, and %d came back", charged, returned)
	}
	w.verify()
}
