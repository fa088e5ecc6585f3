package switching_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/switch"
)

// owner is a pool with the privileges that changes by people need.
func (w *world) owner() *pgxpool.Pool {
	w.t.Helper()
	w.opening.Lock()
	defer w.opening.Unlock()
	if w.owned == nil {
		pool, err := pgxpool.New(context.Background(), w.url)
		w.must(err)
		w.t.Cleanup(pool.Close)
		w.owned = pool
	}
	return w.owned
}

// audited returns the newest audit row.
func (w *world) audited() *switching.AuditRow {
	w.t.Helper()
	rows, err := switching.AuditLog(w.t.Context(), w.pool, "", 1)
	w.must(err)
	if len(rows) != 1 {
		w.t.Fatalf("%d audit rows", len(rows))
	}
	return rows[0]
}

func TestSettingsOfPolicies(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	set := func(policy, setting, value string) error {
		return switching.SetPolicy(t.Context(), owner, policy, setting, value, "ann", "a test")
	}
	// Every setting is a column, and shown; what says that it takes none does.
	for _, s := range switching.PolicySettings() {
		p, err := switching.FindPolicy(t.Context(), w.pool, "plain")
		w.must(err)
		value, shown := p.Settings[s.Name]
		if !shown || s.Values == "" || s.Meaning == "" {
			t.Errorf("%s is not shown, or not told", s.Name)
		}
		if value == nil && !s.Optional {
			t.Errorf("%s has no value", s.Name)
		}
		if err := set("plain", s.Name, "no such value"); !errors.Is(err, switching.ErrPolicyValue) || !strings.Contains(err.Error(), s.Values) {
			t.Errorf("%s: a value that is none: %v", s.Name, err)
		}
		err = set("plain", s.Name, "")
		if s.Optional != (err == nil) || !s.Optional && !errors.Is(err, switching.ErrPolicyValue) {
			t.Errorf("%s, optional %t: without a value %v", s.Name, s.Optional, err)
		}
	}
	if err := set("plain", "name", "other"); err == nil {
		t.Error("a policy's name was set")
	}
	if err := set("fancy", "allow_void", "false"); !errors.Is(err, switching.ErrNothingChanged) {
		t.Errorf("another policy: %v", err)
	}
	if _, err := switching.FindPolicy(t.Context(), w.pool, "fancy"); !errors.Is(err, switching.ErrNoPolicy) {
		t.Errorf("another policy: %v", err)
	}
	const large = "9007199254740993" // no float64 is this number
	w.must(set("plain", "max_void_minor_per_day", large))
	w.must(set("plain", "max_void_minor_per_day", " 250 "))
	if a := w.audited(); a.Kind != "policy_changed" || a.Detail != "by ann: a test" ||
		a.Subject != "policy plain: max_void_minor_per_day = 250, was "+large {
		t.Errorf("audited as %+v", a)
	}
	w.must(set("plain", "max_void_minor_per_day", large))
	p, err := switching.FindPolicy(t.Context(), w.pool, "plain")
	w.must(err)
	if got, ok := p.Settings["max_void_minor_per_day"].(interface{ String() string }); !ok || got.String() != large {
		t.Errorf("shown as %v", p.Settings["max_void_minor_per_day"])
	}
	if !slices.Equal(p.MIDs, []string{shop, kiosk}) || len(p.Suspended) != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestSuspendedRights(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	set := func(mid, tid string, right switching.Right, allowed bool) {
		t.Helper()
		w.must(switching.SetRight(t.Context(), owner, mid, tid, right, allowed, "ann", "fraud"))
		w.must(w.sw.Refresh(t.Context()))
	}
	suspended := func(want ...switching.Suspension) {
		t.Helper()
		list, err := switching.Policies(t.Context(), w.pool)
		w.must(err)
		if len(list) != 1 || !slices.Equal(list[0].Suspended, want) {
			t.Errorf("suspended %+v, want %+v", list[0].Suspended, want)
		}
	}
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	set(shop, "", switching.RightVoid, false)
	set(shop, till2, switching.RightRefund, false)
	set("", booth, switching.RightVoid, false)
	suspended(switching.Suspension{MID: shop, Right: "void"}, switching.Suspension{MID: shop, TID: till2, Right: "refund"},
		switching.Suspension{MID: kiosk, TID: booth, Right: "void"})
	w.do(switching.NotPermittedToTerminal, w.request(switching.KindVoid, 0, of(sale)))
	set(shop, "", switching.RightVoid, true)
	if a := w.audited(); a.Subject != "resume void of merchant "+shop {
		t.Errorf("audited as %+v", a)
	}
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(sale)))
	set("", till2, switching.RightRefund, true)
	set("", booth, switching.RightVoid, true)
	suspended()
	for _, unknown := range [][2]string{{"0", ""}, {"", "0"}} {
		err := switching.SetRight(t.Context(), owner, unknown[0], unknown[1], switching.RightVoid, false, "ann", "fraud")
		if !errors.Is(err, switching.ErrNothingChanged) {
			t.Errorf("%v: %v", unknown, err)
		}
	}
	if err := switching.SetRight(t.Context(), owner, shop, "", "sale", false, "ann", "fraud"); err == nil {
		t.Error("there is no such right")
	}
	// The service itself changes no policies.
	if err := switching.SetRight(t.Context(), w.pool, shop, "", switching.RightVoid, false, "ann", "fraud"); err == nil {
		t.Error("the service's role has suspended a right")
	}
}

func TestOperatorsAreListedDisabledAndRenewed(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	add := func(number, password string, supervisor bool) {
		t.Helper()
		w.must(switching.AddOperator(t.Context(), owner, shop, number, password, supervisor, "ann", "a test"))
		w.must(w.sw.Refresh(t.Context()))
	}
	logon := func(number, password string) *switching.Request {
		return w.request(switching.KindLogon, 0, func(r *switching.Request) { r.OperatorNo, r.OperatorPassword = number, password })
	}
	list := func() []*switching.OperatorState {
		t.Helper()
		list, err := switching.Operators(t.Context(), w.pool, shop)
		w.must(err)
		return list
	}
	w.policy("require_operator = true")
	add("99", "4711", true)
	add("01", "0000", false)
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	w.do(switching.Approved, logon("01", "0000"))
	got := list()
	if len(got) != 2 || got[0].Number != "01" || got[0].Supervisor || !got[1].Supervisor || !got[0].Active ||
		!slices.Equal(got[0].SignedOn, []string{till}) || len(got[1].SignedOn) != 0 {
		t.Fatalf("got %+v %+v", got[0], got[1])
	}
	w.must(switching.DisableOperator(t.Context(), owner, shop, "01", "ann", "left"))
	w.must(w.sw.Refresh(t.Context()))
	if a := w.audited(); a.Subject != "operator 01 of merchant "+shop+": disabled" || a.Detail != "by ann: left" {
		t.Errorf("audited as %+v", a)
	}
	w.do(switching.OperatorNotSignedOn, w.request(switching.KindVoid, 0, of(sale)))
	w.do(switching.WrongOperatorPassword, logon("01", "0000"))
	if err := switching.DisableOperator(t.Context(), owner, shop, "01", "ann", "left"); !errors.Is(err, switching.ErrNothingChanged) {
		t.Errorf("disabled twice: %v", err)
	}
	for range 5 {
		w.ask(logon("99", "guess"))
	}
	w.do(switching.OperatorLocked, logon("99", "4711"))
	if got := list(); got[0].Active || got[1].LockedUntil == nil || !got[1].LockedUntil.After(w.clock.Now()) || got[1].Failures < 5 {
		t.Fatalf("got %+v %+v", got[0], got[1])
	}
	add("99", "4712", true) // a new password lifts the lockout
	w.do(switching.Approved, logon("99", "4712"))
	add("01", "1234", false)
	w.do(switching.Approved, logon("01", "1234"))
	w.do(switching.Approved, w.request(switching.KindVoid, 0, of(sale)))
	if err := switching.AddOperator(t.Context(), owner, "0", "01", "0000", false, "ann", "a test"); !errors.Is(err, switching.ErrNothingChanged) {
		t.Errorf("operator of no merchant: %v", err)
	}
	if _, err := switching.Operators(t.Context(), w.pool, "0"); !errors.Is(err, switching.ErrNoMerchant) {
		t.Errorf("operators of no merchant: %v", err)
	}
	for mid, want := range map[string]int{kiosk: 0, "": 2} {
		if list, err := switching.Operators(t.Context(), w.pool, mid); err != nil || len(list) != want {
			t.Errorf("%q: %d operators (%v), want %d", mid, len(list), err, want)
		}
	}
}

func TestVoidableUntil(t *testing.T) {
	w := newWorld(t)
	until := func(response switching.Response) time.Duration {
		t.Helper()
		p, err := switching.PreviewCancel(t.Context(), w.pool, w.clock.Now(), response.RRN)
		w.must(err)
		if p.Verdict != "VOID" || p.VoidableUntil == nil || p.MID != shop || p.TID != till || p.TimeZone != "Asia/Shanghai" ||
			p.Currency.Alpha() != "CNY" {
			t.Fatalf("got %+v", p)
		}
		return p.VoidableUntil.Sub(w.clock.Now())
	}
	sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
	hold := w.do(switching.Approved, w.request(switching.KindAuthorization, 10_00))
	if got := until(sale); got != 3*time.Hour {
		t.Errorf("a sale until its cutoff in %s", got)
	}
	if got := until(hold); got != 30*24*time.Hour {
		t.Errorf("a hold until it expires in %s", got)
	}
	w.policy("void_window_minutes = 20")
	for _, response := range []switching.Response{sale, hold} {
		if got := until(response); got != 20*time.Minute {
			t.Errorf("with a window of 20 minutes: %s", got)
		}
	}
	w.policy("void_window_minutes = 600")
	if got := until(sale); got != 3*time.Hour {
		t.Errorf("with a window that ends after the cutoff: %s", got)
	}
}

// A reversal after its window's close leaves an exception for people.
func TestExceptionsAreListed(t *testing.T) {
	w := newWorld(t)
	list := func(limit int) []*switching.RaisedException {
		t.Helper()
		list, err := switching.Exceptions(t.Context(), w.pool, limit)
		w.must(err)
		return list
	}
	if got := list(10); len(got) != 0 {
		t.Fatalf("before anything: %+v", got[0])
	}
	for range 2 {
		sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
		w.clock.advance(24 * time.Hour)
		w.must(w.sw.CatchUp(context.Background()))
		w.do(switching.Approved, w.request(switching.KindReversal, 0, of(sale)))
	}
	got := list(10)
	if len(got) != 2 || got[0].RaisedAt.Before(got[1].RaisedAt) || len(list(1)) != 1 {
		t.Fatalf("%d exceptions", len(got))
	}
	if e := got[0]; e.MID != shop || e.TID != till || len(e.RRN) != 12 || e.Kind == "" || e.Detail == "" || e.Currency.Alpha() != "CNY" {
		t.Errorf("got %+v", e)
	}
}

func TestAuditLogIsListed(t *testing.T) {
	w := newWorld(t)
	for i, kind := range []string{"mac_failure", "policy_changed", "mac_failure"} {
		w.sql(`INSERT INTO audit_log (recorded_at, kind, subject, detail) VALUES ($1, $2, 's', 'd')`, w.clock.Now().Add(-time.Duration(i)*time.Hour), kind)
	}
	for _, c := range []struct {
		kind  string
		limit int
		ids   []int64
	}{
		{"", 10, []int64{3, 2, 1}},
		{"", 2, []int64{3, 2}},
		{"mac_failure", 10, []int64{3, 1}},
		{"nothing", 10, nil},
		{"", 0, []int64{3}},
	} {
		rows, err := switching.AuditLog(t.Context(), w.pool, c.kind, c.limit)
		w.must(err)
		var ids []int64
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		if !slices.Equal(ids, c.ids) {
			t.Errorf("%q, %d: %v, want %v", c.kind, c.limit, ids, c.ids)
		}
	}
}
