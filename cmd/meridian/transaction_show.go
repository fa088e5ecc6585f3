package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"meridian/internal/money"
	"meridian/switch"
)

// shownTransaction is an inspection with the sentences of the rules that its decision went through.
type shownTransaction struct {
	*switching.Inspection

	Trace []tracedRule `json:"trace,omitempty"`

	evidence *switching.Evidence // nil without a decision, and for one that another version stored in its own way
}

// tracedRule is a rule of the void-or-refund decision that applied.
type tracedRule struct {
	Rule     switching.Rule `json:"rule"`
	Sentence string         `json:"sentence"`
}

func newShownTransaction(i *switching.Inspection) *shownTransaction {
	shown := &shownTransaction{Inspection: i}
	var evidence *switching.Evidence
	if len(i.Decision) == 0 || json.Unmarshal(i.Decision, &evidence) != nil || evidence == nil {
		return shown
	}
	shown.evidence = evidence
	for _, rule := range evidence.Rules {
		shown.Trace = append(shown.Trace, tracedRule{Rule: rule, Sentence: rule.Sentence()})
	}
	return shown
}

func (t *shownTransaction) amount(minor int64) string {
	return money.Amount{Minor: minor, Currency: t.Currency}.String()
}

// write tells a transaction from what was asked to what it moved.
func (t *shownTransaction) write(w io.Writer) {
	line := func(name, format string, values ...any) {
		_, _ = fmt.Fprintf(w, "  %-13s %s\n", name, fmt.Sprintf(format, values...))
	}
	_, _ = fmt.Fprintf(w, "RRN %s  %s %s, %s\n", t.RRN, became(t.Inspection), t.amount(t.AmountMinor), t.State)
	line("transaction", "%s", t.ID)
	line("accepted", "%s, business date %s", instant(t.AcceptedAt), t.BusinessDate)
	line("merchant", "%s %s", t.MID, t.Merchant)
	line("terminal", "%s, batch %d, STAN %06d", t.TID, t.BatchNo, t.STAN)
	if t.Card != "" {
		line("card", "%s", t.Card)
	}
	line("asked", "%s", t.Asked)
	line("reason", "%s", t.Reason)
	if t.AuthCode != "" {
		line("approval", "%s (F38)", t.AuthCode)
	}
	if t.CashbackMinor != 0 {
		line("cashback", "%s", t.amount(t.CashbackMinor))
	}
	if t.CapturedMinor != 0 || t.RefundedMinor != 0 {
		line("captured", "%s, refunded %s", t.amount(t.CapturedMinor), t.amount(t.RefundedMinor))
	}
	if t.PreviousMinor != 0 { // of an adjustment that changed something
		line("before it", "%s", t.amount(t.PreviousMinor))
	}
	if t.Remark != "" {
		line("remark", "%s", t.Remark)
	}
	if t.OriginalRRN != "" {
		line("original", "RRN %s", t.OriginalRRN)
	}
	if len(t.ReferredToByRRNs) > 0 {
		line("referred to", "by RRN %s", strings.Join(t.ReferredToByRRNs, ", "))
	}
	t.writeDecision(w, line)
	if len(t.Transfers) == 0 {
		line("transfers", "none")
		return
	}
	line("transfers", "debit -> credit")
	for _, p := range t.Transfers {
		_, _ = fmt.Fprintf(w, "    %d  %s %s  %s -> %s  %s\n", p.Leg, p.Kind, p.Phase, p.Debit, p.Credit, t.amount(p.AmountMinor))
	}
}

// writeDecision tells the facts of a cancel, the rules that applied and the verdict.
func (t *shownTransaction) writeDecision(w io.Writer, line func(name, format string, values ...any)) {
	e := t.evidence
	switch {
	case e == nil && len(t.Decision) > 0:
		line("decision", "%s", t.Decision)
		return
	case e == nil && t.RuleSentence != "":
		line("rule", "%s: %s", t.Rule, t.RuleSentence)
		return
	case e == nil:
		return
	}
	if s := e.Scenario; s != nil {
		line("scenario", "%s", scenarioSentence(s))
		if e.Outcome == "" { // all the evidence there is
			return
		}
	}
	line("decision", "at %s, cancel mode %s", instant(e.DecidedAt), e.CancelMode)
	fact := func(format string, values ...any) { _, _ = fmt.Fprintf(w, "    fact  "+format+"\n", values...) }
	fact("the reference matches %d of the merchant's transactions", e.Matches)
	if e.OriginalDate != nil {
		fact("the original is of kind %s, business date %s, and %s", e.OriginalKind, e.OriginalDate, e.OriginalState)
		fact("captured %s, refunded %s in %d refunds, in review %s; refunds are allowed for %d days",
			t.amount(e.OriginalCaptured), t.amount(e.OriginalRefunded), e.OriginalRefunds, t.amount(e.OriginalReviewed), e.RefundWindowDays)
		if e.OriginalClosesAt != nil {
			fact("its window closes at %s: it is %s", instant(*e.OriginalClosesAt), settledOrNot(e.Settled))
		} else {
			fact("it is %s", settledOrNot(e.Settled))
		}
	}
	fact("today's window is %s and closes at %s", e.WindowDate, instant(e.WindowClosesAt))
	fact("%s is to be cancelled", t.amount(e.AmountMinor))
	for _, r := range t.Trace {
		_, _ = fmt.Fprintf(w, "    %-4s  %s\n", r.Rule, r.Sentence)
	}
	if t.Rule != 0 {
		line("verdict", "%s by %s", e.Outcome, t.Rule)
	} else {
		line("verdict", "%s: %s", e.Outcome, e.Reason)
	}
	t.writeReview(line)
	if e.Counterfactual != "" {
		line("otherwise", "%s", e.Counterfactual)
	}
}

// writeReview tells what became of what was left to a person.
func (t *shownTransaction) writeReview(line func(name, format string, values ...any)) {
	switch v := t.Review; {
	case v == nil:
	case v.DecidedAt == nil:
		line("review", "%s since %s", v.State, instant(v.RaisedAt))
	default:
		line("review", "%s at %s by %s: %s", v.State, instant(*v.DecidedAt), printable(v.DecidedBy), printable(v.Why))
	}
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func settledOrNot(settled bool) string {
	if settled {
		return "settled"
	}
	return "not settled"
}

// scenarioSentence says how a sandbox's scenario took part.
func scenarioSentence(s *switching.PlayedScenario) string {
	if s.Answer != "" {
		return fmt.Sprintf("%s had it answered with %s", s.Name, s.Answer)
	}
	return s.Name
}
