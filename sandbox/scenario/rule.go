package scenario

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"meridian/switch"
)

// Rule plays a scenario with a terminal's requests.
type Rule struct {
	// ID that the engine gives it.
	ID  int    `json:"id"`
	TID string `json:"tid"`
	// Do, with Code for [Code] and Delay for [Delay] and [PastTimeout], which have
	// their defaults.
	Do    Behaviour     `json:"do"`
	Code  string        `json:"code,omitempty"`
	Delay time.Duration `json:"delay_ns,omitempty"`
	// Kinds of requests; none is purchases and cancels.
	Kinds []switching.Kind `json:"kinds,omitempty"`
	// Probability that a request is played with, over 0 to 1; 0 is 1.
	Probability float64 `json:"probability,omitempty"`
	// Count of requests that it is played with; 0 is all.
	Count int `json:"count,omitempty"`

	// Left of Count, and how many were Played. Theirs is the engine.
	Left   int `json:"left,omitempty"`
	Played int `json:"played"`
}

// Limits of rules.
const (
	// MaxRules of an engine: far more than somebody has in mind at once.
	MaxRules = 200
	maxCount = 1_000_000
)

// financial kinds are what a rule without kinds is for.
var financial = []switching.Kind{
	switching.KindAuthorization, switching.KindSale, switching.KindCompletion, switching.KindAdvice, switching.KindBalance,
	switching.KindVoid, switching.KindRefund, switching.KindCancel, switching.KindAdjustment,
}

// check completes a rule, or says what is wrong with it.
func (r *Rule) check() error {
	switch {
	case r.TID == "":
		return errors.New("a rule is for a terminal: its TID is missing")
	case r.Do != Code && !slices.Contains(Behaviours(), r.Do):
		return fmt.Errorf("%q is nothing that a scenario does: %s, or one of %v", r.Do, Code, Behaviours())
	case r.Do == Code && (!isCode(r.Code) || r.Code == "00"):
		return fmt.Errorf("%q is no response code to force: two digits or capital letters, and not 00", r.Code)
	case r.Do != Code && r.Code != "":
		return fmt.Errorf("%s forces no response code", r.Do)
	case r.Delay != 0 && r.Do != Delay && r.Do != PastTimeout:
		return fmt.Errorf("%s waits for nothing that a delay could be of", r.Do)
	case r.Delay < 0 || r.Delay > HoldFor:
		return fmt.Errorf("an answer is held back for %s at most", HoldFor)
	case !(r.Probability >= 0 && r.Probability <= 1): // NaN is neither
		return fmt.Errorf("a probability is over 0 and not over 1, and %v is not", r.Probability)
	case r.Count < 0 || r.Count > maxCount:
		return fmt.Errorf("a count is 1 to %d, or none", maxCount)
	}
	if r.Probability == 0 {
		r.Probability = 1
	}
	for _, kind := range r.Kinds {
		switch {
		case r.Do == Code && !slices.Contains(financial, kind):
			return fmt.Errorf("a %s cannot be declined: it would never come through", kind)
		case r.Do == LateAfterReversal && !reversible(kind):
			return fmt.Errorf("a %s has no reversal to wait for", kind)
		}
	}
	r.Left, r.Played = r.Count, 0
	return nil
}

// reversible kinds are what a terminal reverses.
func reversible(kind switching.Kind) bool {
	return slices.Contains(financial, kind) && kind != switching.KindBalance
}

// fits tells whether a request is the rule's.
func (r *Rule) fits(q *switching.Request) bool {
	kinds := r.Kinds
	if len(kinds) == 0 {
		kinds = financial
	}
	return r.TID == q.TID && (r.Count == 0 || r.Left > 0) && slices.Contains(kinds, q.Kind) &&
		(r.Do != LateAfterReversal || reversible(q.Kind))
}

func (r *Rule) name() string { return fmt.Sprintf("rule %d: %s", r.ID, r.Does()) }

// Does says what the rule does, such as "code-91" or "delay 5s".
func (r *Rule) Does() string {
	switch {
	case r.Do == Code:
		return codeName(r.Code)
	case r.Delay != 0:
		return string(r.Do) + " " + r.Delay.String()
	default:
		return string(r.Do)
	}
}
