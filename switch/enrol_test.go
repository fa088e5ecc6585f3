package switching_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/internal/hsm"
	"meridian/internal/hsm/mac"
	"meridian/internal/money"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/switch"
)

// refused wants an error of a field, of a kind (nil for a wrong form) and with words.
func refused(t *testing.T, err error, field string, kind error, words ...string) {
	t.Helper()
	wrong, ok := errors.AsType[*switching.FieldError](err)
	if !ok || wrong.Field != field {
		t.Errorf("%v is not about %s", err, field)
		return
	}
	for _, k := range []error{switching.ErrTaken, switching.ErrMissing, switching.ErrNotNow} {
		if errors.Is(err, k) != (k == kind) { //nolint:errorlint // kind is one of the three
			t.Errorf("%v: is it that something is %v?", err, k)
		}
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}

func berlin() switching.NewCalendar {
	return switching.NewCalendar{Name: "Berlin 02:30", Zone: "Europe/Berlin", Cutoff: "02:30", Region: "de", Weekend: []int16{7, 6, 6}}
}

// A calendar, a policy, a merchant, a range and a terminal, one after the other, and
// a sale there: what is enrolled is all that a host needs.
func TestEnrolledMerchantSells(t *testing.T) {
	w := newWorld(t)
	owner, now := w.owner(), w.clock.Now()
	w.must(switching.AddCalendar(t.Context(), owner, berlin(), now, "ann", "new market"))
	if a := w.audited(); a.Kind != "calendar_added" || a.Detail != "by ann: new market" ||
		a.Subject != "calendar Berlin 02:30: 02:30 in Europe/Berlin, holidays de, weekend Sat, Sun" {
		t.Errorf("audited as %+v", a)
	}
	w.must(switching.AddPolicy(t.Context(), owner, switching.NewPolicy{
		Name: "retail", Like: "plain", Set: []switching.PolicyValue{{Setting: "cancel_mode", Value: "strict"}, {Setting: "hold_days", Value: "7"}},
	}, "ann", "new market"))
	if a := w.audited(); a.Kind != "policy_added" || a.Subject != "policy retail like plain: cancel_mode = strict, hold_days = 7" {
		t.Errorf("audited as %+v", a)
	}
	w.must(switching.AddMerchant(t.Context(), owner, switching.NewMerchant{
		MID: "500000000000001", Name: "Bäckerei Müller", Currency: money.CNY, Calendar: "Berlin 02:30", Policy: "retail",
		Discounts: []switching.Discount{{RateMillionths: 12_000, FixedMinor: 5}, {Network: "onus", RateMillionths: 5_000, ReturnsFee: true}},
	}, now, "ann", "new market"))
	if a := w.audited(); a.Kind != "merchant_added" || !strings.Contains(a.Subject, "discount of 1.2 % for every card network and 5 in minor units") ||
		!strings.Contains(a.Subject, "number 3 in bucket 1") {
		t.Errorf("audited as %+v", a)
	}
	add := switching.NewTerminal{TID: "T-1", MID: "500000000000001", Dialect: "nac", Active: true, TerminalProfile: plainProfile()}
	w.must(switching.AddTerminal(t.Context(), owner, add, "ann", "new market"))

	before := w.sw.Directory().Version
	w.must(w.sw.Refresh(t.Context()))
	if after := w.sw.Directory().Version; after != before+4 {
		t.Errorf("version %d, before %d: hosts would miss a change", after, before)
	}
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00, at("500000000000001", "T-1")))
	if sale.BusinessDate.String() != "2026-03-11" { // 13:00 in Berlin is after 02:30
		t.Errorf("business date %s", sale.BusinessDate)
	}
	m, err := switching.FindMerchant(t.Context(), w.pool, "500000000000001")
	w.must(err)
	want := switching.MerchantState{
		MID: "500000000000001", Name: "Bäckerei Müller", Number: 3, Bucket: 1, Currency: money.CNY, Calendar: "Berlin 02:30",
		TimeZone: "Europe/Berlin", Cutoff: "02:30", Policy: "retail", Active: true, AllowVoid: true, AllowRefund: true, Terminals: 1,
	}
	if *m != want {
		t.Errorf("got %+v, want %+v", *m, want)
	}
	policy, err := switching.FindPolicy(t.Context(), w.pool, "retail")
	w.must(err)
	if fmt.Sprint(policy.Settings["max_amount_minor"]) != "5000000" || policy.Settings["cancel_mode"] != "strict" {
		t.Errorf("settings %+v", policy.Settings)
	}

	w.must(switching.SetMerchantActive(t.Context(), owner, "500000000000001", false, "ann", "fraud"))
	w.must(w.sw.Refresh(t.Context()))
	w.do(switching.UnknownMerchant, w.request(switching.KindSale, 10_00, at("500000000000001", "T-1")))
	if err := switching.SetMerchantActive(t.Context(), owner, "500000000000001", false, "ann", "fraud"); !errors.Is(err, switching.ErrNothingChanged) {
		t.Errorf("suspended twice: %v", err)
	}
	list, err := switching.Merchants(t.Context(), w.pool, switching.MerchantFilter{Suspended: true, Search: "müller"})
	if err != nil || len(list) != 1 || list[0].Active {
		t.Errorf("%d suspended ones, %v", len(list), err)
	}
	w.must(switching.SetMerchantActive(t.Context(), owner, "500000000000001", true, "ann", "cleared"))
	w.must(w.sw.Refresh(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 11_00, at("500000000000001", "T-1")))
	if _, err := switching.FindMerchant(t.Context(), w.pool, "0"); !errors.Is(err, switching.ErrNoMerchant) {
		t.Errorf("no merchant: %v", err)
	}
	// The terms that it was added with are what its first date is settled by.
	w.clock.advance(48 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	statements, _, err := ledger.Statements(t.Context(), w.pool, ledger.StatementFilter{MID: "500000000000001"})
	w.must(err)
	if len(statements) != 1 || statements[0].DiscountMinor != 5+5+1 { // 0.5 % of 10.00 and of 11.00, half to even: 5 and 6
		t.Errorf("settled as %+v", statements)
	}
	w.verify()
	// The service itself enrols nobody.
	if err := switching.AddCalendar(t.Context(), w.pool, switching.NewCalendar{Name: "x", Zone: "UTC", Cutoff: "00:00"}, now, "ann", "no"); err == nil {
		t.Error("the service's role has added a calendar")
	}
}

func plainProfile() switching.TerminalProfile {
	return switching.TerminalProfile{Scheme: switching.SchemeStatic, MAC: "none", PINFormat: "iso-0"}
}

// Numbers are handed out once and merchants are spread, whatever else is changed at
// the same time; where two add the same merchant, the second is told so.
func TestEnrolmentsAtOnce(t *testing.T) {
	w := newWorld(t)
	owner, now := w.owner(), w.clock.Now()
	const each = 12
	var adding sync.WaitGroup
	errs := make(chan error, 10*each)
	run := func(do func() error) {
		adding.Go(func() {
			if err := do(); err != nil {
				errs <- err
			}
		})
	}
	twice := make(chan error, 2*each)
	for i := range each {
		mid := fmt.Sprintf("M%d", i)
		for range 2 {
			adding.Go(func() {
				twice <- switching.AddMerchant(t.Context(), owner, switching.NewMerchant{
					MID: mid, Name: mid, Currency: money.CNY, Calendar: "china", Policy: "plain",
				}, now, "ann", "at once")
			})
		}
		run(func() error {
			return switching.AddTerminal(t.Context(), owner, switching.NewTerminal{
				TID: fmt.Sprintf("T%d", i), MID: shop, Dialect: "ascii", TerminalProfile: plainProfile(),
			}, "ann", "at once")
		})
		run(func() error {
			return switching.AddPolicy(t.Context(), owner, switching.NewPolicy{Name: fmt.Sprintf("P%d", i), Like: "plain"}, "ann", "at once")
		})
		run(func() error {
			return switching.SetPolicy(t.Context(), owner, "plain", "hold_days", fmt.Sprint(i+1), "ann", "at once")
		})
		run(func() error {
			return switching.AddOperator(t.Context(), owner, shop, fmt.Sprintf("%02d", i), "1234", false, "ann", "at once")
		})
		run(func() error {
			r, err := switching.NewCardRange(fmt.Sprintf("%d", 70+i), "", "giftcard", "onus")
			if err == nil {
				_, err = switching.AddCardRange(t.Context(), owner, r, "ann", "at once")
			}
			return err
		})
	}
	adding.Wait()
	close(errs)
	close(twice)
	for err := range errs {
		t.Error(err)
	}
	refusals := 0
	for err := range twice {
		if err != nil {
			refused(t, err, "mid", switching.ErrTaken)
			refusals++
		}
	}
	if refusals != each {
		t.Errorf("%d of %d merchants were added twice", each-refusals, each)
	}
	list, err := switching.Merchants(t.Context(), w.pool, switching.MerchantFilter{Search: "M"})
	w.must(err)
	buckets, numbers := map[int16]int{0: 2}, map[int32]bool{}
	for _, m := range list {
		buckets[m.Bucket]++
		numbers[m.Number] = true
	}
	if len(numbers) != each || buckets[0] > 4 || buckets[1] > 4 || buckets[2] > 4 || buckets[3] > 4 {
		t.Errorf("numbers %v, buckets %v", numbers, buckets)
	}
	v, err := switching.VerifyAudit(t.Context(), w.pool, nil)
	if err != nil || v.Problem != nil {
		t.Errorf("the audit log: %+v, %v", v, err)
	}
}

func TestEnrolmentIsRefused(t *testing.T) {
	w := newWorld(t)
	owner, now := w.owner(), w.clock.Now()
	before, err := switching.DirectoryVersion(t.Context(), w.pool)
	w.must(err)

	calendar := func(change func(*switching.NewCalendar)) error {
		n := berlin()
		change(&n)
		return switching.AddCalendar(t.Context(), owner, n, now, "ann", "a test")
	}
	refused(t, calendar(func(n *switching.NewCalendar) { n.Name = "china" }), "name", switching.ErrTaken, `"china" already`)
	refused(t, calendar(func(n *switching.NewCalendar) { n.Name = "" }), "name", nil, "empty")
	refused(t, calendar(func(n *switching.NewCalendar) { n.Name = "a\nb" }), "name", nil, "cannot be shown")
	refused(t, calendar(func(n *switching.NewCalendar) { n.Name = "a " }), "name", nil, "space")
	refused(t, calendar(func(n *switching.NewCalendar) { n.Name = strings.Repeat("ä", 65) }), "name", nil, "64 letters")
	for _, number := range []string{"9999990000000014", "shop 9999 9900 0000 0014"} {
		refused(t, calendar(func(n *switching.NewCalendar) { n.Name = number }), "name", nil, "card number")
	}
	for _, zone := range []string{"", "Local", "Berlin", "../etc/passwd"} {
		refused(t, calendar(func(n *switching.NewCalendar) { n.Zone = zone }), "time-zone", nil, "Europe/Berlin")
	}
	for _, cutoff := range []string{"", "24:00", "2:60", "noon"} {
		refused(t, calendar(func(n *switching.NewCalendar) { n.Cutoff = cutoff }), "cutoff", nil, "HH:MM")
	}
	refused(t, calendar(func(n *switching.NewCalendar) { n.Region = "cn" }), "holidays", nil, "de", "us")
	refused(t, calendar(func(n *switching.NewCalendar) { n.Weekend = []int16{0} }), "weekend", nil)
	refused(t, calendar(func(n *switching.NewCalendar) { n.Weekend = []int16{1, 2, 3, 4, 5, 6, 7} }), "weekend", nil, "open")

	policy := func(n switching.NewPolicy) error { return switching.AddPolicy(t.Context(), owner, n, "ann", "a test") }
	refused(t, policy(switching.NewPolicy{Name: "plain"}), "name", switching.ErrTaken)
	refused(t, policy(switching.NewPolicy{Name: "of 9999990000000014"}), "name", nil, "card number")
	refused(t, policy(switching.NewPolicy{Name: "x", Like: "fancy"}), "like", switching.ErrMissing, `"fancy"`)
	refused(t, policy(switching.NewPolicy{Name: "x", Set: []switching.PolicyValue{{Setting: "name", Value: "y"}}}), "set", nil, "no setting")
	if err := policy(switching.NewPolicy{Name: "x", Set: []switching.PolicyValue{{Setting: "hold_days", Value: "0"}}}); !errors.Is(err, switching.ErrPolicyValue) ||
		!strings.Contains(err.Error(), "hold_days") {
		t.Errorf("a value that is none: %v", err)
	}

	merchant := func(change func(*switching.NewMerchant)) error {
		n := switching.NewMerchant{MID: "500000000000001", Name: "Bakery", Currency: money.EUR, Calendar: "china", Policy: "plain"}
		change(&n)
		return switching.AddMerchant(t.Context(), owner, n, now, "ann", "a test")
	}
	refused(t, merchant(func(n *switching.NewMerchant) { n.MID = shop }), "mid", switching.ErrTaken, shop)
	refused(t, merchant(func(n *switching.NewMerchant) { n.MID = "" }), "mid", nil, "empty")
	refused(t, merchant(func(n *switching.NewMerchant) { n.MID = "5000000000000001" }), "mid", nil, "16 characters", "at most 15")
	refused(t, merchant(func(n *switching.NewMerchant) { n.MID = "500 1" }), "mid", nil, "space")
	refused(t, merchant(func(n *switching.NewMerchant) { n.MID = "bäcker" }), "mid", nil, "no terminal sends")
	refused(t, merchant(func(n *switching.NewMerchant) { n.Name = "" }), "name", nil)
	refused(t, merchant(func(n *switching.NewMerchant) { n.Currency = 998 }), "currency", nil, "ISO 4217")
	refused(t, merchant(func(n *switching.NewMerchant) { n.Calendar = "rome" }), "calendar", switching.ErrMissing, `"rome"`)
	refused(t, merchant(func(n *switching.NewMerchant) { n.Calendar = "" }), "calendar", nil, "missing")
	refused(t, merchant(func(n *switching.NewMerchant) { n.Policy = "fancy" }), "policy", switching.ErrMissing, `"fancy"`)
	refused(t, merchant(func(n *switching.NewMerchant) { n.Discounts = []switching.Discount{{RateMillionths: 1_000_001}} }), "discount", nil, "100.0001 %")
	refused(t, merchant(func(n *switching.NewMerchant) { n.Discounts = []switching.Discount{{FixedMinor: -1}} }), "discount", nil)
	refused(t, merchant(func(n *switching.NewMerchant) { n.Discounts = []switching.Discount{{Network: "Visa"}} }), "discount", nil, "small letters")
	refused(t, merchant(func(n *switching.NewMerchant) { n.Discounts = []switching.Discount{{Network: "visa"}} }), "discount", switching.ErrMissing, "no card range")
	refused(t, merchant(func(n *switching.NewMerchant) { n.Discounts = make([]switching.Discount, 2) }), "discount", nil, "every card network")

	if after, err := switching.DirectoryVersion(t.Context(), w.pool); err != nil || after != before {
		t.Errorf("version %d, before %d, %v: what was refused has changed something", after, before, err)
	}
	if rows, err := switching.AuditLog(t.Context(), w.pool, "", 1); err != nil || len(rows) != 0 {
		t.Errorf("what was refused is in the audit log: %v, %v", rows, err)
	}
	if err := switching.AddMerchant(t.Context(), owner, switching.NewMerchant{
		MID: "1", Name: "B", Currency: money.EUR, Calendar: "china", Policy: "plain",
	}, now, "", "why"); err == nil {
		t.Error("nobody has added a merchant")
	}
}

func TestBankDays(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	set := func(date ledger.Date, name string, open bool) error {
		return switching.SetBankDay(t.Context(), owner, "china", switching.BankDay{Date: date, Name: name, Open: open}, "ann", "announced")
	}
	// Dates are made until 20 March (ten days ahead): the 21st has its value on the 22nd at the earliest.
	refused(t, set(ledger.MakeDate(2026, 3, 21), "Holiday", false), "date", switching.ErrNotNow, "2026-03-20", "2026-03-22")
	refused(t, set(ledger.MakeDate(2026, 4, 1), "", false), "name", nil)
	refused(t, set(ledger.MakeDate(2026, 4, 1), "9999990000000014", false), "name", nil, "card number")
	w.must(set(ledger.MakeDate(2026, 4, 6), "Qingming", false))
	w.must(set(ledger.MakeDate(2026, 4, 11), "make-up day", true))
	w.must(set(ledger.MakeDate(2026, 4, 12), "to be removed", true))
	w.must(switching.RemoveBankDay(t.Context(), owner, "china", ledger.MakeDate(2026, 4, 12), "ann", "a mistake"))
	refused(t, switching.RemoveBankDay(t.Context(), owner, "china", ledger.MakeDate(2026, 4, 12), "ann", "again"), "date", switching.ErrMissing)
	refused(t, switching.RemoveBankDay(t.Context(), owner, "rome", ledger.MakeDate(2026, 4, 12), "ann", "again"), "calendar", switching.ErrMissing)
	if a := w.audited(); a.Kind != "calendar_changed" || a.Subject != "calendar china: 2026-04-12 is as every year" {
		t.Errorf("audited as %+v", a)
	}
	list, err := switching.StoredCalendars(t.Context(), w.pool)
	w.must(err)
	if len(list) != 1 || list[0].Merchants != 2 || list[0].WeekendNames() != "Sat, Sun" || !slices.Equal(list[0].Days, []switching.BankDay{
		{Date: ledger.MakeDate(2026, 4, 6), Name: "Qingming"}, {Date: ledger.MakeDate(2026, 4, 11), Name: "make-up day", Open: true},
	}) {
		t.Errorf("%+v", list[0])
	}
	banking, err := ledger.LoadBankingCalendar(t.Context(), w.pool, 1)
	w.must(err)
	for ends, want := range map[ledger.Date]ledger.Date{ // Sunday the 5th, Friday the 10th
		ledger.MakeDate(2026, 4, 5): ledger.MakeDate(2026, 4, 7), ledger.MakeDate(2026, 4, 10): ledger.MakeDate(2026, 4, 11),
	} {
		if got, err := banking.ValueDate(ends); err != nil || got != want {
			t.Errorf("%s has the value of %s, %v; want %s", ends, got, err, want)
		}
	}
}

func TestMerchantsChange(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	set := func(c switching.MerchantChange) error {
		return switching.SetMerchant(t.Context(), owner, shop, c, w.clock.Now(), "ann", "a test")
	}
	name, flagged, plain := "Shop & Sons", true, "plain"
	w.must(set(switching.MerchantChange{Name: &name, ReviewRefunds: &flagged, Policy: &plain}))
	if a := w.audited(); a.Kind != "merchant_changed" || a.Subject != "merchant "+shop+": name = Shop & Sons, was Shop; review_refunds = true, was false" {
		t.Errorf("audited as %+v", a)
	}
	if err := set(switching.MerchantChange{Name: &name}); !errors.Is(err, switching.ErrNothingChanged) {
		t.Errorf("nothing new: %v", err)
	}
	fancy := "fancy"
	refused(t, set(switching.MerchantChange{Policy: &fancy}), "policy", switching.ErrMissing)
	refused(t, set(switching.MerchantChange{Calendar: &fancy}), "calendar", switching.ErrMissing)
	refused(t, switching.SetMerchant(t.Context(), owner, "0", switching.MerchantChange{Name: &name}, w.clock.Now(), "ann", "a test"), "mid", switching.ErrMissing)
	w.must(w.sw.Refresh(t.Context()))
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.clock.advance(24 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.do(switching.UnderReview, w.request(switching.KindRefund, 5_00, of(sale)))
}

// A merchant changes its calendar while both have one date open and nothing waits;
// otherwise sales would be in no statement.
func TestMerchantsMove(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	early := switching.NewCalendar{Name: "early", Zone: "Asia/Shanghai", Cutoff: "22:00"}
	w.must(switching.AddCalendar(t.Context(), owner, early, w.clock.Now(), "ann", "a test"))
	move := func(to string) error {
		return switching.SetMerchant(t.Context(), owner, shop, switching.MerchantChange{Calendar: &to}, w.clock.Now(), "ann", "earlier money")
	}
	refused(t, move("early"), "calendar", switching.ErrNotNow, "waits for its close") // its first date, yesterday's
	w.must(w.sw.CatchUp(t.Context()))
	w.clock.set(time.Date(2026, 3, 10, 13, 57, 0, 0, time.UTC)) // 21:57
	refused(t, move("early"), "calendar", switching.ErrNotNow, "2026-03-10T14:00:00Z")
	w.clock.set(time.Date(2026, 3, 10, 14, 30, 0, 0, time.UTC)) // 22:30
	w.must(w.sw.CatchUp(t.Context()))
	refused(t, move("early"), "calendar", switching.ErrNotNow, "early in 2026-03-11", "while both are in the same one")
	w.clock.set(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC)) // 23:30
	refused(t, move("early"), "calendar", switching.ErrNotNow, "china", "waits for its close")
	w.must(w.sw.CatchUp(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.must(move("early"))
	w.do(switching.Approved, w.request(switching.KindSale, 1_00)) // this host does not know yet
	w.must(w.sw.Refresh(t.Context()))
	w.do(switching.Approved, w.request(switching.KindSale, 3_00))
	w.clock.set(time.Date(2026, 3, 11, 15, 30, 0, 0, time.UTC))
	w.must(w.sw.CatchUp(t.Context()))
	statements, _, err := ledger.Statements(t.Context(), w.pool, ledger.StatementFilter{MID: shop})
	w.must(err)
	if len(statements) != 1 || statements[0].GrossMinor != 14_00 {
		t.Errorf("settled as %+v", statements)
	}
	w.verify()
}

func TestTermsFollowOneAnother(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	today := ledger.MakeDate(2026, 3, 10)
	discount := func(d switching.Discount) (ledger.Date, error) {
		return switching.SetDiscount(t.Context(), owner, d, w.clock.Now(), "ann", "a test")
	}
	from, err := discount(switching.Discount{RateMillionths: 10_000})
	if err != nil || from != today.AddDays(1) {
		t.Errorf("from %s, %v: what was sold today would become dearer", from, err)
	}
	if a := w.audited(); a.Kind != "terms_changed" || a.Subject != "every merchant from 2026-03-11 on: discount of 1 % for every card network" {
		t.Errorf("audited as %+v", a)
	}
	from, err = discount(switching.Discount{MID: shop, Network: "onus", From: today, RateMillionths: 20_000, ReturnsFee: true})
	if err != nil || from != today {
		t.Errorf("from %s, %v", from, err)
	}
	_, err = discount(switching.Discount{From: today.AddDays(-1)})
	refused(t, err, "from", switching.ErrNotNow, "2026-03-10 on at the earliest")
	_, err = discount(switching.Discount{MID: "0"})
	refused(t, err, "mid", switching.ErrMissing)
	_, err = discount(switching.Discount{Network: "visa"})
	refused(t, err, "network", switching.ErrMissing)
	reserve := func(r switching.Reserve) (ledger.Date, error) {
		return switching.SetReserve(t.Context(), owner, r, w.clock.Now(), "ann", "a test")
	}
	_, err = reserve(switching.Reserve{RateMillionths: 50_000})
	refused(t, err, "days", nil)
	_, err = reserve(switching.Reserve{RateMillionths: -1, ReleaseDays: 1})
	refused(t, err, "rate", nil)
	from, err = reserve(switching.Reserve{MID: shop, RateMillionths: 50_000, ReleaseDays: 30})
	w.must(err)
	terms, err := switching.ListTerms(t.Context(), w.pool, shop)
	w.must(err)
	if !slices.Equal(terms.Reserves, []switching.Reserve{{MID: shop, From: from, RateMillionths: 50_000, ReleaseDays: 30}}) ||
		!slices.Equal(terms.Discounts, []switching.Discount{
			{From: today.AddDays(1), RateMillionths: 10_000}, {MID: shop, Network: "onus", From: today, RateMillionths: 20_000, ReturnsFee: true},
		}) {
		t.Errorf("%+v", terms)
	}
	if _, err := switching.ListTerms(t.Context(), w.pool, "0"); !errors.Is(err, switching.ErrNoMerchant) {
		t.Errorf("no merchant: %v", err)
	}
	// West of Greenwich, a date is open that is over there.
	w.must(switching.AddCalendar(t.Context(), owner, switching.NewCalendar{Name: "west", Zone: "America/New_York", Cutoff: "23:00"},
		time.Date(2026, 3, 10, 2, 0, 0, 0, time.UTC), "ann", "a test"))
	w.must(switching.AddMerchant(t.Context(), owner, switching.NewMerchant{
		MID: "W", Name: "W", Currency: money.CNY, Calendar: "west", Policy: "plain", Discounts: []switching.Discount{{RateMillionths: 1}},
	}, time.Date(2026, 3, 10, 2, 0, 0, 0, time.UTC), "ann", "a test"))
	if own, err := switching.ListTerms(t.Context(), w.pool, "W"); err != nil || own.Discounts[1].From != today.AddDays(-1) {
		t.Errorf("%+v, %v", own, err)
	}
	remove := func(d switching.Discount) error {
		return switching.RemoveDiscount(t.Context(), owner, d, w.clock.Now(), "ann", "a mistake")
	}
	refused(t, remove(switching.Discount{MID: shop, Network: "onus"}), "from", nil, "missing")
	refused(t, remove(switching.Discount{MID: shop, Network: "onus", From: today}), "from", switching.ErrNotNow, "count already")
	refused(t, remove(switching.Discount{MID: kiosk, From: today.AddDays(1)}), "from", switching.ErrMissing)
	w.must(remove(switching.Discount{From: today.AddDays(1)}))
	w.must(switching.RemoveReserve(t.Context(), owner, switching.Reserve{MID: shop, From: from}, w.clock.Now(), "ann", "a mistake"))
	terms, err = switching.ListTerms(t.Context(), w.pool, "")
	if err != nil || len(terms.Discounts) != 2 || len(terms.Reserves) != 0 {
		t.Errorf("%+v, %v", terms, err)
	}
	// A clock that was set back does not change what was settled.
	w.do(switching.Approved, w.request(switching.KindSale, 100_00))
	w.clock.advance(48 * time.Hour)
	w.must(w.sw.CatchUp(t.Context()))
	w.clock.advance(-48 * time.Hour)
	_, err = discount(switching.Discount{MID: shop, From: today})
	refused(t, err, "from", switching.ErrNotNow, "2026-03-12 on at the earliest")
	w.verify()
}

func TestCardRanges(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	add := func(low, high, network string) (string, error) {
		r, err := switching.NewCardRange(low, high, network, "onus")
		if err != nil {
			return "", err
		}
		return switching.AddCardRange(t.Context(), owner, r, "ann", "a test")
	}
	_, err := add("999999", "", "giftcard")
	w.must(err)
	if a := w.audited(); a.Kind != "range_added" || a.Subject != "card range 9999990000000000000 to 9999999999999999999: giftcard by onus" {
		t.Errorf("audited as %+v", a)
	}
	for _, overlapping := range [][2]string{{"999999", ""}, {"9", ""}, {"99999912", ""}, {"98", "9999990"}, {"9999999", "99999999"}} {
		_, err := add(overlapping[0], overlapping[1], "visa")
		refused(t, err, "low", switching.ErrTaken, "overlaps", "giftcard", "9999990000000000000")
	}
	for _, tt := range []struct{ low, high, network, field string }{
		{"", "", "visa", "low"},
		{"4x", "", "visa", "low"},
		{"476173000000", "", "visa", "low"},
		{"4", "4761739001010119", "visa", "high"},
		{"5", "4", "visa", "high"},
		{"4", "", "", "network"},
		{"4", "", "Visa", "network"},
	} {
		_, err := add(tt.low, tt.high, tt.network)
		refused(t, err, tt.field, nil)
		if strings.Contains(fmt.Sprint(err), "4761739001010119") {
			t.Errorf("a card number is in the error: %v", err)
		}
	}
	r, err := switching.NewCardRange("4", "", "visa", "moon")
	w.must(err)
	_, err = switching.AddCardRange(t.Context(), owner, r, "ann", "a test")
	refused(t, err, "route", nil, "onus")

	// Settlements know six digits: of ranges that share them the lowest says the network.
	_, err = add("47617350", "", "visa")
	w.must(err)
	_, err = add("47617310", "", "maestro")
	refused(t, err, "low", switching.ErrNotNow, "first six digits", "visa", "maestro", "476173")
	other, err := add("47617360", "", "maestro")
	if err != nil || other != "visa" {
		t.Errorf("discounts of %q, %v", other, err)
	}
	if other, err := add("5", "", "mastercard"); err != nil || other != "" {
		t.Errorf("discounts of %q, %v", other, err)
	}
	list, err := switching.CardRanges(t.Context(), w.pool)
	if err != nil || len(list) != 5 || list[1].Low != "4761736000000000000" || list[1].High != "4761736099999999999" {
		t.Errorf("%+v, %v", list, err)
	}

	remove := func(low string) error {
		r, err := switching.NewCardRange(low, "", "", "")
		w.must(err)
		return switching.RemoveCardRange(t.Context(), owner, r, "ann", "a test")
	}
	refused(t, remove("4"), "low", switching.ErrMissing)
	_, err = switching.SetDiscount(t.Context(), owner, switching.Discount{Network: "mastercard", RateMillionths: 1}, w.clock.Now(), "ann", "a test")
	w.must(err)
	refused(t, remove("5"), "low", switching.ErrNotNow, "mastercard has discounts")
	w.must(w.sw.Refresh(t.Context()))
	if got := w.sw.Network(cardNumber(0)); got != "onus" {
		t.Errorf("network %q", got)
	}
	w.must(remove("621712"))
	w.must(w.sw.Refresh(t.Context()))
	w.do(switching.NoSuchIssuer, w.request(switching.KindSale, 10_00))
}

func TestTerminalsAreRefused(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	module, base := enrolKeys(t, w)
	add := func(change func(*switching.NewTerminal)) error {
		n := switching.NewTerminal{TID: "50000001", MID: shop, Dialect: "nac", TerminalProfile: plainProfile()}
		change(&n)
		return switching.AddTerminal(t.Context(), owner, n, "ann", "a test")
	}
	_ = module
	derived := func(change func(*switching.NewTerminal)) func(*switching.NewTerminal) {
		return func(n *switching.NewTerminal) {
			n.Scheme, n.BaseKey, n.MAC, n.InitialKSN = switching.SchemeTDES, base, mac.X919, []byte("\xFF\xFF\x98\x76\x54\x32\x10\xE0\x00\x00")
			change(n)
		}
	}
	for _, tt := range []struct {
		change func(*switching.NewTerminal)
		field  string
		kind   error
		word   string
	}{
		{func(n *switching.NewTerminal) { n.TID = till }, "tid", switching.ErrTaken, "already"},
		{func(n *switching.NewTerminal) { n.TID = "" }, "tid", nil, "empty"},
		{func(n *switching.NewTerminal) { n.TID = "500000001" }, "tid", nil, "at most 8"},
		{func(n *switching.NewTerminal) { n.TID = "5000 001" }, "tid", nil, "space"},
		{func(n *switching.NewTerminal) { n.MID = "0" }, "mid", switching.ErrMissing, "no merchant"},
		{func(n *switching.NewTerminal) { n.Dialect = "xml" }, "dialect", nil, "ascii, nac, unionpay"},
		{func(n *switching.NewTerminal) { n.Dialect, n.Active = "unionpay", true }, "active", switching.ErrNotNow, "master key"},
		{func(n *switching.NewTerminal) { n.Dialect, n.TPDU = "ascii", "6000010000" }, "tpdu", nil, "have none"},
		{func(n *switching.NewTerminal) { n.TPDU = "60000100" }, "tpdu", nil, "10 hex digits"},
		{func(n *switching.NewTerminal) { n.TPDU = "600001000x" }, "tpdu", nil, "10 hex digits"},
		{func(n *switching.NewTerminal) { n.MAC = "md5" }, "mac", nil, "x919"},
		{func(n *switching.NewTerminal) { n.MAC = mac.X919 }, "mac", switching.ErrNotNow, "not loaded"},
		{func(n *switching.NewTerminal) { n.Scheme = "none" }, "scheme", nil, "dukpt-aes"},
		{func(n *switching.NewTerminal) { n.Scheme = switching.SchemeSession }, "scheme", nil, "nac"},
		{func(n *switching.NewTerminal) { n.Scheme, n.Dialect = switching.SchemeSession, "unionpay" }, "scheme", switching.ErrNotNow, "not loaded"},
		{func(n *switching.NewTerminal) {
			n.Scheme, n.Dialect, n.MAC = switching.SchemeSession, "unionpay", mac.AESCMAC
		}, "mac", nil, "DES"},
		{func(n *switching.NewTerminal) { n.PINFormat = "ansi" }, "pin-format", nil, "iso-0"},
		{func(n *switching.NewTerminal) { n.BaseKey = base }, "base-key", nil, "static"},
		{func(n *switching.NewTerminal) { n.InitialKSN = []byte{1} }, "ksn", nil, "static"},
		{derived(func(n *switching.NewTerminal) { n.Dialect = "unionpay" }), "scheme", nil, "unionpay"},
		{derived(func(n *switching.NewTerminal) { n.BaseKey = "" }), "base-key", nil, "missing"},
		{derived(func(n *switching.NewTerminal) { n.BaseKey = "other" }), "base-key", switching.ErrMissing, "other"},
		{derived(func(n *switching.NewTerminal) { n.InitialKSN = n.InitialKSN[:8] }), "ksn", nil, "8 bytes"},
		{derived(func(n *switching.NewTerminal) { n.InitialKSN[9] = 1 }), "ksn", nil, "21 bits"},
		{derived(func(n *switching.NewTerminal) { n.MAC = mac.AESCMAC }), "mac", nil, "tdes"},
		{derived(func(n *switching.NewTerminal) { n.Scheme, n.InitialKSN = switching.SchemeAES, n.InitialKSN[:8] }), "base-key", nil, "tdes"},
	} {
		refused(t, add(tt.change), tt.field, tt.kind, tt.word)
	}
	w.must(add(derived(func(*switching.NewTerminal) {})))
	refused(t, add(derived(func(n *switching.NewTerminal) { n.TID = "50000002" })), "ksn", switching.ErrTaken, "50000001")
	if a := w.audited(); a.Kind != "terminal_added" ||
		a.Subject != "terminal 50000001 of merchant "+shop+": nac, suspended, MAC x919, key scheme dukpt-tdes, PIN format iso-0, base key "+
			base+", serial number FFFF9876543210E00000" {
		t.Errorf("audited as %+v", a)
	}
}

// enrolKeys makes a module, and a base key for terminals.
func enrolKeys(t *testing.T, w *world) (module hsm.Module, base string) {
	t.Helper()
	v, err := vault.Open(vault.SandboxMasterKey())
	w.must(err)
	module = hsm.NewSoftware(v, v.FirstDataKeys())
	key, err := module.Generate(t.Context(), hsm.UseDUKPTBase, hsm.TDES2)
	w.must(err)
	_, err = switching.LoadKey(t.Context(), w.owner(), module, switching.KeyTarget{BaseKey: "shops"}, key, w.clock.Now(), "ann", "a test")
	w.must(err)
	return module, "shops"
}

// A terminal gets its keys, and then the MAC that they are for.
func TestTerminalsGetTheirMAC(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	module, base := enrolKeys(t, w)
	set := func(tid string, change switching.ChangeProfile) error {
		return switching.SetTerminal(t.Context(), owner, tid, change, "ann", "new terminal")
	}
	withMAC := func(name string) switching.ChangeProfile {
		return func(p *switching.TerminalProfile) { p.MAC = name }
	}
	load := func(tid string, use hsm.Use, algorithm hsm.Algorithm) {
		t.Helper()
		key, err := module.Generate(t.Context(), use, algorithm)
		w.must(err)
		_, err = switching.LoadKey(t.Context(), owner, module, switching.KeyTarget{TID: tid, Use: use}, key, w.clock.Now(), "ann", "a test")
		w.must(err)
	}
	refused(t, set("0", withMAC(mac.X919)), "tid", switching.ErrMissing)
	refused(t, set(till, withMAC(mac.X919)), "mac", switching.ErrNotNow, "not loaded")
	load(till, hsm.UseMAC, hsm.TDES2)
	refused(t, set(till, withMAC(mac.AESCMAC)), "mac", nil, "tdes-2")
	w.must(set(till, withMAC(mac.X919)))
	if a := w.audited(); a.Kind != "terminal_changed" || !strings.HasPrefix(a.Subject, "terminal "+till+": MAC x919,") ||
		!strings.Contains(a.Subject, "was: MAC none,") {
		t.Errorf("audited as %+v", a)
	}
	if err := set(till, withMAC(mac.X919)); !errors.Is(err, switching.ErrNothingChanged) {
		t.Errorf("nothing new: %v", err)
	}
	load(till, hsm.UseMAC, hsm.TDES2) // the next generation
	w.must(set(till, withMAC(mac.X99)))

	// To derived keys and back: the serial number goes with the scheme.
	w.must(set(till, func(p *switching.TerminalProfile) {
		p.Scheme, p.BaseKey, p.InitialKSN = switching.SchemeTDES, base, []byte("\xFF\xFF\x98\x76\x54\x32\x10\xE0\x00\x00")
	}))
	w.must(set(till, func(p *switching.TerminalProfile) { p.Scheme, p.TPDU = switching.SchemeStatic, "6000ab0000" }))
	state, err := switching.FindTerminal(t.Context(), w.pool, till)
	w.must(err)
	if state.BaseKey != "" || state.InitialKSN != "" || state.MAC != mac.X99 || state.KeyScheme != switching.SchemeStatic || state.TPDU != "6000AB0000" {
		t.Errorf("%+v", state)
	}

	pos := switching.NewTerminal{TID: "51", MID: shop, Dialect: "unionpay", TerminalProfile: plainProfile()}
	w.must(switching.AddTerminal(t.Context(), owner, pos, "ann", "a test"))
	session := func(p *switching.TerminalProfile) { p.Scheme, p.MAC = switching.SchemeSession, mac.UnionPayECB }
	refused(t, set("51", session), "scheme", switching.ErrNotNow, "master key")
	load("51", hsm.UseTerminalMaster, hsm.TDES2)
	w.must(set("51", session))
	w.must(switching.SetTerminalActive(t.Context(), owner, "51", true, "ann", "a test"))
	w.must(w.sw.Refresh(t.Context()))
	if known := w.sw.Terminal("51"); known == nil || known.Scheme != switching.SchemeSession || !known.Active {
		t.Errorf("the host knows %+v", known)
	}
}
