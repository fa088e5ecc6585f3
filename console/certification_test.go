package console

import (
	"slices"
	"testing"

	"meridian/console/certification"
	"meridian/switch"
)

// status of a case of the till.
func (w *world) certified(id string) certification.Status {
	w.t.Helper()
	list, err := certification.Examine(w.t.Context(), certification.Exam{DB: w.pool, Directory: w.sw.Directory(), Now: w.Now()}, till)
	w.must(err)
	i := slices.IndexFunc(list.Cases, func(c certification.Case) bool { return c.ID == id })
	if i < 0 {
		w.t.Fatalf("no case %s", id)
	}
	return list.Cases[i].Status
}

func TestOnlyTotalsThatAgreedBalanceABatch(t *testing.T) {
	w := newWorld(t)
	state := func(kind switching.Kind, stated switching.StatedTotals, want switching.Reason) {
		t.Helper()
		stated.Form = switching.TotalsSplit
		got := w.ask(kind, 0, func(r *switching.Request) { r.Stated = &stated })
		if got.Reason != want {
			t.Fatalf("%s: %s, want %s", kind, got.Reason, want)
		}
	}
	want := func(balanced, uploaded certification.Status) {
		t.Helper()
		if got := [2]certification.Status{w.certified("balanced"), w.certified("upload")}; got != [2]certification.Status{balanced, uploaded} {
			t.Errorf("balanced and uploaded are %v", got)
		}
	}
	// Out of balance, and ended without an upload.
	w.ask(switching.KindSale, 12_34)
	state(switching.KindSettlement, switching.StatedTotals{SaleCount: 1, SaleMinor: 99_00}, switching.BatchOutOfBalance)
	state(switching.KindTrailer, switching.StatedTotals{SaleCount: 1, SaleMinor: 99_00}, switching.Approved)
	want(certification.Open, certification.Open)
	// A trailer alone, and one whose totals are right in the end.
	w.ask(switching.KindSale, 12_34)
	state(switching.KindTrailer, switching.StatedTotals{SaleCount: 2, SaleMinor: 12_34}, switching.Approved)
	want(certification.Open, certification.Open)
	w.ask(switching.KindSale, 12_34)
	state(switching.KindSettlement, switching.StatedTotals{}, switching.BatchOutOfBalance)
	state(switching.KindTrailer, switching.StatedTotals{SaleCount: 1, SaleMinor: 12_34}, switching.Approved)
	want(certification.Open, certification.Open)
	w.ask(switching.KindSale, 12_34)
	state(switching.KindSettlement, switching.StatedTotals{SaleCount: 1, SaleMinor: 12_34}, switching.Approved)
	want(certification.Passed, certification.Open)
}
