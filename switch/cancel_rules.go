package switching

import "meridian/ledger"

// Rules that others refer to.
const (
	// RuleAdmission refuses what is not known or not authentic.
	RuleAdmission  Rule = 1
	ruleRepeat     Rule = 2
	ruleBatch      Rule = 3
	ruleOperator   Rule = 4
	rulePermission Rule = 5
	ruleCutting    Rule = 6
	ruleVoidLimits Rule = 20
	ruleCompletion Rule = 30
)

type cancelRule struct {
	code  Rule
	apply func(*cancelCase) ruleOutcome
}

// cancelRules are the rows of the void-or-refund table in their order, with two
// exceptions that their conditions ask for: a refund without an original (32)
// and an authorization (31) leave the table before the rows that speak of
// captured originals. Rows 1 to 3 and 6 are decided before there is anything to
// decide over: by admission, by the stored key, by the batch, and by the lock
// on the window. Row 11 needs originals in flight, which only a link has.
// Rows 4, 5 and 20 also forbid what a later row comes to: see forbids.
var cancelRules = []cancelRule{
	{ruleOperator, (*cancelCase).operator},
	{rulePermission, (*cancelCase).permission},
	{32, (*cancelCase).unreferenced},
	{7, func(c *cancelCase) ruleOutcome { return c.declineIf(len(c.found) == 0, OriginalNotFound) }},
	{8, func(c *cancelCase) ruleOutcome { return c.declineIf(len(c.found) > 1, OriginalNotFound) }},
	{9, (*cancelCase).otherCardOrTerminal},
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
	{31, (*cancelCase).authorization},
	{16, func(c *cancelCase) ruleOutcome {
		if c.wantsVoid() && c.amountMinor == c.original.CapturedMinor && c.untouched() {
			return c.through(voided)
		}
		return notApplicable
	}},
	{17, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.wantsVoid() && c.amountMinor != c.original.CapturedMinor, AmountMismatch)
	}},
	{18, (*cancelCase).voidOfSettled},
	{19, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.wantsVoid() && !c.untouched(), InvalidTransaction)
	}},
	{21, (*cancelCase).refundInFullOfUnsettled},
	{22, func(c *cancelCase) ruleOutcome { return c.declineIf(c.refundOfUnsettled(), NotAllowedNow) }},
	{23, func(c *cancelCase) ruleOutcome {
		return c.declineIf(int(c.window.Date-c.original.BusinessDate) > c.policy.RefundWindowDays, NotAllowedNow)
	}},
	{24, func(c *cancelCase) ruleOutcome {
		return c.declineIf(c.amountMinor <= 0 || c.amountMinor > c.original.remainingMinor(), ExceedsAmountLimit)
	}},
	{25, func(c *cancelCase) ruleOutcome {
		return c.declineIf(int(c.original.RefundCount) >= c.policy.MaxRefunds, ExceedsCountLimit)
	}},
	{26, func(c *cancelCase) ruleOutcome { return c.reviewIf(c.overThreshold()) }},
	{27, func(c *cancelCase) ruleOutcome {
		balance, limited := c.facts.balances[c.request.merchant.ID]
		return c.declineIf(limited && balance-c.amountMinor < *c.policy.MinBalanceMinor, InsufficientFunds)
	}},
	{28, (*cancelCase).cardOutOfUse},
	{29, func(c *cancelCase) ruleOutcome { return c.through(refunded) }},
	{ruleCompletion, func(c *cancelCase) ruleOutcome { return c.passed }},
}

// ruleOf is the rule for requests to which the table applies, none for others.
func ruleOf(kind Kind, rule Rule) Rule {
	if !kind.Cancels() {
		return 0
	}
	return rule
}

// operator is rule 4: somebody has to be signed on where the policy asks for it.
func (c *cancelCase) operator() ruleOutcome {
	_, signedOn := c.facts.sessions[c.request.terminal.ID]
	return c.declineIf(c.policy.RequireOperator && !signedOn, OperatorNotSignedOn)
}

// permission is rule 5 as far as it does not depend on the outcome: what was
// asked for in so many words, and whether anything at all is permitted.
func (c *cancelCase) permission() ruleOutcome {
	m, t, p := c.request.merchant, c.request.terminal, c.policy
	voids := p.AllowVoid && m.AllowVoid && t.AllowVoid
	refunds := p.AllowRefund && m.AllowRefund && t.AllowRefund
	return c.declineIf(!voids && !refunds ||
		c.request.Kind == KindVoid && !voids ||
		c.request.Kind == KindRefund && !refunds ||
		p.CancelMode == CancelOnly && c.request.Kind != KindCancel, NotPermittedToTerminal)
}

// unreferenced is rule 32: a refund that names no original needs a permission
// of its own and is always reviewed.
func (c *cancelCase) unreferenced() ruleOutcome {
	if c.request.Original.Given() {
		return notApplicable
	}
	p := c.policy
	if c.request.Kind == KindVoid || !p.AllowUnreferencedRefund || c.request.PAN.IsZero() {
		return c.declineIf(true, NotPermittedToTerminal)
	}
	if c.amountMinor <= 0 {
		return c.declineIf(true, InvalidAmount)
	}
	if p.MaxUnreferencedMinor > 0 && c.amountMinor > p.MaxUnreferencedMinor {
		return c.declineIf(true, ExceedsAmountLimit)
	}
	if c.request.currencyOf() != c.request.merchant.Currency {
		return c.declineIf(true, CurrencyMismatch)
	}
	if account := c.facts.cards[c.request.Token]; account == nil || account.Currency != c.request.currencyOf() {
		return c.declineIf(true, InvalidCard)
	}
	return c.reviewIf(true)
}

// otherCardOrTerminal is rule 9. A refund may come from another terminal of the
// merchant; a void may not.
func (c *cancelCase) otherCardOrTerminal() ruleOutcome {
	o, r := c.original, c.request
	switch {
	case o.MerchantID != r.merchant.ID:
		return c.declineIf(true, OriginalNotFound)
	case !r.PAN.IsZero() && r.Token != o.Token:
		return c.declineIf(true, CardMismatch)
	default:
		return c.declineIf(o.TerminalID != r.terminal.ID && (c.wantsVoid() || c.wantsRelease()), WrongTerminal)
	}
}

// wantsRelease tells whether an open hold would be given back. Holds outlive
// their windows: it is a void on every date.
func (c *cancelCase) wantsRelease() bool {
	hold := c.facts.holds[c.original.ID]
	return c.original.Kind == KindAuthorization && hold != nil && hold.Usable(c.facts.Now) && !c.asksRefund()
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
	}
	c.amountMinor = hold.AmountMinor
	c.verdict.Record.AmountMinor = hold.AmountMinor
	if reason := c.forbids(voided); reason != Approved {
		return c.declineIf(true, reason)
	}
	return voided
}

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

// refundInFullOfUnsettled is rule 21: in auto mode it becomes the void that
// costs less, if a void is possible from this terminal.
func (c *cancelCase) refundInFullOfUnsettled() ruleOutcome {
	if !c.refundOfUnsettled() || c.amountMinor != c.original.remainingMinor() {
		return notApplicable
	}
	if c.policy.CancelMode == CancelAuto && c.untouched() && c.original.TerminalID == c.request.terminal.ID {
		return c.through(voided)
	}
	return c.declineIf(true, NotAllowedNow)
}

// untouched: nothing of the original was refunded or waits for a review.
func (c *cancelCase) untouched() bool {
	return c.original.RefundedMinor == 0 && c.original.ReviewedMinor == 0
}

func (c *cancelCase) overThreshold() bool {
	return c.request.merchant.ReviewRefunds ||
		c.policy.ReviewThresholdMinor != nil && c.amountMinor > *c.policy.ReviewThresholdMinor
}

// reviewIf ends the case with a review when the condition holds and a refund
// would be permitted.
func (c *cancelCase) reviewIf(condition bool) ruleOutcome {
	if !condition {
		return notApplicable
	}
	if reason := c.forbids(refunded); reason != Approved {
		return c.declineIf(true, reason)
	}
	return reviewed
}

// cardOutOfUse is rule 28: no issuer's money moves in a void, which was decided
// above; a referenced refund goes by the merchant's policy for the card's state.
func (c *cancelCase) cardOutOfUse() ruleOutcome {
	account := c.facts.cardsByID[c.original.CardID]
	if account == nil {
		return notApplicable
	}
	var policy CardPolicy
	switch account.Status {
	case ledger.CardActive:
		return notApplicable
	case ledger.CardLost, ledger.CardStolen:
		policy = c.policy.RefundToLost
	case ledger.CardClosed:
		policy = c.policy.RefundToClosed
	default:
		policy = c.policy.RefundToFrozen
	}
	switch policy {
	case CardDecline:
		return c.declineIf(true, RestrictedCard)
	case CardReview:
		return c.reviewIf(true)
	default:
		return goOn
	}
}
