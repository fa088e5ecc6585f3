package model

// Cutover closes every business date whose instant has passed, in order, and
// returns how many that were.
func (w *World) Cutover() int {
	n := 0
	for calendar, c := range w.Calendars {
		for !w.Now.Before(c.CutoffOf(w.Unsealed[calendar])) {
			for merchant := range w.Merchants {
				if w.Merchants[merchant].Calendar == calendar {
					w.settle(merchant, w.Unsealed[calendar])
				}
			}
			w.Unsealed[calendar]++
			n++
		}
	}
	return n
}

// settle posts what a merchant's day came to: what is pending becomes payable,
// what is payable makes up for what the merchant owes, and what it is short of
// is owed from now on. There is no discount and no reserve here.
func (w *World) settle(merchant int, date Date) {
	pending, payable, receivable := pendingAccount(merchant), payableAccount(merchant), receivableAccount(merchant)
	b := w.closed[merchant]
	gross := w.moved(pending, date)
	total := b.payableMinor + w.moved(payable, date) + gross
	w.postEither(date, pending, payable, gross)
	recovered := max(0, min(total, b.receivableMinor))
	w.postEither(date, payable, receivable, recovered)
	short := max(0, -total)
	w.postEither(date, receivable, payable, short)
	if w.closed == nil {
		w.closed = map[int]balances{}
	}
	w.closed[merchant] = balances{total - recovered + short, b.receivableMinor + short - recovered}
}

// moved is what a date's postings left on a merchant's account.
func (w *World) moved(code string, date Date) int64 {
	s := w.Books[Account{code, date}]
	return s.CreditsPosted - s.DebitsPosted
}

func (w *World) postEither(date Date, debit, credit string, minor int64) {
	switch {
	case minor > 0:
		w.post(date, debit, credit, minor)
	case minor < 0:
		w.post(date, credit, debit, -minor)
	}
}
