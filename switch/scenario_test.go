package switching_test

import (
	"encoding/json"
	"testing"

	"meridian/switch"
)

// scenario has a request come to what a sandbox says.
func scenario(name, answer string, decline bool) func(*switching.Request) {
	return func(r *switching.Request) {
		r.Scenario = &switching.Scenario{Name: name, Answer: answer, Decline: decline}
	}
}

// inspected is the transaction with the answer's RRN.
func (w *world) inspected(r switching.Response) *switching.Inspection {
	w.t.Helper()
	list, err := switching.FindByRRN(w.t.Context(), w.pool, r.RRN)
	w.must(err)
	if len(list) != 1 {
		w.t.Fatalf("%d transactions have the RRN %d", len(list), r.RRN)
	}
	return list[0]
}

// evidenceOf the transaction with the answer's RRN.
func (w *world) evidenceOf(r switching.Response) (*switching.Inspection, switching.Evidence) {
	w.t.Helper()
	i := w.inspected(r)
	var e switching.Evidence
	w.must(json.Unmarshal(i.Decision, &e))
	return i, e
}

// A scenario declines in the decision itself: the decline is stored with its
// evidence, moves nothing, and is what every repeat gets, also without the scenario.
func TestScenarioDeclines(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_51, scenario("code 51", "51", true))
	first := w.do(switching.ScenarioDecided, sale)
	w.wantAvailable(0)
	if first.ScenarioAnswer != "51" || first.AuthCode != "" || first.RRN == 0 {
		t.Errorf("answered %+v", first)
	}
	inspected, evidence := w.evidenceOf(first)
	if inspected.Reason != switching.ScenarioDecided || inspected.State != switching.StateDeclined || len(inspected.Transfers) != 0 {
		t.Errorf("recorded %+v", inspected)
	}
	if s := evidence.Scenario; s == nil || s.Name != "code 51" || s.Answer != "51" || !evidence.DecidedAt.Equal(w.clock.Now()) {
		t.Errorf("evidence %+v", evidence)
	}
	repeat := w.do(switching.ScenarioDecided, copyOf(sale, func(r *switching.Request) { r.Scenario = nil }))
	if repeat.ScenarioAnswer != "51" || repeat.RRN != first.RRN || !repeat.Stored {
		t.Errorf("repeated %+v", repeat)
	}
	// A scenario that comes after the answer changes nothing about it.
	approved := w.request(switching.KindSale, 20_00)
	told := w.do(switching.Approved, approved)
	again := w.do(switching.Approved, copyOf(approved, scenario("code 51", "51", true)))
	if again.RRN != told.RRN || again.ScenarioAnswer != "" {
		t.Errorf("repeated %+v", again)
	}
	w.wantAvailable(20_00)

	void := w.do(switching.ScenarioDecided, w.request(switching.KindVoid, 20_00, of(told), scenario("rule 1", "57", true)))
	if _, e := w.evidenceOf(void); e.Scenario == nil || e.Outcome != "" || void.Rule != 0 {
		t.Errorf("void answered %+v on %+v", void, e)
	}
	hold := w.do(switching.ScenarioDecided, w.request(switching.KindAuthorization, 5_00, scenario("code 05", "05", true)))
	w.do(switching.OriginalNotFound, w.request(switching.KindCompletion, 5_00, of(switching.Response{RRN: hold.RRN + 1000})))
	w.wantAvailable(20_00)
}

// What repairs or settles is never declined: it must come through when it is sent again.
func TestScenarioSparesReversals(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 20_00)
	w.do(switching.Approved, sale)
	reversal := w.request(switching.KindReversal, 20_00, stan(sale.STAN), scenario("rule 1", "96", true))
	if r := w.do(switching.Approved, reversal); r.ScenarioAnswer != "" {
		t.Errorf("told %q", r.ScenarioAnswer)
	}
	w.wantAvailable(0)
}

// An approval can be told in other characters, and goes to the books as one; a
// decline of the switch's own is told as it is.
func TestScenarioTellsAnApproval(t *testing.T) {
	w := newWorld(t)
	sale := w.request(switching.KindSale, 10_00, scenario("code 11", "11", false))
	sold := w.do(switching.Approved, sale)
	w.wantAvailable(10_00)
	if r := w.do(switching.Approved, copyOf(sale, func(r *switching.Request) { r.Scenario = nil })); r.ScenarioAnswer != "11" || sold.ScenarioAnswer != "11" {
		t.Errorf("told %q, then %q", sold.ScenarioAnswer, r.ScenarioAnswer)
	}
	if r := w.do(switching.InsufficientFunds, w.request(switching.KindSale, opened+1, scenario("code 11", "11", false))); r.ScenarioAnswer != "" {
		t.Errorf("told %q", r.ScenarioAnswer)
	}
	// With an answer that only goes astray the evidence has the name alone.
	lost := w.do(switching.Approved, w.request(switching.KindSale, 1_00, scenario("no answer", "", false)))
	if _, e := w.evidenceOf(lost); e.Scenario == nil || e.Scenario.Name != "no answer" || e.Scenario.Answer != "" {
		t.Errorf("evidence %+v", e)
	}
	// A cancel has its own evidence, and the scenario in it.
	void := w.do(switching.Approved, w.request(switching.KindVoid, 10_00, of(sold), scenario("no answer", "", false)))
	if _, e := w.evidenceOf(void); e.Scenario == nil || e.Outcome != "void" || void.ScenarioAnswer != "" || void.Rule == 0 {
		t.Errorf("void answered %+v on %+v", void, e)
	}
	w.wantAvailable(1_00)
}
