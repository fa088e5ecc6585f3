package switching_test

import (
	"testing"

	"meridian/switch"
)

// An operator who is disabled while another host, which has not read that yet, signs it on: nobody is
// signed on by a number that was taken away, and by no right that is not its any more.
func TestSignOnWhileDisabled(t *testing.T) {
	w := newWorld(t)
	owner := w.owner()
	add := func(number string, supervisor bool) {
		t.Helper()
		w.must(switching.AddOperator(t.Context(), owner, shop, number, "4711", supervisor, "ann", "a test"))
	}
	logon := func(number string) *switching.Request {
		return w.request(switching.KindLogon, 0, func(r *switching.Request) { r.OperatorNo, r.OperatorPassword = number, "4711" })
	}
	w.policy("require_operator = true, supervisor_for_void = true")
	add("98", true)
	add("99", true)
	w.must(w.sw.Refresh(t.Context()))
	other := w.second()
	for _, test := range []struct {
		what, number string
		change       func()
	}{
		{"disabled", "98", func() { w.must(switching.DisableOperator(t.Context(), owner, shop, "98", "ann", "left")) }},
		{"a clerk by now", "99", func() { add("99", false) }},
	} {
		sale := w.do(switching.Approved, w.request(switching.KindSale, 10_00))
		test.change()
		signedOn := askAt(t, other, logon(test.number)).Reason
		w.must(w.sw.Refresh(t.Context()))
		w.must(other.Refresh(t.Context()))
		for name, sw := range map[string]*switching.Switch{"this host": w.sw, "the other host": other} {
			if got := askAt(t, sw, w.request(switching.KindVoid, 0, of(sale))); got.Approved() {
				t.Errorf("operator %s is %s; its sign-on was answered %s, and a void at %s afterwards %s", test.number, test.what, signedOn, name, got.Reason)
			}
		}
	}
}
