package switching

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Rule is a row of the void-or-refund decision: R1 to R32, 0 for none. Rules
// are stored and told to terminals: a number keeps its meaning for ever.
type Rule uint8

// maxRule is the last row of the table.
const maxRule Rule = 32

// String is the rule's code, such as R16.
func (r Rule) String() string {
	if r == 0 {
		return ""
	}
	return "R" + strconv.Itoa(int(r))
}

// MarshalText is the rule's code.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the rule's code.
func (r *Rule) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(text), "R"), 10, 8)
	if err != nil {
		return fmt.Errorf("%q is no rule", text)
	}
	*r = Rule(n)
	return nil
}

// Sentence says what the rule is, for people.
func (r Rule) Sentence() string { return ruleSentences[r] }

var ruleSentences = map[Rule]string{
	1:  "the terminal or merchant is not known, or the message is not authentic",
	2:  "the request was taken before: it is answered again, or differs and is refused",
	3:  "the batch is not the terminal's current one or takes nothing now, or the terminal is not signed in",
	4:  "no operator is signed on, or not one who may do this",
	6:  "the original's business date is being closed and its lock was not won in time",
	11: "the original is in flight or its outcome is unknown",
	20: "the time, count or amount limit of voids is exceeded",
	26: "the refund is over the review threshold, or the merchant is flagged: a person decides",
	27: "the merchant's balance would fall below its minimum",
	5:  "the merchant or terminal may not void or refund",
	7:  "the original was not found",
	8:  "the reference matches more than one transaction",
	9:  "card, merchant or terminal is not the original's",
	10: "the original is of a kind that cannot be cancelled",
	12: "the original was declined",
	13: "the original was reversed or voided already",
	14: "the currency is not the original's",
	15: "the amount is zero",
	16: "the original is not settled and the whole amount is cancelled: void",
	17: "the original is not settled and only a part is cancelled: a partial void is not supported",
	18: "a void was asked for but the original is settled",
	19: "the original is not settled but was refunded in part",
	21: "a refund was asked for but the original is not settled",
	22: "a partial refund was asked for before the original is settled",
	23: "the original is older than the refund window",
	24: "the refunds would pass the original amount",
	25: "the original has as many refunds as are allowed",
	28: "the card is blocked or closed, which hinders neither a void nor a referenced refund",
	29: "the original is settled and everything passed: refund",
	30: "the original is a completion: its void restores the hold, its refund is like a sale's",
	31: "the original is an authorization: its hold is released in full while it is open",
	32: "a refund without an original needs a permission of its own",
}

// Passed says for people what was found where the rule was tried and did not
// apply; empty for rules that are not tried one by one.
func (r Rule) Passed() string { return passedSentences[r] }

var passedSentences = map[Rule]string{
	4:  "an operator is signed on, or none is needed",
	5:  "the terminal may ask for this",
	32: "the request names an original",
	7:  "the original was found",
	8:  "the reference matches one transaction only",
	9:  "card, merchant and terminal are the original's",
	10: "the original is of a kind that can be cancelled",
	12: "the original was approved",
	13: "the original was neither reversed nor voided",
	14: "the currency is the original's",
	15: "the amount is not zero",
	31: "the original is no authorization",
	16: "it is not the whole of an original that is not settled",
	17: "it is no part of an original that is not settled",
	18: "no void of a settled original was asked for",
	19: "nothing of an unsettled original was refunded before",
	21: "no refund in full was asked for before settlement",
	22: "no refund in part was asked for before settlement",
	23: "the original is within the refund window",
	24: "all refunds together stay within the original amount",
	25: "the original may have another refund",
	26: "no person has to decide",
	27: "the merchant's balance allows it",
	28: "the card is in use",
}

// PassedBefore are the rules that were tried before a cancel's trace ended and did
// not apply, in the order in which they are tried.
func PassedBefore(trace []Rule) []Rule {
	// A rule that forbids what another one came to stands behind it, and one that
	// was tried for a completion before the last word on it.
	last := -1
	for i, rule := range cancelRules {
		if rule.code != ruleCompletion && slices.Contains(trace, rule.code) {
			last = i
		}
	}
	var passed []Rule
	for _, rule := range cancelRules[:max(last, 0)] {
		if !slices.Contains(trace, rule.code) {
			passed = append(passed, rule.code)
		}
	}
	return passed
}
