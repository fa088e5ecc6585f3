package switching_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"meridian/switch/model"
)

// Steps of the property test that change what may be done.

// openShops lets every merchant begin with rules of its own.
func (s *machine) openShops(t *rapid.T, rules []string) {
	for i := range s.m.Merchants {
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			from := allRules
			if len(rules) > 0 && !one(t, 4, "any rule") {
				from = rules
			}
			s.amend(t, &s.m.Merchants[i].Policy, from)
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "terms") {
		s.amendTerms(t)
	}
	s.publish()
	for i := range s.m.Merchants {
		t.Logf("policy of merchant %d: %+v", i, s.m.Merchants[i].Policy)
	}
	t.Logf("terms: %+v, %+v", s.m.Discounts, s.m.Reserves)
}

func (s *machine) changePolicy(t *rapid.T) {
	merchant, _ := s.terminal(t)
	s.amend(t, &s.m.Merchants[merchant].Policy, allRules)
	s.publish()
	t.Logf("policy of merchant %d: %+v", merchant, s.m.Merchants[merchant].Policy)
}

var allRules = []string{
	"mode", "mode", "permission", "window", "count", "limit", "purchases", "void window", "voids", "void sums",
	"review", "review", "unreferenced", "balance", "operators", "supervisors", "cards", "batches", "batches",
}

// amend changes one rule of a policy.
func (s *machine) amend(t *rapid.T, p *model.Policy, rules []string) {
	switch draw(t, "policy", rules...) {
	case "mode":
		p.Mode = draw(t, "mode", model.Strict, model.CancelOnly, model.Auto)
	case "permission":
		allowed := draw(t, "allowed", "void", "refund", "both", "neither")
		p.AllowVoid, p.AllowRefund = allowed == "void" || allowed == "both", allowed == "refund" || allowed == "both"
	case "window":
		p.RefundWindowDays = draw(t, "days", 1, 3, 30)
		p.ReversalWindowDays = draw(t, "days of a reversal", 1, 3, 30)
	case "count":
		p.MaxRefunds = draw(t, "refunds", 1, 2, 3)
	case "limit":
		p.MaxAmountMinor = draw[int64](t, "amount", 0, 1_500, 50_000)
		p.MaxCashbackMinor = draw[int64](t, "cashback", 0, 400, 10_000)
	case "purchases":
		p.AllowAuthorization = draw(t, "authorization", true, false)
		p.AllowCashback = draw(t, "cashback", true, false)
		p.AllowOfflineAdvice = draw(t, "advice", true, false)
	case "void window":
		p.VoidWindow = draw(t, "for", 10*time.Minute, 0, time.Minute, time.Hour)
	case "voids":
		p.MaxVoidsPerDay = draw(t, "voids", 1, 2, 0, model.NoLimit)
	case "void sums":
		p.MaxVoidMinorPerDay = draw[int64](t, "sum", 2_000, 3_000, 0, model.NoLimit)
	case "review":
		p.ReviewThresholdMinor = draw[int64](t, "over", 500, 0, model.NoLimit, 1_000)
	case "unreferenced":
		p.AllowUnreferencedRefund = draw(t, "unreferenced", true, false)
		p.MaxUnreferencedMinor = draw[int64](t, "limit", 0, 1_000)
	case "balance":
		p.HasMinBalance = draw(t, "limited", true, false)
		p.MinBalanceMinor = draw[int64](t, "minimum", 0, 1_000, -5_000)
	case "operators":
		p.RequireOperator = draw(t, "required", true, false)
	case "supervisors":
		p.SupervisorForVoid = draw(t, "void", true, false)
		p.SupervisorForRefund = draw(t, "refund", true, false)
	case "cards":
		p.RefundToLost = draw(t, "lost", model.CardReview, model.CardDecline, model.CardAllow)
		p.RefundToFrozen = draw(t, "frozen", model.CardReview, model.CardDecline, model.CardAllow)
		p.RefundToClosed = draw(t, "closed", model.CardReview, model.CardDecline, model.CardAllow)
	case "batches":
		p.SettledByBatch = draw(t, "settled by batch", true, false)
		p.AutoCloseBatch = draw(t, "closed at the cutoff", true, false)
	}
}

// changeRights suspends and resumes what a merchant or a terminal may do.
func (s *machine) changeRights(t *rapid.T) {
	merchant, terminal := s.terminal(t)
	m, at := &s.m.Merchants[merchant], &s.m.Terminals[terminal]
	if !m.Active || !at.Active || !m.AllowVoid || !m.AllowRefund || !at.AllowVoid || !at.AllowRefund {
		// Nothing else would be seen there for long.
		m.Active, m.AllowVoid, m.AllowRefund = true, true, true
		at.Active, at.AllowVoid, at.AllowRefund = true, true, true
		s.publish()
		t.Logf("merchant %d and terminal %d may do everything", merchant, terminal)
		return
	}
	switch draw(t, "right", "merchant", "terminal", "flag", "merchant is active", "terminal is active") {
	case "merchant":
		m.AllowVoid, m.AllowRefund = draw(t, "void", true, false), draw(t, "refund", false, true)
	case "terminal":
		at.AllowVoid, at.AllowRefund = draw(t, "void", true, false), draw(t, "refund", false, true)
	case "flag":
		m.ReviewRefunds = !m.ReviewRefunds
	case "merchant is active":
		m.Active = !m.Active
	case "terminal is active":
		at.Active = !at.Active
	}
	s.publish()
	t.Logf("merchant %d: active %t, void %t, refund %t, flagged %t; terminal %d: active %t, void %t, refund %t",
		merchant, m.Active, m.AllowVoid, m.AllowRefund, m.ReviewRefunds, terminal, at.Active, at.AllowVoid, at.AllowRefund)
}

func (s *machine) changeTerms(t *rapid.T) {
	s.amendTerms(t)
	s.publish()
	t.Logf("terms: %+v, %+v", s.m.Discounts, s.m.Reserves)
}

// amendTerms adds a term, in the place of one that is valid from the same date.
func (s *machine) amendTerms(t *rapid.T) {
	from := model.DateOn(2000, time.January, 1)
	if one(t, 2, "from") {
		from = model.DateOn(s.begin.Date()) + model.Date(rapid.IntRange(-1, 3).Draw(t, "days"))
	}
	merchant := draw(t, "merchant", model.Everyone, 0, 1, 2)
	if one(t, 3, "reserve") {
		term := model.ReserveTerm{
			Merchant: merchant, From: from, RateMillionths: draw[int64](t, "rate", 50_000, 0, 333_333), ReleaseDays: draw(t, "release", 1, 2, 7),
		}
		s.m.Reserves = slices.DeleteFunc(s.m.Reserves, func(r model.ReserveTerm) bool { return r.Merchant == term.Merchant && r.From == term.From })
		s.m.Reserves = append(s.m.Reserves, term)
		return
	}
	term := model.DiscountTerm{
		Merchant: merchant, Network: draw(t, "network", "", "onus", "fleet"), From: from,
		RateMillionths: draw[int64](t, "rate", 15_000, 0, 2_500, 500), FixedMinor: draw[int64](t, "fixed", 0, 10), ReturnsFee: draw(t, "returns", false, true),
	}
	s.m.Discounts = slices.DeleteFunc(s.m.Discounts, func(d model.DiscountTerm) bool {
		return d.Merchant == term.Merchant && d.Network == term.Network && d.From == term.From
	})
	s.m.Discounts = append(s.m.Discounts, term)
}

func (s *machine) changeCard(t *rapid.T) {
	i := rapid.IntRange(0, len(twinCards)-1).Draw(t, "card")
	status := rapid.SampledFrom(twinStatuses).Draw(t, "status")
	s.setCardStatus(i, status)
	t.Logf("card %d is %s", i, status)
}
