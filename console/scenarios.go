package console

import "net/http"

// Scenarios are what a sandbox plays, for the page that lists them.
type Scenarios interface {
	// Published by card and amount: response codes, and what becomes of answers.
	Published() (codes, misbehaviour []PublishedScenario)
	// Rules that are set, in the order that they are tried in.
	Rules() []ScenarioRule
}

// PublishedScenario is what an amount on the scenario card does, and a card of its
// own.
type PublishedScenario struct {
	// AmountEnds are the last three digits in minor units.
	AmountEnds string
	// Code that is answered, or the Card that does the same whatever the amount.
	Code, Card string
	What       string
}

// ScenarioRule is a rule for a terminal.
type ScenarioRule struct {
	ID      int
	TID     string
	Does    string
	Kinds   []string // none are purchases and cancels
	Percent float64
	Left    int // where it is Limited
	Limited bool
	Played  int
}

// scenariosBody lists them.
type scenariosBody struct {
	Codes, Misbehaviour []PublishedScenario
	Rules               []ScenarioRule
	// Terminal of the examples.
	Terminal string
}

func (c *Console) scenarios(*http.Request) (*view, error) {
	body := &scenariosBody{Rules: c.o.Scenarios.Rules(), Terminal: "10000001"}
	body.Codes, body.Misbehaviour = c.o.Scenarios.Published()
	return &view{template: "scenarios.html", title: "Scenarios", section: "scenarios", body: body}, nil
}
