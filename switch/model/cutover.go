package model

// Cutover closes every business date whose instant has passed, in order, and
// returns how many that were.
func (w *World) Cutover() int {
	n := 0
	for calendar, c := range w.Calendars {
		for !w.Now.Before(c.CutoffOf(w.Unsealed[calendar])) {
			for merchant := range w.Merchants {
				if w.Merchants[merchant].Calendar == calendar {
					w.closeDay(merchant, w.Unsealed[calendar])
				}
			}
			w.Unsealed[calendar]++
			n++
		}
	}
	return n
}

// moved is what a date's postings left on an account.
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
