package switching

import (
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
	d.verdict.Record.OperatorNo = d.facts.sessions[d.request.terminal.ID].number
	for _, rule := range cancelRules {
		if c.passed != notApplicable && rule.code != ruleCompletion {
			continue
		}
		outcome := rule.apply(c)
		if outcome == notApplicable {
			continue
		}
		c.trace = append(c.trace, rule.code)
		if c.because != 0 {
			c.trace = append(c.trace, c.because)
		}
		if outcome == goOn {
			continue
		}
		return c.conclude(outcome)
	}
	// The last rule decides whatever is left, so this is a fault of the list.
	c.trace = append(c.trace, ruleCompletion)
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
	// because is the rule that forbids what another one came to.
	because Rule
	trace   []Rule
}

type ruleOutcome uint8

const (
	notApplicable ruleOutcome = iota
	goOn                      // the rule applied and the next ones decide
	declined
	voided
	refunded
	reviewed // nothing is posted until a person has decided
)

// String is what a case has come to; a rule that ends none has no name.
func (o ruleOutcome) String() string {
	return [...]string{declined: "decline", voided: "void", refunded: "refund", reviewed: "review"}[o]
}

// declineIf ends the case with a decline when the condition holds.
func (c *cancelCase) declineIf(condition bool, reason Reason) ruleOutcome {
	if !condition {
		return notApplicable
	}
	c.reason = reason
	return declined
}

// through ends the case with a void or a refund, unless a permission or a
// limit forbids that one, and except for a completion: rule 30 has the last
// word there.
func (c *cancelCase) through(outcome ruleOutcome) ruleOutcome {
	if reason := c.forbids(outcome); reason != Approved {
		return c.declineIf(true, reason)
	}
	if c.original.Kind == KindCompletion {
		c.passed = outcome
		return goOn
	}
	return outcome
}

// forbids looks at what the case has come to in the light of rules 4, 5 and 20,
// which depend on whether it is a void or a refund.
func (c *cancelCase) forbids(outcome ruleOutcome) Reason {
	m, t, p := c.request.merchant, c.request.terminal, c.policy
	if outcome == refunded {
		switch {
		case p.SupervisorForRefund && !c.supervised():
			c.because = ruleOperator
			return OperatorNotAllowed
		case !p.AllowRefund || !m.AllowRefund || !t.AllowRefund:
			c.because = rulePermission
			return NotPermittedToTerminal
		}
		return Approved
	}
	today := c.facts.voids[t.ID]
	switch {
	case p.SupervisorForVoid && !c.supervised():
		c.because = ruleOperator
		return OperatorNotAllowed
	case !p.AllowVoid || !m.AllowVoid || !t.AllowVoid:
		c.because = rulePermission
		return NotPermittedToTerminal
	case p.VoidWindow > 0 && c.facts.Now.Sub(c.original.AcceptedAt) > p.VoidWindow:
		c.because = ruleVoidLimits
		return NotAllowedNow
	case p.MaxVoidsPerDay >= 0 && today.count >= p.MaxVoidsPerDay:
		c.because = ruleVoidLimits
		return ExceedsCountLimit
	case p.MaxVoidMinorPerDay >= 0 && c.amountMinor > p.MaxVoidMinorPerDay-today.minor:
		c.because = ruleVoidLimits
		return ExceedsAmountLimit
	}
	return Approved
}

// supervised tells whether a supervisor is signed on at the terminal.
func (c *cancelCase) supervised() bool {
	session, ok := c.facts.sessions[c.request.terminal.ID]
	return ok && session.supervisor
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

// conclude turns the outcome into a verdict and keeps what it rested on.
func (c *cancelCase) conclude(outcome ruleOutcome) Verdict {
	rec := c.verdict.Record
	rec.Decision = c.evidence(outcome) // before anything is changed
	if c.original != nil && c.original.MerchantID == c.request.merchant.ID {
		c.speaksOf(c.original)
	}
	rec.Rule = c.trace[len(c.trace)-1]
	switch outcome {
	case voided:
		rec.Kind = KindVoid
		c.void()
		return c.approve()
	case refunded:
		rec.Kind = KindRefund
		c.refund()
		return c.approve()
	case reviewed:
		rec.Kind = KindRefund
		return c.review()
	default:
		return c.decline(c.reason)
	}
}

// void undoes the original in its own window: the exact contra, so that the
// day nets to zero and nothing reaches clearing.
func (c *cancelCase) void() {
	o := c.original
	c.verdict.VoidedMinor = c.amountMinor
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

// review keeps the refund until a person has decided. What it would pay back is
// reserved of the original, so that other refunds cannot take it meanwhile.
func (c *cancelCase) review() Verdict {
	rec := c.verdict.Record
	if c.original != nil {
		changed := c.change(c.original)
		changed.ReviewedMinor += c.amountMinor
		changed.RefundCount++
	} else if account := c.facts.cards[c.request.Token]; account != nil {
		rec.CardID = account.ID
	}
	c.verdict.Review = rec.Rule.Sentence()
	rec.State, rec.Reason, rec.AuthCode = StateUnderReview, UnderReview, ""
	c.verdict.Response = c.respond()
	return c.verdict
}
