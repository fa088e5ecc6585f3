package switching_test

import (
	"context"
	"errors"
	"fmt"

	"pgregory.net/rapid"

	"meridian/switch"
	"meridian/switch/model"
)

// Steps of the property test in which people do something: sign on, decide.

// signOn signs an operator on, with the right password more often than not.
func (s *machine) signOn(t *rapid.T) { s.logon(t, one(t, 4, "wrong")) }

func (s *machine) logon(t *rapid.T, wrong bool) {
	r := model.Request{Kind: model.Logon, STAN: s.nextSTAN(), Card: model.NoCard}
	r.Merchant, r.Terminal = s.terminal(t)
	r.Operator = draw(t, "operator", "99", "01", "01", "55")
	r.Password = s.m.Operators[model.OperatorKey{Merchant: r.Merchant, Number: r.Operator}].Password
	if wrong || r.Password == "" {
		r.Password = "wrong"
	}
	s.ask(t, s.host(t), r)
}

// guess tries passwords, often enough to be locked out.
func (s *machine) guess(t *rapid.T) {
	r := model.Request{Kind: model.Logon, STAN: s.nextSTAN(), Card: model.NoCard, Operator: draw(t, "operator", "99", "01")}
	r.Merchant, r.Terminal = s.terminal(t)
	for i := range rapid.IntRange(1, 6).Draw(t, "guesses") {
		r.Password = fmt.Sprint(i)
		s.ask(t, s.host(t), r)
	}
}

// changeOperators disables one, or brings one back.
func (s *machine) changeOperators(t *rapid.T) {
	merchant, number := draw(t, "merchant", 0, 1), draw(t, "operator", "01", "99")
	k := model.OperatorKey{Merchant: merchant, Number: number}
	if !s.m.Operators[k].Active {
		s.m.EnableOperator(k)
		s.publish()
		t.Logf("operator %v is back", k)
		return
	}
	s.m.DisableOperator(k)
	s.must(switching.DisableOperator(context.Background(), s.owner, twinMID(merchant), number, "ann", "a test"))
	s.refresh()
	t.Logf("operator %v is disabled", k)
}

// review decides a refund that waits for it, and tries to decide others.
func (s *machine) review(t *rapid.T) {
	id := s.original(t, func(o *model.Transaction) bool { return o.Review == model.ReviewOpen })
	if id < 0 {
		s.cancel(t)
		return
	}
	approve := one(t, 2, "approve")
	err := switching.DecideReview(context.Background(), s.hosts[s.host(t)].pool, s.m.Now, switching.ReviewDecision{
		RRN: s.rrn(id), Approve: approve, Who: "ann", Why: "a test",
	})
	if !s.m.DecideReview(id, approve) {
		if !errors.Is(err, switching.ErrNoReview) {
			t.Fatalf("deciding #%d, which is not under review: %v", id, err)
		}
		return
	}
	s.must(err)
	t.Logf("review of #%d: approved %t", id, approve)
}
