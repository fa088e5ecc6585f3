package console

import (
	"fmt"
	"strings"
	"time"

	"meridian/internal/money"
	"meridian/switch"
)

// decision is a stored void-or-refund decision in sentences.
type decision struct {
	Facts   []string
	Passed  []tracedRule
	Trace   []tracedRule // the last one decided
	Verdict string
	// Otherwise is what it had been on the other side of the cutoff.
	Otherwise string
	At        time.Time
}

// tracedRule is a rule with its words.
type tracedRule struct {
	Rule     switching.Rule
	Sentence string
}

func traced(rules []switching.Rule) []tracedRule {
	var list []tracedRule
	for _, r := range rules {
		list = append(list, tracedRule{r, r.Sentence()})
	}
	return list
}

func passed(rules []switching.Rule) []tracedRule {
	var list []tracedRule
	for _, r := range switching.PassedBefore(rules) {
		list = append(list, tracedRule{r, r.Passed()})
	}
	return list
}

func newDecision(i *switching.Inspection, e *switching.Evidence) *decision {
	if e.Scenario != nil && e.Outcome == "" {
		return &decision{At: e.DecidedAt.UTC(), Facts: []string{playedSentence(e.Scenario)}, Verdict: playedVerdict(i, e.Scenario)}
	}
	d := &decision{At: e.DecidedAt.UTC(), Passed: passed(e.Rules), Trace: traced(e.Rules), Otherwise: otherwise(e.Counterfactual)}
	amount := func(minor int64) string { return money.Amount{Minor: minor, Currency: i.Currency}.String() }
	fact := func(format string, args ...any) { d.Facts = append(d.Facts, fmt.Sprintf(format, args...)) }

	fact("The terminal asked for %s of %s. %s", article(human(e.Asked)), amount(e.AmountMinor), modeSentence(e.CancelMode))
	switch e.Matches {
	case 0:
		fact("No transaction of the merchant fits the reference.")
	case 1:
	default:
		fact("%d transactions of the merchant fit the reference.", e.Matches)
	}
	if e.OriginalDate != nil {
		fact("The original is the %s with RRN %s of business date %s. It was %s.",
			human(e.OriginalKind), e.OriginalRRN, e.OriginalDate, human(e.OriginalState))
		fact("Of it %s stood, and %s%s.", amount(e.OriginalCaptured), refunded(e, amount), reviewed(e, amount))
		if e.OriginalClosesAt != nil {
			side, verb := "before", "was not settled"
			if e.Settled {
				verb = "was settled"
			}
			if !e.DecidedAt.Before(*e.OriginalClosesAt) {
				side = "after"
			}
			fact("Its business date ends at %s. The request came %s %s that, and the original %s.",
				stamp(*e.OriginalClosesAt), distance(e.DecidedAt.Sub(*e.OriginalClosesAt)), side, verb)
		}
		fact("Refunds are allowed for %s.", plural(float64(e.RefundWindowDays), "day", "days"))
	}
	if e.Scenario != nil {
		fact("%s", playedSentence(e.Scenario))
	}
	fact("The merchant's open business date was %s, which ends at %s.", e.WindowDate, stamp(e.WindowClosesAt))
	d.Verdict = verdict(e, i.Review)
	return d
}

// playedSentence names the sandbox's scenario that took part.
func playedSentence(s *switching.PlayedScenario) string {
	return "The sandbox played the scenario “" + s.Name + "” with it."
}

func playedVerdict(i *switching.Inspection, s *switching.PlayedScenario) string {
	switch {
	case i.Reason == switching.ScenarioDecided:
		return "It was declined with " + s.Answer + " by the scenario, and by nothing else."
	case s.Answer != "":
		return "It was approved as always, and answered with " + s.Answer + "."
	default:
		return "It was decided as always: the scenario is about its answer."
	}
}

func refunded(e *switching.Evidence, amount func(int64) string) string {
	if e.OriginalRefunded == 0 {
		return "nothing had been refunded"
	}
	return amount(e.OriginalRefunded) + " had been refunded in " + plural(float64(e.OriginalRefunds), "refund", "refunds")
}

func reviewed(e *switching.Evidence, amount func(int64) string) string {
	if e.OriginalReviewed == 0 {
		return ""
	}
	return ", and " + amount(e.OriginalReviewed) + " waited for a review"
}

func verdict(e *switching.Evidence, review *switching.InspectedReview) string {
	by := ""
	if n := len(e.Rules); n > 0 {
		by = " by rule " + e.Rules[n-1].String()
	}
	switch e.Outcome {
	case "void":
		return "It became a void" + by + ": the money never leaves."
	case "refund":
		return "It became a refund" + by + ": the money goes back."
	case "review":
		if review != nil && review.DecidedAt != nil {
			return "It waited for a person" + by + ". " + personsWord(review)
		}
		return "It waits for a person" + by + ": nothing is posted until then."
	default:
		return "It was declined" + by + ": " + human(e.Reason) + "."
	}
}

// personsWord is what became of a review that is decided.
func personsWord(v *switching.InspectedReview) string {
	effect := "the money goes back"
	if v.State == "rejected" {
		effect = "nothing is posted"
	}
	return fmt.Sprintf("At %s it was %s by %s, who said “%s”: %s.", stamp(*v.DecidedAt), v.State, v.DecidedBy, v.Why, effect)
}

func modeSentence(mode switching.CancelMode) string {
	switch mode {
	case switching.CancelStrict:
		return "The merchant's policy takes a void for a void and a refund for a refund."
	case switching.CancelOnly:
		return "The merchant's policy takes nothing but a cancel, and the host decides."
	default:
		return "The merchant's policy lets the host decide, whatever was asked for."
	}
}

// otherwise makes a sentence of a counterfactual such as
// "before the cutoff at 2026-03-10T15:00:00Z: VOID R16".
func otherwise(counterfactual string) string {
	when, what, found := strings.Cut(counterfactual, ": ")
	if !found {
		return counterfactual
	}
	words := strings.Fields(when)
	for i, word := range words {
		if at, err := time.Parse(time.RFC3339, word); err == nil {
			words[i] = stamp(at)
		}
	}
	when = strings.Join(words, " ")
	outcome, rule, _ := strings.Cut(what, " ")
	became := map[string]string{
		"VOID": "it had been a void", "REFUND": "it had been a refund", "REVIEW": "a person had had to decide", "DECLINE": "it had been declined",
	}[outcome]
	if became == "" {
		return counterfactual
	}
	sentence := capital(when) + " " + became
	if rule != "" {
		sentence += " by rule " + rule
	}
	return sentence + "."
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func distance(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	return span(d)
}

func article(noun string) string {
	if noun != "" && strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
