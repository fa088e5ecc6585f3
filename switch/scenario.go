package switching

import (
	"encoding/json"
	"time"
)

// Scenario is what a test host has a request come to, for those who try their
// terminals against it. A production host has none: nobody there sets it.
//
// A repeat gets the answer that is stored, whatever its scenario says.
type Scenario struct {
	// Name of it, for people and for the record.
	Name string
	// Answer are the characters that the dialect tells in place of the reason's, as
	// they stand in its table; empty leaves it its own.
	Answer string
	// Decline declines what is asked. Otherwise it is decided as always, and Answer
	// is told of an approval alone.
	Decline bool
}

// PlayedScenario is a scenario as the evidence of a transaction has it.
type PlayedScenario struct {
	Name   string `json:"name"`
	Answer string `json:"answer,omitempty"`
}

// scenarioEvidence is what a transaction that a scenario took part in is stored
// with, where it has no evidence of its own. It is a part of [Evidence].
type scenarioEvidence struct {
	DecidedAt time.Time       `json:"decided_at"`
	Asked     Kind            `json:"asked"`
	Scenario  *PlayedScenario `json:"scenario"`
}

// decidedByScenario tells the kinds that a scenario may decline. What repairs or
// settles must come through when it is sent again, and its key would keep the
// decline.
func (k Kind) decidedByScenario() bool {
	switch k {
	case KindAuthorization, KindSale, KindAdvice, KindBalance, KindCompletion, KindAdjustment, KindVoid, KindRefund, KindCancel:
		return true
	default:
		return false
	}
}

// toldByScenario tells the kinds whose approval a scenario may tell in other
// characters.
func (k Kind) toldByScenario() bool {
	return k == KindAuthorization || k == KindSale || k == KindAdvice || k == KindBalance
}

// byScenario declines what a scenario has declined.
func (d *decision) byScenario() Verdict {
	s := d.request.Scenario
	d.verdict.Record.Decision = d.scenarioEvidence(s.Answer)
	return d.decline(ScenarioDecided)
}

// withScenario notes an approval's scenario where it has no other evidence.
func (d *decision) withScenario(s *Scenario) {
	rec := d.verdict.Record
	if len(rec.Decision) != 0 {
		return
	}
	answer := s.Answer
	if s.Decline || !rec.Asked.toldByScenario() {
		answer = ""
	}
	rec.Decision = d.scenarioEvidence(answer)
}

func (d *decision) scenarioEvidence(answer string) json.RawMessage {
	b, err := json.Marshal(scenarioEvidence{
		DecidedAt: d.facts.Now, Asked: d.request.Kind, Scenario: &PlayedScenario{Name: d.request.Scenario.Name, Answer: answer},
	})
	if err != nil {
		return nil // plain values always marshal
	}
	return b
}

// played is how a scenario took part; nil for all that production decides.
func (s *Scenario) played() *PlayedScenario {
	if s == nil {
		return nil
	}
	return &PlayedScenario{Name: s.Name}
}

// scenarioAnswer is what a scenario has the dialect tell, now and at every repeat.
func (r *Record) scenarioAnswer() string {
	if len(r.Decision) == 0 || r.Reason != ScenarioDecided && !(r.Reason == Approved && r.Asked.toldByScenario()) {
		return ""
	}
	var e scenarioEvidence
	if json.Unmarshal(r.Decision, &e) != nil || e.Scenario == nil {
		return ""
	}
	return e.Scenario.Answer
}
