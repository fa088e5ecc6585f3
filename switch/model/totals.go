package model

// Totals of a batch, gross: a voided sale stays a sale, and its void is a void.
type Totals struct {
	SaleCount, VoidCount, RefundCount int
	SaleMinor, VoidMinor, RefundMinor int64
}

// Form is how much a terminal tells of its totals.
type Form string

// The forms: one count and amount, or sales and refunds.
const (
	NetForm   Form = "net"
	SplitForm Form = "split"
)

// Stated totals are a terminal's own.
type Stated struct {
	Given       bool
	Form        Form
	SaleCount   int
	SaleMinor   int64
	RefundCount int
	RefundMinor int64
}

// Totals of a terminal's current batch. What was reversed counts nowhere, nor do
// holds, releases of holds, balances, and refunds that went through a review.
func (w *World) Totals(terminal int) Totals {
	number := w.Terminals[terminal].Batch.Number
	in := func(t *Transaction) bool { return t.Terminal == terminal && t.Batch == number }
	var sum Totals
	sale := func(minor int64) {
		sum.SaleCount++
		sum.SaleMinor += minor
	}
	for id := range w.Transactions {
		t := &w.Transactions[id]
		if !in(t) || t.State != StateApproved {
			continue
		}
		switch {
		case t.Kind.captures():
			sale(t.CapturedMinor)
		case t.Kind == Refund && t.Review == "":
			sum.RefundCount++
			sum.RefundMinor += t.AmountMinor
		case t.Kind == Void:
			o := &w.Transactions[t.Original]
			if !o.Kind.captures() {
				continue
			}
			sum.VoidCount++
			sum.VoidMinor += t.AmountMinor
			if in(o) {
				sale(t.AmountMinor) // what the void left nothing of
			}
		}
	}
	return sum
}

// agree tells whether the terminal says the same. One total is sales less voids.
// Two are gross, with the voids among the refunds, or sales less voids and
// refunds alone.
func (s Stated) agree(t Totals) bool {
	sales := Stated{SaleCount: t.SaleCount - t.VoidCount, SaleMinor: t.SaleMinor - t.VoidMinor}
	less := sales
	less.RefundCount, less.RefundMinor = t.RefundCount, t.RefundMinor
	gross := Stated{
		SaleCount: t.SaleCount, SaleMinor: t.SaleMinor,
		RefundCount: t.RefundCount + t.VoidCount, RefundMinor: t.RefundMinor + t.VoidMinor,
	}
	said := s
	said.Given, said.Form = false, ""
	switch {
	case !s.Given:
		return false
	case s.Form == NetForm:
		said.RefundCount, said.RefundMinor = 0, 0
		return said == sales
	default:
		return said == less || said == gross
	}
}
