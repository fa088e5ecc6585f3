package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"meridian/internal/money"
	"meridian/switch"
)

// shownTransaction is an inspection with the sentences of the rules that its decision went through.
type shownTransaction struct {
	*switching.Inspection

	Trace []tracedRule `json:"trace,omitempty"`

	evidence *evidence
}

// tracedRule is a rule of the void-or-refund decision that applied.
type tracedRule struct {
	Rule     string `json:"rule"`
	Sentence string `json:"sentence"`
}

// evidence is [switching.Evidence] as it is read back: kinds, states and rules are their names.
type evidence struct {
	DecidedAt        time.Time `json:"decided_at"`
	Asked            string    `json:"asked"`
	CancelMode       string    `json:"cancel_mode"`
	WindowDate       string    `json:"window_date"`
	WindowClosesAt   time.Time `json:"window_closes_at"`
	Matches          int       `json:"matches"`
	OriginalKind     string    `json:"original_kind"`
	OriginalState    string    `json:"original_state"`
	OriginalDate     string    `json:"original_business_date"`
	OriginalCaptured int64     `json:"original_captured_minor"`
	OriginalRefunded int64     `json:"original_refunded_minor"`
	OriginalRefunds  int       `json:"original_refunds"`
	Settled          bool      `json:"settled"`
	AmountMinor      int64     `json:"amount_minor"`
	Rules            []string  `json:"rules"`
	Outcome          string    `json:"outcome"`
	RefundWindowDays int       `json:"refund_window_days"`
}

func newShownTransaction(i *switching.Inspection) (*shownTransaction, error) {
	shown := &shownTransaction{Inspection: i}
	if len(i.Decision) == 0 {
		return shown, nil
	}
	if err := json.Unmarshal(i.Decision, &shown.evidence); err != nil {
		return nil, fmt.Errorf("read the decision of RRN %s: %w", i.RRN, err)
	}
	if shown.evidence == nil {
		return shown, nil
	}
	for _, code := range shown.evidence.Rules {
		number, err := strconv.ParseUint(strings.TrimPrefix(code, "R"), 10, 8)
		if err != nil {
			return nil, fmt.Errorf("read the decision of RRN %s: rule %q: %w", i.RRN, code, err)
		}
		shown.Trace = append(shown.Trace, tracedRule{Rule: code, Sentence: switching.Rule(number).Sentence()})
	}
	return shown, nil
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
	line("accepted", "%s, business date %s", t.AcceptedAt.Format(time.RFC3339Nano), t.BusinessDate)
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
	if e == nil {
		if t.RuleSentence != "" {
			line("rule", "%s: %s", t.Rule, t.RuleSentence)
		}
		return
	}
	line("decision", "at %s, cancel mode %s", e.DecidedAt.UTC().Format(time.RFC3339Nano), e.CancelMode)
	fact := func(format string, values ...any) { _, _ = fmt.Fprintf(w, "    fact  "+format+"\n", values...) }
	fact("the reference matches %d of the merchant's transactions", e.Matches)
	if e.OriginalKind != "" {
		fact("the original is a %s of %s, %s", e.OriginalKind, e.OriginalDate, e.OriginalState)
		fact("captured %s, refunded %s in %d refunds (refunds are allowed for %d days)",
			t.amount(e.OriginalCaptured), t.amount(e.OriginalRefunded), e.OriginalRefunds, e.RefundWindowDays)
	}
	settled := "not settled"
	if e.Settled {
		settled = "settled"
	}
	fact("it is %s: today's window is %s and closes at %s", settled, e.WindowDate, e.WindowClosesAt.UTC().Format(time.RFC3339Nano))
	fact("%s is to be cancelled", t.amount(e.AmountMinor))
	for _, r := range t.Trace {
		_, _ = fmt.Fprintf(w, "    %-4s  %s\n", r.Rule, r.Sentence)
	}
	verdict := e.Outcome
	if t.Rule != 0 {
		verdict += " by " + t.Rule.String()
	}
	line("verdict", "%s", verdict)
}
