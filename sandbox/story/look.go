package story

import (
	"context"
	"strconv"
	"strings"

	"meridian/host/terminal"
	"meridian/host/wire"
	"meridian/internal/money"
)

// look finds out what the books made of a step, and holds it against what is
// expected.
func (p *play) look(ctx context.Context, s *Step, told *Told) (err error) {
	if told.Books, err = p.books(ctx, told); err != nil {
		return err
	}
	e := s.Expect
	if e == nil {
		return nil
	}
	told.expected = true
	differ := func(what, want, got string) {
		if want != "" && want != got {
			told.Differences = append(told.Differences, Difference{Line: e.Line, What: what, Want: want, Got: got})
		}
	}
	if len(told.Exchanges) > 0 {
		if err := p.lookAtAnswer(e, told, differ); err != nil {
			return err
		}
	}
	if err := p.lookAtBalances(ctx, e, differ); err != nil {
		return err
	}
	return p.lookAtBatch(ctx, s, e, differ)
}

func (p *play) lookAtAnswer(e *Expect, told *Told, differ func(what, want, got string)) error {
	x := told.Exchanges[0]
	differ("the response code", e.Code.of(x.Dialect), x.Code)
	differ("the outcome", string(e.Outcome), string(x.Outcome))
	books := told.Books
	if books == nil {
		books = &Books{}
	}
	differ("what it became", string(e.Became), first(x.Verdict, books.verdict()))
	differ("the rule", string(e.Rule), first(x.Rule, books.Rule))
	differ("the settlement", string(e.Settled), settled(x))
	differ("its state", human(string(e.State)), books.State)
	differ("the reason", human(string(e.Reason)), books.Reason)
	differ("the original's state", human(string(e.OriginalState)), books.OriginalState)
	if e.SameAs == "" {
		return nil
	}
	other, err := p.earlier(e.SameAs)
	if err != nil {
		return err
	}
	differ("the RRN", other.RRN, x.RRN)
	differ("the approval code", other.AuthCode, x.AuthCode)
	differ("the response code", other.Code, x.Code)
	return nil
}

// verdict is what the books say that a cancel became; empty for what is none.
func (b *Books) verdict() string {
	switch {
	case b.Rule == "":
		return ""
	case b.State == "declined":
		return "DECLINE"
	case b.State == "under review":
		return "REVIEW"
	default:
		return strings.ToUpper(b.Became)
	}
}

// settled is what an answer to totals says of them.
func settled(x *Exchange) string {
	switch {
	case x.Operation != terminal.Settle:
		return ""
	case x.Dialect == wire.NameUnionPay:
		return x.Balance
	case x.Outcome == terminal.Approved:
		return settledBalanced
	case x.Code == outOfBalance:
		return settledUnbalanced
	default:
		return ""
	}
}

// outOfBalance is the response code of totals that are not the host's.
const outOfBalance = "95"

func (p *play) lookAtBalances(ctx context.Context, e *Expect, differ func(what, want, got string)) error {
	if len(e.Balances) == 0 {
		return nil
	}
	moved, err := p.balances(ctx)
	if err != nil {
		return err
	}
	for _, name := range balanceNames {
		want, asked := e.Balances[name]
		if !asked {
			continue
		}
		minor, err := p.minor(want)
		if err != nil {
			return err
		}
		differ("the balance of "+name, p.signed(minor), p.signed(moved[name]))
	}
	return nil
}

// signed is an amount that was gained or lost.
func (p *play) signed(minor int64) string {
	amount := money.Amount{Minor: minor, Currency: p.currency}.String()
	if minor > 0 {
		amount = "+" + amount
	}
	return amount
}

func (p *play) lookAtBatch(ctx context.Context, s *Step, e *Expect, differ func(what, want, got string)) error {
	want := e.Batch
	if want == nil {
		return nil
	}
	report, err := p.openBatch(ctx, first(string(s.Terminal), p.who.TID))
	if err != nil {
		return err
	}
	if report == nil {
		differ("the batch", "there", "nothing")
		return nil
	}
	differ("the batch's state", human(string(want.State)), human(report.State.String()))
	count := func(what string, want text, got int32) { differ(what, string(want), strconv.Itoa(int(got))) }
	count("the batch's count of sales", want.Sales, report.Totals.SaleCount)
	count("the batch's count of voids", want.Voids, report.Totals.VoidCount)
	count("the batch's count of refunds", want.Refunds, report.Totals.RefundCount)
	count("the batch's count of differences", want.Differences, int32(report.Differences))
	for _, one := range []struct {
		what string
		want text
		got  int64
	}{
		{"what the batch sold", want.SalesAmount, report.Totals.SaleMinor},
		{"what the batch voided", want.VoidsAmount, report.Totals.VoidMinor},
		{"what the batch refunded", want.RefundsAmount, report.Totals.RefundMinor},
	} {
		if one.want == "" {
			continue
		}
		minor, err := p.minor(one.want)
		if err != nil {
			return err
		}
		differ(one.what, p.signed(minor), p.signed(one.got))
	}
	return nil
}
