package switching

import (
	"encoding/json"
	"time"

	"meridian/ledger"
)

// cancel decides a void, a refund or a "cancel, you decide" on an original:
// the rules are tried in order, and the first that ends the matter decides.
func (d *decision) cancel() Verdict {
	c := &cancelCase{decision: d, found: d.facts.originals(d.request)}
	if len(c.found) == 1 {
		c.original = c.found[0]
		c.settledNow = d.settled(c.original)
	}
	c.amountMinor = c.asked()
	d.verdict.Record.AmountMinor = c.amountMinor
	for _, rule := range cancelRules {
		if c.passed != notApplicable && rule.code != ruleCompletion {
			continue
		}
		outcome := rule.apply(c)
		if outcome == notApplicable {
			continue
		}
		c.trace = append(c.trace, rule.code)
		if c.forbidden {
			c.trace = append(c.trace, rulePermission)
		}
		if outcome == goOn {
			continue
		}
		return c.conclude(outcome)
	}
	// The last rule decides whatever is left, so this is a fault of the list.
	c.reason = SystemMalfunction
	return c.conclude(declined)
}

// cancelCase is one cancel under decision.
type cancelCase struct {
	*decision
	found      []*Record
	original   *Record // when exactly one was found
	settledNow bool
	// amountMinor to cancel: what was asked for, or all that is left.
	amountMinor int64
	reason      Reason // set by a rule that declines
	// passed is what a completion comes to; rule 30 has the last word on it.
	passed ruleOutcome
	// forbidden: what it comes to is not permitted, which is rule 5.
	forbidden bool
	trace     []Rule
}

type ruleOutcome uint8

const (
	notApplicable ruleOutcome = iota
	goOn                      // the rule applied and the next ones decide
	declined
	voided
	refunded
)

const (
	rulePermission Rule = 5
	ruleCompletion Rule = 30
)

type cancelRule struct {
	code  Rule
	apply func(*cancelCase) ruleOutcome
}

// cancelRules are the rows of the decision table that need no more than the
// original, the windows and the policy.
var cancelRules = []cancelRule{
	{rulePermission, func(c *cancelCase) ruleOutcome {
		return c.declineIf(!c.policy.AllowVoid && !c.policy.AllowRefund ||
			c.request.Kind == KindVoid && !c.policy.AllowVoid ||
			c.request.Kind == KindRefund && !c.policy.AllowRefund ||
			c.policy.CancelMode == CancelOnly && c.request.Kind != KindCancel, NotPermittedToTerminal)
	}},
	{32, func(c *cancelCase) ruleOutcome {
		return c.declineIf(!c.request.Original.Given(), NotPermittedToTerminal)
	}},
	{7, func(c *cancelCase) ruleOutcome { return c.declineIf(len(c.found) == 0, OriginalNotFound) }},
	{8, func(c *cancelCase) ruleOutcome { return c.declineIf(len(c.found) > 1, OriginalNotFound) }},
	{9, func(c *cancelCase) ruleOutcome {
		o, r := c.original, c.request
		switch {
		case o.MerchantID != r.merchant.ID:
			return c.declineIf(true, OriginalNotFound)
		case !r.PAN.IsZero() && r.Token != o.Token:
			return c.declineIf(true, CardMismatch)
		default:
			return c.declineIf(o.TerminalID != r.terminal.ID && !c.settledNow && !c.asksRefund(), WrongTerminal)
		}
	}},
	{10, func(c *cancelCase) ruleOutcome {
		return c.declineIf(!c.original.captures() && c.original.Kind != KindAuthorization, InvalidTransaction)
	}},
	{12, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.original.State == StateDeclined, InvalidTransaction)
	}},
	{13, func(c *cancelCase) ruleOutcome {
		s := c.original.State
		return c.declineIf(s == StateReversed || s == StateVoided || s == StateAbandoned, InvalidTransaction)
	}},
	{14, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.request.Currency != 0 && c.request.Currency != c.original.Currency, CurrencyMismatch)
	}},
	{15, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.request.HasAmount && c.request.AmountMinor == 0, InvalidAmount)
	}},
	{28, func(c *cancelCase) ruleOutcome {
		account := c.facts.cardsByID[c.original.CardID]
		if account != nil && account.Status != ledger.CardActive {
			return goOn
		}
		return notApplicable
	}},
	{31, (*cancelCase).authorization},
	{16, func(c *cancelCase) ruleOutcome {
		if c.wantsVoid() && c.amountMinor == c.original.CapturedMinor && c.original.RefundedMinor == 0 {
			return c.through(voided)
		}
		return notApplicable
	}},
	{17, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.wantsVoid() && c.amountMinor != c.original.CapturedMinor, AmountMismatch)
	}},
	{18, (*cancelCase).voidOfSettled},
	{19, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.wantsVoid() && c.original.RefundedMinor > 0, InvalidTransaction)
	}},
	{21, func(c *cancelCase) ruleOutcome {
		if !c.refundOfUnsettled() || c.amountMinor != c.original.remainingMinor() {
			return notApplicable
		}
		if c.policy.CancelMode == CancelAuto && c.original.RefundedMinor == 0 &&
			c.original.TerminalID == c.request.terminal.ID {
			return c.through(voided)
		}
		return c.declineIf(true, NotAllowedNow)
	}},
	{22, func(c *cancelCase) ruleOutcome { return c.declineIf(c.refundOfUnsettled(), NotAllowedNow) }},
	{23, func(c *cancelCase) ruleOutcome {
		return c.declineIf(int(c.window.Date-c.original.BusinessDate) > c.policy.RefundWindowDays, NotAllowedNow)
	}},
	{24, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.amountMinor > c.original.remainingMinor() || c.amountMinor == 0, ExceedsAmountLimit)
	}},
	{25, func(c *cancelCase) ruleOutcome {
		return c.declineIf(int(c.original.RefundCount) >= c.policy.MaxRefunds, ExceedsCountLimit)
	}},
	{29, func(c *cancelCase) ruleOutcome { return c.through(refunded) }},
	{ruleCompletion, func(c *cancelCase) ruleOutcome { return c.passed }},
}

// declineIf ends the case with a decline when the condition holds.
func (c *cancelCase) declineIf(condition bool, reason Reason) ruleOutcome {
	if !condition {
		return notApplicable
	}
	c.reason = reason
	return declined
}

// through ends the case with a void or a refund, if the policy permits that
// one, and except for a completion: rule 30 has the last word there.
func (c *cancelCase) through(outcome ruleOutcome) ruleOutcome {
	if outcome == voided && !c.policy.AllowVoid || outcome == refunded && !c.policy.AllowRefund {
		c.forbidden = true
		return c.declineIf(true, NotPermittedToTerminal)
	}
	if c.original.Kind == KindCompletion {
		c.passed = outcome
		return goOn
	}
	return outcome
}

// asked is the amount to cancel: what the request says, or all that is left.
func (c *cancelCase) asked() int64 {
	switch {
	case c.request.HasAmount:
		return c.request.AmountMinor
	case c.original == nil:
		return 0
	case c.original.Kind == KindAuthorization:
		return c.original.AmountMinor
	case c.wantsVoid():
		return c.original.CapturedMinor
	default:
		return c.original.remainingMinor()
	}
}

// asksRefund tells whether the terminal asked for a refund in so many words.
func (c *cancelCase) asksRefund() bool { return c.request.Kind == KindRefund }

// wantsVoid tells whether the original would be voided: it is not settled and
// no refund was asked for.
func (c *cancelCase) wantsVoid() bool { return !c.settledNow && !c.asksRefund() }

func (c *cancelCase) refundOfUnsettled() bool { return !c.settledNow && c.asksRefund() }

// voidOfSettled is rule 18: in auto mode a late void goes on to the refund
// rules, as a cancel does in every mode.
func (c *cancelCase) voidOfSettled() ruleOutcome {
	if !c.settledNow || c.asksRefund() {
		return notApplicable
	}
	if c.request.Kind == KindVoid && c.policy.CancelMode != CancelAuto {
		return c.declineIf(true, NotAllowedNow)
	}
	return goOn
}

// authorization is rule 31: an open hold is released, in full only.
func (c *cancelCase) authorization() ruleOutcome {
	if c.original.Kind != KindAuthorization {
		return notApplicable
	}
	hold := c.facts.holds[c.original.ID]
	switch {
	case c.asksRefund(), c.original.State != StateApproved, hold == nil, !hold.Usable(c.facts.Now):
		return c.declineIf(true, InvalidTransaction)
	case c.request.HasAmount && c.amountMinor != hold.AmountMinor:
		return c.declineIf(true, AmountMismatch)
	default:
		return voided
	}
}

// conclude turns the outcome into a verdict and keeps what it rested on.
func (c *cancelCase) conclude(outcome ruleOutcome) Verdict {
	rec := c.verdict.Record
	if c.original != nil && c.original.MerchantID == c.request.merchant.ID {
		c.speaksOf(c.original)
	}
	rec.Rule = c.trace[len(c.trace)-1]
	rec.Decision = c.evidence(outcome)
	switch outcome {
	case voided:
		rec.Kind = KindVoid
		c.void()
		return c.approve()
	case refunded:
		rec.Kind = KindRefund
		c.refund()
		return c.approve()
	default:
		return c.decline(c.reason)
	}
}

// void undoes the original in its own window: the exact contra, so that the
// day nets to zero and nothing reaches clearing.
func (c *cancelCase) void() {
	o := c.original
	if o.Kind == KindAuthorization {
		c.releaseHold(ledger.KindVoid, c.facts.holds[o.ID], 0)
		c.change(o).State = StateVoided
		return
	}
	c.journalIn(o)
	c.verdict.Journal.Post(ledger.KindVoid, c.pending(), cardAccount(o.CardID), o.CapturedMinor)
	c.moveCard(o.CardID, o.CapturedMinor, 0)
	if o.Kind == KindCompletion {
		c.restoreHold(ledger.KindVoid, o.OriginalID)
	}
	changed := c.change(o)
	changed.State, changed.CapturedMinor = StateVoided, 0
}

// refund pays back in today's window, out of what the merchant is owed.
func (c *cancelCase) refund() {
	o := c.original
	c.verdict.Journal.Post(ledger.KindRefund, c.payable(), cardAccount(o.CardID), c.amountMinor)
	c.moveCard(o.CardID, c.amountMinor, 0)
	changed := c.change(o)
	changed.RefundedMinor += c.amountMinor
	changed.RefundCount++
}

// Evidence is what a cancel was decided on, as it is stored with it.
type Evidence struct {
	DecidedAt          time.Time    `json:"decided_at"`
	Asked              Kind         `json:"asked"`
	CancelMode         CancelMode   `json:"cancel_mode"`
	WindowDate         ledger.Date  `json:"window_date"`
	WindowClosesAt     time.Time    `json:"window_closes_at"`
	Matches            int          `json:"matches"`
	OriginalRRN        int64        `json:"original_rrn,omitempty"`
	OriginalKind       Kind         `json:"original_kind,omitempty"`
	OriginalState      State        `json:"original_state,omitempty"`
	OriginalDate       *ledger.Date `json:"original_business_date,omitempty"`
	OriginalCaptured   int64        `json:"original_captured_minor"`
	OriginalRefunded   int64        `json:"original_refunded_minor"`
	OriginalRefunds    int16        `json:"original_refunds"`
	Settled            bool         `json:"settled"`
	AmountMinor        int64        `json:"amount_minor"`
	Rules              []Rule       `json:"rules"`
	Outcome            string       `json:"outcome"`
	Reason             Reason       `json:"reason"`
	RefundWindowInDays int          `json:"refund_window_days"`
}

func (c *cancelCase) evidence(outcome ruleOutcome) json.RawMessage {
	e := Evidence{
		DecidedAt: c.facts.Now, Asked: c.request.Kind, CancelMode: c.policy.CancelMode,
		WindowDate: c.window.Date, WindowClosesAt: c.window.ClosesAt, Matches: len(c.found),
		Settled: c.settledNow, AmountMinor: c.amountMinor, Rules: c.trace, Reason: c.reason,
		RefundWindowInDays: c.policy.RefundWindowDays,
	}
	// Another merchant's transaction is none of this one's evidence.
	if o := c.original; o != nil && o.MerchantID == c.request.merchant.ID {
		e.OriginalRRN, e.OriginalKind, e.OriginalState, e.OriginalDate = o.RRN, o.Kind, o.State, &o.BusinessDate
		e.OriginalCaptured, e.OriginalRefunded, e.OriginalRefunds = o.CapturedMinor, o.RefundedMinor, o.RefundCount
	}
	switch outcome {
	case voided:
		e.Outcome, e.Reason = "void", Approved
	case refunded:
		e.Outcome, e.Reason = "refund", Approved
	default:
		e.Outcome = "decline"
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil // plain values always marshal
	}
	return b
}
