package console

import (
	"net/http"

	"meridian/ledger"
)

// settlementBody is a page of statements.
type settlementBody struct {
	Merchant, From, To string
	List               []ledger.Statement
	Pager              pager
}

func (c *Console) settlement(r *http.Request) (*view, error) {
	body := &settlementBody{Merchant: param(r, "merchant"), From: param(r, "from"), To: param(r, "to")}
	filter := ledger.StatementFilter{MID: body.Merchant, Newest: true, Limit: listed + 1, Offset: offset(r)}
	for text, date := range map[string]*ledger.Date{body.From: &filter.From, body.To: &filter.To} {
		if text == "" {
			continue
		}
		var err error
		if *date, err = ledger.ParseDate(text); err != nil {
			return nil, badRequest("“" + text + "” is no date such as 2026-03-10.")
		}
	}
	list, _, err := ledger.Statements(r.Context(), c.o.Pool, filter)
	if err != nil {
		return nil, err
	}
	body.List, body.Pager = page(r, list, listed)
	return &view{template: "settlement.html", title: "Settlement", section: "settlement", body: body}, nil
}

// statementBody is one merchant's business date.
type statementBody struct {
	ledger.Statement

	Lines []statementLine
}

// statementLine is one line of a statement, signed as it adds up.
type statementLine struct {
	Name  string
	Count int64 // where it counts something
	Minor int64
	Sum   bool // what stands above it adds up to it
}

func (c *Console) statement(r *http.Request) (*view, error) {
	mid, text := r.PathValue("mid"), r.PathValue("date")
	date, err := ledger.ParseDate(text)
	if err != nil {
		return nil, notFound("“" + truncate(text) + "” is no date such as 2026-03-10.")
	}
	list, _, err := ledger.Statements(r.Context(), c.o.Pool, ledger.StatementFilter{MID: mid, From: date, To: date})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, c.whyNoStatement(r, mid, date)
	}
	body := []statementBody{}
	for i := range list {
		body = append(body, statementBody{list[i], linesOf(&list[i])})
	}
	return &view{template: "statement.html", title: "Statement of " + mid + ", " + text, section: "settlement", body: body}, nil
}

// whyNoStatement says what there is instead.
func (c *Console) whyNoStatement(r *http.Request, mid string, date ledger.Date) error {
	state, err := ledger.DateStateOf(r.Context(), c.o.Pool, mid, date)
	switch {
	case err != nil:
		return err
	case !state.MerchantKnown:
		return notFound("No merchant has the MID " + truncate(mid) + ".")
	case !state.DateMade:
		return notFound("The business date " + date.String() + " is not made for this merchant.")
	case state.State == ledger.WindowClosed:
		return notFound("The merchant had nothing to settle on " + date.String() + ".")
	default:
		return notFound("The business date " + date.String() + " is not settled yet: it ends at " + stamp(state.ClosesAt) + ".")
	}
}

func linesOf(s *ledger.Statement) []statementLine {
	var lines []statementLine
	class := func(name string, t ledger.ClassTotal, sign int64) {
		if t != (ledger.ClassTotal{}) {
			lines = append(lines, statementLine{Name: name, Count: t.Count, Minor: sign * t.Minor})
		}
	}
	line := func(name string, minor int64, always bool) {
		if always || minor != 0 {
			lines = append(lines, statementLine{Name: name, Minor: minor})
		}
	}
	sum := func(name string, minor int64) {
		lines = append(lines, statementLine{Name: name, Minor: minor, Sum: true})
	}
	class("Sales", s.Sales, 1)
	class("Cashback", s.Cashback, 1)
	class("Completions", s.Completions, 1)
	class("Offline advices", s.Advices, 1)
	class("Reinstated", s.Reinstatements, 1)
	class("Amounts changed", s.AmountChanges, 1)
	class("Voids", s.Voids, -1)
	class("Reversals", s.Reversals, -1)
	sum("Gross", s.GrossMinor)
	class("Refunds", s.Refunds, -1)
	class("Refunds reversed", s.RefundReversals, 1)
	class("Late reversals", s.Adjustments, -1)
	line("Other", s.OtherMinor, false)
	line("Discount", -s.DiscountMinor, true)
	line("Discount returned", s.DiscountReturnedMinor, false)
	line("Reserve released", s.ReserveReleasedMinor, false)
	line("Reserve", -s.ReserveMinor, false)
	line("Debt recovered", -s.RecoveredMinor, false)
	line("Moved to debt", s.ToReceivableMinor, false)
	line("Owed before", s.Opening.PayableMinor, true)
	sum("Owed to the merchant", s.Closing.PayableMinor)
	if s.Closing.ReserveMinor != 0 {
		lines = append(lines, statementLine{Name: "Reserve held", Minor: s.Closing.ReserveMinor})
	}
	if s.Closing.ReceivableMinor != 0 {
		lines = append(lines, statementLine{Name: "Debt of the merchant", Minor: s.Closing.ReceivableMinor})
	}
	return lines
}
