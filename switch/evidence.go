package switching

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"meridian/ledger"
)

// Evidence is what a cancel was decided on, as it is stored with it; or the
// scenario of a sandbox, with anything else.
type Evidence struct {
	DecidedAt        time.Time    `json:"decided_at"`
	Asked            Kind         `json:"asked"`
	CancelMode       CancelMode   `json:"cancel_mode"`
	WindowDate       ledger.Date  `json:"window_date"`
	WindowClosesAt   time.Time    `json:"window_closes_at"`
	Matches          int          `json:"matches"`
	OriginalRRN      string       `json:"original_rrn,omitempty"`
	OriginalKind     Kind         `json:"original_kind,omitempty"`
	OriginalState    State        `json:"original_state,omitempty"`
	OriginalDate     *ledger.Date `json:"original_business_date,omitempty"`
	OriginalClosesAt *time.Time   `json:"original_window_closes_at,omitempty"`
	OriginalCaptured int64        `json:"original_captured_minor"`
	OriginalRefunded int64        `json:"original_refunded_minor"`
	OriginalReviewed int64        `json:"original_in_review_minor"`
	OriginalRefunds  int16        `json:"original_refunds"`
	Settled          bool         `json:"settled"`
	AmountMinor      int64        `json:"amount_minor"`
	RefundWindowDays int          `json:"refund_window_days"`
	Rules            []Rule       `json:"rules"`
	Outcome          string       `json:"outcome"` // void, refund, review, decline
	Reason           Reason       `json:"reason"`
	// Counterfactual is what the same request had become on the other side of
	// the original's cutoff, if that makes a difference.
	Counterfactual string `json:"counterfactual,omitempty"`
	// Scenario of a sandbox that took part. One that declined a cancel, or took part
	// in anything else, is all the evidence there is: Outcome is empty then.
	Scenario *PlayedScenario `json:"scenario,omitempty"`
}

func (c *cancelCase) evidence(outcome ruleOutcome) json.RawMessage {
	e := Evidence{
		DecidedAt: c.facts.Now, Asked: c.request.Kind, CancelMode: c.policy.CancelMode,
		WindowDate: c.window.Date, WindowClosesAt: c.window.ClosesAt, Matches: len(c.found),
		Settled: c.settledNow, AmountMinor: c.amountMinor, Rules: c.trace, Reason: c.reason,
		RefundWindowDays: c.policy.RefundWindowDays, Outcome: outcome.String(), Scenario: c.request.Scenario.played(),
	}
	// Another merchant's transaction is none of this one's evidence.
	if o := c.original; o != nil && o.MerchantID == c.request.merchant.ID {
		e.OriginalRRN, e.OriginalKind, e.OriginalState, e.OriginalDate = rrnText(o.RRN), o.Kind, o.State, &o.BusinessDate
		e.OriginalCaptured, e.OriginalRefunded = o.CapturedMinor, o.RefundedMinor
		e.OriginalReviewed, e.OriginalRefunds = o.ReviewedMinor, o.RefundCount
		if !o.WindowClosesAt.IsZero() {
			e.OriginalClosesAt = &o.WindowClosesAt
		}
		e.Counterfactual = c.counterfactual(outcome)
	}
	switch outcome {
	case voided, refunded:
		e.Reason = Approved
	case reviewed:
		e.Reason = UnderReview
	default:
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil // plain values always marshal
	}
	return b
}

// counterfactual decides the same request over the same facts on the other side
// of the original's cutoff; empty if that comes to the same by the same rule.
func (c *cancelCase) counterfactual(outcome ruleOutcome) string {
	o := c.original
	if c.hypothetical || o.WindowClosesAt.IsZero() {
		return ""
	}
	other := *c.facts
	other.windows = map[int16]ledger.Window{}
	calendarID, cutoff := c.request.merchant.CalendarID, c.facts.cutoffOf(o)
	var when string
	if c.settledNow {
		other.Now = cutoff.Add(-time.Nanosecond)
		other.windows[calendarID] = openWindow(calendarID, o.BusinessDate, cutoff)
		when = "before the cutoff at " + cutoff.UTC().Format(time.RFC3339)
	} else {
		other.Now = cutoff
		other.windows[calendarID] = openWindow(calendarID, o.BusinessDate.AddDays(1), cutoff.AddDate(0, 0, 1))
		when = "from the cutoff at " + cutoff.UTC().Format(time.RFC3339) + " on"
	}
	var d decision
	d.begin(&other, c.request, Identity{}, Key{BatchNo: c.verdict.Record.BatchNo})
	d.hypothetical = true
	v := d.cancel()
	otherwise := declined
	switch {
	case v.Response.Reason == UnderReview:
		otherwise = reviewed
	case v.Response.Approved() && v.Response.Became == KindVoid:
		otherwise = voided
	case v.Response.Approved():
		otherwise = refunded
	}
	if otherwise == outcome && v.Response.Rule == c.trace[len(c.trace)-1] {
		return ""
	}
	return when + ": " + strings.ToUpper(otherwise.String()) + " " + v.Response.Rule.String()
}

func openWindow(calendar int16, date ledger.Date, closesAt time.Time) ledger.Window {
	day := ledger.BusinessDay{CalendarID: calendar, Date: date, ClosesAt: closesAt}
	return ledger.Window{BusinessDay: day, State: ledger.WindowOpen}
}

func decodeEvidence(b json.RawMessage, e *Evidence) error {
	if err := json.Unmarshal(b, e); err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	return nil
}
