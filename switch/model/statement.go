package model

import "time"

// line of a statement that counts what a merchant did.
type line string

// The lines. Amounts are positive in their own direction.
const (
	sales           line = "sale"
	cashbacks       line = "cashback"
	completions     line = "completion"
	advices         line = "advice"
	reinstatements  line = "reinstatement"
	voids           line = "void"
	reversals       line = "reversal"
	refunds         line = "refund"
	refundReversals line = "refund_reversal"
	adjustments     line = "adjustment"
)

// MerchantDate names a statement.
type MerchantDate struct {
	Merchant int
	Date     Date
}

// Statement is what a business date came to for a merchant: every figure by its
// name, such as sale_count or closing_payable_minor; what is not there is 0.
type Statement struct {
	Figures map[string]int64
	// ValueDate is the next banking day. ReleaseOn gives the day's reserve back;
	// 0 without one.
	ValueDate, ReleaseOn Date
}

// DiscountTerm is what merchants pay for a purchase. Of several the one counts
// that says more: a merchant and a network, a merchant, a network, nothing; and
// of these the newest that is valid.
type DiscountTerm struct {
	Merchant       int    // Everyone for all
	Network        string // empty for all
	From           Date
	RateMillionths int64
	FixedMinor     int64
	ReturnsFee     bool
}

// ReserveTerm is what is held back of a day's gross.
type ReserveTerm struct {
	Merchant       int // Everyone for all
	From           Date
	RateMillionths int64
	ReleaseDays    int
}

// Everyone stands for all merchants in a term.
const Everyone = -1

// payback is what was paid back of a settled purchase, or taken again.
type payback struct {
	purchase int
	date     Date
	minor    int64
}

func (w *World) paidBack(purchase int, date Date, minor int64) {
	w.paybacks = append(w.paybacks, payback{purchase, date, minor})
}

// tally counts what moved money on a date.
func (w *World) tally(merchant int, date Date, l line, minor int64) {
	if minor == 0 {
		return
	}
	if w.days == nil {
		w.days = map[dayLine]tallied{}
	}
	k := dayLine{MerchantDate{merchant, date}, l}
	have := w.days[k]
	w.days[k] = tallied{have.count + 1, have.minor + minor}
}

type dayLine struct {
	MerchantDate

	line line
}

type tallied struct{ count, minor int64 }

// closeDay posts what a merchant's day came to: what is pending becomes payable;
// the discount is taken and given back, and reserves that are due are; then the
// payable makes up for what the merchant owes, a part of the gross is held back
// of what is left, and what it is short of is owed from now on.
func (w *World) closeDay(merchant int, date Date) {
	released := w.dueReserves(merchant, date)
	if !w.anythingOf(merchant, date) && released == 0 {
		return
	}
	pending, payable, receivable := pendingAccount(merchant), payableAccount(merchant), receivableAccount(merchant)
	opening := w.closed[merchant]
	gross, moved := w.moved(pending, date), w.moved(payable, date)
	discount, returned := w.discount(merchant, date), w.returned(merchant, date)
	total := opening.payableMinor + gross + moved - discount + returned + released
	w.postEither(date, pending, payable, gross)
	w.postEither(date, payable, revenueAccount, discount)
	w.postEither(date, revenueAccount, payable, returned)
	w.postEither(date, reserveAccount(merchant), payable, released)
	recovered := max(0, min(total, opening.receivableMinor))
	w.postEither(date, payable, receivable, recovered)
	total -= recovered
	term := w.reserveTerm(merchant, date)
	withheld := min(halfEven(max(0, gross), term.RateMillionths), max(0, total))
	w.postEither(date, payable, reserveAccount(merchant), withheld)
	total -= withheld
	short := max(0, -total)
	w.postEither(date, receivable, payable, short)
	total += short
	closing := balances{total, opening.receivableMinor - recovered + short, opening.reserveMinor - released + withheld}
	s := Statement{ValueDate: bankingDay(date + 1)}
	if withheld > 0 {
		s.ReleaseOn = date + Date(term.ReleaseDays)
	}
	s.Figures = map[string]int64{
		"gross_minor": gross, "discount_minor": discount, "discount_returned_minor": returned,
		"reserve_minor": withheld, "reserve_released_minor": released, "recovered_minor": recovered, "to_receivable_minor": short,
		"opening_payable_minor": opening.payableMinor, "closing_payable_minor": closing.payableMinor,
		"opening_receivable_minor": opening.receivableMinor, "closing_receivable_minor": closing.receivableMinor,
		"opening_reserve_minor": opening.reserveMinor, "closing_reserve_minor": closing.reserveMinor,
	}
	for k, sum := range w.days {
		if k.MerchantDate == (MerchantDate{merchant, date}) {
			s.Figures[string(k.line)+"_count"], s.Figures[string(k.line)+"_minor"] = sum.count, sum.minor
		}
	}
	if w.Statements == nil {
		w.Statements, w.closed = map[MerchantDate]Statement{}, map[int]balances{}
	}
	w.Statements[MerchantDate{merchant, date}], w.closed[merchant] = s, closing
}

// anythingOf a merchant on a date, holds included: there is a statement for it.
func (w *World) anythingOf(merchant int, date Date) bool {
	for _, code := range []string{pendingAccount(merchant), payableAccount(merchant)} {
		if _, moved := w.Books[Account{code, date}]; moved {
			return true
		}
	}
	return false
}

// discount of a date: on every purchase of which something stands at its
// cutoff, cash handed out apart.
func (w *World) discount(merchant int, date Date) int64 {
	var sum int64
	for i := range w.Transactions {
		t := &w.Transactions[i]
		if t.Merchant == merchant && t.Date == date && t.Kind.captures() && t.State != StateDeclined && t.charged() > 0 {
			term := w.discountTerm(t)
			sum += halfEven(t.charged(), term.RateMillionths) + term.FixedMinor
		}
	}
	return sum
}

// charged is what a purchase's discount is taken of.
func (t *Transaction) charged() int64 { return t.clearedMinor - t.Request.CashbackMinor }

// returned of earlier discounts: the rate's part of what was paid back on the
// date, so that all that ever comes back is what was taken of it.
func (w *World) returned(merchant int, date Date) int64 {
	before, after := map[int]int64{}, map[int]int64{}
	for _, p := range w.paybacks {
		if p.date < date {
			before[p.purchase] += p.minor
		}
		if p.date <= date {
			after[p.purchase] += p.minor
		}
	}
	var sum int64
	for purchase, minor := range after {
		t := &w.Transactions[purchase]
		if t.Merchant != merchant {
			continue
		}
		if term := w.discountTerm(t); term.ReturnsFee {
			sum += halfEven(within(minor, t.charged()), term.RateMillionths) - halfEven(within(before[purchase], t.charged()), term.RateMillionths)
		}
	}
	return sum
}

// within 0 and the most.
func within(minor, most int64) int64 { return max(0, min(minor, most)) }

func (w *World) discountTerm(t *Transaction) DiscountTerm {
	says := func(d *DiscountTerm) int {
		score := 0
		if d.Merchant != Everyone {
			score += 2
		}
		if d.Network != "" {
			score++
		}
		return score
	}
	best := -1
	for i := range w.Discounts {
		d := &w.Discounts[i]
		switch {
		case d.Merchant != Everyone && d.Merchant != t.Merchant, d.Network != "" && d.Network != w.Cards[t.Card].Network, d.From > t.Date:
		case best < 0, says(d) > says(&w.Discounts[best]), says(d) == says(&w.Discounts[best]) && d.From > w.Discounts[best].From:
			best = i
		}
	}
	if best < 0 {
		return DiscountTerm{}
	}
	return w.Discounts[best]
}

func (w *World) reserveTerm(merchant int, date Date) ReserveTerm {
	var best ReserveTerm
	found := false
	for _, term := range w.Reserves {
		if term.Merchant != Everyone && term.Merchant != merchant || term.From > date {
			continue
		}
		own, bestIsOwn := term.Merchant != Everyone, best.Merchant != Everyone
		if !found || own && !bestIsOwn || own == bestIsOwn && term.From > best.From {
			best, found = term, true
		}
	}
	return best
}

// dueReserves gives back what was held back long enough.
func (w *World) dueReserves(merchant int, date Date) int64 {
	var sum int64
	for k, s := range w.Statements {
		if k.Merchant == merchant && s.ReleaseOn != 0 && s.ReleaseOn <= date && !w.freed[k] {
			if w.freed == nil {
				w.freed = map[MerchantDate]bool{}
			}
			w.freed[k] = true
			sum += s.Figures["reserve_minor"]
		}
	}
	return sum
}

// halfEven is a rate in millionths of an amount that is not negative, rounded
// to the nearest unit, and to the even one where two are as near.
func halfEven(minor, rateMillionths int64) int64 {
	const million = 1_000_000
	units, rest := minor*rateMillionths/million, minor*rateMillionths%million
	if rest*2 > million || rest*2 == million && units%2 == 1 {
		units++
	}
	return units
}

// bankingDay is the first one from a date on. There are no holidays here.
func bankingDay(d Date) Date {
	for d.midnight().Weekday() == time.Saturday || d.midnight().Weekday() == time.Sunday {
		d++
	}
	return d
}
