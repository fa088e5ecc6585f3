package terminal

import (
	"fmt"
	"strings"
)

// Totals of F48: an amount of 12 and a count of 3 digits each of debits and of
// credits, and the outcome; once for domestic cards, once for foreign ones, of
// which a test terminal has none.
const sideDigits = 2*(amountDigits+3) + 1

// sides of the batch as F48 has them. A voided sale stays a debit, and its void is
// a credit like a refund.
func (b *ownBatch) sides() (string, error) {
	if b.Overfull {
		return "", errorf(KindUsage, "more than %d transactions since the last settlement: a count has three digits, give --totals", maxBatchEntries)
	}
	var debits, credits, sumDebits, sumCredits int64
	for _, e := range b.Entries {
		if e.Class == classSale {
			debits, sumDebits = debits+1, sumDebits+e.AmountMinor
		} else {
			credits, sumCredits = credits+1, sumCredits+e.AmountMinor
		}
	}
	return fmt.Sprintf("%012d%03d%012d%03d0", sumDebits, debits, sumCredits, credits) + strings.Repeat("0", sideDigits), nil
}

// checkSides refuses what cannot be in F48 of a settlement.
func (s *Settlement) checkSides() error {
	switch {
	case s.Overstate != 0:
		return (&Settlement{Totals: s.Totals, Repeat: s.Repeat, Overstate: s.Overstate}).check()
	case s.Totals == "":
	case s.Repeat:
		return errorf(KindUsage, "--repeat sends what was sent: leave --totals away")
	case !digits(s.Totals) || len(s.Totals) != sideDigits && len(s.Totals) != 2*sideDigits:
		return errorf(KindUsage, "--totals is %d or %d digits: amount 12 and count 3 of debits and of credits, and a 0", sideDigits, 2*sideDigits)
	}
	return nil
}

// stating is a 0500 with the terminal's totals, or those of the user.
func (t *Terminal) stating(s *Settlement, st *state) (*draft, error) {
	if s.Repeat {
		return t.settleAgain(st)
	}
	totals := s.Totals
	if totals == "" {
		var err error
		stated := st.Batch.overstated(s.Overstate)
		if totals, err = stated.sides(); err != nil {
			return nil, err
		}
	}
	d := t.batchMessage(Settle, "0500", codeSettle, st)
	d.fields[48], d.fields[63] = totals, operatorOne
	d.fields[49] = "156"
	if t.currency.Valid() {
		d.fields[49] = t.currency.Numeric()
	}
	return d, nil
}

// settleAgain repeats the last message of a settlement whose answer may have been
// lost: the totals, or the end.
func (t *Terminal) settleAgain(st *state) (*draft, error) {
	last := st.find(func(o *record) bool { return o.Operation == Settle || o.Operation == Trailer })
	if last == nil {
		return nil, errorf(KindUsage, "terminal %s remembers no settlement to repeat", t.tid)
	}
	return t.again(&Request{Operation: last.Operation, Repeat: true}, st)
}

// settleInSteps goes on after the totals were stated: the host says whether they
// agree, the terminal shows its transactions where they do not, and ends the
// batch. say sends a message and shows its report.
func (t *Terminal) settleInSteps(s *Settlement, first *Report, say func(func(*state) (*draft, error)) (*Report, error)) error {
	switch {
	case first.Operation == Trailer:
		return declinedUnless(first, "the end of the batch")
	case first.Outcome == Approved:
		return t.end(codeEndBalanced, 0, say)
	case first.Balance != unbalanced || s.NoUpload:
		return declinedUnless(first, "the settlement")
	}
	st, err := t.store.read()
	if err != nil {
		return err
	}
	shown := len(st.Batch.Entries)
	for from := 0; from < shown; from += detailsPerUpload {
		report, err := say(func(st *state) (*draft, error) { return t.uploadingSome(st, from) })
		if err != nil {
			return err
		}
		if err := declinedUnless(report, "an upload"); err != nil {
			return err
		}
	}
	return t.end(codeEndAfterUpload, shown, say)
}

func (t *Terminal) end(code string, shown int, say func(func(*state) (*draft, error)) (*Report, error)) error {
	report, err := say(func(st *state) (*draft, error) {
		d := t.batchMessage(Trailer, "0320", code, st)
		d.fields[48] = fmt.Sprintf("%04d", shown)
		return d, nil
	})
	if err != nil {
		return err
	}
	return declinedUnless(report, "the end of the batch")
}

// declinedUnless is the error of a report that is no approval.
func declinedUnless(r *Report, what string) error {
	if r.Outcome == Approved {
		return nil
	}
	return errorf(KindDeclined, "the host declined %s: %s", what, r.verdict())
}

// verdict is code and meaning, where there is a code.
func (r *Report) verdict() string {
	if r.Code == "" {
		return r.Meaning
	}
	return r.Code + ", " + r.Meaning
}

// detailsPerUpload is how many transactions F48 of a 0320 has room for, with 40
// digits each: card type 2, trace number 6, card number 20, amount 12.
const detailsPerUpload = 8

// domesticCard is the card type of a detail.
const domesticCard = "00"

// uploadingSome is a 0320 that shows up to eight entries of the batch. A card that
// is not in sandbox.json is not remembered: its number goes as zeros.
func (t *Terminal) uploadingSome(st *state, from int) (*draft, error) {
	if from >= len(st.Batch.Entries) {
		return nil, errorf(KindFailure, "the batch became smaller while it was uploaded")
	}
	some := st.Batch.Entries[from:min(from+detailsPerUpload, len(st.Batch.Entries))]
	d := t.batchMessage(Upload, "0320", codeUpload, st)
	var details strings.Builder
	fmt.Fprintf(&details, "%02d", len(some))
	for i := range some {
		pan := ""
		card, err := t.remembered(&Request{}, some[i].Card)
		if err != nil {
			return nil, err
		}
		if card != nil {
			pan = card.pan.Reveal()
		}
		fmt.Fprintf(&details, "%s%s%020s%012d", domesticCard, some[i].Fields[11], pan, some[i].AmountMinor)
	}
	d.fields[48] = details.String()
	return d, nil
}

// batchMessage begins a message about the batch.
func (t *Terminal) batchMessage(operation Operation, mti, code string, st *state) *draft {
	d := &draft{operation: operation, mti: mti, fields: map[int]string{41: t.tid, 42: t.mid}}
	d.fields[60] = fmt.Sprintf("00%06d%s", t.batchNumber(st), code)
	t.number(d, &Request{}, st)
	return d
}
