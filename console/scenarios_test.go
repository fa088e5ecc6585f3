package console

import (
	"strings"
	"testing"

	"meridian/switch"
)

// sampleScenarios are what a sandbox would play.
type sampleScenarios struct{}

func (sampleScenarios) Published() (codes, misbehaviour []PublishedScenario) {
	return []PublishedScenario{{AmountEnds: "051", Code: "51", What: "Declined: insufficient funds."}},
		[]PublishedScenario{{AmountEnds: "203", Card: "no-answer", What: "No answer comes."}}
}

func (sampleScenarios) Rules() []ScenarioRule {
	return []ScenarioRule{
		{ID: 1, TID: till, Does: "code-91", Percent: 20, Played: 3},
		{ID: 2, TID: till, Does: "delay 5s", Kinds: []string{"sale", "sign_off"}, Percent: 100, Limited: true, Left: 4},
	}
}

func TestScenariosPage(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Scenarios = sampleScenarios{} })
	w.get("/scenarios").want(t, 200, "051 51 Declined: insufficient funds.", "no-answer 203 No answer comes.",
		"1 "+till+" code-91 purchases and cancels 20 % all 3", "2 "+till+" delay 5s sale, sign off 100 % 4 0")
	if !strings.Contains(w.get("/").body, `href="/scenarios"`) {
		t.Error("no way leads there")
	}
	// Why a transaction was declined by one, and what became of an answer.
	play := func(s switching.Scenario) func(*switching.Request) {
		return func(r *switching.Request) { r.Scenario = &s }
	}
	declined := w.ask(switching.KindSale, 10_51, play(switching.Scenario{Name: "code-51", Answer: "51", Decline: true}))
	w.get("/transactions/"+rrnOf(declined)).want(t, 200,
		"It was declined with 51 by the scenario, and by nothing else.", "The sandbox played the scenario “code-51” with it.")
	w.get("/transactions/"+rrnOf(w.ask(switching.KindSale, 10_11, play(switching.Scenario{Name: "code-11", Answer: "11"})))).
		want(t, 200, "It was approved as always, and answered with 11.")
	lost := w.ask(switching.KindSale, 10_00, play(switching.Scenario{Name: "no-answer"}))
	w.get("/transactions/"+rrnOf(lost)).want(t, 200, "It was decided as always: the scenario is about its answer.")
	void := w.ask(switching.KindCancel, 0, of(lost), play(switching.Scenario{Name: "rule 2: duplicate-answer"}))
	w.get("/transactions/"+rrnOf(void)).want(t, 200, "It became a void by rule R16", "the scenario “rule 2: duplicate-answer”")
}

// A production host has no scenarios, and no page of them.
func TestNoScenarios(t *testing.T) {
	w := newWorld(t)
	w.get("/scenarios").want(t, 404)
	if strings.Contains(w.get("/").body, `href="/scenarios"`) {
		t.Error("a way leads there")
	}
}
