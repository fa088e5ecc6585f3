package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"meridian/sandbox/scenario"
)

// ScenarioPath is where a running sandbox's rules are read (GET) and changed (POST),
// on its ops address.
const ScenarioPath = "/sandbox/scenarios"

// ScenarioChange sets a rule, or clears some.
type ScenarioChange struct {
	Do   string         `json:"do"` // set, clear
	Rule *scenario.Rule `json:"rule,omitempty"`
	// ID and TID choose what is cleared; without them that is everything.
	ID  int    `json:"id,omitempty"`
	TID string `json:"tid,omitempty"`
}

// ScenarioState is what there is after a change, or without one.
type ScenarioState struct {
	Rules   []scenario.Rule `json:"rules"`
	Set     *scenario.Rule  `json:"set,omitempty"`
	Cleared int             `json:"cleared,omitempty"`
}

// scenarioControl serves the rules. They are in the sandbox's memory: one that
// starts anew has none.
type scenarioControl struct{ engine *scenario.Engine }

func (c *scenarioControl) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var state ScenarioState
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		var change ScenarioChange
		err := decodeChange(r, &change)
		if err == nil {
			state, err = c.change(change)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "the rules are read (GET) and changed (POST)", http.StatusMethodNotAllowed)
		return
	}
	state.Rules = c.engine.Rules()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(state) //nolint:errchkjson // the peer went away; a probability is a number
}

func (c *scenarioControl) change(change ScenarioChange) (state ScenarioState, err error) {
	switch {
	case change.Do == "set" && change.Rule != nil:
		set, err := c.engine.Set(*change.Rule)
		if err != nil {
			return state, fmt.Errorf("set the rule: %w", err)
		}
		state.Set = &set
		return state, nil
	case change.Do == "set":
		return state, errors.New("set: which rule is missing")
	case change.Do == "clear":
		if state.Cleared, err = c.engine.Clear(change.ID, change.TID); err != nil {
			return state, fmt.Errorf("clear: %w", err)
		}
		return state, nil
	default:
		return state, fmt.Errorf("%q is no change of the rules: set, clear", change.Do)
	}
}
