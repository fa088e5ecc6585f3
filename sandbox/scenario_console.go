package sandbox

import (
	"meridian/console"
	"meridian/sandbox/scenario"
)

// scenarioPage is what the console shows of the scenarios.
type scenarioPage struct{ engine *scenario.Engine }

func (scenarioPage) Published() (codes, misbehaviour []console.PublishedScenario) {
	for _, e := range scenario.Table() {
		row := console.PublishedScenario{AmountEnds: e.AmountEnds, Code: e.Code, Card: e.Card, What: e.What}
		if e.Do == scenario.Code {
			codes = append(codes, row)
		} else {
			misbehaviour = append(misbehaviour, row)
		}
	}
	return codes, misbehaviour
}

func (p scenarioPage) Rules() []console.ScenarioRule {
	var list []console.ScenarioRule
	for _, r := range p.engine.Rules() {
		row := console.ScenarioRule{
			ID: r.ID, TID: r.TID, Does: r.Does(), Percent: 100 * r.Probability, Left: r.Left, Limited: r.Count > 0, Played: r.Played,
		}
		for _, kind := range r.Kinds {
			row.Kinds = append(row.Kinds, kind.String())
		}
		list = append(list, row)
	}
	return list
}
