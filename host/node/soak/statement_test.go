package soak_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// moved is what transfers of a date moved on a merchant's accounts, and how
// much of it was of one kind.
type moved struct {
	accounts map[ledger.Role]int64
	kinds    map[ledger.Kind]int64
	count    int64
	minor    int64
}

// recount adds up every transfer of closed dates, here and not in the database.
func (w *world) recount(ctx context.Context) map[entry]*moved {
	w.t.Helper()
	rows, err := w.pool.Query(ctx, `SELECT business_date, kind, phase, currency, debit_account, credit_account, amount_minor FROM transfers`)
	w.must(err)
	closed := w.closed(ctx)
	sums := map[entry]*moved{}
	var date time.Time
	var one ledger.Transfer
	_, err = pgx.ForEachRow(rows, []any{&date, &one.Kind, &one.Phase, &one.Currency, &one.Debit, &one.Credit, &one.AmountMinor}, func() error {
		one.BusinessDate = ledger.DateOf(date)
		w.addUp(sums, &one, closed)
		return nil
	})
	w.must(err)
	return sums
}

// closed are the last closed dates of the calendars.
func (w *world) closed(ctx context.Context) (last [calendarCount]ledger.Date) {
	w.t.Helper()
	states, err := ledger.CutoverStates(ctx, w.pool, w.now())
	w.must(err)
	for i := range states {
		if states[i].LastClosed != nil {
			last[states[i].CalendarID-1] = *states[i].LastClosed
		}
	}
	return last
}

func (w *world) addUp(sums map[entry]*moved, one *ledger.Transfer, closed [calendarCount]ledger.Date) {
	var merchantID int32
	for _, a := range []ledger.AccountID{one.Debit, one.Credit} {
		if a.Role() >= ledger.RoleMerchantPending && a.Role() <= ledger.RolePayoutInFlight || a.Role() == ledger.RoleMerchantReceivable {
			merchantID = int32(a.Owner())
		}
	}
	// On dates that are open still, holds run out.
	if merchantID == 0 || one.BusinessDate > closed[w.shops[merchantID-1].calendar] {
		return
	}
	key := entry{merchantID, one.BusinessDate}
	m := sums[key]
	if m == nil {
		m = &moved{accounts: map[ledger.Role]int64{}, kinds: map[ledger.Kind]int64{}}
		sums[key] = m
	}
	m.count++
	m.minor += one.AmountMinor
	if one.Currency != calendars[w.shops[merchantID-1].calendar].currency {
		w.t.Errorf("merchant %d on %s: a transfer in %s", merchantID, one.BusinessDate, one.Currency)
	}
	if one.Phase == ledger.Posted || one.Phase == ledger.PostPending {
		m.accounts[one.Debit.Role()] -= one.AmountMinor
		m.accounts[one.Credit.Role()] += one.AmountMinor
		m.kinds[one.Kind] += one.AmountMinor
	}
}

// compareStatements holds every statement against the transfers and against
// what the terminals were answered, to the last unit, and returns how many there are.
func (w *world) compareStatements(ctx context.Context) int {
	w.t.Helper()
	list, more, err := ledger.Statements(ctx, w.pool, ledger.StatementFilter{})
	w.must(err)
	if more {
		w.t.Fatal("there are more statements than one answer takes")
	}
	sums := w.recount(ctx)
	for i := range list {
		s := &list[i]
		key := entry{s.MerchantID, s.BusinessDate}
		w.compareTransfers(s, sums[key])
		w.compareBook(s, w.book.entries[key])
		delete(sums, key)
		delete(w.book.entries, key)
		if w.t.Failed() {
			w.t.FailNow() // one statement that is off says enough
		}
	}
	for key := range sums {
		w.t.Errorf("merchant %d on %s: transfers and no statement", key.merchantID, key.date)
	}
	for key := range w.book.entries {
		w.t.Errorf("merchant %d on %s: approvals and no statement", key.merchantID, key.date)
	}
	return len(list)
}

// differences names what two columns of numbers do not agree about.
type difference struct {
	what      string
	got, want int64
}

func (w *world) wantSame(s *ledger.Statement, of string, list []difference) {
	w.t.Helper()
	for _, d := range list {
		if d.got != d.want {
			w.t.Errorf("merchant %d on %s: the statement's %s is %d, %s have %d", s.MerchantID, s.BusinessDate, d.what, d.got, of, d.want)
		}
	}
}

func (w *world) compareTransfers(s *ledger.Statement, m *moved) {
	w.t.Helper()
	if m == nil {
		m = &moved{}
	}
	w.wantSame(s, "its transfers", []difference{
		{"count", s.TransferCount, m.count},
		{"sum", s.TransferMinor, m.minor},
		{"pending", 0, m.accounts[ledger.RoleMerchantPending]},
		{"payable", s.Closing.PayableMinor - s.Opening.PayableMinor, m.accounts[ledger.RoleMerchantPayable]},
		{"receivable", s.Opening.ReceivableMinor - s.Closing.ReceivableMinor, m.accounts[ledger.RoleMerchantReceivable]},
		{"reserve", s.Closing.ReserveMinor - s.Opening.ReserveMinor, m.accounts[ledger.RoleMerchantReserve]},
		{"discount", s.DiscountMinor, m.kinds[ledger.KindDiscount]},
		{"reserve held", s.ReserveMinor, m.kinds[ledger.KindReserve]},
		{"reserve released", s.ReserveReleasedMinor, m.kinds[ledger.KindReserveRelease]},
	})
}

func (w *world) compareBook(s *ledger.Statement, t *tally) {
	w.t.Helper()
	if t == nil {
		t = &tally{} // a reserve may be released on a date without sales
	}
	var list []difference
	for _, c := range []struct {
		what string
		got  ledger.ClassTotal
		want ledger.ClassTotal
	}{
		{"sales", s.Sales, t.sales},
		{"cashback", s.Cashback, t.cashback},
		{"completions", s.Completions, t.completions},
		{"voids", s.Voids, t.voids},
		{"reversals", s.Reversals, t.reversals},
		{"refunds", s.Refunds, t.refunds},
		{"advices", s.Advices, ledger.ClassTotal{}},
		{"reinstatements", s.Reinstatements, ledger.ClassTotal{}},
		{"amount changes", s.AmountChanges, ledger.ClassTotal{}},
		{"reversals of refunds", s.RefundReversals, ledger.ClassTotal{}},
		{"adjustments", s.Adjustments, ledger.ClassTotal{}},
	} {
		list = append(list, difference{"count of " + c.what, c.got.Count, c.want.Count}, difference{"sum of " + c.what, c.got.Minor, c.want.Minor})
	}
	gross := t.sales.Minor + t.cashback.Minor + t.completions.Minor - t.voids.Minor - t.reversals.Minor
	w.wantSame(s, "its terminals", append(list,
		difference{"gross", s.GrossMinor, gross},
		difference{"discount", s.DiscountMinor, t.feeMinor},
		difference{"discount returned", s.DiscountReturnedMinor, t.feeBackMinor},
	))
	if s.ReserveMinor > 0 {
		if want := rated(gross, reserveRate); s.ReserveMinor > want || s.MerchantID%5 != 0 {
			w.t.Errorf("merchant %d on %s: %s held back of %s", s.MerchantID, s.BusinessDate,
				money.FormatMinor(s.ReserveMinor, s.Currency), money.FormatMinor(gross, s.Currency))
		}
	}
}

// size of the database, for people.
func (w *world) size(ctx context.Context) string {
	w.t.Helper()
	var bytes int64
	w.must(w.pool.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&bytes))
	return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
}
