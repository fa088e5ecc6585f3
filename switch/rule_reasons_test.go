package switching_test

import (
	"testing"

	"meridian/switch"
)

// Every rule has words, and every one that can decide has its reasons; the answers of all other tests are held
// against them (explained).
func TestEveryRuleIsDescribed(t *testing.T) {
	const maxRule, ofLinks switching.Rule = 32, 11
	for rule := switching.Rule(1); rule <= maxRule; rule++ {
		if rule.Sentence() == "" {
			t.Errorf("%s has no sentence", rule)
		}
		if decides := len(rule.Reasons()) > 0; decides == (rule == ofLinks) {
			t.Errorf("%s has reasons %v: there are no originals in flight without links, all others decide", rule, rule.Reasons())
		}
	}
	if beyond := maxRule + 1; beyond.Sentence() != "" || beyond.Reasons() != nil {
		t.Errorf("there is a rule %s", beyond)
	}
}
